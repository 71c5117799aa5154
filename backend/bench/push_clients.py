"""Cheap load: clients that speak Socket.IO's text protocol on a bare aiohttp WebSocket, thousands in one process.

A message carries `at`, when it was sent by this machine's clock; lines of a log are checked for gaps and duplicates.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp

from headway.sdk.job_streams import LogStream
from headway.sdk.streams import Reset

RECONNECT_SECONDS = (0.1, 2.0)
OPEN_SECONDS = 10.0


@dataclass(slots=True)
class Load:
    """What the clients saw: delays in ms, how long each was away in seconds, and what each was told of a log."""

    delays_ms: list[float] = field(default_factory=list[float])
    away_seconds: list[float] = field(default_factory=list[float])
    heard: int = 0
    lines: list[list[int]] = field(default_factory=list[list[int]])

    def gaps(self, last: int) -> int:
        """Lines from 1 to `last` that some client was not told."""
        return sum(len(set(range(1, last + 1)) - set(told)) for told in self.lines)

    def duplicates(self) -> int:
        """Lines that a client was told again or out of order."""
        return sum(later <= earlier for told in self.lines for earlier, later in pairwise(told))


class LoadClient:
    """One client of a channel; with a `stream` it is made whole after each gap, as the real clients are."""

    def __init__(self, urls: Sequence[str], token: str, channel: str, load: Load, number: int) -> None:
        self._urls, self._token, self._channel, self._load = urls, token, channel, load
        self._number = number
        self._lost_at: float | None = None
        self._stream: LogStream | None = None
        self._told: list[int] = []
        self.ready = asyncio.Event()
        if channel.endswith("/logs"):
            self._stream = LogStream(channel.split("/")[1])
            load.lines.append(self._told)

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Stay subscribed until cancelled."""
        wait, attempt = RECONNECT_SECONDS[0], 0
        while True:
            url = self._urls[(self._number + attempt) % len(self._urls)]
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                async with open_socket(session, url) as socket:
                    await self._subscribe(socket, session, url)
                    wait = RECONNECT_SECONDS[0]
                    await self._listen(socket, session, url)
            if self._lost_at is None and self.ready.is_set():
                self._lost_at = time.monotonic()
            attempt += 1
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(RECONNECT_SECONDS[1], wait * 2)

    async def _subscribe(
        self, socket: aiohttp.ClientWebSocketResponse, session: aiohttp.ClientSession, url: str
    ) -> None:
        await socket.send_str("40" + json.dumps({"token": self._token}))
        await expect(socket, "40")
        await socket.send_str("420" + json.dumps(["subscribe", self._asked()]))
        answer = json.loads((await expect(socket, "430"))[3:])[0]
        if not answer["ok"]:
            raise ValueError(answer["error"])
        if self._stream is not None:
            self._note(self._stream.snapshot(self._channel, answer["snapshot"], answer["reset"]))
            if self._stream.behind:
                await self._catch_up(self._stream, session, url)
        self.ready.set()
        if self._lost_at is not None:
            self._load.away_seconds.append(time.monotonic() - self._lost_at)
            self._lost_at = None

    def _asked(self) -> dict[str, Any]:
        held = self._stream.revision(self._channel) if self._stream is not None else None
        return {"channel": self._channel, **({} if held is None else {"revision": held})}

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse, session: aiohttp.ClientSession, url: str) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return
            if message.data == "2":
                await socket.send_str("3")
            elif message.data.startswith("42"):
                self._hear(json.loads(message.data[2:])[1])
                if self._stream is not None and self._stream.behind:
                    await self._catch_up(self._stream, session, url)

    def _hear(self, payload: dict[str, Any]) -> None:
        self._load.heard += 1
        if self._stream is not None:
            self._note(self._stream.push(self._channel, payload))
        else:
            self._load.delays_ms.append((time.time() - payload["at"]) * 1e3)

    async def _catch_up(self, stream: LogStream, session: aiohttp.ClientSession, url: str) -> None:
        async def get(path: str, **query: Any) -> Any:
            headers = {"Authorization": f"Bearer {self._token}"}
            async with session.get(f"{url}/api/v1{path}", params=query, headers=headers) as response:
                response.raise_for_status()
                return await response.json()

        self._note([told async for told in stream.read(get, polled=False)])

    def _note(self, told: Iterable[Any]) -> None:
        self._told.extend(line["no"] for line in told if not isinstance(line, Reset))


@asynccontextmanager
async def open_socket(session: aiohttp.ClientSession, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket after Engine.IO's greeting."""
    address = f"{url}/socket.io/?EIO=4&transport=websocket"
    async with session.ws_connect(address, timeout=aiohttp.ClientWSTimeout(ws_close=0.2)) as socket:
        await expect(socket, "0")
        yield socket


async def expect(socket: aiohttp.ClientWebSocketResponse, start: str) -> str:
    """The next text that begins so; others are passed over."""
    async with asyncio.timeout(OPEN_SECONDS):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT and message.data.startswith(start):
                return message.data
    raise ValueError("the server left")


@asynccontextmanager
async def clients(urls: Sequence[str], token: str, channel: str, count: int) -> AsyncIterator[Load]:
    """`count` clients that listen, spread over the urls, for as long as the block lasts."""
    load = Load()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        made = [LoadClient(urls, token, channel, load, number) for number in range(count)]
        tasks: list[asyncio.Task[None]] = []
        try:
            for start in range(0, count, 50):
                tasks.extend(asyncio.create_task(each.run(session)) for each in made[start : start + 50])
                await asyncio.wait_for(asyncio.gather(*(each.ready.wait() for each in made[start : start + 50])), 60)
            yield load
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
