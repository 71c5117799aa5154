"""Jobs and studies as clients see them: one projection of the rows, the same for HTTP and push."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from headway.domain.liveness import Liveness, liveness
from headway.domain.states import HELD, TERMINAL, JobState
from headway.storage.rows import Row


def iso(moment: datetime) -> str:
    """ISO 8601 UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class View(BaseModel):
    """Base of what is answered; its schema is built at its first use, not at the start of a process."""

    model_config = ConfigDict(defer_build=True)


Moment = Annotated[datetime, PlainSerializer(iso, return_type=str)]


class CounterView(View):
    """A nested count; `total` is null where it is not known."""

    unit: str
    current: float
    total: float | None


class PhaseView(View):
    """A phase of the plan; `weight` is its share of the percent, `rate` the mean over the phase, in units a second."""

    name: str
    title: str
    weight: float
    state: str
    percent: float
    counters: list[CounterView]
    rate: float | None
    rate_unit: str | None
    eta_seconds: float | None
    started_at: Moment | None
    finished_at: Moment | None
    error: str | None


class AdviceView(View):
    """What to change for the retry."""

    text: str
    config_patch: dict[str, Any]


class ErrorView(View):
    """Why a job failed."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, defer_build=True)

    failure_class: str = Field(alias="class")
    message: str
    advice: AdviceView | None


class OverheadView(View):
    """What telling its progress costs a job: µs a call of `job.log`, and the share of its time, in percent."""

    us_per_call: float | None
    percent_of_step: float | None
    calls: int


class JobView(View):
    """A job with all of its progress at one revision."""

    id: str
    kind: str
    name: str
    tags: list[str]
    notes: str
    owner: str
    state: JobState
    queue: str
    priority: int
    attempt: int
    percent: float
    phase: str | None
    phases: list[PhaseView]
    counters: list[CounterView]
    step: int | None
    rate: float | None
    rate_unit: str | None
    eta_seconds: float | None
    eta_low_seconds: float | None
    eta_high_seconds: float | None
    overhead: OverheadView | None
    liveness: str | None
    data_age_seconds: float
    revision: int
    events_count: int
    message: str | None
    metrics: dict[str, float | None]
    config: dict[str, Any]
    resources: dict[str, Any]
    environment: dict[str, Any] | None
    error: ErrorView | None
    study_id: str | None
    study_key: str | None
    depends_on: list[str]
    waiting_for: list[str]
    retry_of: str | None
    time_limit_seconds: float | None
    created_at: Moment
    queued_at: Moment | None
    started_at: Moment | None
    finished_at: Moment | None
    updated_at: Moment


class StudyJobView(JobView):
    """A job of a study, by the key it has there."""

    key: str


class StudyView(View):
    """Jobs tied by dependencies, with one progress of their own."""

    id: str
    name: str
    state: str
    percent: float
    eta_seconds: float | None
    jobs: list[StudyJobView]
    created_at: Moment
    finished_at: Moment | None


def job_view(row: Row) -> JobView:
    """The job of a row as `storage.jobs` reads it."""
    progress: Mapping[str, Any] = row["progress"]
    state = JobState(row["state"])
    eta = progress.get("eta") if state in HELD else None
    seconds, low, high = eta or (None, None, None)
    return JobView(
        **{name: row[name] for name in _SAME},
        resources=row["resources"] | ({"used": row["used"]} if row["used"] else {}),
        state=state,
        percent=row["percent_bp"] / 100,
        phase=progress.get("phase"),
        phases=[_phase_view(phase, state) for phase in progress.get("phases", ())],
        counters=[CounterView(**counter) for counter in progress.get("counters", ())],
        step=progress.get("step"),
        rate=progress.get("rate") if state in HELD else None,
        rate_unit=progress.get("rate_unit"),
        eta_seconds=seconds,
        eta_low_seconds=low,
        eta_high_seconds=high,
        overhead=OverheadView.model_validate(progress["overhead"]) if progress.get("overhead") else None,
        liveness=_liveness(state, row),
        message=progress.get("message"),
        metrics=progress.get("metrics", {}),
        data_age_seconds=round(float(row["data_age"] or 0.0), 3),
        error=ErrorView.model_validate(row["error"]) if row["error"] else None,
    )


def job_json(row: Row) -> dict[str, Any]:
    """The job object as HTTP and push carry it."""
    return job_view(row).model_dump(mode="json", by_alias=True)


_SAME = (
    "id", "kind", "name", "tags", "notes", "owner", "queue", "priority", "attempt", "revision", "events_count",
    "config", "environment", "study_id", "study_key", "depends_on", "waiting_for", "retry_of", "time_limit_seconds",
    "created_at", "queued_at", "started_at", "finished_at", "updated_at",
)  # fmt: skip


def _phase_view(phase: Mapping[str, Any], state: JobState) -> PhaseView:
    full = phase["state"] == "completed"
    return PhaseView(
        name=phase["name"],
        title=phase["title"],
        weight=phase["weight"],
        state=phase["state"],
        percent=100.0 if full else min(99.99, int(phase["fraction"] * 10_000) / 100),
        counters=[CounterView(**counter) for counter in phase.get("counters", ())],
        rate=phase.get("rate"),
        rate_unit=phase.get("rate_unit"),
        eta_seconds=phase.get("eta_seconds") if state in HELD else None,
        started_at=_from_seconds(phase["started_at"]),
        finished_at=_from_seconds(phase["finished_at"]),
        error=phase["error"],
    )


def _from_seconds(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _liveness(state: JobState, row: Row) -> Liveness | None:
    if state not in HELD:
        return None
    usual, longest = row["progress"].get("pulse") or (0.0, 0.0)
    return liveness(float(row["data_age"] or 0.0), usual, longest, lease_expired=bool(row["lease_expired"]))


def study_view(study: Row, jobs: Sequence[Row]) -> StudyView:
    """A study with its jobs; its percent is the mean of theirs, its ETA the sum of what is known when all is known."""
    views = [StudyJobView(key=row["study_key"], **job_view(row).model_dump(by_alias=True)) for row in jobs]
    states = {view.state for view in views}
    done = states <= TERMINAL
    finished = [view.finished_at for view in views if view.finished_at]
    return StudyView(
        id=study["id"],
        name=study["name"],
        state=_study_state(states),
        percent=_study_percent(views),
        eta_seconds=_study_eta(views),
        jobs=views,
        created_at=study["created_at"],
        finished_at=max(finished) if done and finished else None,
    )


def _study_percent(jobs: Sequence[JobView]) -> float:
    if all(job.state is JobState.COMPLETED for job in jobs):
        return 100.0
    return min(99.99, int(sum(job.percent for job in jobs) * 100 / len(jobs)) / 100)


def _study_eta(jobs: Sequence[JobView]) -> float | None:
    """The sum over the jobs that are not over, once each of them has one; absent rather than wrong."""
    left = [job.eta_seconds for job in jobs if job.state not in TERMINAL]
    known = [seconds for seconds in left if seconds is not None]
    return sum(known) if left and len(known) == len(left) else None


def _study_state(states: set[JobState]) -> str:
    if states <= {JobState.COMPLETED}:
        return "completed"
    if JobState.FAILED in states:
        return "failed"
    if JobState.CANCELLED in states:
        return "cancelled"
    return "waiting" if states <= {JobState.WAITING, JobState.QUEUED} else "running"
