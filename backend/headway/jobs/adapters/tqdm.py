"""A tqdm whose bars are counters of the job: `tqdm = job_tqdm(job)`, and every loop stays as it is."""

# pyright: standard
# tqdm has no types.

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tqdm.std import tqdm

from headway.jobs.adapters.counting import log_numbers
from headway.jobs.context import JobContext
from headway.jobs.reporter import LiveCounter

TQDM_UNIT, UNIT = "it", "item"


def job_tqdm(job: JobContext, *, metrics_from_step: int | None = None) -> type[tqdm]:
    """A drop-in class for tqdm: bars count in the job's current phase, nested as they are opened, and draw nothing.

    The unit of a bar is its counter's (`unit="epoch"`). With `metrics_from_step` the numbers given to `set_postfix` are
    logged as metrics; their step is that number (what a resumed run did before) plus the items of the innermost bars.
    Bars opened by other threads (parallel downloads) are not inside this one's and are left out.
    """
    return type("JobTqdm", (_JobTqdm,), {"nest": _Nest(job, metrics_from_step)})


class _Nest:
    """The bars that are open, outermost first, and how many items bars of each depth did."""

    def __init__(self, job: JobContext, first_step: int | None) -> None:
        self.job, self.first_step = job, first_step
        self.thread = threading.get_ident()
        self.open: list[_JobTqdm] = []
        self.done: list[float] = []

    def step(self) -> int:
        """Items done by the innermost bars, after `first_step`."""
        innermost = len(self.done) - 1
        running = sum(bar.n - bar.initial for bar in self.open if bar.depth == innermost)
        return int((self.first_step or 0) + self.done[-1] + running)


class _JobTqdm(tqdm):
    nest: _Nest
    monitor_interval = 0  # its thread would only redraw

    def __init__(self, *args: Any, disable: bool | None = False, **kwargs: Any) -> None:
        self._opened: ExitStack | None = None
        self._counter = LiveCounter(UNIT, 0, None)
        # None means "off where there is no terminal"; what a job counts is wanted there too
        super().__init__(*args, disable=bool(disable), **kwargs | {"gui": True})
        if not self.disable and threading.get_ident() == self.nest.thread:
            self._open()

    def _open(self) -> None:
        unit = UNIT if self.unit == TQDM_UNIT else self.unit.strip() or UNIT
        self._opened = ExitStack()
        self._counter = self._opened.enter_context(
            self.nest.job.count(unit=unit, total=self.total or None, start=self.n)
        )
        self.depth = len(self.nest.open)
        self.nest.open.append(self)
        if self.depth == len(self.nest.done):
            self.nest.done.append(0)

    def __iter__(self) -> Iterator[Any]:
        if self.disable:
            yield from self.iterable
            return
        counter = self._counter
        try:
            for item in self.iterable:
                yield item
                self.n += 1
                counter.current = self.n
        finally:
            self.close()

    def update(self, n: float | None = 1) -> None:
        """Count `n` more items."""
        if not self.disable:
            self.n += n or 0
            self._counter.current = self.n

    def refresh(self, *_: Any, **__: Any) -> None:
        """Take over `n` and `total` where they were set by hand."""
        self._counter.current, self._counter.total = self.n, self.total or None

    def reset(self, total: float | None = None) -> None:
        """Begin again, perhaps with another total."""
        self._account()
        super().reset(total)
        self.initial = 0
        self.refresh()

    def set_postfix(self, ordered_dict: Any = None, refresh: bool | None = True, **kwargs: Any) -> None:
        """Keep the text as tqdm does; log the numbers if the class was made to."""
        super().set_postfix(ordered_dict, refresh, **kwargs)
        if self._opened and self.nest.first_step is not None:
            log_numbers(self.nest.job, self.nest.step(), dict(ordered_dict or {}) | kwargs)

    def close(self) -> None:
        """Take the counter away."""
        self._account()
        if self._opened:
            self.nest.open.remove(self)
            self._opened.close()
            self._opened = None
        super().close()

    def _account(self) -> None:
        """Add what this bar did to what bars of its depth did."""
        if self._opened:
            self._counter.current = self.n
            self.nest.done[self.depth] += self.n - self.initial

    def display(self, *_: Any, **__: Any) -> None:
        """Draw nothing: the job's page shows it."""

    def clear(self, *_: Any, **__: Any) -> None:
        """Nothing was drawn."""
