"""Streams of one job: its log lines, its events, its metric points. Each ends with the job, and is then whole.

Twin of frontend/src/lib/live/jobStreams.ts.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from headway.domain.states import TERMINAL
from headway.sdk.streams import SERVER_BEHIND, Get, Json, Reset, Stream, job_path

PAGE = 500
MOST_POINTS = 100_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Points:
    """New points of an attempt: `{name, steps, values}` a series; a value that is not finite is None."""

    attempt: int
    series: Sequence[Json]


class _OfJob(Stream[T | Reset]):
    """A stream that ends with its job: the progress channel says when, and the rest is then read."""

    def __init__(self, job_id: str, *own: str) -> None:
        self._path = job_path(job_id)
        self._progress = f"jobs/{job_id}/progress"
        self._job_revision: int | None = None
        self._ended = False
        self.channels = (*own, self._progress)

    def revision(self, channel: str) -> int | None:
        return self._job_revision if channel == self._progress else self._own_revision()

    def snapshot(self, channel: str, data: Any, reset: bool) -> Iterable[T | Reset]:
        told = list(self._go_back()) if reset else []
        if channel != self._progress:
            return [*told, *self._hold(data)]
        if reset:
            self._job_revision, self._ended = None, False
        self._look_at(data)
        return told

    def push(self, channel: str, payload: Json) -> Iterable[T | Reset]:
        if channel == self._progress:
            self._look_at(payload["job"])
            return []
        return self._take(payload)

    async def read(self, get: Get, polled: bool) -> AsyncIterator[T | Reset]:
        # known before the last part is read, so that nothing can come after it
        if polled:
            self._look_at(await get(self._path))
        async for told in self._catch_up(get):
            yield told
        self.behind = False
        self.over = self._ended

    def _look_at(self, job: Json) -> None:
        self._job_revision = max(self._job_revision or 0, job["revision"])
        self._ended = self._ended or job["state"] in TERMINAL
        self.behind = self.behind or self._ended

    def _own_revision(self) -> int | None:
        return None

    def _hold(self, data: Any) -> Iterable[T | Reset]:
        return []

    def _take(self, payload: Json) -> Iterable[T | Reset]:
        return []

    @abstractmethod
    def _go_back(self) -> Iterable[Reset]: ...

    @abstractmethod
    def _catch_up(self, get: Get) -> AsyncIterator[T | Reset]: ...


class _Numbered(_OfJob[Json]):
    """Things numbered on their job from 1 without gaps."""

    def __init__(self, job_id: str, what: str, *own: str, after: int = 0) -> None:
        super().__init__(job_id, *own)
        self._items = f"{self._path}/{what}"
        self._after = after

    async def _catch_up(self, get: Get) -> AsyncIterator[Json | Reset]:
        full = True
        while full:
            items = (await get(self._items, after=self._after, limit=PAGE))["items"]
            full = len(items) >= PAGE
            for told in self._read_on(items):
                yield told

    def _read_on(self, items: Sequence[Json]) -> list[Json | Reset]:
        """Items as they are kept, from what is held or from before that."""
        gone = bool(items) and items[0]["no"] > self._after + 1
        lost = [Reset(f"what came before number {items[0]['no']} is kept no longer")] if gone else []
        return [*lost, *self._new(items)]

    def _new(self, items: Sequence[Json]) -> list[Json]:
        new = [item for item in items if item["no"] > self._after]
        self._after = new[-1]["no"] if new else self._after
        return new

    def _go_back(self) -> Iterable[Reset]:
        self._after, self.behind = 0, True
        return [SERVER_BEHIND]


class LogStream(_Numbered):
    """A job's log lines after number `after`, complete and in order, to the job's end.

    With `most`, only the newest are told where more are missing; a Reset comes before them.
    """

    def __init__(self, job_id: str, after: int = 0, most: int | None = None) -> None:
        super().__init__(job_id, "logs", f"jobs/{job_id}/logs", after=after)
        self._most = most

    def _own_revision(self) -> int | None:
        return self._after

    def _hold(self, data: Any) -> Iterable[Json | Reset]:
        joined = data["after"] <= self._after
        told = [*self._skip(data["next"]), *(self._read_on(data["items"]) if joined else [])]
        self.behind = self._ended or data["next"] > self._after
        return told

    def _take(self, payload: Json) -> Iterable[Json | Reset]:
        items = payload["items"]
        if items and items[0]["no"] > self._after + 1:
            self.behind = True
            return self._skip(items[-1]["no"])
        return self._new(items)

    async def _catch_up(self, get: Get) -> AsyncIterator[Json | Reset]:
        if self._most is not None and self._after == 0:
            for told in self._skip((await get(self._items, tail=1))["next"]):
                yield told
        async for told in super()._catch_up(get):
            yield told

    def _skip(self, newest: int) -> list[Json | Reset]:
        if self._most is None or newest - self._after <= self._most:
            return []
        told: list[Json | Reset] = [Reset(f"only the newest {self._most} lines are told")] if self._after else []
        self._after = newest - self._most
        return told


class EventStream(_Numbered):
    """What happened to a job after event `after`, complete and in order, to the job's end.

    Events are not pushed themselves: the job's progress tells how many there are.
    """

    def __init__(self, job_id: str, after: int = 0) -> None:
        super().__init__(job_id, "events", after=after)

    def _look_at(self, job: Json) -> None:
        super()._look_at(job)
        self.behind = self.behind or job["events_count"] > self._after


class MetricStream(_OfJob[Points]):
    """A job's metric points in the order they were logged, to the job's end.

    The cursor is a place in the attempt's spool. A new attempt takes steps back that the one before had told, so it
    begins with a Reset. A first reading or a gap of more than `most_points` comes as minimum and maximum of buckets.
    """

    def __init__(self, job_id: str, most_points: int = MOST_POINTS) -> None:
        super().__init__(job_id, f"jobs/{job_id}/metrics")
        self._most_points = most_points
        self._attempt = 0
        self._place = 0
        self._last: dict[str, int] = {}

    def _own_revision(self) -> int | None:
        return self._place

    def _hold(self, data: Any) -> Iterable[Points | Reset]:
        newest, place = _newest(data["cursor"])
        self.behind = self._ended or newest > self._attempt or place > self._place
        return []

    def _take(self, payload: Json) -> Iterable[Points | Reset]:
        attempt = payload["attempt"]
        if attempt < self._attempt or (attempt == self._attempt and payload["to"] <= self._place):
            return []
        if attempt > self._attempt or payload["from"] > self._place or payload["reset"]:
            self.behind = True
            return []
        # what was drained without being pushed may have been read already
        overlaps, points = payload["from"] < self._place, payload["points"]
        self._place = payload["to"]
        return self._points(_later(points, self._last) if overlaps else points)

    async def _catch_up(self, get: Get) -> AsyncIterator[Points | Reset]:
        # points logged later are at this step or beyond it
        start = max(self._last.values(), default=None)
        page = await get(f"{self._path}/metrics", from_step=start, max_points=self._most_points)
        newest, place = _newest(page["cursor"])
        if newest > self._attempt > 0:
            for reset in self._go_back(f"attempt {newest} began"):
                yield reset
            page = await get(f"{self._path}/metrics", max_points=self._most_points)
            newest, place = _newest(page["cursor"])
        self._attempt, self._place = newest, place
        for points in self._points(_later(page["series"], self._last)):
            yield points

    def _points(self, series: Sequence[Json]) -> list[Points]:
        told = [{"name": each["name"], "steps": each["steps"], "values": each["values"]} for each in series]
        told = [each for each in told if each["steps"]]
        for each in told:
            self._last[each["name"]] = max(each["steps"][-1], self._last.get(each["name"], each["steps"][-1]))
        return [Points(self._attempt, told)] if told else []

    def _go_back(self, why: str = SERVER_BEHIND.why) -> Iterable[Reset]:
        self._attempt, self._place, self._last, self.behind = 0, 0, {}, True
        return [Reset(why)]


def _later(series: Sequence[Json], last: Mapping[str, int]) -> list[Json]:
    """The points of each series beyond the last step that was told of it; steps ascend."""
    cut = [(each, bisect_right(each["steps"], last[each["name"]]) if each["name"] in last else 0) for each in series]
    return [{"name": e["name"], "steps": e["steps"][i:], "values": e["values"][i:]} for e, i in cut]


def _newest(cursor: Mapping[str, int]) -> tuple[int, int]:
    """The newest attempt of a cursor and its place; zeros before the first."""
    newest = max(map(int, cursor), default=0)
    return newest, cursor.get(str(newest), 0)
