"""Read what hosts and jobs used: now, and over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.services.emit_system import of_family, of_gpu
from headway.services.views import Moment, View
from headway.storage import jobs as job_store
from headway.storage import samples as store
from headway.storage.engine import transaction
from headway.storage.rows import Row

JOB_GAUGES = (
    "cpu_cores",
    "memory_bytes",
    "read_bytes_per_second",
    "written_bytes_per_second",
    "gpu_percent",
    "gpu_memory_bytes",
    "processes",
)


class GpuReportView(View):
    """Whether the GPUs of a host could be asked (`ok`, `none`, `unknown`), why not, and what gauges cannot hold."""

    state: str
    reason: str | None
    gpus: list[dict[str, Any]]


class HostNowView(View):
    """A host's newest sample: gauges by `family.name_unit`, with `:label` where there are several."""

    host: str
    at: Moment
    age_seconds: float
    gauges: dict[str, float]
    gpu_report: GpuReportView


class CurrentView(View):
    """Every host that was measured within the last hour, and how often hosts are measured."""

    interval_seconds: float
    items: list[HostNowView]


class GaugeSeries(View):
    """One gauge over the times: the mean of each bin, null where there is none; peaks where bins are rolled up."""

    gauge: str
    values: list[float | None]
    peaks: list[float | None] | None


class HostHistory(View):
    """A host's series over the same times (Unix seconds); `resolution_seconds` is the width of a bin, 0: as sampled."""

    host: str
    resolution_seconds: int
    times: list[float]
    series: list[GaugeSeries]


class HistoryOfHosts(View):
    """The history of the hosts asked for."""

    items: list[HostHistory]


class Span(BaseModel):
    """A span of time; open ends are the beginning and now."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = Field(None, alias="from", description="ISO 8601 with its zone, or Unix seconds")
    until: AwareDatetime | None = Field(None, alias="to", description="ISO 8601 with its zone, or Unix seconds")


class HostSpan(Span):
    """By default every host and every gauge over the last hour."""

    host: str | None = Field(None, description="one host; all by default")
    gauges: str | None = Field(
        None, max_length=2000, description="families (`cpu`), names (`cpu.percent`) or keys, comma separated"
    )


class AttemptSpan(View):
    """When an attempt ran, and where."""

    attempt: int
    host: str
    started_at: Moment
    ended_at: Moment | None


class JobResources(View):
    """What a job used over its time. `estimated` holds where the GPU figures of some samples could not be measured."""

    job_id: str
    times: list[float]
    series: list[GaugeSeries]
    estimated: bool
    attempts: list[AttemptSpan]


def read_current(engine: Engine, interval_seconds: float) -> CurrentView:
    """The newest sample of each host."""
    with transaction(engine) as connection:
        rows = store.current(connection)
    return CurrentView(interval_seconds=interval_seconds, items=[_now(row) for row in rows])


def read_history(engine: Engine, span: HostSpan) -> HistoryOfHosts:
    """The finest samples that still reach back to the span's beginning. Raises NotFoundError, InvalidInputError."""
    now = datetime.now(UTC)
    until = min(span.until or now, now)
    since = span.since or until - timedelta(hours=1)
    _check(since, until)
    seconds = _resolution(now - since)
    with transaction(engine) as connection:
        hosts = store.host_names(connection, span.host)
        samples = {host: store.history(connection, host, seconds, since, until) for host in hosts}
    if span.host and not samples:
        raise NotFoundError(f"there is no host {span.host}")
    wanted = tuple(filter(None, (part.strip() for part in (span.gauges or "").split(","))))
    return HistoryOfHosts(items=[_history(host, seconds, rows, wanted) for host, rows in samples.items()])


def read_job_resources(engine: Engine, job_id: str, span: Span) -> JobResources:
    """What a job used. Raises NotFoundError."""
    _check(span.since, span.until)
    with transaction(engine) as connection:
        if job_store.watch(connection, job_id) is None:
            raise NotFoundError(f"there is no job {job_id}")
        rows = store.job_samples(connection, job_id, span.since, span.until)
        attempts = store.attempt_spans(connection, job_id)
    told = [name for name in JOB_GAUGES if any(row[name] is not None for row in rows)]
    return JobResources(
        job_id=job_id,
        times=[row["at"] for row in rows],
        series=[GaugeSeries(gauge=name, values=[row[name] for row in rows], peaks=None) for name in told],
        estimated=any(row["estimated"] for row in rows),
        attempts=[AttemptSpan.model_validate(row) for row in attempts],
    )


def channel_snapshot(engine: Engine, family: str) -> dict[str, Any]:
    """The newest sample of every host, as `system/<family>` carries it."""
    with transaction(engine) as connection:
        rows = store.current(connection)
    return {"items": [_now(row, of_family(row["gauges"], family)).model_dump(mode="json") for row in rows]}


def gpu_snapshot(engine: Engine, gpu_id: str) -> dict[str, Any]:
    """The newest sample of one GPU, `{host}:{index}`. Raises NotFoundError."""
    host, _, index = gpu_id.rpartition(":")
    with transaction(engine) as connection:
        rows = store.current(connection, host or None)
    if not host and len(rows) > 1:
        raise NotFoundError(f"there are several hosts: name the GPU as {rows[0]['host']}:{index}")
    for row in rows:
        gauges = of_gpu(row["gauges"], index)
        if gauges:
            return {"items": [_now(row, gauges).model_dump(mode="json")]}
    raise NotFoundError(f"there is no GPU {gpu_id}")


def job_used(engine: Engine, job_id: str) -> dict[str, Any]:
    """What a job used when it was last measured. Raises NotFoundError."""
    with transaction(engine) as connection:
        row = job_store.get_job(connection, job_id)
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return {"used": row["used"]}


_NOT_ASKED: Mapping[str, Any] = {"state": "unknown", "reason": "not asked yet", "gpus": []}


def _now(row: Row, gauges: Mapping[str, float] | None = None) -> HostNowView:
    shown = row["gauges"] if gauges is None else dict(gauges)
    return HostNowView.model_validate(row | {"gauges": shown, "gpu_report": row["gpu_report"] or _NOT_ASKED})


def _check(since: datetime | None, until: datetime | None) -> None:
    if since and until and since > until:
        raise InvalidInputError(FieldProblem("from", "lies after `to`: swap them"))


def _resolution(age: timedelta) -> int:
    reaching = (level.seconds for level in store.LEVELS if age.total_seconds() <= level.kept_seconds)
    return next(reaching, store.LEVELS[-1].seconds)


def _history(host: str, seconds: int, rows: Sequence[Sequence[Any]], wanted: Sequence[str]) -> HostHistory:
    names = sorted(name for name in set[str]().union(*(row[1] for row in rows)) if _is_wanted(name, wanted))
    return HostHistory(
        host=host,
        resolution_seconds=seconds,
        times=[row[0] for row in rows],
        series=[
            GaugeSeries(
                gauge=name,
                values=_column(name, (row[1] for row in rows)),
                peaks=_column(name, (row[2] or {} for row in rows)) if seconds else None,
            )
            for name in names
        ],
    )


def _column(name: str, rows: Iterable[Mapping[str, float]]) -> list[float | None]:
    return [row.get(name) for row in rows]


def _is_wanted(gauge: str, wanted: Sequence[str]) -> bool:
    if not wanted:
        return True
    name = gauge.partition(":")[0]
    return any(part in (gauge, name, name.partition(".")[0]) for part in wanted)
