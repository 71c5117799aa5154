"""Notes what a periodic task did and how long it took, whichever way it ended."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine

from headway.errors import UnavailableError
from headway.storage.engine import transaction
from headway.storage.maintenance import note_run

Counts = dict[str, int]


@contextmanager
def noted(engine: Engine, task: str) -> Generator[Counts]:
    """Fill the table handed over with what was done; it is added to the task's totals at the end."""
    counts: Counts = {}
    started = time.perf_counter()
    try:
        yield counts
    except Exception as error:
        with suppress(UnavailableError):  # where the failure itself cannot be noted, it is logged by the worker
            _note(engine, task, started, counts, f"{type(error).__name__}: {error}")
        raise
    _note(engine, task, started, counts, None)


def _note(engine: Engine, task: str, started: float, counts: Counts, error: str | None) -> None:
    with transaction(engine) as connection:
        note_run(connection, task, time.perf_counter() - started, counts, error)
