"""The documented views: one job snapshot in the words of older contracts. Pure projections, no state of their own.

What a kind has nothing for is null. A client that reads several views at one revision finds the same numbers in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from headway.domain.states import JobState
from headway.services.read_run_progress import MetricAggregate, RunPoint, RunProgress
from headway.services.run_phases import RunPhase, run_phase
from headway.services.views import CounterView, JobView, Moment, PhaseView

_EXAMPLE_UNITS = ("example", "sample")
_ITERATION_UNITS = ("iteration", "trial", "episode")
_BEST_PARAMS = "best_params/"
SessionPhase = Literal["training", "faceDetection", "clustering"]
#: The three phases of an image session and the names kinds give them.
_SESSION_PHASES: Mapping[SessionPhase, tuple[str, ...]] = {
    "training": ("training", "embedding"),
    "faceDetection": ("face_detection",),
    "clustering": ("clustering",),
}


class RunView(BaseModel):
    """`GET /runs/{run_id}`. Times are Unix seconds; counters are those of the current phase."""

    run_id: str
    status: JobState
    current_phase: RunPhase | None
    progress_percentage: float
    current_epoch: int | None
    total_epochs: int | None
    current_step: int | None
    total_steps: int | None
    examples_processed: int | None
    total_examples: int | None
    eta_seconds: float | None
    last_metrics: dict[str, float | None]
    started_at: float | None
    estimated_completion: float | None


class RunUpdateView(RunView):
    """What the streams of a run carry: the run at one revision."""

    revision: int


class RunPointView(BaseModel):
    """Where a run stood at a time (Unix seconds)."""

    timestamp: float
    phase: RunPhase | None
    step: int | None
    epoch: int | None
    progress_percentage: float
    metrics: dict[str, float | None]
    message: str | None
    eta_seconds: float | None


class RunProgressView(BaseModel):
    """`GET /runs/{run_id}/progress`: oldest first. `aggregates` is there when asked for."""

    run_id: str
    progress_history: list[RunPointView]
    aggregates: dict[str, MetricAggregate] | None = Field(None, exclude_if=lambda value: value is None)


class TrainingProgressView(BaseModel):
    """`GET /api/v2/training/jobs/{job_id}/progress`. A step is a phase of the plan."""

    job_id: str
    percentage: float
    current_step: str | None
    step_number: int | None
    total_steps: int
    step_percentage: float | None
    step_details: str | None
    started_at: Moment | None
    updated_at: Moment
    estimated_completion: Moment | None
    current_iteration: int | None
    total_iterations: int | None
    current_candle: int | None
    total_candles: int | None
    best_score: float | None
    current_score: float | None
    best_params: dict[str, float | None] | None
    is_complete: bool
    error_message: str | None


class SessionCountView(BaseModel):
    """How much of something is done; without a count that is told, only the percentage."""

    current: int | None
    total: int | None
    percentage: float


class SessionOverallView(BaseModel):
    """The progress of a session over all phases."""

    percentage: float
    etaSeconds: float | None
    currentPhase: SessionPhase | None


class SessionPhaseView(BaseModel):
    """One phase of a session."""

    name: str
    status: str
    progress: SessionCountView
    etaSeconds: float | None
    startedAt: Moment | None
    completedAt: Moment | None
    error: str | None


class SessionPhasesView(BaseModel):
    """The phases; one that the kind does not have is null."""

    training: SessionPhaseView | None
    faceDetection: SessionPhaseView | None
    clustering: SessionPhaseView | None


class UnifiedSessionView(BaseModel):
    """`GET /api/v1/training/sessions/{sessionId}/progress-unified`."""

    sessionId: str
    overallStatus: JobState
    overallProgress: SessionOverallView
    phases: SessionPhasesView


class SessionView(BaseModel):
    """`GET /api/v1/training/sessions/{sessionId}/progress`: the first phase alone, for older clients."""

    sessionId: str
    status: str
    progress: SessionCountView
    etaSeconds: float | None


def run_view(job: JobView) -> RunView:
    """A job as a run."""
    return RunView(**_run_fields(job))


def run_update(job: JobView) -> RunUpdateView:
    """A job as the streams carry it."""
    return RunUpdateView(**_run_fields(job), revision=job.revision)


def _run_fields(job: JobView) -> dict[str, Any]:
    epoch, step, examples = _counter(job, "epoch"), _counter(job, "step"), _counter(job, *_EXAMPLE_UNITS)
    return {
        "run_id": job.id,
        "status": job.state,
        "current_phase": run_phase(job.state, job.phase),
        "progress_percentage": job.percent,
        "current_epoch": _current(epoch),
        "total_epochs": _total(epoch),
        "current_step": _current(step) if step else job.step,
        "total_steps": _total(step),
        "examples_processed": _current(examples),
        "total_examples": _total(examples),
        "eta_seconds": job.eta_seconds,
        "last_metrics": job.metrics,
        "started_at": _unix(job.started_at),
        "estimated_completion": _unix(_completion(job)),
    }


def run_progress_view(progress: RunProgress) -> RunProgressView:
    """The course of a run."""
    return RunProgressView(
        run_id=progress.run_id,
        progress_history=[_point_view(point) for point in progress.points],
        aggregates=progress.aggregates,
    )


def _point_view(point: RunPoint) -> RunPointView:
    return RunPointView(
        timestamp=round(point.at, 3),
        phase=point.phase,
        step=point.step,
        epoch=None if point.epoch is None else int(point.epoch),
        progress_percentage=point.percent,
        metrics=dict(point.metrics),
        message=point.message,
        eta_seconds=point.eta_seconds,
    )


def training_progress_view(job: JobView) -> TrainingProgressView:
    """A job as the second version of the training API shows it."""
    phases = [phase for phase in job.phases if phase.state != "skipped"]
    number, phase = next(((n, each) for n, each in enumerate(phases, 1) if each.name == job.phase), (None, None))
    iteration, candle = _counter(job, *_ITERATION_UNITS), _counter(job, "candle")
    found = {name.removeprefix(_BEST_PARAMS): v for name, v in job.metrics.items() if name.startswith(_BEST_PARAMS)}
    return TrainingProgressView(
        job_id=job.id,
        percentage=job.percent,
        current_step=phase.title if phase else None,
        step_number=number,
        total_steps=len(phases),
        step_percentage=phase.percent if phase else None,
        step_details=job.message,
        started_at=job.started_at,
        updated_at=job.updated_at,
        estimated_completion=_completion(job),
        current_iteration=_current(iteration),
        total_iterations=_total(iteration),
        current_candle=_current(candle),
        total_candles=_total(candle),
        best_score=job.metrics.get("best_score"),
        current_score=job.metrics.get("score"),
        best_params=found or None,
        is_complete=job.state is JobState.COMPLETED,
        error_message=_error_message(job),
    )


def unified_session_view(job: JobView) -> UnifiedSessionView:
    """A job as an image session."""
    current: SessionPhase | None = next((key for key, names in _SESSION_PHASES.items() if job.phase in names), None)
    return UnifiedSessionView(
        sessionId=job.id,
        overallStatus=job.state,
        overallProgress=SessionOverallView(percentage=job.percent, etaSeconds=job.eta_seconds, currentPhase=current),
        phases=SessionPhasesView(**{key: _session_phase(job, names) for key, names in _SESSION_PHASES.items()}),
    )


def session_view(job: JobView) -> SessionView:
    """A job's first phase, for clients that know of no other."""
    if not job.phases:
        none = SessionCountView(current=None, total=None, percentage=job.percent)
        return SessionView(sessionId=job.id, status="pending", progress=none, etaSeconds=None)
    first = job.phases[0]
    return SessionView(sessionId=job.id, status=first.state, progress=_count(job, first), etaSeconds=first.eta_seconds)


