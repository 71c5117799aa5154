"""What counters say in the documented views: of one unit, or of the whole run with the outer ones multiplied in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from headway.services.views import CounterView, JobView

EXAMPLE_UNITS = ("example", "sample")
_TRAINING_UNITS = frozenset({"epoch", "step", *EXAMPLE_UNITS})


class Count(NamedTuple):
    """How much is done, and of how much where that is known."""

    current: int
    total: int | None


def training_counters(job: JobView) -> Sequence[CounterView]:
    """The counters of the current phase, else of the last one that counts what a training does."""
    told = [job.counters, *(phase.counters for phase in reversed(job.phases) if phase.started_at)]
    return next((counters for counters in told if {counter.unit for counter in counters} & _TRAINING_UNITS), ())


def over_all(counters: Sequence[CounterView], *units: str) -> Count | None:
    """A nested counter over the whole run (epochs done times steps each, and those since); None where it is unknown."""
    done, total = 0.0, 1.0
    for counter in counters:
        if counter.total is None and done > 0:
            return None  # how many of these were in each outer one that is done was never told
        done = done * (counter.total or 0) + counter.current
        total *= math.nan if counter.total is None else counter.total
        if counter.unit in units:
            return Count(round(done), None if math.isnan(total) else round(total))
    return None


def counter_of(counters: Sequence[CounterView], *units: str) -> CounterView | None:
    """The outermost counter of one of the units."""
    return next((counter for counter in counters if counter.unit in units), None)


def current_of(counter: CounterView | None) -> int | None:
    """What is done of it, in whole units."""
    return None if counter is None else int(counter.current)


def total_of(counter: CounterView | None) -> int | None:
    """All of it, in whole units, where that is known."""
    return None if counter is None or counter.total is None else int(counter.total)
