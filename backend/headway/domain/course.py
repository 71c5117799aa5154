"""The course of one phase: its work against its time, with the long stops (an evaluation, a checkpoint) taken out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

MOST_POINTS = 64
MOST_STOPS = 16
FIRST_SPACING_SECONDS = 0.1
#: A stop is a gap between two moves this much longer than usual, and at least so long.
STOP_TIMES, LEAST_STOP_SECONDS, MOVES_BEFORE_STOPS = 5.0, 0.3, 5
#: Stops at least this share of the longest are looked at for a period; it must hold to within a fifth for most of them.
LONG_STOP_SHARE, PERIOD_SLACK, LEAST_EVEN = 0.4, 0.2, 0.75


class Point(NamedTuple):
    """Where the work stood, in units of the outermost counter, after so many seconds of the phase without stops."""

    seconds: float
    position: float


class Stop(NamedTuple):
    """A gap in the moves: where, and how much longer than usual."""

    position: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Course:
    """Points evenly spaced in time, at most MOST_POINTS; `now` is the newest. `seconds` is the phase's own time then.

    `unit` and `total` are the outermost counter's. `gap` is the usual time between two moves.
    """

    unit: str
    total: float
    now: Point
    seconds: float
    points: tuple[Point, ...]
    spacing: float = FIRST_SPACING_SECONDS
    moves: int = 0
    gap: float = 0.0
    stops: tuple[Stop, ...] = ()
    stopped: float = 0.0

    @property
    def begun_at(self) -> float:
        """The position it began from (a resumed one goes on)."""
        return self.points[0].position

    @property
    def resumed_at(self) -> float:
        """Where an earlier attempt had left it; 0 where the first counters only came late, as its own pace tells."""
        before = self.points[0].seconds * 3 * self.done
        return self.begun_at if before < self.begun_at * self.elapsed else 0.0

    @property
    def done(self) -> float:
        """Units done since it began."""
        return self.now.position - self.begun_at

    @property
    def elapsed(self) -> float:
        """Seconds since it began, without stops."""
        return self.now.seconds - self.points[0].seconds


def moved(course: Course | None, unit: str, total: float, position: float, seconds: float) -> Course:
    """The course after the work stood at `position` of `total` when the phase had taken `seconds`.

    Another unit, or a fall by more than one unit (which no inner counter explains), begins a new one.
    """
    if course is None or unit != course.unit or position < course.now.position - 1:
        first = Point(seconds, position)
        return Course(unit, total, first, seconds, (first,))
    if position <= course.now.position:
        return course if total == course.total else replace(course, total=total)
    gap = max(0.0, seconds - course.seconds)
    stop = _stop(course, gap)
    now = Point(course.now.seconds + gap - stop, position)
    points, spacing = _spaced(course, now)
    return Course(
        unit=unit,
        total=total,
        now=now,
        seconds=course.seconds + gap,
        points=points,
        spacing=spacing,
        moves=course.moves + 1,
        gap=course.gap + (min(gap, 3 * course.gap or gap) - course.gap) * max(0.05, 1 / (course.moves + 1)),
        stops=(*course.stops, Stop(course.now.position, stop))[-MOST_STOPS:] if stop else course.stops,
        stopped=course.stopped + stop,
    )


def _stop(course: Course, gap: float) -> float:
    """Seconds of the gap that are a stop."""
    usual = course.gap
    long = course.moves >= MOVES_BEFORE_STOPS and gap > max(STOP_TIMES * usual, LEAST_STOP_SECONDS)
    return gap - usual if long else 0.0


def _spaced(course: Course, now: Point) -> tuple[tuple[Point, ...], float]:
    """The points with `now` if it is due; when they are too many, every second one at twice the spacing."""
    points, spacing = course.points, course.spacing
    if now.seconds - points[-1].seconds < spacing:
        return points, spacing
    points = (*points, now)
    if len(points) <= MOST_POINTS:
        return points, spacing
    return points[::2], spacing * 2


class StopsLeft(NamedTuple):
    """Seconds of all stops to come, and of one that is due now."""

    seconds: float
    due: float


class _Period(NamedTuple):
    stops: list[Stop]
    spacing: float
    cost: float


def stops_left(course: Course) -> StopsLeft:
    """Stops that keep a period come at it again; others as often as they came so far."""
    share = max(0.0, course.total - course.now.position) / course.done
    period = _period(course)
    if period is None:
        return StopsLeft(course.stopped * share, 0.0)
    last = period.stops[-1].position
    count = max(0, int((course.total - last) / period.spacing + 0.1))
    whole = len(course.stops) < MOST_STOPS
    other = max(0.0, course.stopped - sum(stop.seconds for stop in period.stops)) if whole else 0.0
    due = course.now.position >= last + period.spacing * 0.9
    return StopsLeft(count * period.cost + other * share, period.cost if due else 0.0)


def _period(course: Course) -> _Period | None:
    """The long stops with their spacing and what one takes; None where they keep none. One alone sets it from 0."""
    longest = max((stop.seconds for stop in course.stops), default=0.0)
    long = [stop for stop in course.stops if stop.seconds >= longest * LONG_STOP_SHARE]
    places = [stop.position for stop in long]
    if course.begun_at == 0 and len(course.stops) < MOST_STOPS:
        places = [0.0, *places]
    spacings = sorted(after - before for before, after in pairwise(places))
    usual = spacings[len(spacings) // 2] if spacings else 0.0
    even = sum(abs(spacing - usual) <= PERIOD_SLACK * usual for spacing in spacings)
    overdue = bool(places) and course.now.position > places[-1] + usual * 1.3
    if usual <= 0 or overdue or even < LEAST_EVEN * len(spacings):
        return None
    costs = sorted(stop.seconds for stop in long)
    return _Period(long, usual, costs[len(costs) // 2])
