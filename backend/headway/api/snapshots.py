"""What subscriptions and streams are answered with; snapshots of channels by the kind that the channel table names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Engine

from headway.api.pool import WorkPool
from headway.api.views import run_update
from headway.domain.states import TERMINAL
from headway.realtime.channels import Channel, Snapshot
from headway.realtime.stream import Frame
from headway.services import read_jobs
from headway.services.read_journal import read_logs_since
from headway.services.read_metrics import MetricsQuery, read_metrics
from headway.services.read_operations import active_jobs
from headway.services.read_samples import channel_snapshot, gpu_snapshot, job_used

#: A subscription's answer brings at most so many log lines; a client that lacks more reads them over HTTP.
MOST_LINES = 200

Reader = Callable[[Engine, Mapping[str, str]], Any]


async def read_snapshot(engine: Engine, pool: WorkPool, channel: Channel, names: Mapping[str, str], held: int) -> Any:
    """The snapshot of a channel for who holds `held` of it. Raises NotFoundError for a job that is not there."""
    if channel.snapshot == "job_logs":
        return await pool.run(partial(_job_logs, engine, names["id"], held))
    if channel.snapshot == "system":
        return await pool.run(partial(channel_snapshot, engine, channel.pattern.removeprefix("system/")))
    return await pool.run(partial(_READERS[channel.snapshot], engine, names))


async def read_frame(engine: Engine, pool: WorkPool, run_id: str) -> Frame:
    """A run as its streams carry it. Raises NotFoundError, UnavailableError."""
    return await pool.run(partial(_frame, engine, run_id))


def _frame(engine: Engine, run_id: str) -> Frame:
    job = read_jobs.get_job(engine, run_id)
    return Frame(job.revision, run_update(job).model_dump_json(), job.state in TERMINAL)


def _job(engine: Engine, names: Mapping[str, str]) -> Any:
    return read_jobs.get_job(engine, names["id"]).model_dump(mode="json", by_alias=True)


def _nothing(engine: Engine, names: Mapping[str, str]) -> None:
    read_jobs.get_job(engine, names["id"])  # there must be such a job all the same


def _operations(engine: Engine, names: Mapping[str, str]) -> Any:
    return {"items": [job.model_dump(mode="json", by_alias=True) for job in active_jobs(engine)]}


def _job_logs(engine: Engine, job_id: str, held: int) -> Any:
    return read_logs_since(engine, job_id, held, MOST_LINES).model_dump(mode="json")


def _job_metrics(engine: Engine, names: Mapping[str, str]) -> Any:
    view = read_metrics(engine, names["id"], MetricsQuery.model_validate({"names": ""}))  # no curve, only what there is
    return {"names": view.names, "cursor": view.cursor}


def _job_used(engine: Engine, names: Mapping[str, str]) -> Any:
    return job_used(engine, names["id"])


def _gpu(engine: Engine, names: Mapping[str, str]) -> Any:
    return gpu_snapshot(engine, names["gpu_id"])


_READERS: Mapping[Snapshot, Reader] = {
    "job": _job,
    "job_metrics": _job_metrics,
    "job_used": _job_used,
    "gpu": _gpu,
    "operations": _operations,
    "none": _nothing,
}