def _session_phase(job: JobView, names: tuple[str, ...]) -> SessionPhaseView | None:
    phase = next((phase for phase in job.phases if phase.name in names), None)
    if phase is None:
        return None
    return SessionPhaseView(
        name=phase.name,
        status=phase.state,
        progress=_count(job, phase),
        etaSeconds=phase.eta_seconds,
        startedAt=phase.started_at,
        completedAt=phase.finished_at if phase.state == "completed" else None,
        error=phase.error,
    )


def _count(job: JobView, phase: PhaseView) -> SessionCountView:
    outermost = job.counters[0] if job.counters and phase.name == job.phase else None
    return SessionCountView(current=_current(outermost), total=_total(outermost), percentage=phase.percent)


def _error_message(job: JobView) -> str | None:
    """Why there will be no result; a job that is tried again by itself has not failed."""
    if job.state is JobState.FAILED:
        return job.error.message if job.error else "the job failed"
    return "the job was cancelled" if job.state is JobState.CANCELLED else None


def _counter(job: JobView, *units: str) -> CounterView | None:
    return next((counter for counter in job.counters if counter.unit in units), None)


def _current(counter: CounterView | None) -> int | None:
    return None if counter is None else int(counter.current)


def _total(counter: CounterView | None) -> int | None:
    return None if counter is None or counter.total is None else int(counter.total)


def _completion(job: JobView) -> datetime | None:
    return None if job.eta_seconds is None else job.updated_at + timedelta(seconds=job.eta_seconds)


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else round(moment.timestamp(), 3)
