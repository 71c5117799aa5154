"""One installation, live: a socket that stays connected, the HTTP API beside it, and streams that have no gaps.

    async with Live("http://127.0.0.1:8400", token) as live:
        async for job in live.follow(JobStream("abcdefghijkm")):
            ...

Twin of frontend/src/lib/live/live.ts; both pass the same protocol test.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal, Self, TypeVar

import aiohttp
import socketio
from socketio.exceptions import SocketIOError

from headway.errors import UnavailableError
from headway.sdk.channels import Channels
from headway.sdk.follow import follow
from headway.sdk.problems import error_of
from headway.sdk.streams import Stream

CALL_SECONDS = 10
REST_SECONDS = 15.0
RECONNECT_SECONDS = (0.2, 2.0)

T = TypeVar("T")


class Live:
    """A connection to the installation at `url`; an async context manager.

    `mode` is `pushed` while the socket is up, `polled` while only HTTP answers, `offline` when neither does.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._rest_up = True
        self._gone = asyncio.Event()
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("disconnect", self._lose)
        self._socket.on("*", self._receive)
        self.channels = Channels(self._call)

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        self._http = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=REST_SECONDS))
        self._connecting = asyncio.create_task(self._stay_connected())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connecting.cancel()
        await asyncio.gather(self._connecting, return_exceptions=True)
        await self.channels.close()
        await self._socket.disconnect()
        await self._http.close()

    @property
    def mode(self) -> Literal["pushed", "polled", "offline"]:
        """How data comes at the moment."""
        return "pushed" if self.channels.connected else "polled" if self._rest_up else "offline"

    def follow(self, stream: Stream[T]) -> AsyncIterator[T]:
        """What the stream tells, without a gap, until it is over.

        Raises NotFoundError, ForbiddenError, UnauthorizedError; waits while the installation cannot be reached.
        """
        return follow(self, stream)

    async def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1. Raises HeadwayError, UnavailableError when nothing answers."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            async with self._http.get(f"{self.url}/api/v1{path}", params=given) as response:
                body = await response.json(content_type=None) if response.content_type.endswith("json") else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._rest_up = False
            raise UnavailableError(f"No Headway answers at {self.url}: {error}") from None
        self._rest_up = response.status < 500
        if response.status >= 400:
            raise error_of(response.status, body)
        return body

    async def cut(self) -> None:
        """Drop the connection as a broken network would; it comes back by itself."""
        await self._socket.eio.disconnect(abort=True)

    async def _stay_connected(self) -> None:
        shortest, longest = RECONNECT_SECONDS
        wait = shortest
        while True:
            if await self._connect():
                wait = shortest
                await self._gone.wait()
                self.channels.lose()
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(longest, wait * 2)

    async def _connect(self) -> bool:
        self._gone.clear()
        auth = {"token": self._token} if self._token else None
        try:
            await self._socket.connect(self.url, auth=auth, transports=["websocket"], wait_timeout=CALL_SECONDS)
        except SocketIOError:
            with suppress(SocketIOError):
                await self._socket.disconnect()
            return False
        self.channels.open()
        return True

    async def _call(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        answer = await self._socket.call(event, data, timeout=CALL_SECONDS)
        return answer if isinstance(answer, dict) else {"ok": False, "error": "no answer of a Headway server"}

    def _lose(self, *_: object) -> None:
        self._gone.set()

    def _receive(self, event: str, payload: Any = None) -> None:
        self.channels.receive(payload)
