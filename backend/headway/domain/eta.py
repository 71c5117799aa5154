"""When a job will be done: a robust rate within the phase, seconds per weight for the phases to come.

Pure: a `Forecaster` value is folded over what was observed. Nothing is shown before it can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headway.domain.plan import Counter
from headway.domain.progress import PhaseState, Snapshot

MOST_POINTS = 240
LEAST_SECONDS = 1.5
LEAST_FRACTION = 0.004


@dataclass(frozen=True, slots=True)
class Point:
    """A moment within a phase: how far it was, and the count of the innermost counter that has one."""

    at: float
    fraction: float
    done: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds left, with an 80 % band, of the current phase and of the whole; None while nothing is known."""

    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    phase_seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    rate: float | None = None
    rate_unit: str | None = None


@dataclass(frozen=True, slots=True)
class Forecaster:
    """What was observed of the running phase (thinned evenly when full) and how long earlier phases took."""

    phase: str | None = None
    points: tuple[Point, ...] = ()
    typical: Mapping[str, float] = field(default_factory=dict[str, float])


def observe(forecaster: Forecaster, snapshot: Snapshot, at: float) -> Forecaster:
    """Take note of where the job stands at `at` (Unix seconds)."""
    current = next((p for p in snapshot.phases if p.spec.name == snapshot.phase), None)
    if current is None or current.state is not PhaseState.RUNNING:
        return replace(forecaster, phase=None, points=())
    if not snapshot.counters:
        # a phase just entered: a resumed one stands elsewhere than at 0, which its first counters will tell
        return replace(forecaster, phase=snapshot.phase, points=())
    points = forecaster.points if forecaster.phase == snapshot.phase else ()
    point = Point(at, current.fraction, work_done(snapshot.counters))
    if points and (point.fraction, point.done) == (points[-1].fraction, points[-1].done):
        return forecaster
    if len(points) >= MOST_POINTS:
        # halving the older half keeps both the recent detail and the whole phase in view
        middle = MOST_POINTS // 2
        points = points[:middle:2] + points[middle:]
    return replace(forecaster, phase=snapshot.phase, points=(*points, point))


def work_done(counters: tuple[Counter, ...]) -> float:
    """Units of the innermost counter done over the whole phase, the outer ones multiplied in where totals are known."""
    done = 0.0
    for counter in counters:
        done = done * (counter.total or 0) + counter.current if counter.total else done + counter.current
    return done


def estimate(forecaster: Forecaster, snapshot: Snapshot, at: float) -> Estimate:
    """Forecast from what was observed, at `at` (Unix seconds)."""
    unit = snapshot.counters[-1].unit if snapshot.counters else None
    rate = _work_rate(forecaster.points, at)
    current = _phase_left(forecaster.points, at)
    if current is None:
        return Estimate(rate=rate, rate_unit=unit)
    left, low, high = current
    by_phase = {forecaster.phase or "": left}
    per_weight = _seconds_per_weight(snapshot, left)
    for phase in snapshot.phases:
        if phase.state is PhaseState.PENDING:
            seconds = forecaster.typical.get(phase.spec.name, phase.weight * per_weight)
            by_phase[phase.spec.name] = seconds
    later = sum(by_phase.values()) - left
    return Estimate(left + later, low + later * 0.7, high + later * 1.4, by_phase, rate, unit)


def _phase_left(points: tuple[Point, ...], at: float) -> tuple[float, float, float] | None:
    if len(points) < 3 or points[-1].at - points[0].at < LEAST_SECONDS:
        return None
    if points[-1].fraction - points[0].fraction < LEAST_FRACTION:
        return None
    rates = sorted(filter(None, (_rate(points, share) for share in (1.0, 0.5, 0.25))))
    if not rates:
        return None
    rate = rates[len(rates) // 2]
    since = min(at - points[-1].at, 5.0)
    rest = 1.0 - points[-1].fraction
    margin = 0.05 + 0.25 * rest

    def left(speed: float) -> float:
        return max(0.0, rest / speed - since)

    return left(rate), left(rates[-1]) * (1 - margin), left(rates[0]) * (1 + margin)


def _rate(points: tuple[Point, ...], share: float) -> float | None:
    """Fraction a second over the newest `share` of the observed time."""
    begin = points[-1].at - (points[-1].at - points[0].at) * share
    first = next(point for point in points if point.at >= begin)
    seconds = points[-1].at - first.at
    gained = points[-1].fraction - first.fraction
    return gained / seconds if seconds > 0 and gained > 0 else None


def _work_rate(points: tuple[Point, ...], at: float) -> float | None:
    """Units a second over about the last ten seconds."""
    recent = [point for point in points if point.at >= at - 10] or list(points[-2:])
    if len(recent) < 2 or recent[-1].at <= recent[0].at:
        return None
    return max(0.0, (recent[-1].done - recent[0].done) / (recent[-1].at - recent[0].at))


def _seconds_per_weight(snapshot: Snapshot, left: float) -> float:
    """Seconds a unit of weight takes, from the phases that ran and the one under way."""
    seconds = weight = 0.0
    for phase in snapshot.phases:
        if phase.state is PhaseState.COMPLETED and phase.started_at is not None and phase.finished_at is not None:
            seconds, weight = seconds + phase.finished_at - phase.started_at, weight + phase.weight
        elif phase.state is PhaseState.RUNNING and phase.fraction < 1:
            seconds, weight = seconds + left / (1 - phase.fraction), weight + phase.weight
    return seconds / weight if weight > 0 else 0.0
