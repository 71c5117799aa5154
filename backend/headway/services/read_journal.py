"""Read what a job told on its way: logs, events, history, checkpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine

from headway.errors import NotFoundError
from headway.services.views import Moment, View
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage.engine import transaction


class LogLine(View):
    """One line, numbered on its job from 1 without gaps."""

    no: int
    at: Moment
    level: str
    text: str
    attempt: int


class LogsView(View):
    """Lines in order; ask again with `after=next`."""

    items: list[LogLine]
    next: int


class LogsSince(View):
    """The lines after number `after` if they are few (else none), and the number of the newest, `next`."""

    after: int
    items: list[LogLine]
    next: int


class EventView(View):
    """Something that happened to a job, numbered from 1 without gaps."""

    no: int
    type: str
    at: Moment
    data: dict[str, Any]


class EventsView(View):
    """Events in order; ask again with `after=next`."""

    items: list[EventView]
    next: int


class HistoryPoint(View):
    """Where a job stood at a time."""

    at: Moment
    attempt: int
    revision: int
    percent: float
    phase: str | None
    step: int | None
    rate: float | None
    eta_seconds: float | None


class HistoryView(View):
    """At most about 1000 points, evenly thinned, phase changes kept."""

    items: list[HistoryPoint]


class CheckpointView(View):
    """A checkpoint and where it lies, relative to its attempt's folder on its host."""

    id: str
    job_id: str
    attempt: int
    step: int
    bytes: int
    best: bool
    metrics: dict[str, float]
    host: str
    path: str
    created_at: Moment


class CheckpointsView(View):
    """A job's checkpoints, newest first."""

    items: list[CheckpointView]


def read_logs(engine: Engine, job_id: str, *, after: int = 0, limit: int = 500, tail: int | None = None) -> LogsView:
    """Lines after a number, or the newest `tail`. Raises NotFoundError."""
    with transaction(engine) as connection:
        _require(connection, job_id)
        if tail is not None:
            rows = journal.read_last_logs(connection, job_id, tail)
        else:
            rows = journal.read_logs(connection, job_id, after, limit)
    return LogsView(items=[LogLine(**row) for row in rows], next=rows[-1]["no"] if rows else after)


def read_logs_since(engine: Engine, job_id: str, after: int, most: int) -> LogsSince:
    """What a subscriber who holds the lines up to `after` lacks, if that is at most `most`. Raises NotFoundError."""
    with transaction(engine) as connection:
        found = journal.logs_since(connection, job_id, after, most)
    if found is None:
        raise NotFoundError(f"there is no job {job_id}")
    return LogsSince(after=after, items=[LogLine(**row) for row in found[1]], next=found[0])


def read_events(engine: Engine, job_id: str, *, after: int = 0, limit: int = 500) -> EventsView:
    """Events after a number. Raises NotFoundError."""
    with transaction(engine) as connection:
        _require(connection, job_id)
        rows = journal.read_events(connection, job_id, after, limit)
    return EventsView(items=[EventView(**row) for row in rows], next=rows[-1]["no"] if rows else after)


def read_history(engine: Engine, job_id: str) -> HistoryView:
    """The course of a job's progress. Raises NotFoundError."""
    with transaction(engine) as connection:
        _require(connection, job_id)
        rows = journal.read_history(connection, job_id)
    return HistoryView(items=[HistoryPoint(percent=row.pop("percent_bp") / 100, **row) for row in rows])


def read_checkpoints(engine: Engine, job_id: str) -> CheckpointsView:
    """A job's checkpoints, newest first. Raises NotFoundError."""
    with transaction(engine) as connection:
        _require(connection, job_id)
        rows = journal.checkpoints_of(connection, job_id)
    return CheckpointsView(items=[CheckpointView(**row) for row in rows])


def get_checkpoint(engine: Engine, checkpoint_id: str) -> CheckpointView:
    """One checkpoint. Raises NotFoundError."""
    with transaction(engine) as connection:
        row = journal.get_checkpoint(connection, checkpoint_id)
    if row is None:
        raise NotFoundError(f"there is no checkpoint {checkpoint_id}")
    return CheckpointView(**row)


def _require(connection: Connection, job_id: str) -> None:
    if job_store.watch(connection, job_id) is None:
        raise NotFoundError(f"there is no job {job_id}")
