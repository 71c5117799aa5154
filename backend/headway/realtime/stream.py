"""Follows runs for Server-Sent Events and plain WebSockets: the newest snapshot at each change, until the run is over.

Pushes only wake a reader; what is sent is read from Postgres, at least once a second, so that it is the same truth with
Redis away. One reader serves all who follow a run; a client that is slow skips snapshots and sees the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from headway.errors import HeadwayError, NotFoundError, UnavailableError
from headway.realtime.connections import cut

READ_EVERY_SECONDS = 1.0
QUIET_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
SEND_SECONDS = 10.0
LARGEST_MESSAGE_BYTES = 1024
_SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """A run at one revision as JSON on one line; after the `final` one nothing changes any more."""

    revision: int
    text: str
    final: bool


#: Reads a run as it stands. Raises NotFoundError, UnavailableError.
FrameReader = Callable[[str], Awaitable[Frame]]


@dataclass(slots=True)
class _Watched:
    frame: Frame
    followers: int = 0
    over: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None


class RunStreams:
    """The streams of one instance, at most `most` at once."""

    def __init__(self, read: FrameReader, most: int) -> None:
        self._read = read
        self._most = most
        self._watched: dict[str, _Watched] = {}
        self._clients: dict[int, tuple[web.Request, str | None]] = {}

    def wake(self, channel: str) -> None:
        """Something was pushed on a channel: read its run now."""
        prefix, _, rest = channel.partition("/")
        run_id, _, event_type = rest.partition("/")
        watched = self._watched.get(run_id) if (prefix, event_type) == ("jobs", "progress") else None
        if watched is not None:
            watched.woken.set()

    async def send_events(
        self, request: web.Request, run_id: str, after: int, token_id: str | None
    ) -> web.StreamResponse:
        """Server-Sent Events newer than revision `after`; 204 when there will be none, so that a browser stops asking.

        Raises NotFoundError, UnavailableError.
        """
        async with self._client(request, token_id), self._watching(run_id) as watched:
            if watched.frame.final and after == watched.frame.revision:
                return web.Response(status=204)
            response = web.StreamResponse(headers=_SSE_HEADERS)
            await response.prepare(request)
            if request.method != "HEAD":
                await _send_events(request, response, watched, after)
            return response

    async def send_messages(self, request: web.Request, run_id: str, token_id: str | None) -> web.StreamResponse:
        """A WebSocket that carries the run at each change. Raises NotFoundError, UnavailableError."""
        async with self._client(request, token_id), self._watching(run_id) as watched:
            socket = web.WebSocketResponse(
                heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=LARGEST_MESSAGE_BYTES
            )
            await socket.prepare(request)
            sending = asyncio.create_task(_send_messages(request, socket, watched))
            try:
                async for _ in socket:
                    pass  # nothing is said here; this ends when the client leaves
            finally:
                sending.cancel()
            return socket

    def token_ids(self) -> set[str]:
        """The named tokens that clients came with."""
        return {token_id for _, token_id in self._clients.values() if token_id}

    def drop_token(self, token_id: str) -> None:
        """Cut off everybody who came with a token that holds no more."""
        for request, held in tuple(self._clients.values()):
            if held == token_id:
                cut(request)

    async def close(self) -> None:
        """End every stream; clients come back to another instance by themselves."""
        for watched in tuple(self._watched.values()):
            await _end(watched)

    @asynccontextmanager
    async def _client(self, request: web.Request, token_id: str | None) -> AsyncIterator[None]:
        if len(self._clients) >= self._most:
            raise UnavailableError("Too many streams are open (HEADWAY_MAX_CLIENTS); poll meanwhile.")
        self._clients[id(request)] = request, token_id
        try:
            yield
        finally:
            del self._clients[id(request)]

    @asynccontextmanager
    async def _watching(self, run_id: str) -> AsyncIterator[_Watched]:
        frame = await self._read(run_id)
        watched = self._watched.get(run_id)
        if watched is None or watched.over:
            watched = self._watched[run_id] = _Watched(frame, over=frame.final)
        if watched.task is None and not watched.over:
            watched.task = asyncio.create_task(self._keep_reading(run_id, watched))
        watched.followers += 1
        try:
            yield watched
        finally:
            watched.followers -= 1
            if not watched.followers:
                if watched.task is not None:
                    watched.task.cancel()
                if self._watched.get(run_id) is watched:
                    del self._watched[run_id]

    async def _keep_reading(self, run_id: str, watched: _Watched) -> None:
        try:
            while not watched.frame.final:
                watched.woken.clear()
                await self._take_newest(run_id, watched)
                with suppress(TimeoutError):
                    async with asyncio.timeout(READ_EVERY_SECONDS):
                        await watched.woken.wait()
        except NotFoundError:
            log.info("a run was deleted while it was followed", run_id=run_id)
        finally:
            await _end(watched)

    async def _take_newest(self, run_id: str, watched: _Watched) -> None:
        try:
            frame = await self._read(run_id)
        except NotFoundError:
            raise
        except HeadwayError:
            return  # Postgres is away or the server is busy: what was told stays true, and the next read comes
        if frame.revision > watched.frame.revision:
            async with watched.changed:
                watched.frame = frame
                watched.changed.notify_all()


async def _frames(watched: _Watched, after: int) -> AsyncIterator[Frame | None]:
    """Each frame newer than `after` that is still the newest when asked for; None for every quiet second."""
    if after > watched.frame.revision:
        after = -1  # an id of something else: begin anew
    while True:
        if watched.frame.revision > after:
            frame = watched.frame
            after = frame.revision
            yield frame
            continue
        if watched.over:
            return
        try:
            async with asyncio.timeout(QUIET_SECONDS), watched.changed:
                while watched.frame.revision <= after and not watched.over:
                    await watched.changed.wait()
        except TimeoutError:
            yield None


async def _send_events(request: web.Request, response: web.StreamResponse, watched: _Watched, after: int) -> None:
    clock = asyncio.get_running_loop().time
    with _leaving_the_slow(request):
        await _in_time(response.write(b"retry: 1000\n\n"))
        said = clock()
        async for frame in _frames(watched, after):
            if request.transport is None:
                return  # the client left
            if frame or clock() - said >= HEARTBEAT_SECONDS:
                event = f"id: {frame.revision}\ndata: {frame.text}\n\n" if frame else ": still here\n\n"
                await _in_time(response.write(event.encode()))
                said = clock()


async def _send_messages(request: web.Request, socket: web.WebSocketResponse, watched: _Watched) -> None:
    with _leaving_the_slow(request):
        async for frame in _frames(watched, after=-1):
            if frame:
                await _in_time(socket.send_str(frame.text))
        await _in_time(socket.close())


@contextmanager
def _leaving_the_slow(request: web.Request) -> Iterator[None]:
    """A client that takes nothing for SEND_SECONDS is cut off; one that is gone is gone."""
    try:
        yield
    except TimeoutError:
        cut(request)
    except ConnectionResetError:
        pass


async def _end(watched: _Watched) -> None:
    async with watched.changed:
        watched.over = True
        watched.changed.notify_all()


async def _in_time(sending: Awaitable[object]) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await sending
