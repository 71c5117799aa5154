"""Turns what a kind does into spool records: metrics at once, counters by sampling, phases and events in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from headway.jobs.overhead import BUDGET_PERCENT, Overhead, Told, scratch_writer
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter

SAMPLE_SECONDS = 0.1
OVER_BUDGET = (
    "telling its progress takes {percent_of_step} % of this job's time ({us_per_call} µs for one of {calls} calls of"
    " log, {us_per_item} µs for one of {items:.0f} tracked items): log every few steps, or track an outer loop"
)

T = TypeVar("T")


class LiveCounter:
    """A counter the training thread moves by storing a number; the sampler reads it.

    `start` is where a loop over items began, None where it is moved by hand. The sampler calls `follow`, if there is
    one, before each reading, to move it to where compiled code has got to.
    """

    __slots__ = ("current", "follow", "start", "total", "unit")

    def __init__(self, unit: str, current: float, total: float | None) -> None:
        self.unit = unit
        self.current = current
        self.total = total
        self.start: float | None = None
        self.follow: Callable[[], None] | None = None

    def advance(self, by: float = 1) -> None:
        """Count `by` more units as done."""
        self.current += by


class Reporter:
    """Owns the spool's writer and the sampling thread of one job process."""

    def __init__(self, writer: SpoolWriter, *, samples: bool = True) -> None:
        self.log = writer.log
        self._writer = writer
        self._lock = threading.RLock()
        # each phase with the number of counters that were running outside it
        self._phases: list[tuple[str, int]] = []
        self._counters: list[LiveCounter] = []
        self._last_sample: object = None
        self._standing: dict[str, list[dict[str, Any]]] = {}  # counters, as recorded, of phases that are not finished
        self._loops, self._items = 0, 0.0  # tracked loops begun, and items of those that ended
        self._overhead: Overhead | None = None
        self._warned = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_closed, name="headway-reporter", daemon=True)
        if samples:
            self._thread.start()

    def event(self, kind: EventKind, payload: dict[str, Any]) -> None:
        """Append one event record."""
        self._writer.event(kind, payload)

    def say_log(self, level: str, text: str) -> None:
        """Append one log line."""
        self._writer.event(EventKind.LOG, {"level": level, "text": text[:8000]})

    def start_phase(self, name: str) -> None:
        """Enter a phase; counters pushed from now on belong to it."""
        with self._lock:
            self._flush_counters()
            self._phases.append((name, len(self._counters)))
            self._writer.event(EventKind.PHASE_STARTED, {"name": name})

    def finish_phase(self, name: str, *, again: bool = False) -> None:
        """Leave the phase, with all of it done unless it is entered `again`; the one around it goes on."""
        with self._lock:
            self._flush_counters()
            self._phases = [entry for entry in self._phases if entry[0] != name]
            if not again:
                self._standing.pop(name, None)
            self._writer.event(EventKind.PHASE_FINISHED, {"name": name} | ({"again": True} if again else {}))

    def skip_phase(self, name: str) -> None:
        """Mark a phase as one that does not run."""
        self._writer.event(EventKind.PHASE_FINISHED, {"name": name, "skipped": True})

    def expect(self, name: str, unit: str, start: float, total: float) -> None:
        """Tell the counter a phase to come will have; of a phase that was entered its own counters tell."""
        with self._lock:
            if name not in (entry[0] for entry in self._phases):
                counter = {"unit": unit, "current": start, "total": total}
                self._writer.event(EventKind.COUNTERS, {"phase": name, "counters": [counter]})

    def standing(self) -> list[dict[str, Any]]:
        """The counters of each phase that is not finished, as COUNTERS payloads: how far the run is."""
        with self._lock:
            self._flush_counters()
            return [{"phase": phase, "counters": counters} for phase, counters in self._standing.items()]

    def push(self, unit: str, current: float, total: float | None) -> LiveCounter:
        """Add an innermost counter."""
        counter = LiveCounter(unit, current, total)
        with self._lock:
            self._counters.append(counter)
        return counter

    def pop(self, counter: LiveCounter) -> None:
        """Take a counter away; a phase's outermost one is recorded first, so that its last state is not lost."""
        with self._lock:
            outside = self._phases[-1][1] if self._phases else 0
            if self._counters[outside : outside + 1] == [counter]:
                self._flush_counters()
            if counter in self._counters:
                self._counters.remove(counter)

    def track(self, iterable: Iterable[T], unit: str, start: float, total: float | None) -> Iterator[T]:
        """Count an iterable's items, as the innermost counter, as they are done."""
        counter = self.push(unit, start, total)
        counter.start = done = start
        self._loops += 1
        try:
            for item in iterable:
                yield item
                done += 1
                counter.current = done
        finally:
            self._items += done - start
            self.pop(counter)

    def close(self) -> None:
        """Stop sampling, record the last counters and close the spool."""
        self._stop.set()
        self._thread.join(timeout=5)
        with self._lock:
            self._flush_counters()
            self._tell_overhead(last=True)
            self._phases = []  # a loop that is garbage collected later has nothing to tell any more
        self._writer.close()

    def _sample_until_closed(self) -> None:
        if scratch := scratch_writer():
            self._overhead = Overhead(Reporter(scratch, samples=False), time.monotonic())
        while not self._stop.wait(SAMPLE_SECONDS):
            with self._lock:
                self._flush_counters()
                self._tell_overhead()
            self._writer.housekeep()

    def _tell_overhead(self, *, last: bool = False) -> None:
        if not self._overhead:
            return
        self._overhead.probe()
        live = sum(counter.current - counter.start for counter in self._counters if counter.start is not None)
        told = Told(self._writer.calls, self._loops, self._items + live)
        payload = self._overhead.report(told, time.monotonic(), last=last)
        if payload:
            self._writer.event(EventKind.OVERHEAD, payload)
            if payload["percent_of_step"] > BUDGET_PERCENT and not self._warned:
                self._warned = True
                self.say_log("warning", OVER_BUDGET.format(**payload))

    def _flush_counters(self) -> None:
        if not self._phases:
            return
        phase, outside = self._phases[-1]
        live = self._counters[outside:]
        for counter in live:
            if counter.follow:
                counter.follow()
        sample = (phase, [(c.unit, c.current, c.total) for c in live])
        if not sample[1] or sample == self._last_sample:
            return
        self._last_sample = sample
        counters = [{"unit": unit, "current": current, "total": total} for unit, current, total in sample[1]]
        self._standing[phase] = counters
        self._writer.event(EventKind.COUNTERS, {"phase": phase, "counters": counters})
