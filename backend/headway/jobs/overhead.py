"""What telling costs a job: its calls are counted exactly, the cost of one is measured while the job runs.

`job.log` is the spool's bare method, so nothing can time it there. Instead the sampling thread times one call on a
scratch spool now and then: after a wait, with the caches as the training left them, which is how a training calls it,
and one right after, which is what calls in a tight loop cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

from headway.errors import SpoolError
from headway.spool.writer import SpoolWriter

REPORT_SECONDS = 5.0
BUDGET_PERCENT = 1.0
PROBES = 64
LOOP_ITEMS = 100
CALLS_TO_WARM = 3
CALL_EVICTED_SECONDS = 1e-4  # what runs that long between two calls has the caches to itself
_SCRATCH_BYTES = 1 << 15  # holds every probe, so it never goes on to another segment


class Told(NamedTuple):
    """How often a job told something since it began: calls of `log`, tracked loops, items of those."""

    calls: float
    loops: float
    items: float


class Costs(NamedTuple):
    """Microseconds of the training thread for one of each; a call that comes right after another costs `warm_call`."""

    call: float
    warm_call: float
    loop: float
    item: float

    def of(self, told: Told, seconds: float) -> tuple[float, float]:
        """One call's cost as often as they came, and that of all that was told in so many seconds."""
        often = told.calls * CALL_EVICTED_SECONDS > seconds
        call = self.warm_call if often else self.call
        return call, call * told.calls + self.loop * told.loops + self.item * told.items


class Teller(Protocol):
    """What is measured: a reporter on a scratch spool."""

    log: Callable[..., None]

    def track(self, iterable: Iterable[Any], unit: str, start: float, total: float | None) -> Iterator[Any]:
        """Count items."""
        ...


class Overhead:
    """Measures the costs by `probe` and answers every `REPORT_SECONDS` what they came to."""

    def __init__(self, scratch: Teller, now: float) -> None:
        self._scratch = scratch
        self._probes: list[Costs] = []
        self._marks = [(now, Told(0, 0, 0))]  # when was reported, and what had been told: the last two times
        self._reported: dict[str, float] = {}

    def probe(self) -> None:
        """Time calls, empty loops and one with items (50 µs or so in all), until it is known well enough."""
        if len(self._probes) == PROBES:
            return
        log, track = self._scratch.log, self._scratch.track
        times = [perf_counter_ns()]
        for step in range(CALLS_TO_WARM + 1):
            log(step, loss=1.0, accuracy=2.0, grad_norm=3.0, learning_rate=4.0, rows_per_s=5.0)
            times.append(perf_counter_ns())
        for items in ((), (), range(LOOP_ITEMS)):
            for _ in track(items, "item", 0, None):
                pass
            times.append(perf_counter_ns())
        call, *_, warm_call, loop, warm_loop, full_loop = ((end - start) / 1e3 for start, end in pairwise(times))
        self._probes.append(Costs(call, warm_call, loop, max(0.0, full_loop - warm_loop) / LOOP_ITEMS))

    @property
    def costs(self) -> Costs:
        """Medians: what a switch of threads added to one probe is no cost of ours."""
        return Costs(*(median(values) for values in zip(*self._probes, strict=True)))

    def report(self, told: Told, now: float, *, last: bool = False) -> dict[str, float] | None:
        """The payload of an OVERHEAD event if one is due (or could be the last) and says something new.

        The last looks back over the time of the one before too: what is left since may be too short to say anything.
        """
        at, already = self._marks[0 if last else -1]
        seconds = now - at
        if not self._probes or seconds <= 0 or (seconds < REPORT_SECONDS and not last):
            return None
        since = Told(*(new - old for new, old in zip(told, already, strict=True)))
        call_us, all_us = self.costs.of(since, seconds)
        self._marks = [self._marks[-1], (now, told)]
        payload = {
            "us_per_call": round(call_us, 2),
            "percent_of_step": min(100.0, float(f"{all_us / seconds / 1e4:.2g}")),
            "calls": told.calls,
            "us_per_item": round(self.costs.item, 3),
            "items": told.items,
        }
        if payload == self._reported or not any(told):
            return None
        self._reported = payload
        return payload


def scratch_writer() -> SpoolWriter | None:
    """A spool that lives in its map alone, its folder already gone; None where there is no room for a temporary one."""
    try:
        with TemporaryDirectory(prefix="headway-", ignore_cleanup_errors=True) as folder:
            return SpoolWriter(Path(folder) / "spool", segment_bytes=_SCRATCH_BYTES, quota_bytes=4 * _SCRATCH_BYTES)
    except (OSError, SpoolError):
        return None
