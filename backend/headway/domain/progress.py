"""The whole progress of a job as one value, and how events change it: apply(snapshot, event) -> snapshot.

Events are in the past tense and carry their time (`at`, Unix seconds of the producer). Percent never falls within an
attempt: a phase's fraction waits when its total grows. Snapshot + events = state; nothing here knows of storage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from headway.domain.plan import Counter, PhaseSpec, basis_points, fraction, shared_weights

MOST_LATEST_METRICS = 256


class PhaseState(StrEnum):
    """Where a phase stands within its attempt."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """A phase of the plan with how far it is; `weight` is its share of the percent (sum 1 over what runs)."""

    spec: PhaseSpec
    weight: float
    state: PhaseState = PhaseState.PENDING
    fraction: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None


_PhaseChange = Callable[[PhaseProgress], PhaseProgress]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a job's progress but its state and revision, which are the job row's own."""

    phases: tuple[PhaseProgress, ...] = ()
    phase: str | None = None
    counters: tuple[Counter, ...] = ()
    percent_bp: int = 0
    message: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    step: int | None = None
    updated_at: float | None = None


@dataclass(frozen=True, slots=True)
class PlanSet:
    """An attempt began with this plan; what an earlier attempt showed is replaced."""

    at: float
    phases: tuple[PhaseSpec, ...]


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase was entered (again, perhaps)."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    """A phase was left with all of it done, or was skipped."""

    at: float
    name: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class CountersMoved:
    """The counters of a phase stand so now, outermost first."""

    at: float
    phase: str
    counters: tuple[Counter, ...]


@dataclass(frozen=True, slots=True)
class MetricsLogged:
    """The newest value of each metric in a batch, up to `step`."""

    at: float
    step: int
    latest: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MessageSaid:
    """The job told what it does now."""

    at: float
    message: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The attempt is over; `completed` is the only way to 100 %. `error` marks the phase it failed in."""

    at: float
    completed: bool
    error: str | None = None


Event = PlanSet | PhaseStarted | PhaseFinished | CountersMoved | MetricsLogged | MessageSaid | AttemptEnded


def apply(snapshot: Snapshot, event: Event) -> Snapshot:
    """The snapshot after one event."""
    match event:
        case PlanSet():
            changed = _planned(event)
        case PhaseStarted():
            changed = _phase_started(snapshot, event)
        case PhaseFinished():
            changed = _phase_finished(snapshot, event)
        case CountersMoved():
            changed = _counters_moved(snapshot, event)
        case MetricsLogged():
            changed = _metrics_logged(snapshot, event)
        case MessageSaid():
            changed = replace(snapshot, message=event.message)
        case AttemptEnded():
            changed = _attempt_ended(snapshot, event)
    return replace(changed, updated_at=max(event.at, snapshot.updated_at or event.at))


def apply_all(snapshot: Snapshot, events: Iterable[Event]) -> Snapshot:
    """The snapshot after events in their order."""
    for event in events:
        snapshot = apply(snapshot, event)
    return snapshot


def _planned(event: PlanSet) -> Snapshot:
    # optional phases count as running until they are skipped: giving weight away only ever raises the percent
    weights = shared_weights([spec.weight for spec in event.phases], [True] * len(event.phases))
    return Snapshot(
        phases=tuple(PhaseProgress(spec, weight) for spec, weight in zip(event.phases, weights, strict=True))
    )


def _phase_started(snapshot: Snapshot, event: PhaseStarted) -> Snapshot:
    def started(phase: PhaseProgress) -> PhaseProgress:
        began = event.at if phase.started_at is None else phase.started_at
        return replace(phase, state=PhaseState.RUNNING, started_at=began, finished_at=None)

    return replace(_with_phase(snapshot, event.name, started), phase=event.name, counters=())


def _phase_finished(snapshot: Snapshot, event: PhaseFinished) -> Snapshot:
    if event.skipped:
        return _reweighted(_with_phase(snapshot, event.name, lambda phase: replace(phase, state=PhaseState.SKIPPED)))
    finished = _with_phase(
        snapshot,
        event.name,
        lambda phase: replace(phase, state=PhaseState.COMPLETED, fraction=1.0, finished_at=event.at),
    )
    return _repercented(finished)


def _counters_moved(snapshot: Snapshot, event: CountersMoved) -> Snapshot:
    reached = fraction(event.counters)
    moved = _with_phase(snapshot, event.phase, lambda phase: replace(phase, fraction=max(phase.fraction, reached)))
    return _repercented(replace(moved, counters=event.counters))


def _metrics_logged(snapshot: Snapshot, event: MetricsLogged) -> Snapshot:
    latest = dict(snapshot.metrics)
    for name, value in event.latest.items():
        if name in latest or len(latest) < MOST_LATEST_METRICS:
            latest[name] = value if math.isfinite(value) else None
    return replace(snapshot, metrics=latest, step=max(event.step, snapshot.step or event.step))


def _attempt_ended(snapshot: Snapshot, event: AttemptEnded) -> Snapshot:
    if event.completed:
        phases = tuple(_closed(phase, event.at) for phase in snapshot.phases)
        return _repercented(replace(snapshot, phases=phases), completed=True)
    if event.error is None or snapshot.phase is None:
        return snapshot

    def failed(phase: PhaseProgress) -> PhaseProgress:
        return replace(phase, state=PhaseState.FAILED, finished_at=event.at, error=event.error)

    return _with_phase(snapshot, snapshot.phase, failed)


def _closed(phase: PhaseProgress, at: float) -> PhaseProgress:
    if phase.state in (PhaseState.COMPLETED, PhaseState.SKIPPED):
        return phase
    if phase.started_at is None:
        return replace(phase, state=PhaseState.SKIPPED)
    return replace(phase, state=PhaseState.COMPLETED, fraction=1.0, finished_at=at)


def _with_phase(snapshot: Snapshot, name: str, change: _PhaseChange) -> Snapshot:
    return replace(
        snapshot, phases=tuple(change(phase) if phase.spec.name == name else phase for phase in snapshot.phases)
    )


def _reweighted(snapshot: Snapshot) -> Snapshot:
    runs = [phase.state is not PhaseState.SKIPPED for phase in snapshot.phases]
    weights = shared_weights([phase.spec.weight for phase in snapshot.phases], runs)
    phases = tuple(replace(phase, weight=weight) for phase, weight in zip(snapshot.phases, weights, strict=True))
    return _repercented(replace(snapshot, phases=phases))


def _repercented(snapshot: Snapshot, *, completed: bool = False) -> Snapshot:
    reached = basis_points(((phase.weight, phase.fraction) for phase in snapshot.phases), completed=completed)
    return replace(snapshot, percent_bp=max(snapshot.percent_bp, reached))
