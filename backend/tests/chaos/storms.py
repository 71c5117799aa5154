"""What is done to an installation, and what must hold afterwards. Seeded; used in a short form by `make test` too."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from headway.services.read_metrics import MetricsQuery, read_metrics
from tests.installation import Installation, wait_until

TERMINAL = ("completed", "failed", "cancelled")


@dataclass
class Storm:
    """Kills at random, seeded, until stopped; counts what it killed."""

    installation: Installation
    seed: int
    every_seconds: tuple[float, float]
    killed: dict[str, int] = field(default_factory=dict)

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
                self._kill_worker(2 if victim == "reaper" else self._random.randrange(2))
            self.killed[victim] = self.killed.get(victim, 0) + 1

    def _kill_job(self) -> None:
        statement = "SELECT process_group FROM attempts WHERE ended_at IS NULL AND process_group IS NOT NULL"
        groups = [group for (group,) in self.installation.query(statement)]
        if groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._random.choice(groups), signal.SIGKILL)

    def _kill_worker(self, index: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.installation.kill_worker(self._workers[index])
        self._workers[index] = self._start(self._queues[index])


def effective_curve(installation: Installation, job_id: str, name: str = "m0") -> dict[int, float | None]:
    """Values by step of the curve that clients see."""
    series = read_metrics(installation.engine, job_id, MetricsQuery(names=name, max_points=100_000)).series[0]
    assert len(set(series.steps)) == len(series.steps), "a step stands twice in the effective curve"
    return dict(zip(series.steps, series.values, strict=True))


def recoveries_seconds(installation: Installation) -> list[float]:
    """Seconds from the end of each lost attempt's life (its last sign) to the start of the next one."""
    rows = installation.query(
        "SELECT extract(epoch FROM next.started_at - lost.seen_at)::float8 FROM ("
        "  SELECT a.job_id, a.number, greatest(a.started_at, coalesce(max(h.at), a.started_at)) AS seen_at"
        "  FROM attempts a LEFT JOIN progress_history h ON h.job_id = a.job_id AND h.attempt = a.number"
        "  WHERE a.outcome = 'lost' GROUP BY a.job_id, a.number, a.started_at) AS lost "
        "JOIN attempts next ON next.job_id = lost.job_id AND next.number = lost.number + 1"
    )
    return sorted(float(seconds) for (seconds,) in rows)


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
