"""The monthly clean-up: what jobs told, and jobs themselves, past their retention; each transaction is bounded.

History, logs and events are kept for a number of days after their job is over, jobs too unless an artifact of theirs
lives. 0 days keeps for ever. Killed anywhere, the next run goes on; two at once share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from headway.errors import ConflictError, NotFoundError
from headway.services.delete_job import delete_job
from headway.services.maintenance import noted
from headway.settings import Settings
from headway.storage import archive, retention
from headway.storage.engine import transaction
from headway.storage.partitions import partition_name
from headway.storage.rows import Row

CLEAN_UP_TASK = "clean_up"


@dataclass(frozen=True, slots=True)
class Retention:
    """Days after its end that a job's history, logs and events, and the job itself, are kept; 0 for ever."""

    history_days: int
    logs_days: int
    events_days: int
    jobs_days: int


def retention_of(settings: Settings) -> Retention:
    """How long what jobs leave behind is kept."""
    return Retention(
        history_days=settings.headway_history_keep_days,
        logs_days=settings.headway_logs_keep_days,
        events_days=settings.headway_events_keep_days,
        jobs_days=settings.headway_jobs_keep_days,
    )


def clean_up(engine: Engine, data_dir: Path, keep: Retention) -> dict[str, int]:
    """Delete what is past its retention; how many rows of each table. Raises UnavailableError when Postgres is away."""
    days = (keep.history_days, keep.logs_days, keep.events_days)
    with noted(engine, CLEAN_UP_TASK) as counts:
        for table, kept in zip(retention.JOURNALS, days, strict=True):
            counts[table] = _delete_journal(engine, table, kept) if kept else 0
        counts["jobs"] = _delete_jobs(engine, data_dir, keep.jobs_days) if keep.jobs_days else 0
    return counts


def _delete_journal(engine: Engine, table: str, days: int) -> int:
    return _in_batches(engine, lambda connection: retention.delete_journal(connection, table, days))


def _delete_jobs(engine: Engine, data_dir: Path, days: int) -> int:
    with transaction(engine) as connection:
        weeks = [partition_name(week.start) for week in archive.stored_weeks(connection)]
    deleted = sum(_delete_job(engine, data_dir, job, weeks) for job in _past_jobs(engine, days))
    with transaction(engine) as connection:
        retention.delete_empty_studies(connection, days)
    return deleted


def _past_jobs(engine: Engine, days: int) -> Iterator[Row]:
    """Page by page, so that a job which cannot go is not met again in this run."""

    def page(after: str) -> list[Row]:
        with transaction(engine) as connection:
            return retention.past_jobs(connection, days, after)

    jobs = page("")
    while jobs:
        yield from jobs
        jobs = page(jobs[-1]["id"])


def _delete_job(engine: Engine, data_dir: Path, job: Row, weeks: list[str]) -> bool:
    for week in weeks:
        _in_batches(engine, lambda connection, week=week: retention.delete_points(connection, week, job["key"]))
    try:
        delete_job(engine, data_dir, job["id"])
    except (ConflictError, NotFoundError):  # another job came to wait for it, or another run was faster
        return False
    return True


def _in_batches(engine: Engine, delete: Callable[[Connection], int]) -> int:
    total = 0
    while True:
        with transaction(engine) as connection:
            rows = delete(connection)
        total += rows
        if rows < retention.BATCH_ROWS:
            return total
