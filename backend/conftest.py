"""Fixtures for every test, of the kinds too: real services, never stand-ins; and the order in which files are run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.services import cluster, data_dir, installation_dir, postgres_url, queue, redis_url

if TYPE_CHECKING:
    import httpx

    from tests.installation import Installation
    from tests.integration.api_server import Server

__all__ = ["cluster", "data_dir", "installation_dir", "postgres_url", "queue", "redis_url"]
#: What keeps several processes busy for a minute or so: folders, and files of kinds.
HEAVY_FOLDERS, HEAVY_FILES = {"acceptance", "chaos"}, "_live.py"

# nothing that is imported and collected is garbage
gc.disable()


def pytest_collection_finish() -> None:
    """The tests make some."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator[Server]:
    """An API over the installation that a module opens; a module that needs another makes its own."""
    from tests.integration.api_server import serving

    with serving(installation.settings) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of that API."""
    with server.client() as client:
        yield client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the heavy files over the first two thirds.

    Side by side they would starve one another; at the end each would be waited for alone.
    """
    files = dict.fromkeys(item.path for item in items)
    heavy = {path for path in files if path.parent.name in HEAVY_FOLDERS or path.name.endswith(HEAVY_FILES)}
    sides = [[path for path in files if (path in heavy) is side] for side in (True, False)]
    place = {
        path: share * number / len(side)
        for share, side in zip((2 / 3, 1), sides, strict=True)
        for number, path in enumerate(side)
    }
    items.sort(key=lambda item: place[item.path])
