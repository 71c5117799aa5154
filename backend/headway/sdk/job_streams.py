"""Streams of one job: its log lines, its events, its metric points. Each ends with the job, and is then whole.

Twin of frontend/src/lib/live/jobStreams.ts.
"""

from __future__ import annotations

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
        self.channels = (*own, self._progress)

    def revision(self, channel: str) -> int | None:
        return self._job_revision if channel == self._progress else self._own_revision()

    def snapshot(self, channel: str, data: Any, reset: bool) -> Iterable[T | Reset]:
        told = self._go_back() if reset else []
        if channel == self._progress:
            self._job_revision = None if reset else self._job_revision
            self._look_at(data)
        else:
            self.behind = self._is_behind(data) or self.behind
        return told

    def push(self, channel: str, payload: Json) -> Iterable[T | Reset]:
        if channel == self._progress:
            self._look_at(payload["job"])
            return []
        return self._take(payload)

    async def read(self, get: Get) -> AsyncIterator[T | Reset]:
        # asked before the last part is read, so that nothing can come after it
        job = await get(self._path)
        async for told in self._catch_up(get):
            yield told
        self.behind = False
        self.over = job["state"] in TERMINAL

    def _look_at(self, job: Json) -> None:
        self._job_revision = max(self._job_revision or 0, job["revision"])
        self.behind = self.behind or job["state"] in TERMINAL

    def _own_revision(self) -> int | None:
        return None

    def _is_behind(self, data: Any) -> bool:
        return False

    def _take(self, payload: Json) -> Iterable[T | Reset]:
        return []

    def _go_back(self) -> Iterable[Reset]:
        raise NotImplementedError

    def _catch_up(self, get: Get) -> AsyncIterator[T | Reset]:
        raise NotImplementedError


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
            if items and items[0]["no"] > self._after + 1:
                yield Reset(f"what came before number {items[0]['no']} is kept no longer")
            for item in self._new(items):
                yield item

    def _new(self, items: Sequence[Json]) -> list[Json]:
        new = [item for item in items if item["no"] > self._after]
        self._after = new[-1]["no"] if new else self._after
        return new

    def _go_back(self) -> Iterable[Reset]:
        self._after, self.behind = 0, True
        return [SERVER_BEHIND]


class LogStream(_Numbered):
    """A job's log lines after number `after`, complete and in order, to the job's end."""

    def __init__(self, job_id: str, after: int = 0) -> None:
        super().__init__(job_id, "logs", f"jobs/{job_id}/logs", after=after)

    def _own_revision(self) -> int | None:
        return self._after

    def _is_behind(self, data: Any) -> bool:
        return data["next"] > self._after

    def _take(self, payload: Json) -> Iterable[Json | Reset]:
        items = payload["items"]
        if items and items[0]["no"] > self._after + 1:
            self.behind = True
            return []
        return self._new(items)


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

    def _is_behind(self, data: Any) -> bool:
        newest, place = _newest(data["cursor"])
        return newest > self._attempt or place > self._place

    def _take(self, payload: Json) -> Iterable[Points | Reset]:
        attempt = payload["attempt"]
        if attempt < self._attempt or (attempt == self._attempt and payload["to"] <= self._place):
            return []
        if attempt > self._attempt or payload["from"] > self._place or payload["reset"]:
            self.behind = True
            return []
        self._place = payload["to"]
        return self._points(payload["points"])

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
