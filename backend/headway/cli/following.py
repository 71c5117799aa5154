"""Following jobs to their end: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live

from headway.cli.show import live_table, plain_line
from headway.errors import UnavailableError

Json = dict[str, Any]

FINAL_STATES = ("completed", "failed", "cancelled")
POLL_SECONDS = 0.5
PLAIN_SECONDS = 5.0
PATIENCE_SECONDS = 60.0


def follow(read: Callable[[], Sequence[Json]], console: Console) -> Sequence[Json]:
    """Show what `read` gives until all of it has ended, or waits for something that failed; the last reading.

    The API may be away for a minute, as during its restart; then UnavailableError is raised.
    """
    jobs = read()
    if not console.is_terminal:
        return _follow_plainly(read, jobs, console)
    with Live(live_table(jobs), console=console, refresh_per_second=8) as live:
        while not ended(jobs):
            time.sleep(POLL_SECONDS)
            jobs = _patiently(read)
            live.update(live_table(jobs))
    return jobs


def ended(jobs: Sequence[Json]) -> bool:
    """Whether nothing moves any more: each job has ended, or waits while another has failed or was cancelled."""
    lost = any(job["state"] in ("failed", "cancelled") for job in jobs)
    return all(job["state"] in FINAL_STATES or (lost and job["state"] == "waiting") for job in jobs)


def exit_code(jobs: Sequence[Json]) -> int:
    """0 when all completed, 1 when one failed, 3 when one was cancelled."""
    states = {job["state"] for job in jobs}
    return 1 if "failed" in states else 3 if "cancelled" in states else 0


def _follow_plainly(read: Callable[[], Sequence[Json]], jobs: Sequence[Json], console: Console) -> Sequence[Json]:
    said: dict[str, tuple[object, ...]] = {}
    while True:
        for job in jobs:
            due = job["state"], job["phase"], int(time.monotonic() / PLAIN_SECONDS) if job["state"] == "running" else 0
            if said.get(job["id"]) != due and job["state"] != "waiting":
                said[job["id"]] = due
                console.print(plain_line(job), markup=False, highlight=False, soft_wrap=True)
        if ended(jobs):
            return jobs
        time.sleep(POLL_SECONDS)
        jobs = _patiently(read)


def _patiently(read: Callable[[], Sequence[Json]]) -> Sequence[Json]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return read()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
