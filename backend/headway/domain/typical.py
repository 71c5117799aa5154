"""What earlier jobs of a kind teach: how long a phase takes, a unit of its work, and how its time is shared out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headway.domain.forecasts import NOTHING_PAST, Past, PastCourse, Rest
from headway.domain.plan import Counter, PhaseSpec

#: Courses kept, the newest; below the least trust they would never be believed.
MOST_COURSES, LEAST_TRUST = 5, 0.25
#: By how much the time shares of jobs may differ for all one knows from a few.
UNKNOWN_SHAPE = 0.08**2
LEAST_SPREAD, ONE_RUN_SPREAD, LEAST_PART = 0.15, 0.5, 0.05


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """One phase of a finished attempt: its own seconds, the units of its outermost counter that it did, and its course.

    `part` is the share of the phase's work that it did, less than 1 where it was resumed; `shares` as in `PastCourse`,
    empty then; `stopped` the seconds of its stops.
    """

    seconds: float
    done: float | None = None
    unit: str | None = None
    part: float = 1.0
    shares: tuple[float, ...] = ()
    stopped: float = 0.0


@dataclass(frozen=True, slots=True)
class Typical:
    """A phase as it usually goes: seconds in all and a `unit`, with the spread of the logarithm, and its shares."""

    seconds: float
    pace: float | None = None
    unit: str | None = None
    spread: float = ONE_RUN_SPREAD
    past: Past = NOTHING_PAST

    def rest(self, counters: Sequence[Counter], fraction: float, spent: float) -> Rest:
        """What is left of a phase that has not yet shown its own pace."""
        if self.pace and counters and counters[0].unit == self.unit and counters[0].total:
            return Rest(self.pace * counters[0].total * (1 - fraction), self.spread)
        # a phase that takes longer than usual is forecast to be nearly done, ever less surely
        return Rest(max(self.seconds - spent, 0.1 * self.seconds), self.spread)


def learned_weights(phases: Sequence[PhaseSpec], typical: Mapping[str, Typical]) -> tuple[PhaseSpec, ...]:
    """The phases weighted by the seconds they usually take; as declared unless something is known of each.

    For kinds whose weights are not fixed. Fix them for a job when it starts, so that a running bar never jumps.
    """
    if any(phase.name not in typical for phase in phases if not phase.optional):
        return tuple(phases)
    return tuple(
        replace(phase, weight=typical[phase.name].seconds if phase.name in typical else 0.0) for phase in phases
    )


def typical_of(jobs: Sequence[Mapping[str, PhaseRun]]) -> dict[str, Typical]:
    """What the phases of some earlier jobs of a kind (the newest twenty are plenty) have in common."""
    names = dict.fromkeys(name for phases in jobs for name in phases)
    return {name: _typical([phases[name] for phases in jobs if name in phases]) for name in names}


def _typical(phases: Sequence[PhaseRun]) -> Typical:
    unit = next((phase.unit for phase in reversed(phases) if phase.unit), None)
    paces = [phase.seconds / phase.done for phase in phases if phase.unit == unit and phase.done]
    seconds = [phase.seconds / max(phase.part, LEAST_PART) for phase in phases]
    return Typical(
        seconds=statistics.median(seconds),
        pace=statistics.median(paces) if paces else None,
        unit=unit,
        spread=_spread(paces or seconds),
        past=_past([phase for phase in phases if phase.unit == unit]),
    )


def _spread(values: Sequence[float]) -> float:
    logs = [math.log(max(value, 1e-3)) for value in values]
    return max(LEAST_SPREAD, statistics.stdev(logs)) if len(logs) > 1 else ONE_RUN_SPREAD


def _past(phases: Sequence[PhaseRun]) -> Past:
    """The newest courses; trusted as far as they bend alike: by more than they differ among themselves."""
    whole = [PastCourse(phase.done, phase.shares) for phase in phases if phase.shares and phase.done][-MOST_COURSES:]
    if not whole:
        return NOTHING_PAST
    stops = min(phase.stopped / max(phase.seconds - phase.stopped, 1e-3) for phase in phases)
    knots = [*zip(*(course.shares for course in whole), strict=True)]
    bent = statistics.fmean((statistics.fmean(knot) - k / (len(knots) - 1)) ** 2 for k, knot in enumerate(knots))
    apart = statistics.fmean(statistics.variance(knot) if len(whole) > 1 else 0.0 for knot in knots)
    trust = bent / (bent + apart + UNKNOWN_SHAPE)
    return Past(tuple(whole), trust, stops) if trust >= LEAST_TRUST else Past(stops=stops)
