"""Who is asked when a job will be done: Headway's estimator, tqdm's and rich's own code on a fake clock, and a line."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from typing import Protocol
from unittest import mock

import tqdm.std
from rich.console import Console
from rich.progress import Progress

from headway.domain import eta
from headway.domain.progress import Snapshot

Guess = tuple[float | None, float | None, float | None]


class Peer(Protocol):
    """Takes each event as it comes, and is asked at moments for the seconds left, with a band if it has one."""

    def take(self, at: float, snapshot: Snapshot) -> None: ...

    def left(self, at: float) -> Guess: ...


class Ours:
    """Headway's estimator, as a supervisor folds it."""

    def __init__(self, typical: Mapping[str, eta.Typical]) -> None:
        self._forecaster = eta.Forecaster(typical=typical)
        self._snapshot = Snapshot()
        self.costs: list[float] = []
        self._observing = 0.0

    def take(self, at: float, snapshot: Snapshot) -> None:
        began = time.thread_time()
        self._forecaster = eta.observe(self._forecaster, snapshot, at)
        self._observing = time.thread_time() - began
        self._snapshot = snapshot

    def left(self, at: float) -> Guess:
        began = time.thread_time()
        found = eta.estimate(self._forecaster, self._snapshot, at)
        self.costs.append(self._observing + time.thread_time() - began)
        return found.seconds, found.low, found.high

    def runs(self) -> Mapping[str, eta.PhaseRun]:
        return eta.runs(self._forecaster, self._snapshot)


class Naive:
    """Elapsed time over the share done."""

    def __init__(self) -> None:
        self._done = 0.0

    def take(self, at: float, snapshot: Snapshot) -> None:
        self._done = share_done(snapshot)

    def left(self, at: float) -> Guess:
        return (at * (1 - self._done) / self._done if self._done > 0 else None), None, None


class Tqdm:
    """tqdm's own moving average over the same share, on a fake clock."""

    def __init__(self) -> None:
        self._now = 0.0
        with mock.patch.object(tqdm.std, "time", new=self._clock):
            self._bar = tqdm.std.tqdm(total=1.0, file=io.StringIO(), miniters=0, mininterval=0.1)

    def _clock(self) -> float:
        return self._now

    def take(self, at: float, snapshot: Snapshot) -> None:
        self._now = at
        self._bar.update(share_done(snapshot) - self._bar.n)

    def left(self, at: float) -> Guess:
        self._now = at
        figures = self._bar.format_dict
        rate = figures["rate"] or (figures["n"] / figures["elapsed"] if figures["elapsed"] else None)
        return ((1.0 - figures["n"]) / rate if rate else None), None, None


class Rich:
    """rich's own speed estimate (30 s by default) over the same share, on a fake clock."""

    def __init__(self) -> None:
        self._now = 0.0
        self._progress = Progress(console=Console(file=io.StringIO()), auto_refresh=False, get_time=lambda: self._now)
        self._task = self._progress.add_task("", total=1.0)

    def take(self, at: float, snapshot: Snapshot) -> None:
        self._now = at
        self._progress.update(self._task, completed=share_done(snapshot))

    def left(self, at: float) -> Guess:
        self._now = at
        task = self._progress.tasks[0]
        return (task.remaining / task.speed if task.speed and task.remaining else None), None, None


class Told:
    """Told beforehand how long each phase of this very job takes, and takes its pace for even.

    No forecaster can know that: where this one is wrong, the job itself is not even enough for anyone to be right.
    """

    def __init__(self, runs: Mapping[str, eta.PhaseRun]) -> None:
        self._runs = runs
        self._snapshot = Snapshot()

    def take(self, at: float, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def left(self, at: float) -> Guess:
        known = [
            (self._runs[phase.spec.name], phase) for phase in self._snapshot.phases if phase.spec.name in self._runs
        ]
        return sum(run.seconds * min(1.0, (1 - phase.fraction) / run.part) for run, phase in known), None, None


def share_done(snapshot: Snapshot) -> float:
    """The percent, not rounded: what a single bar over the whole job is fed."""
    return sum(phase.weight * phase.fraction for phase in snapshot.phases)


PEERS: dict[str, Callable[[], Peer]] = {"tqdm": Tqdm, "rich": Rich, "linear": Naive}
