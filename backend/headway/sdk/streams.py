"""What can be followed, and how it is told whole: each stream keeps a cursor of its own and knows when it is behind.

A stream is told snapshots and pushes; what it gives back is new, in order, and given once. When it is `behind`, `read`
brings the missing part over HTTP. `Reset` says that what was told before no longer holds: drop it, all of it follows.
Twin of frontend/src/lib/live/streams.ts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from headway.domain.states import TERMINAL
from headway.errors import NotFoundError

MOST_JOBS = 5000

Json = dict[str, Any]
#: Reads over HTTP: the path below /api/v1, and its query.
Get = Callable[..., Awaitable[Any]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reset:
    """What was told before no longer holds, because of `why`; what holds follows."""

    why: str


SERVER_BEHIND = Reset("the server is behind what was told")


class Stream(ABC, Generic[T]):
    """Told by `channels`; `over` once nothing more can come, `behind` while a part is missing."""

    channels: tuple[str, ...] = ()
    over = False
    behind = False

    def revision(self, channel: str) -> int | None:
        """What is held of a channel, for the server to see whether that is ahead of it."""
        return None

    @abstractmethod
    def snapshot(self, channel: str, data: Any, reset: bool) -> Iterable[T]:
        """A channel's snapshot; `reset` says that the server has less than what is held."""

    @abstractmethod
    def push(self, channel: str, payload: Json) -> Iterable[T]:
        """A push of a channel."""

    @abstractmethod
    def read(self, get: Get, polled: bool) -> AsyncIterator[T]:
        """The missing part over HTTP; `behind` is false after it. Raises HeadwayError.

        `polled`: there are no pushes, so what they would tell is asked for too.
        """


class JobStream(Stream["Json | Reset"]):
    """A job's progress: only newer revisions, and the final one always."""

    def __init__(self, job_id: str, held: int | None = None) -> None:
        self._path = job_path(job_id)
        self._held = held
        self.channels = (f"jobs/{job_id}/progress",)

    def revision(self, channel: str) -> int | None:
        return self._held

    def snapshot(self, channel: str, data: Any, reset: bool) -> Iterable[Json | Reset]:
        return [*self._reset(reset), *self._newer(data)]

    def push(self, channel: str, payload: Json) -> Iterable[Json | Reset]:
        return self._newer(payload["job"])

    async def read(self, get: Get, polled: bool) -> AsyncIterator[Json | Reset]:
        held = self._held
        job = await get(self._path)
        # asked after what is held was told: only a history that is gone can be older
        for told in [*self._reset(held is not None and job["revision"] < held), *self._newer(job)]:
            yield told

    def _reset(self, gone: bool) -> Iterable[Reset]:
        if gone:
            self._held = None
            return [SERVER_BEHIND]
        return []

    def _newer(self, job: Json) -> Iterable[Json]:
        if self._held is not None and job["revision"] <= self._held:
            self.over = self.over or (job["revision"] == self._held and job["state"] in TERMINAL)
            return []
        self._held = job["revision"]
        self.over = job["state"] in TERMINAL
        return [job]


class JobsStream(Stream["Json | Reset"]):
    """Every change of every job, as the Operations page shows them; each job only forward. It has no end."""

    channels = ("operations",)

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, bool]] = {}
        self._missed: list[str] = []

    def snapshot(self, channel: str, data: Any, reset: bool) -> Iterable[Json | Reset]:
        return self._all(data["items"])

    def push(self, channel: str, payload: Json) -> Iterable[Json | Reset]:
        return self._newer(payload["job"]) if "job" in payload else []

    async def read(self, get: Get, polled: bool) -> AsyncIterator[Json | Reset]:
        for job in self._all((await get("/operations"))["active"]):
            yield job
        while self._missed:
            for job in await _one_if_there(get, self._missed[-1]):
                for told in self._newer(job):
                    yield told
            self._held.pop(self._missed.pop(), None)
        self.behind = False

    def _all(self, jobs: Sequence[Json]) -> list[Json]:
        told = [each for job in jobs for each in self._newer(job)]
        there = {job["id"] for job in jobs}
        # what was under way and is no longer shown ended meanwhile: its final state is asked for
        self._missed = [job_id for job_id, (_, final) in self._held.items() if not final and job_id not in there]
        self.behind = bool(self._missed)
        return told

    def _newer(self, job: Json) -> Iterable[Json]:
        held = self._held.get(job["id"])
        if held is not None and job["revision"] <= held[0]:
            return []
        if len(self._held) >= MOST_JOBS:
            self._held = {job_id: each for job_id, each in self._held.items() if not each[1]}
        self._held[job["id"]] = job["revision"], job["state"] in TERMINAL
        return [job]


def job_path(job_id: str) -> str:
    """Where a job is, below /api/v1."""
    return f"/jobs/{quote(job_id, safe='')}"


async def _one_if_there(get: Get, job_id: str) -> list[Json]:
    try:
        return [await get(job_path(job_id))]
    except NotFoundError:
        return []
