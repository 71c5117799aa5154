"""Fixtures for every test: real services, never stand-ins; and the order in which files are run."""

import gc

import pytest

from tests.services import cluster, data_dir, installation_dir, postgres_url, queue, redis_url

__all__ = ["cluster", "data_dir", "installation_dir", "postgres_url", "queue", "redis_url"]
#: Folders whose files each keep several processes busy for a minute or so.
HEAVY = {"acceptance", "chaos"}


# nothing that is imported and collected is garbage
gc.disable()


def pytest_collection_finish() -> None:
    """The tests make some."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the heavy files over the first two thirds.

    Side by side they would starve one another; at the end each would be waited for alone.
    """
    files = dict.fromkeys(item.path for item in items)
    sides = [[path for path in files if (path.parent.name in HEAVY) is heavy] for heavy in (True, False)]
    place = {
        path: share * number / len(side)
        for share, side in zip((2 / 3, 1), sides, strict=True)
        for number, path in enumerate(side)
    }
    items.sort(key=lambda item: place[item.path])
