"""Read the course of a run: its history, where it stands now, and aggregates of its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import Connection, Engine
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from headway.domain.series import LAST_STEP, AttemptSpan, owned_until
from headway.errors import NotFoundError
from headway.services.read_metrics import received_within, wanted_metrics
from headway.services.run_phases import RUN_PHASES, RunPhase, kind_phases, run_phase
from headway.services.sum_metrics import read_sums, sum_again
from headway.services.views import JobView, job_view
from headway.storage import attempts as attempt_store
from headway.storage import jobs as job_store
from headway.storage import metrics as metric_store
from headway.storage import run_history, window_sums
from headway.storage.engine import reading, transaction
from headway.storage.rows import Row
from headway.storage.run_history import Window
from headway.storage.series import ALWAYS

#: What comes in between looking for the attempts and for their points counts too.
MEANWHILE = timedelta(hours=1)


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


When = Annotated[datetime, AfterValidator(_in_utc)]


class RunProgressQuery(BaseModel):
    """Which points; the newest `limit` of them. `since` and `until` are Unix seconds or ISO 8601, both inclusive."""

    phase: RunPhase | None = None
    since: When | None = None
    until: When | None = None
    limit: int = Field(100, ge=1, le=1000)
    metrics: str | None = Field(None, description="Names, comma separated; all by default.")
    aggregate: bool = False


class MetricAggregate(BaseModel):
    """The newest value of a metric, and mean, least and greatest of its finite ones."""

    current: float | None
    mean: float | None
    min: float | None
    max: float | None


class RunPoint(TypedDict):
    """Where a run stood at a time (Unix seconds). A plain dictionary: a history has up to a thousand of them."""

    timestamp: float
    phase: RunPhase | None
    step: int | None
    epoch: int | None
    progress_percentage: float
    metrics: Mapping[str, float | None]
    message: str | None
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Points, oldest first; the last is where the run stands now. `aggregates` by metric when asked for."""

    run_id: str
    points: Sequence[RunPoint]
    aggregates: dict[str, MetricAggregate] | None


def read_run_progress(engine: Engine, run_id: str, query: RunProgressQuery) -> RunProgress:
    """The course of a run. Raises NotFoundError, InvalidInputError for a metric that the run does not have."""
    with reading(engine) as connection:
        row = job_store.get_job(connection, run_id)
        if row is None:
            raise NotFoundError(f"there is no run {run_id}")
        wanted = _wanted(connection, row, query)
        window = Window(query.since, query.until, kind_phases(query.phase) if query.phase else None)
        history = run_history.newest_points(connection, run_id, window, query.limit)
        reach = _reach(connection, row, window) if query.aggregate else None
        aggregates = _aggregates(connection, row, reach, wanted, window) if reach else None
    if reach and aggregates is None:
        with transaction(engine) as connection:
            sum_again(connection, row, reach.owned)
            aggregates = _aggregates(connection, row, reach, wanted, window)
    names = None if wanted is None else set(wanted)
    points = [_point(each, names) for each in history]
    newest = history[-1]["revision"] if history else -1
    if row["revision"] > newest and (now := point_now(job_view(row), query, names)):
        points = [*points, now][-query.limit :]
    return RunProgress(run_id, points, aggregates)


def _wanted(connection: Connection, job: Row, query: RunProgressQuery) -> dict[str, int] | None:
    """The metrics named; None: all."""
    if query.metrics is None:
        return None
    return wanted_metrics(query.metrics, metric_store.names_of_job(connection, job["key"]), "metrics")


def _point(row: Row, names: set[str] | None) -> RunPoint:
    epoch, eta = row["epoch"], row["eta_seconds"]
    return {
        "timestamp": round(row["at"], 3),
        "phase": RUN_PHASES.get(row["phase"] or ""),
        "step": row["step"],
        "epoch": None if epoch is None else int(epoch),
        "progress_percentage": row["percent_bp"] / 100,
        "metrics": _only(row["metrics"], names),
        "message": row["message"],
        # history keeps single precision
        "eta_seconds": None if eta is None else round(eta, 1),
    }


def point_now(job: JobView, query: RunProgressQuery, names: set[str] | None) -> RunPoint | None:
    """The snapshot as a point, if the filters let it through."""
    phase, at = run_phase(job.state, job.phase), job.updated_at
    outside = (query.since and at < query.since) or (query.until and at > query.until)
    if outside or (query.phase and phase != query.phase):
        return None
    epoch = next((counter.current for counter in job.counters if counter.unit == "epoch"), None)
    return {
        "timestamp": round(at.timestamp(), 3),
        "phase": phase,
        "step": job.step,
        "epoch": None if epoch is None else int(epoch),
        "progress_percentage": job.percent,
        "metrics": _only(job.metrics, names),
        "message": job.message,
        "eta_seconds": job.eta_seconds,
    }


def _only(metrics: Mapping[str, float | None], names: set[str] | None) -> Mapping[str, float | None]:
    return metrics if names is None else {name: value for name, value in metrics.items() if name in names}


def _aggregates(
    connection: Connection, job: Row, reach: _Reach, wanted: dict[str, int] | None, window: Window
) -> dict[str, MetricAggregate] | None:
    """None while the sums have to be made again."""
    if window.of_times:
        metrics = None if wanted is None else list(wanted.values())
        rows = window_sums.aggregates(connection, job["id"], job["key"], metrics, reach.owned, reach.received, window)
    else:
        rows = read_sums(connection, job, reach.owned, window.phases)
        if rows is None:
            return None
    return {row.pop("name"): MetricAggregate(**row) for row in rows if wanted is None or row["name"] in wanted}


@dataclass(frozen=True, slots=True)
class _Reach:
    """The last step each attempt owns, and when the points came in."""

    owned: Mapping[int, int]
    received: tuple[datetime, datetime] = ALWAYS


def _reach(connection: Connection, job: Row, window: Window) -> _Reach:
    if job["attempt"] <= 1 and not window.of_times:
        return _Reach({1: LAST_STEP})
    attempts = attempt_store.attempts_of(connection, job["id"])
    since, until = received_within(attempts)
    owned = owned_until([AttemptSpan(row["number"], row["resumed_from_step"]) for row in attempts])
    return _Reach(owned, (since, until + MEANWHILE))
