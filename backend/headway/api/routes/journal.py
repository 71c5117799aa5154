"""What a job told on its way: logs, events, history, checkpoints and their files."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel, Field

from headway.api.route import Call, Route
from headway.errors import NotFoundError
from headway.services import read_journal
from headway.services.read_journal import CheckpointsView, CheckpointView, EventsView, HistoryView, LogsView


class LogsQuery(BaseModel):
    """Lines after a number, or the newest ones."""

    after: int = Field(0, ge=0, lt=1 << 62)
    limit: int = Field(500, ge=1, le=5000)
    tail: int | None = Field(None, ge=1, le=5000)


class EventsQuery(BaseModel):
    """Events after a number."""

    after: int = Field(0, ge=0, lt=1 << 62)
    limit: int = Field(500, ge=1, le=5000)


def logs(call: Call, job_id: str, query: LogsQuery) -> LogsView:
    """Log lines."""
    return read_journal.read_logs(
        call.api.runtime.engine, job_id, after=query.after, limit=query.limit, tail=query.tail
    )


def events(call: Call, job_id: str, query: EventsQuery) -> EventsView:
    """Events."""
    return read_journal.read_events(call.api.runtime.engine, job_id, after=query.after, limit=query.limit)


def history(call: Call, job_id: str) -> HistoryView:
    """The course of the progress."""
    return read_journal.read_history(call.api.runtime.engine, job_id)


def checkpoints(call: Call, job_id: str) -> CheckpointsView:
    """Checkpoints."""
    return read_journal.read_checkpoints(call.api.runtime.engine, job_id)


async def download(call: Call, checkpoint_id: str) -> web.StreamResponse:
    """The files of a checkpoint as a tar archive."""
    engine, settings = call.api.runtime.engine, call.api.runtime.settings
    found = await call.api.pool.run(partial(read_journal.get_checkpoint, engine, checkpoint_id))
    folder = await asyncio.to_thread(_folder_of, found, settings.headway_data_dir, settings.host_name)
    from headway.api.tar import stream_folder  # tarfile costs a twentieth of the start

    return await stream_folder(call.request, folder, f"{found.job_id}-step-{found.step}")


def _folder_of(checkpoint: CheckpointView, data_dir: Path, this_host: str) -> Path:
    """Where it lies here. Raises NotFoundError for one that is gone, elsewhere, or leads out of the jobs' folder."""
    jobs = (data_dir / "jobs").resolve()
    folder = (jobs / checkpoint.job_id / str(checkpoint.attempt) / checkpoint.path).resolve()
    if folder == jobs or not folder.is_relative_to(jobs) or not folder.exists():
        where = "here" if checkpoint.host == this_host else f"on the host {checkpoint.host}, not here"
        raise NotFoundError(f"the files of checkpoint {checkpoint.id} were {where}, and are not in this data directory")
    return folder


_JOB = "/api/v1/jobs/{job_id}"
ROUTES = (
    Route(
        method="GET",
        path=_JOB + "/logs",
        role="viewer",
        handler=logs,
        summary="Log lines",
        query=LogsQuery,
        answer=LogsView,
    ),
    Route(
        method="GET",
        path=_JOB + "/events",
        role="viewer",
        handler=events,
        summary="What happened to the job",
        query=EventsQuery,
        answer=EventsView,
    ),
    Route(
        method="GET",
        path=_JOB + "/history",
        role="viewer",
        handler=history,
        summary="The course of its progress",
        answer=HistoryView,
    ),
    Route(
        method="GET",
        path=_JOB + "/checkpoints",
        role="viewer",
        handler=checkpoints,
        summary="Its checkpoints, newest first",
        answer=CheckpointsView,
    ),
    Route(
        method="GET",
        path="/api/v1/checkpoints/{checkpoint_id}/download",
        role="viewer",
        handler=download,
        summary="A checkpoint's files as a tar archive",
    ),
)
