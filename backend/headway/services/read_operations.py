"""Read everything that is under way: jobs with what they use, hosts and GPUs with who uses them, queues, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine

from headway.services.read_system import HostView, host_view
from headway.services.views import JobView, Moment, View, job_view
from headway.storage import hosts as host_store
from headway.storage import jobs as job_store
from headway.storage import operations as store
from headway.storage import samples
from headway.storage.engine import transaction
from headway.storage.rows import Row

MOST_FAILURES = 10


class QueueView(View):
    """A queue. Waits count from when a job could have begun; the median is of those begun within the last hour."""

    queue: str
    queued: int
    running: int
    slots: int
    oldest_wait_seconds: float | None
    median_wait_seconds: float | None
    started_last_hour: int


class UserView(View):
    """A job that has a GPU."""

    job_id: str
    name: str
    kind: str
    attempt: int
    shared: bool


class GpuView(View):
    """A GPU that is given to jobs, what it does, and whose it is; null is what nobody measured within a minute."""

    host: str
    id: str
    index: int | None
    name: str | None
    memory_total_bytes: float | None
    memory_used_bytes: float | None
    utilisation_percent: float | None
    users: list[UserView]


class BusyHostView(HostView):
    """A host, what it does, and the ids of the jobs that run on it; null is what nobody measured within a minute."""

    cpu_percent: float | None
    memory_used_bytes: float | None
    jobs: list[str]


class FailureView(View):
    """A job that failed within a day."""

    job_id: str
    name: str
    kind: str
    failure_class: str
    message: str
    finished_at: Moment


class OperationsView(View):
    """What is under way, what it waits in, where it runs, and what failed lately; all of one moment."""

    active: list[JobView]
    queues: list[QueueView]
    hosts: list[BusyHostView]
    gpus: list[GpuView]
    failures: list[FailureView]


SAMPLE_OLD_SECONDS = 60.0


def read_operations(engine: Engine) -> OperationsView:
    """Everything that is not over or ended a short while ago, in six queries whatever there is."""
    with transaction(engine) as connection:
        active = job_store.active_jobs(connection)
        queues = store.queues(connection)
        hosts = host_store.list_hosts(connection)
        held = store.held(connection)
        failures = store.recent_failures(connection, MOST_FAILURES)
        now = {row["host"]: row for row in samples.current(connection) if row["age_seconds"] < SAMPLE_OLD_SECONDS}
    gauges: dict[str, Mapping[str, float]] = {host: row["gauges"] for host, row in now.items()}
    busy = [_host(row, gauges.get(row["name"], {}), held) for row in hosts]
    return OperationsView(
        active=[job_view(row) for row in active],
        queues=_queues(queues, busy),
        hosts=busy,
        gpus=[_gpu(host["name"], gpu, gauges.get(host["name"], {}), held) for host in hosts for gpu in host["gpus"]],
        failures=[_failure(row) for row in failures],
    )


def active_jobs(engine: Engine) -> list[JobView]:
    """What is not over or ended a short while ago."""
    with transaction(engine) as connection:
        return [job_view(row) for row in job_store.active_jobs(connection)]


def _queues(rows: Sequence[Row], hosts: Sequence[HostView]) -> list[QueueView]:
    """Every queue that a worker serves or a job is or was in."""
    slots: Counter[str] = Counter()
    for host in hosts:
        slots.update(host.slots)
    told = {row["queue"]: row for row in rows}
    names = sorted({*slots, *told})
    return [QueueView.model_validate({**_EMPTY_QUEUE, **told.get(name, {}), "queue": name, "slots": slots[name]})
            for name in names]  # fmt: skip


_EMPTY_QUEUE: Mapping[str, Any] = {
    "queued": 0, "running": 0, "oldest_wait_seconds": None, "median_wait_seconds": None, "started_last_hour": 0,
}  # fmt: skip


def _host(row: Row, gauges: Mapping[str, float], held: Sequence[Row]) -> BusyHostView:
    jobs = list(dict.fromkeys(each["job_id"] for each in held if each["host"] == row["name"]))
    return BusyHostView(
        **host_view(row).model_dump(),
        cpu_percent=gauges.get("cpu.percent"),
        memory_used_bytes=gauges.get("memory.used_bytes"),
        jobs=jobs,
    )


def _gpu(host: str, gpu: Mapping[str, Any], gauges: Mapping[str, float], held: Sequence[Row]) -> GpuView:
    told = None if gpu["memory_mb"] is None else float(gpu["memory_mb"] << 20)
    return GpuView(
        host=host,
        id=gpu["id"],
        index=gpu["index"],
        name=gpu["name"],
        memory_total_bytes=gauges.get(f"gpu.memory_total_bytes:{gpu['index']}", told),
        memory_used_bytes=gauges.get(f"gpu.memory_used_bytes:{gpu['index']}"),
        utilisation_percent=gauges.get(f"gpu.utilisation_percent:{gpu['index']}"),
        users=[UserView.model_validate(each) for each in held if (each["host"], each["device"]) == (host, gpu["id"])],
    )


def _failure(row: Row) -> FailureView:
    error = row["error"] or {"class": "UNKNOWN", "message": ""}
    return FailureView(
        job_id=row["id"],
        name=row["name"],
        kind=row["kind"],
        failure_class=error["class"],
        message=error["message"],
        finished_at=row["finished_at"],
    )
