"""The documented views: one job snapshot in the words of older contracts. Pure projections, no state of their own.

What a kind has nothing for is null. A client that reads several views at one revision finds the same numbers in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from headway.api.counts import EXAMPLE_UNITS, counter_of, current_of, over_all, total_of, training_counters
from headway.domain.states import JobState
from headway.services.read_run_progress import MetricAggregate, RunPoint, RunProgress
from headway.services.run_phases import RunPhase, run_phase
from headway.services.views import JobView, Moment, PhaseView

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
    """`GET /runs/{run_id}`. Times are Unix seconds; steps and examples are those of the whole run, over all epochs."""

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


class RunProgressView(BaseModel):
    """`GET /runs/{run_id}/progress`: oldest first. `aggregates` is there when asked for."""

    run_id: str
    progress_history: list[RunPoint]
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


class SessionProgressView(BaseModel):
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
    counters = training_counters(job)
    epoch = counter_of(counters, "epoch")
    step, examples = over_all(counters, "step"), over_all(counters, *EXAMPLE_UNITS)
    return {
        "run_id": job.id,
        "status": job.state,
        "current_phase": run_phase(job.state, job.phase),
        "progress_percentage": job.percent,
        "current_epoch": current_of(epoch),
        "total_epochs": total_of(epoch),
        "current_step": step.current if step else job.step,
        "total_steps": step.total if step else None,
        "examples_processed": examples.current if examples else None,
        "total_examples": examples.total if examples else None,
        "eta_seconds": job.eta_seconds,
        "last_metrics": job.metrics,
        "started_at": _unix(job.started_at),
        "estimated_completion": _unix(_completion(job)),
    }


def run_progress_view(progress: RunProgress) -> RunProgressView:
    """The course of a run."""
    # not checked once more: with a thousand points that takes as long as writing them
    return RunProgressView.model_construct(
        run_id=progress.run_id, progress_history=list(progress.points), aggregates=progress.aggregates
    )


def training_progress_view(job: JobView) -> TrainingProgressView:
    """A job as the second version of the training API shows it."""
    phases = [phase for phase in job.phases if phase.state != "skipped"]
    number, phase = next(((n, each) for n, each in enumerate(phases, 1) if each.name == job.phase), (None, None))
    iteration, candle = counter_of(job.counters, *_ITERATION_UNITS), counter_of(job.counters, "candle")
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
        current_iteration=current_of(iteration),
        total_iterations=total_of(iteration),
        current_candle=current_of(candle),
        total_candles=total_of(candle),
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


def session_view(job: JobView) -> SessionProgressView:
    """A job's first phase, for clients that know of no other."""
    if not job.phases:
        none = SessionCountView(current=None, total=None, percentage=job.percent)
        return SessionProgressView(sessionId=job.id, status="pending", progress=none, etaSeconds=None)
    first = job.phases[0]
    return SessionProgressView(
        sessionId=job.id, status=first.state, progress=_count(job, first), etaSeconds=first.eta_seconds
    )


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
    outermost = phase.counters[0] if phase.counters else None
    return SessionCountView(current=current_of(outermost), total=total_of(outermost), percentage=phase.percent)


def _error_message(job: JobView) -> str | None:
    """Why there will be no result; a job that is tried again by itself has not failed."""
    if job.state is JobState.FAILED:
        return job.error.message if job.error else "the job failed"
    return "the job was cancelled" if job.state is JobState.CANCELLED else None


def _completion(job: JobView) -> datetime | None:
    return None if job.eta_seconds is None else job.updated_at + timedelta(seconds=job.eta_seconds)


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else round(moment.timestamp(), 3)
