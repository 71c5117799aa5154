"""Runs side by side: their courses on one axis (time, step or phase), and a verdict on which was faster and where.

Time is time that was worked: what lies between two attempts (queued, paused, lost) does not count, but work that a
crash threw away does. Pure: the same runs always get the same verdict.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Align = Literal["time", "step", "phase"]
#: Differences below this share of the slower one's time are no difference.
LEAST_FASTER_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a run stood at a time (Unix seconds)."""

    at: float
    attempt: int
    percent: float
    phase: str | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run stood after so many seconds of work."""

    seconds: float
    percent: float
    phase: str | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A run to compare: `weights` are the shares (0 to 1) of its phases in their order, `samples` in order of time."""

    id: str
    name: str
    kind: str
    completed: bool
    weights: Mapping[str, float]
    samples: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much faster the fastest run was than this one, and the phase in which it gained most of it."""

    run_id: str
    percent_faster: float
    seconds_gained: float
    gained_in: str | None
    seconds_gained_in: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence for people, and what it says; `fastest` is None where no run was, or nothing can be said."""

    text: str
    fastest: str | None = None
    at_percent: float | None = None
    comparisons: Sequence[Comparison] = field(default_factory=tuple[Comparison, ...])


def course(run: Run) -> list[Point]:
    """The samples with the seconds worked up to each."""
    points: list[Point] = []
    worked = 0.0
    before: Sample | None = None
    for sample in run.samples:
        if before is not None and before.attempt == sample.attempt:
            worked += max(0.0, sample.at - before.at)
        points.append(Point(worked, sample.percent, sample.phase, sample.step))
        before = sample
    return points


def phase_seconds(points: Sequence[Point], until: float = float("inf")) -> dict[str, float]:
    """Seconds worked in each phase, in order of first entry, up to `until` seconds."""
    spent: dict[str, float] = {}
    for point, following in pairwise(points):
        if point.phase is not None and point.seconds <= until:
            spent[point.phase] = spent.get(point.phase, 0.0) + min(following.seconds, until) - point.seconds
    return spent


def positions(run: Run, points: Sequence[Point], align: Align, phases: Sequence[str]) -> list[tuple[float, Point]]:
    """The points with their place on the axis, from left to right; those that have none on it are left out.

    On the axis of phases, 2.25 is a quarter into the third of `phases`. On the axis of steps, what a later attempt did
    again counts as the later one did it.
    """
    if align == "time":
        return [(point.seconds, point) for point in points]
    if align == "step":
        return [(float(point.step or 0), point) for point in effective(points, lambda point: point.step)]
    return sorted(_phase_positions(run, points, phases), key=lambda placed: placed[0])


def _phase_positions(run: Run, points: Sequence[Point], phases: Sequence[str]) -> Iterable[tuple[float, Point]]:
    gained: dict[str, float] = {}
    for before, point in pairwise([Point(0.0, 0.0, None, None), *points]):
        if before.phase is not None:
            gained[before.phase] = gained.get(before.phase, 0.0) + max(0.0, point.percent - before.percent)
        if point.phase in phases and point.phase is not None:
            whole = 100 * run.weights.get(point.phase, 0.0)
            done = min(1.0, gained.get(point.phase, 0.0) / whole) if whole else 0.0
            yield phases.index(point.phase) + done, point


def effective(points: Sequence[Point], key: Callable[[Point], float | None]) -> list[Point]:
    """The points by which `key` rose to its last value for good: what was lost and done again counts once, later."""
    kept: list[Point] = []
    least = float("inf")
    for point in reversed(points):
        value = key(point)
        if value is None or value > least:
            continue
        if value == least:
            kept.pop()  # it stood there for a while: when it came there is what counts
        kept.append(point)
        least = value
    return kept[::-1]


def interpolated(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """y at x on the line through the points (xs rising); the ends hold beyond. Raises ValueError without a point."""
    if not xs:
        raise ValueError("there is no point to interpolate from")
    place = bisect_left(xs, x)
    if place == 0:
        return ys[0]
    if place == len(xs):
        return ys[-1]
    left, right = xs[place - 1], xs[place]
    return ys[place - 1] + (ys[place] - ys[place - 1]) * (x - left) / (right - left)


def verdict(runs: Sequence[Run]) -> Verdict:
    """Which run was faster, by how much, and in which phase it gained it; by what all of them have done."""
    kinds = sorted({run.kind for run in runs})
    if len(kinds) > 1:
        return Verdict(f"These are jobs of different kinds ({', '.join(kinds)}): their times cannot be compared.")
    courses = {run.id: course(run) for run in runs}
    common = min((points[-1].percent if points else 0.0 for points in courses.values()), default=0.0)
    times = {run_id: _seconds_to(points, common) if common > 0 else 0.0 for run_id, points in courses.items()}
    if min(times.values(), default=0.0) <= 0:
        return Verdict("Too little is done yet to compare them.")
    fastest = min(runs, key=lambda run: times[run.id])
    others = [run for run in runs if run.id != fastest.id]
    found = [_comparison(run.id, fastest.id, courses, times) for run in others]
    sentences = [_sentence(fastest, run, each, times, common) for run, each in zip(others, found, strict=True)]
    distinct = any(each.percent_faster >= LEAST_FASTER_PERCENT for each in found)
    return Verdict(" ".join(sentences), fastest.id if distinct else None, common, found)


def _seconds_to(points: Sequence[Point], percent: float) -> float:
    rising = effective(points, lambda point: point.percent)
    return interpolated([point.percent for point in rising], [point.seconds for point in rising], percent)


def _comparison(slow: str, fast: str, courses: Mapping[str, Sequence[Point]], times: Mapping[str, float]) -> Comparison:
    spent = {run_id: phase_seconds(courses[run_id], times[run_id]) for run_id in (slow, fast)}
    gains = {phase: seconds - spent[fast].get(phase, 0.0) for phase, seconds in spent[slow].items()}
    best = max(gains, key=lambda phase: gains[phase], default=None)
    gained = times[slow] - times[fast]
    share = 100 * (gained / times[slow])  # in this order: 100 x / x may round to more than 100
    in_phase = best if best is not None and gains[best] > 0 and share >= LEAST_FASTER_PERCENT else None
    return Comparison(slow, share, gained, in_phase, gains[in_phase] if in_phase else None)


def _sentence(fast: Run, slow: Run, found: Comparison, times: Mapping[str, float], common: float) -> str:
    a, b = (run.name if fast.name != slow.name else f"{run.name} ({run.id})" for run in (fast, slow))
    over = fast.completed and slow.completed
    so_far = "" if over else f" up to {common:.2f} %"
    if found.percent_faster < LEAST_FASTER_PERCENT:
        return f"{a} and {b} {'were' if over else 'are'} equally fast{so_far}."
    said = f"{a} {'was' if over else 'is'} {found.percent_faster:.0f} % faster than {b}{so_far}"
    said += f" ({_spoken(times[fast.id])} instead of {_spoken(times[slow.id])})"
    return f"{said}; it gained {'it' if over else 'that'} in {found.gained_in}." if found.gained_in else f"{said}."


def _spoken(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
