"""The plan of a job: ordered phases with weights, and how nested counters become a fraction and a percent.

percent = Σ w·f over the phases that run, kept in whole basis points (1/100 of a percent), at most 99.99 % before the
job is completed. A phase's fraction refines its counters inward: (c1 + (c2 + ...)/t2)/t1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FULL_BASIS_POINTS = 10_000
MOST_BEFORE_COMPLETION = FULL_BASIS_POINTS - 1


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """One phase as a kind declares it: `weight` is its share of the whole, relative to the others' weights."""

    name: str
    title: str
    weight: float = 1.0
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """What is done of one unit; without a total it is shown as activity and moves no percent."""

    unit: str
    current: float = 0
    total: float | None = None


def shared_weights(weights: Sequence[float], runs: Sequence[bool]) -> list[float]:
    """Normalise weights to sum 1 over the phases that run; the others get 0 and so give their share to the rest.

    Phases of weight 0 count for nothing; if all that run weigh 0 they share evenly.
    """
    kept = [max(0.0, weight) if run else 0.0 for weight, run in zip(weights, runs, strict=True)]
    total = sum(kept)
    if total > 0:
        return [weight / total for weight in kept]
    running = sum(runs)
    return [1 / running if run else 0.0 for run in runs] if running else [0.0 for _ in runs]


def fraction(counters: Sequence[Counter]) -> float:
    """Refine counters (outermost first) into one fraction in [0, 1]; stops at the first without a usable total."""
    inner = 0.0
    for counter in reversed(_countable(counters)):
        inner = min(1.0, max(0.0, (counter.current + inner) / (counter.total or 1.0)))
    return inner


def _countable(counters: Sequence[Counter]) -> list[Counter]:
    countable: list[Counter] = []
    for counter in counters:
        if not counter.total or counter.total <= 0:
            break
        countable.append(counter)
    return countable


def basis_points(weighted: Iterable[tuple[float, float]], *, completed: bool = False) -> int:
    """Whole basis points of Σ weight·fraction; 10 000 if and only if `completed`."""
    if completed:
        return FULL_BASIS_POINTS
    share = sum(weight * min(1.0, max(0.0, part)) for weight, part in weighted)
    return min(MOST_BEFORE_COMPLETION, max(0, int(share * FULL_BASIS_POINTS + 1e-9)))
