"""When a job will be done: the course of each phase under way, earlier jobs for the phases to come, weights at last.

Pure: a `Forecaster` value is folded over what was observed. Nothing is shown before it can be trusted. The phases' own
times are used, so what was spent in another phase, paused or queued never counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headway.domain.course import Course, moved
from headway.domain.forecasts import NOTHING_PAST, Past, Rest, rest, shares_of
from headway.domain.liveness import Pulse, beat
from headway.domain.plan import Counter, fraction
from headway.domain.progress import PhaseProgress, PhaseState, Snapshot
from headway.domain.typical import PhaseRun, Typical, learned_weights, typical_of

__all__ = [
    "Estimate",
    "Forecaster",
    "PhaseRun",
    "Typical",
    "estimate",
    "learned_weights",
    "observe",
    "runs",
    "typical_of",
]

RECENT_SECONDS = 10.0
RECENT_SPACING_SECONDS = 0.5
#: How sure a guess by weights is, and the most weight that may be guessed beside what is known.
GUESS_SPREAD, MOST_GUESSED = 0.7, 0.5
BAND, MOST_FACTOR = 1.28, 4.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds left, with an 80 % band, over all and of each phase; None while nothing can be trusted.

    `rate` is that of the last seconds, `phase_rates` the means over the phases, in units a second. `pulse` is the usual
    and the longest time between two signs of life, as `liveness` takes them.
    """

    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    phase_seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    rate: float | None = None
    rate_unit: str | None = None
    phase_rates: Mapping[str, tuple[float, str]] = field(default_factory=dict[str, "tuple[float, str]"])
    pulse: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of the last seconds, with the units done by each counter, outermost first."""

    at: float
    done: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Forecaster:
    """The courses of the phases entered so far, the last seconds, and what earlier jobs of the kind took.

    `rests` is what was left of each phase when it was left to be entered again; `pulse` is for the liveness.
    """

    typical: Mapping[str, Typical] = field(default_factory=dict[str, Typical])
    courses: Mapping[str, Course] = field(default_factory=dict[str, Course])
    rests: Mapping[str, Rest | None] = field(default_factory=dict[str, Rest | None])
    phase: str | None = None
    recent: tuple[Moment, ...] = ()
    pulse: Pulse = field(default_factory=Pulse)


def observe(forecaster: Forecaster, snapshot: Snapshot, at: float) -> Forecaster:
    """Take note of where the job stands at `at` (Unix seconds), after each event."""
    if snapshot.phase is None:
        return Forecaster(forecaster.typical)
    if snapshot.phase != forecaster.phase:
        forecaster = replace(forecaster, phase=snapshot.phase, recent=(), rests=_rests(forecaster))
    pulse = beat(forecaster.pulse, at)
    current, counters = snapshot.current, snapshot.counters
    if current is None or current.state is not PhaseState.RUNNING or not counters:
        return replace(forecaster, pulse=pulse)
    courses, total = forecaster.courses, counters[0].total
    if total and 0 < total < math.inf:
        name, spent = current.spec.name, _spent(snapshot, current, at)
        course = moved(courses.get(name), counters[0].unit, total, fraction(counters) * total, spent)
        courses = courses if course is courses.get(name) else {**courses, name: course}
    recent = _recent(forecaster.recent, Moment(at, _done(counters)))
    return replace(forecaster, courses=courses, recent=recent, pulse=pulse)


def _rests(forecaster: Forecaster) -> Mapping[str, Rest | None]:
    """The rest of the phase that is being left joins those of the others."""
    name = forecaster.phase or ""
    course = forecaster.courses.get(name)
    if course is None:
        return forecaster.rests
    return {**forecaster.rests, name: rest(course, 0.0, _past(forecaster, name))}


def _past(forecaster: Forecaster, name: str) -> Past:
    typical = forecaster.typical.get(name)
    return typical.past if typical else NOTHING_PAST


def _spent(snapshot: Snapshot, phase: PhaseProgress, at: float) -> float:
    """Seconds of the phase's own time."""
    if phase.spec.name != snapshot.phase or snapshot.entered_at is None:
        return phase.seconds
    return phase.seconds + max(0.0, at - snapshot.entered_at)


def _done(counters: tuple[Counter, ...]) -> tuple[float, ...]:
    """Units done over the whole phase by each counter, the outer ones multiplied in where totals are known."""
    done: list[float] = []
    for counter in counters:
        outer = done[-1] * counter.total if done and counter.total else 0.0
        done.append(outer + counter.current)
    return tuple(done)


def _recent(recent: tuple[Moment, ...], moment: Moment) -> tuple[Moment, ...]:
    """The last seconds, thinned; the newest moment is always kept."""
    if len(recent) > 1 and recent[-1].at - recent[-2].at < RECENT_SPACING_SECONDS:
        recent = recent[:-1]
    begin = moment.at - RECENT_SECONDS
    while len(recent) > 1 and recent[1].at < begin:
        recent = recent[1:]
    return (*recent, moment)


