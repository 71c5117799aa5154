"""What is done to an installation, and what must hold afterwards. Seeded; used in a short form by `make test` too."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from headway.services.read_metrics import MetricsQuery, read_metrics
from tests.installation import Installation, wait_until

TERMINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Kill:
    """What was killed and when (Unix seconds), with the attempts (job, number) that ended by it."""

    what: str
    at: float
    attempts: frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Recovery:
    """Seconds from a kill on: until it was noticed, until a slot took the job, until the new process said something."""

    what: str
    noticed: float
    claimed: float
    told: float


@dataclass
class Storm:
    """Kills at random, seeded, until stopped; notes what it killed."""

    installation: Installation
    seed: int
    every_seconds: tuple[float, float]
    kills: list[Kill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._stop = threading.Event()
        self._queues = ["gpu,cpu,io", "gpu,cpu,io", "system"]
        self._workers = [self._start(queues) for queues in self._queues]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _start(self, queues: str) -> subprocess.Popen[bytes]:
        return self.installation.start_worker(queues, beat=queues == "system")

    @contextmanager
    def raging(self) -> Iterator[None]:
        """Kill for as long as the block lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(*self.every_seconds)):
            victim = self._random.choice(("job", "job", "worker", "reaper"))
            if victim == "job":
                self._kill_job()
            else:
                self._kill_worker(victim, 2 if victim == "reaper" else self._random.randrange(2))

    @property
    def killed(self) -> dict[str, int]:
        """How many of what."""
        return dict(Counter(kill.what for kill in self.kills))

    def _kill_job(self) -> None:
        statement = (
            "SELECT process_group, job_id, number FROM attempts WHERE ended_at IS NULL AND process_group IS NOT NULL"
        )
        running = self.installation.query(statement)
        if running:
            group, *attempt = self._random.choice(running)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            self._note("job", [attempt])

    def _kill_worker(self, what: str, index: int) -> None:
        worker = self._workers[index]
        statement = "SELECT j.id, j.attempt FROM jobs j JOIN workers w ON w.id = j.lease_owner WHERE w.pid = %s"
        held = self.installation.query(statement, worker.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            self.installation.kill_worker(worker)
        self._note(what, held)
        self._workers[index] = self._start(self._queues[index])

    def _note(self, what: str, attempts: Iterable[Sequence[Any]]) -> None:
        self.kills.append(Kill(what, time.time(), frozenset((str(job), int(number)) for job, number in attempts)))

    def recoveries(self) -> list[Recovery]:
        """How each attempt that a kill ended was followed by the next."""
        rows = self.installation.query(_FOLLOWED)
        followed = {(job, number): times for job, number, *times in rows}
        return [
            Recovery(kill.what, *(float(moment) - kill.at for moment in followed[attempt]))
            for kill in self.kills
            for attempt in kill.attempts
            if attempt in followed
        ]


def effective_curve(installation: Installation, job_id: str, name: str = "m0") -> dict[int, float | None]:
    """Values by step of the curve that clients see."""
    series = read_metrics(installation.engine, job_id, MetricsQuery(names=name, max_points=100_000)).series[0]
    assert len(set(series.steps)) == len(series.steps), "a step stands twice in the effective curve"
    return dict(zip(series.steps, series.values, strict=True))


#: Of each lost attempt whose successor lived to say something: when its loss was noticed, when the next was claimed,
#: and when that first spoke.
_FOLLOWED = """
SELECT lost.job_id, lost.number,
       extract(epoch FROM lost.ended_at)::float8, extract(epoch FROM next.started_at)::float8,
       extract(epoch FROM (SELECT min(h.at) FROM progress_history h
                           WHERE h.job_id = next.job_id AND h.attempt = next.number))::float8
FROM attempts lost JOIN attempts next ON next.job_id = lost.job_id AND next.number = lost.number + 1
WHERE lost.outcome = 'lost'
  AND EXISTS (SELECT 1 FROM progress_history h WHERE h.job_id = next.job_id AND h.attempt = next.number)
"""


def quantile(values: Iterable[float], q: float) -> float:
    """The value below which the share `q` lies."""
    ordered = sorted(values)
    return ordered[int(len(ordered) * q)] if ordered else 0.0


def orphans(installation: Installation) -> list[int]:
    """Job processes of this installation that still live."""
    folder = str(installation.settings.headway_data_dir)
    found: list[int] = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if "headway.jobs.process" in command and folder in command[-1] and process.info["status"] != "zombie":
            found.append(process.pid)
    return found


def until_all_over(installation: Installation, jobs: list[str], timeout: float) -> list[Any]:
    """The jobs once every one is over."""
    over: dict[str, Any] = {}

    def all_over() -> bool:
        for job_id in jobs:
            if job_id not in over and (job := installation.job(job_id)).state in TERMINAL:
                over[job_id] = job
        return len(over) == len(jobs)

    wait_until(all_over, timeout, "the end of all jobs", every=0.25)
    return [over[job_id] for job_id in jobs]
