"""The whole progress of a job as one value, and how events change it: apply(snapshot, event) -> snapshot.

Events are in the past tense and carry their time (`at`, Unix seconds of the producer). Percent never falls within an
attempt: a phase's fraction waits when its total grows. Snapshot + events = state; nothing here knows of storage.

Phases may nest (an evaluation inside the training) and take turns. Time is always that of the innermost one, so the
seconds of all phases add up to the time of the attempt; `outer` holds the ones that wait around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from headway.domain.plan import Counter, PhaseSpec, basis_points, fraction, shared_weights

MOST_LATEST_METRICS = 256


class PhaseState(StrEnum):
    """Where a phase stands within its attempt; one that was left and comes again is pending, with its fraction kept."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """A phase of the plan with how far it is; `weight` is its share of the percent (sum 1 over what runs).

    `seconds` is the time spent in it up to when it was last left; `counters` stand as last heard, outermost first,
    also of a phase to come whose size is known.
    """

    spec: PhaseSpec
    weight: float
    state: PhaseState = PhaseState.PENDING
    fraction: float = 0.0
    seconds: float = 0.0
    counters: tuple[Counter, ...] = ()
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None


_PhaseChange = Callable[[PhaseProgress], PhaseProgress]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of a job's progress but its state and revision, which are the job row's own.

    `phase` is the innermost phase entered last, `entered_at` since when the time is its own, `outer` the running
    phases around it, outermost first.
    """

    phases: tuple[PhaseProgress, ...] = ()
    phase: str | None = None
    outer: tuple[str, ...] = ()
    entered_at: float | None = None
    percent_bp: int = 0
    message: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    step: int | None = None
    updated_at: float | None = None

    @property
    def counters(self) -> tuple[Counter, ...]:
        """The counters of the current phase, outermost first."""
        current = self.current
        return current.counters if current else ()

    @property
    def current(self) -> PhaseProgress | None:
        """The phase that `phase` names."""
        return next((phase for phase in self.phases if phase.spec.name == self.phase), None)


@dataclass(frozen=True, slots=True)
class PlanSet:
    """An attempt began with this plan; what an earlier attempt showed is replaced by where its checkpoint stood."""

    at: float
    phases: tuple[PhaseSpec, ...]
    standing: tuple[CountersMoved, ...] = ()


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase was entered (again, perhaps), inside the one that runs if there is one."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class PhaseFinished:
    """A phase was left with all of it done, or to be entered `again`, or was skipped."""

    at: float
    name: str
    skipped: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class CountersMoved:
    """The counters of a phase stand so now, outermost first; of one to come they tell its size."""

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
    planned = tuple(PhaseProgress(spec, weight) for spec, weight in zip(event.phases, weights, strict=True))
    return apply_all(Snapshot(planned), event.standing)


def _phase_started(snapshot: Snapshot, event: PhaseStarted) -> Snapshot:
    def started(phase: PhaseProgress) -> PhaseProgress:
        began = event.at if phase.started_at is None else phase.started_at
        return replace(phase, state=PhaseState.RUNNING, started_at=began, finished_at=None, counters=())

    around = [*snapshot.outer, snapshot.phase] if _runs(snapshot) else []
    outer = tuple(name for name in around if name and name != event.name)
    begun = _with_phase(_timed(snapshot, event.at), event.name, started)
    return _repercented(_reweighted(replace(begun, phase=event.name, outer=outer, entered_at=event.at)))


def _phase_finished(snapshot: Snapshot, event: PhaseFinished) -> Snapshot:
    if event.skipped:
        return _reweighted(_with_phase(snapshot, event.name, lambda phase: replace(phase, state=PhaseState.SKIPPED)))

    def finished(phase: PhaseProgress) -> PhaseProgress:
        if event.again:
            return replace(phase, state=PhaseState.PENDING, finished_at=event.at)
        return replace(phase, state=PhaseState.COMPLETED, fraction=1.0, finished_at=event.at)

    left = _repercented(_with_phase(_timed(snapshot, event.at), event.name, finished))
    outer = tuple(name for name in snapshot.outer if name != event.name)
    if event.name != snapshot.phase or not outer:
        return replace(left, outer=outer)
    return replace(left, phase=outer[-1], outer=outer[:-1], entered_at=event.at)


def _timed(snapshot: Snapshot, at: float) -> Snapshot:
    """The time since `entered_at` given to the phase it belongs to."""
    if snapshot.entered_at is None or snapshot.phase is None or not _runs(snapshot):
        return snapshot
    spent = max(0.0, at - snapshot.entered_at)
    counted = _with_phase(snapshot, snapshot.phase, lambda phase: replace(phase, seconds=phase.seconds + spent))
    return replace(counted, entered_at=at)


def _runs(snapshot: Snapshot) -> bool:
    current = snapshot.current
    return current is not None and current.state is PhaseState.RUNNING


def _counters_moved(snapshot: Snapshot, event: CountersMoved) -> Snapshot:
    reached = fraction(event.counters)

    def moved(phase: PhaseProgress) -> PhaseProgress:
        return replace(phase, fraction=max(phase.fraction, reached), counters=event.counters)

    return _repercented(_with_phase(snapshot, event.phase, moved))


def _metrics_logged(snapshot: Snapshot, event: MetricsLogged) -> Snapshot:
    latest = dict(snapshot.metrics)
    for name, value in event.latest.items():
        if name in latest or len(latest) < MOST_LATEST_METRICS:
            latest[name] = value if math.isfinite(value) else None
    return replace(snapshot, metrics=latest, step=max(event.step, snapshot.step or event.step))


def _attempt_ended(snapshot: Snapshot, event: AttemptEnded) -> Snapshot:
    snapshot = replace(_timed(snapshot, event.at), entered_at=None)
    if event.completed:
        phases = tuple(_closed(phase, event.at) for phase in snapshot.phases)
        return _repercented(replace(snapshot, phases=phases, outer=()), completed=True)
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
