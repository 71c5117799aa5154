"""How long the rest of a phase will take: several simple forecasts compete on the phase's own course.

The pace of the whole course and of its newest parts, a power law (what gets steadily faster or slower), and the courses
of earlier jobs. Each is asked what it would have said at earlier moments of this very course. Those that would have
been right, as far as the noise lets one tell, are believed; how wrong they would have been gives the band.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from headway.domain.course import Course, StopsLeft, stops_left

#: Newest shares of the course whose pace is a forecast each; then the power law. How likely each is beforehand, and by
#: how much of the course it is informed, which says what noise does to it.
WINDOWS = (1.0, 0.5, 0.25, 0.12)
PRIORS = (8.0, 2.0, 1.0, 0.5, 0.05)
INFORMED = (*WINDOWS, 0.2)
LEAST_POWER, MOST_POWER = 0.4, 1.8
#: How likely the courses of earlier jobs are beforehand where they bend alike, and what they are where they do not.
TRUSTED, UNTRUSTED = 300.0, 1e-6
#: Earlier moments, as shares of the time so far, at which each forecast is tried. They overlap: so much do they count.
TRIALS = (0.35, 0.5, 0.65, 0.8, 0.92)
TRIAL_WEIGHT = 0.35
#: What a right forecast may be off by besides noise, and the least spread that is ever claimed (of the logarithm).
TOLERANCE, LEAST_SPREAD, WIDENED = 0.08, 0.05, 1.25
#: Noise is seen between pieces of this share of the time; it is taken for larger while moves are few, and while pieces
#: are shorter than one outer unit of many (a trial, an episode), whose parts are alike.
BLOCK = 0.08
NOISE_OF_ONE_MOVE, NOISE_OF_UNITS, MANY_UNITS = 3.0, 0.5, 20
LEAST_MOVES, LEAST_SECONDS = 5, 2.0
KNOTS = 33
TINY = 1e-9


class PastCourse(NamedTuple):
    """An earlier job's whole phase: its units of work, and the share of its time that had passed at each of KNOTS even
    steps of the work, the first 0 and the last 1."""

    total: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """Courses of earlier jobs, how far their common shape can be trusted (0 to 1), and the stops they made.

    `stops` is the time of the stops beside that of the work, of the job that stopped least.
    """

    courses: tuple[PastCourse, ...] = ()
    trust: float = 0.0
    stops: float = 0.0


NOTHING_PAST = Past()


class Rest(NamedTuple):
    """Seconds still to go, and how far they may be off (one standard deviation of the logarithm)."""

    seconds: float
    spread: float


def rest(course: Course, waited: float, past: Past) -> Rest | None:
    """What is left `waited` seconds after the last move; None while it cannot be trusted."""
    # a whole unit of few (a round, an epoch) tells more than its seconds do
    least = LEAST_SECONDS / 4 if course.total < MANY_UNITS and course.done >= 1 else LEAST_SECONDS
    if course.moves < LEAST_MOVES or course.elapsed < TINY or course.elapsed + course.stopped < least:
        return None
    work = _work_left(course, past)
    # before the first stop those of earlier jobs are counted on
    stops = stops_left(course) if course.stops else StopsLeft(work.seconds * past.stops, 0.0)
    return Rest(max(0.0, work.seconds + stops.seconds - min(waited, course.gap + stops.due)), work.spread)


def _work_left(course: Course, past: Past) -> Rest:
    """Seconds the work to come takes without stops."""
    trace = _Trace(course, past)
    errors = [_errors(trace, share) for share in TRIALS]
    weights = _beliefs(errors, max(trace.noise(), _least_noise(course)) ** 2 * BLOCK, past)
    logs = [math.log(guess) for guess in trace.forecasts(trace.elapsed, course.total - course.begun_at)]
    mean = _weighed(logs, weights)
    apart = _weighed([(log - mean) ** 2 for log in logs], weights)
    # the mean and not its square: one change of pace must not hide all that was right since
    wrong = WIDENED * sum(abs(_weighed(row, weights)) for row in errors) / len(errors)
    return Rest(math.exp(mean), math.sqrt(LEAST_SPREAD**2 + apart + wrong**2))


def _errors(trace: _Trace, share: float) -> list[float]:
    """How wrong each forecast would have been at a share of the time so far, of the logarithm."""
    truth = (1 - share) * trace.elapsed
    return [math.log(guess / truth) for guess in trace.forecasts(share * trace.elapsed, trace.done)]


def _beliefs(errors: Sequence[Sequence[float]], noise: float, past: Past) -> list[float]:
    """The weight of each forecast (sum 1): its prior times how likely its errors are. `noise`: the variance of a pace
    over the whole time so far."""
    earlier = 2 * len(past.courses)
    prior = UNTRUSTED + TRUSTED * past.trust**4 / max(1, earlier)
    losses = [-2 * math.log(each) for each in (*PRIORS, *[prior] * earlier)]
    informed = (*INFORMED, *[1.0] * earlier)
    for share, row in zip(TRIALS, errors, strict=True):
        ahead = TOLERANCE**2 + noise / (1 - share)
        for index, error in enumerate(row):
            variance = ahead + noise / (informed[index] * share)
            losses[index] += TRIAL_WEIGHT * (error * error / variance + math.log(variance))
    best = min(losses)
    weights = [math.exp((best - loss) / 2) for loss in losses]
    total = sum(weights)
    return [weight / total for weight in weights]


def _weighed(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True))


def _least_noise(course: Course) -> float:
    few = NOISE_OF_ONE_MOVE / math.sqrt(course.moves)
    refined = course.now.position % 1 > 0 and course.total >= MANY_UNITS
    return max(few, NOISE_OF_UNITS) if refined and course.done * BLOCK < 1 else few


class _Trace:
    """The course from its beginning, to look up where it stood when."""

    def __init__(self, course: Course, past: Past) -> None:
        origin, last = course.points[0], course.points[-1]
        points = course.points if last.seconds < course.now.seconds else course.points[:-1]
        self.times = [*(point.seconds - origin.seconds for point in points), course.elapsed]
        self.places = [*(point.position - origin.position for point in points), course.done]
        self.elapsed, self.done = course.elapsed, course.done
        self.begun = origin.position
        # an earlier course is taken by the share of the work, and by the work itself (then its own total counts)
        self._likes = [
            (earlier.shares, total, _time_share(earlier.shares, self.begun / total))
            for earlier in past.courses
            for total in (course.total, earlier.total)
        ]

    def noise(self) -> float:
        """How much the pace of a piece of BLOCK of the time differs from the next (robust, of the logarithm)."""
        places = [self.place(self.elapsed * (1 - BLOCK * number)) for number in range(int(1 / BLOCK) + 1)]
        logs = [math.log(max(TINY, after - before)) for after, before in pairwise(places)]
        changes = sorted(abs(after - before) for before, after in pairwise(logs))
        # the median of such differences is 0.95 standard deviations
        return changes[len(changes) // 2] * 1.05

    def place(self, seconds: float) -> float:
        """Where it stood after so many seconds."""
        return _between(self.times, self.places, seconds)

    def time(self, place: float) -> float:
        """After how many seconds it stood there."""
        return _between(self.places, self.times, place)

    def forecasts(self, seconds: float, target: float) -> list[float]:
        """What each forecast says at that moment of the seconds until `target`; all above 0."""
        stood = max(TINY, self.place(seconds))
        ahead = max(TINY, target - stood)
        guesses = [ahead * share * seconds / max(TINY, stood - self.place(seconds * (1 - share))) for share in WINDOWS]
        guesses.append(self._by_power(seconds, stood, stood + ahead))
        for shares, total, begun in self._likes:
            now = _time_share(shares, (self.begun + stood) / total)
            then = _time_share(shares, (self.begun + target) / total)
            guesses.append(seconds * max(1e-6, then - now) / max(1e-6, now - begun))
        return [max(TINY, guess) for guess in guesses]

    def _by_power(self, seconds: float, stood: float, target: float) -> float:
        """The time grows as a power of the work, which twice the time tells."""
        half = self.place(seconds / 2)
        power = math.log(2) / math.log(stood / half) if stood > half * (1 + TINY) > 0 else 1.0
        return seconds * ((target / stood) ** min(MOST_POWER, max(LEAST_POWER, power)) - 1)


def _between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Linear between known places; `xs` rise."""
    upper = min(max(1, bisect_left(xs, x)), len(xs) - 1)
    x0, x1, y0, y1 = xs[upper - 1], xs[upper], ys[upper - 1], ys[upper]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _time_share(shares: Sequence[float], place: float) -> float:
    """The share of the time that had passed at a share of the work; what is beyond goes on at the last pace."""
    last = len(shares) - 1
    if place >= 1:
        quarter = last // 4
        return 1 + (place - 1) * (1 - shares[last - quarter]) * last / quarter
    index = int(place * last)
    return shares[index] + (shares[index + 1] - shares[index]) * (place * last - index)


def shares_of(course: Course) -> tuple[float, ...]:
    """How the time of a whole course was shared out over its work, for a `PastCourse`; empty for part of one."""
    if course.resumed_at > 0 or course.now.position < course.total * 0.98 or course.elapsed < TINY:
        return ()
    trace = _Trace(course, NOTHING_PAST)
    return tuple(trace.time(trace.done * knot / (KNOTS - 1)) / trace.elapsed for knot in range(KNOTS))
