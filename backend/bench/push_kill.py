"""Clients of a job's log at 10 lines a second while instances are killed: gaps, duplicates, time away.

A library: start instances, call `survive` with what shall happen meanwhile. The lines are committed and pushed by a
real drain in this process.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.push_clients import Load, clients
from headway.bootstrap import Runtime
from headway.services.claim_job import Claimant, claim_job, new_feed
from headway.services.drain import Drain
from headway.services.submit_job import JobRequest, submit_job
from headway.spool.records import EventKind
from headway.spool.writer import SpoolWriter
from headway.workers.output import read_output

SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Survival:
    """What came of it; `away_seconds` is sorted, one for each connection that was lost and came back."""

    lines: int
    gaps: int
    duplicates: int
    away_seconds: list[float]


class LineTeller:
    """A job whose only process is this one: so many lines a second from a thread, each committed and pushed."""

    def __init__(self, runtime: Runtime, per_second: float) -> None:
        claimant = Claimant("bench", "here", 3600.0)
        self.job_id = submit_job(runtime.engine, runtime.signals, JobRequest(kind="probe.work")).id
        row = claim_job(runtime.engine, runtime.signals, claimant, "cpu", self.job_id)
        if row is None:
            raise RuntimeError("a worker took the bench's job: let none take the queue cpu")
        self.lines = 0
        self._folder = tempfile.TemporaryDirectory(prefix="hwb-")
        folder = Path(self._folder.name)
        self._writer = SpoolWriter(folder / "spool")
        self._drain = Drain(runtime.engine, runtime.signals, new_feed(row, claimant), folder, read_output)
        self._pause = 1 / per_second
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; `lines` is then how many there are."""
        self._stopping.set()
        self._thread.join(10)
        self._folder.cleanup()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            self._writer.event(EventKind.LOG, {"level": "info", "text": f"line {self.lines + 1}"})
            self._drain.step()
            self.lines += 1


async def survive(
    runtime: Runtime,
    urls: Sequence[str],
    token: str,
    meanwhile: Callable[[], Awaitable[None]],
    *,
    count: int = 200,
    per_second: float = 10.0,
) -> Survival:
    """`count` clients follow a log while `meanwhile` goes on, then until all have all of it (or SETTLE_SECONDS)."""
    teller = LineTeller(runtime, per_second)
    async with clients(urls, token, f"jobs/{teller.job_id}/logs", count) as load:
        teller.start()
        await meanwhile()
        await asyncio.to_thread(teller.stop)
        await asyncio.to_thread(_settle, load, teller.lines)
    return Survival(teller.lines, load.gaps(teller.lines), load.duplicates(), sorted(load.away_seconds))


def _settle(load: Load, last: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and any(told[-1:] != [last] for told in load.lines):
        time.sleep(0.05)