def estimate(forecaster: Forecaster, snapshot: Snapshot, at: float) -> Estimate:
    """Forecast from what was observed, at `at` (Unix seconds)."""
    rate, unit = _rate(forecaster.recent, snapshot.counters, at)
    known = _known_rests(forecaster, snapshot, at)
    seconds = {name: rest.seconds for name, rest in known.items()}
    pulse = (forecaster.pulse.usual, forecaster.pulse.longest)
    means = _mean_rates(forecaster, snapshot)
    found = Estimate(phase_seconds=seconds, rate=rate, rate_unit=unit, phase_rates=means, pulse=pulse)
    total = sum(seconds.values())
    if not known or len(known) < len(_ahead(snapshot)):
        return found
    spread = math.sqrt(sum((rest.seconds * rest.spread) ** 2 for rest in known.values())) / total if total else 0.0
    factor = math.exp(BAND * spread)
    if factor > MOST_FACTOR:
        return found
    return replace(found, seconds=total, low=total / factor, high=total * factor)


def _ahead(snapshot: Snapshot) -> list[PhaseProgress]:
    return [phase for phase in snapshot.phases if phase.state in (PhaseState.PENDING, PhaseState.RUNNING)]


def _known_rests(forecaster: Forecaster, snapshot: Snapshot, at: float) -> dict[str, Rest]:
    """What is left of each phase that can be told, by weights where most of the rest is known."""
    rests = {phase.spec.name: _rest(forecaster, snapshot, phase, at) for phase in _ahead(snapshot)}
    known = {name: rest for name, rest in rests.items() if rest is not None}
    if len(known) < len(rests):
        known |= _guessed(snapshot, known, rests, at)
    return known


def _rest(forecaster: Forecaster, snapshot: Snapshot, phase: PhaseProgress, at: float) -> Rest | None:
    """What is left of a phase by its own course or by earlier jobs."""
    name = phase.spec.name
    course, typical = forecaster.courses.get(name), forecaster.typical.get(name)
    spent = _spent(snapshot, phase, at)
    if course and name == forecaster.phase:
        found = rest(course, spent - course.seconds, _past(forecaster, name))
    else:
        found = forecaster.rests.get(name)
    if found is None and typical is not None:
        return typical.rest(phase.counters, phase.fraction, spent)
    return found


def _guessed(
    snapshot: Snapshot, known: Mapping[str, Rest], rests: Mapping[str, Rest | None], at: float
) -> dict[str, Rest]:
    """The phases nothing is known of, by their weights beside the known ones; none where too much were guessed."""
    seconds = weight = unknown = 0.0
    for phase in snapshot.phases:
        name = phase.spec.name
        if name not in rests or name in known:
            left = known[name].seconds if name in known else 0.0
            seconds, weight = seconds + _spent(snapshot, phase, at) + left, weight + phase.weight
        else:
            unknown += phase.weight
    if not seconds or unknown > MOST_GUESSED * weight:
        return {}
    guesses: dict[str, Rest] = {}
    for phase in snapshot.phases:
        if rests.get(phase.spec.name, 0) is None:
            whole = phase.weight * seconds / weight
            guesses[phase.spec.name] = Rest(max(whole * 0.1, whole - _spent(snapshot, phase, at)), GUESS_SPREAD)
    return guesses


def _rate(recent: tuple[Moment, ...], counters: tuple[Counter, ...], at: float) -> tuple[float | None, str | None]:
    """Units a second, of the outermost counter that moves about once a second, else of the innermost."""
    if not counters:
        return None, None
    unit, depth = counters[-1].unit, len(counters)
    alike = [moment for moment in recent if len(moment.done) == depth]
    if len(alike) < 2 or alike[-1].at <= alike[0].at:
        return None, unit
    seconds = max(at, alike[-1].at) - alike[0].at
    rates = [max(0.0, new - old) / seconds for old, new in zip(alike[0].done, alike[-1].done, strict=True)]
    return _readable(rates, counters)


def _readable(rates: Sequence[float], counters: Sequence[Counter]) -> tuple[float, str]:
    """The outermost counter that moves about once a second, else the innermost, with its rate."""
    return next(
        ((rate, counter.unit) for rate, counter in zip(rates, counters, strict=True) if rate >= 0.8),
        (rates[-1], counters[-1].unit),
    )


def _mean_rates(forecaster: Forecaster, snapshot: Snapshot) -> dict[str, tuple[float, str]]:
    """Units a second over each phase so far, stops included, without what an earlier attempt did."""
    found: dict[str, tuple[float, str]] = {}
    for phase in snapshot.phases:
        course = forecaster.courses.get(phase.spec.name)
        if course is None or course.done <= 0 or course.elapsed + course.stopped <= 0:
            continue
        rates = [course.done / (course.elapsed + course.stopped)]
        for inner in phase.counters[1:]:
            if not inner.total:
                break
            rates.append(rates[-1] * inner.total)
        # a phase that was left to come again has no counters until then
        counters = phase.counters[: len(rates)] or (Counter(course.unit),)
        found[phase.spec.name] = _readable(rates, counters)
    return found


def runs(forecaster: Forecaster, snapshot: Snapshot) -> dict[str, PhaseRun]:
    """How the phases of a completed job went: what to keep for the forecasts of later jobs of its kind."""
    found: dict[str, PhaseRun] = {}
    for phase in snapshot.phases:
        course = forecaster.courses.get(phase.spec.name)
        if phase.seconds > 0 and course:
            # what was done after the last counter came is known by the phase being over
            done = course.total - course.resumed_at
            shares, part = shares_of(course), done / course.total
            found[phase.spec.name] = PhaseRun(phase.seconds, done, course.unit, part, shares, course.stopped)
        elif phase.seconds > 0:
            found[phase.spec.name] = PhaseRun(phase.seconds)
    return found
