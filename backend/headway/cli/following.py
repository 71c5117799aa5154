"""Following jobs to their end: live lines on a terminal, plain lines elsewhere; pushed, and polled while cut off."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live as Screen

from headway.cli.client import Client
from headway.cli.lead import Lead
from headway.cli.show import live_table, plain_line
from headway.errors import HeadwayError, UnavailableError
from headway.sdk.job_streams import LogStream
from headway.sdk.live import Live
from headway.sdk.streams import JobStream, Reset

Json = dict[str, Any]

FINAL_STATES = ("completed", "failed", "cancelled")
POLL_SECONDS = 0.5
FRAME_SECONDS = 0.125
PLAIN_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
STOP_SECONDS = 5.0


def follow(client: Client, job_ids: Sequence[str], console: Console) -> list[Json]:
    """Show the jobs until all have ended, or wait for something that failed; as they stand then.

    The API may be away for a minute, as during its restart; then UnavailableError is raised.
    """
    with _feeding(client, job_ids) as feed:
        return _on_screen(feed, console) if console.is_terminal else _in_lines(feed, console)


def follow_log(client: Client, job_id: str, tell: Callable[[Json], None]) -> None:
    """Tell each line of a job's log, as soon as it is there, to the job's end.

    Raises NotFoundError, and UnavailableError as `follow` does.
    """
    client.job(job_id)  # whether there is one, and anybody to ask
    asyncio.run(_follow_log(client, job_id, tell))


def ended(jobs: Sequence[Json]) -> bool:
    """Whether nothing moves any more: each job has ended, or waits while another has failed or was cancelled."""
    lost = any(job["state"] in ("failed", "cancelled") for job in jobs)
    return all(job["state"] in FINAL_STATES or (lost and job["state"] == "waiting") for job in jobs)


def exit_code(jobs: Sequence[Json]) -> int:
    """0 when all completed, 1 when one failed, 3 when one was cancelled."""
    states = {job["state"] for job in jobs}
    return 1 if "failed" in states else 3 if "cancelled" in states else 0


class _Stopped(Exception):
    """Nobody looks any more."""


class Feed:
    """The newest of each job, kept by a thread that follows them."""

    def __init__(self, jobs: Sequence[Json]) -> None:
        self._jobs = {job["id"]: job for job in jobs}
        self._changed = threading.Event()
        self._error: HeadwayError | None = None
        self._stopped = False

    def jobs(self, patience: float) -> list[Json]:
        """The jobs after the next change, or after `patience` seconds. Raises what following them raised."""
        self._changed.wait(patience)
        self._changed.clear()
        if self._error is not None:
            raise self._error
        return list(self._jobs.values())

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._stopped = True

    async def run(self, client: Client) -> None:
        """Follow until stopped."""
        async with Live(client.url, client.token) as live:
            tasks = [asyncio.create_task(self._follow(live, job)) for job in self._jobs.values()]
            tasks.append(asyncio.create_task(_watch_over(live, lambda: self._stopped)))
            try:
                await asyncio.gather(*tasks)
            except _Stopped:
                pass
            except HeadwayError as error:
                self._error = error
                self._changed.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, live: Live, job: Json) -> None:
        async for told in live.follow(JobStream(job["id"], job["revision"])):
            if not isinstance(told, Reset):
                self._jobs[told["id"]] = told
                self._changed.set()


async def _follow_log(client: Client, job_id: str, tell: Callable[[Json], None]) -> None:
    async def read() -> None:
        async for told in live.follow(LogStream(job_id)):
            if not isinstance(told, Reset):
                tell(told)

    async with Live(client.url, client.token) as live:
        tasks = [asyncio.create_task(read()), asyncio.create_task(_watch_over(live, lambda: False))]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task in done:
            task.result()


async def _watch_over(live: Live, stopped: Callable[[], bool]) -> None:
    """Raises UnavailableError once nothing has answered for too long, _Stopped when told to stop."""
    seen = time.monotonic()
    while time.monotonic() - seen < PATIENCE_SECONDS:
        if live.mode != "offline":
            seen = time.monotonic()
        if stopped():
            raise _Stopped
        await asyncio.sleep(FRAME_SECONDS)
    raise UnavailableError(f"No Headway has answered at {live.url} for {PATIENCE_SECONDS:.0f} s.")


@contextmanager
def _feeding(client: Client, job_ids: Sequence[str]) -> Iterator[Feed]:
    feed = Feed([client.job(job_id) for job_id in job_ids])
    thread = threading.Thread(target=lambda: asyncio.run(feed.run(client)), name="headway-follow", daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop()
        thread.join(STOP_SECONDS)


def _on_screen(feed: Feed, console: Console) -> list[Json]:
    jobs = feed.jobs(0)
    leads = {job["id"]: Lead() for job in jobs}
    with Screen(live_table(jobs), console=console, auto_refresh=False) as screen:
        while True:
            now = time.monotonic()
            for job in jobs:
                leads[job["id"]].tell(job, now)
            screen.update(live_table(_as_of(job, leads[job["id"]], now) for job in jobs), refresh=True)
            if ended(jobs):
                return jobs
            time.sleep(FRAME_SECONDS)
            jobs = feed.jobs(0)


def _as_of(job: Json, lead: Lead, now: float) -> Json:
    return job | {"percent": lead.at(now), "data_age_seconds": lead.silent(now)}


def _in_lines(feed: Feed, console: Console) -> list[Json]:
    said: dict[str, tuple[object, ...]] = {}
    jobs = feed.jobs(0)
    leads = {job["id"]: Lead() for job in jobs}
    while True:
        now = time.monotonic()
        for job in jobs:
            lead = leads[job["id"]]
            lead.tell(job, now)
            due = job["state"], job["phase"], int(now / PLAIN_SECONDS) if job["state"] == "running" else 0
            if said.get(job["id"]) != due and job["state"] != "waiting":
                said[job["id"]] = due
                line = plain_line(job | {"data_age_seconds": lead.silent(now)})
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        if ended(jobs):
            return jobs
        jobs = feed.jobs(POLL_SECONDS)
