"""The Redis side of the Socket.IO cluster: a listener that notices silence, and comes back at once."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from socketio import AsyncRedisManager
from socketio.packet import EVENT, Packet

from headway.errors import HeadwayError
from headway.realtime.connections import text_frame, write

TIMEOUT_SECONDS = 2.0
QUIET_SECONDS = 2.0
RETRY_SECONDS = 0.5
CLOSE_SECONDS = 0.2
PROBE_SECONDS = 4.0
DEAF_SECONDS = 15.0
_PROBE = b"headway-probe:"
_NAMESPACE = "/"
_EIO_MESSAGE = "4"

log = structlog.get_logger(__name__)


class TextPacket(Packet):
    """JSON holds no bytes; to search every answer for some took a third of what a client's coming back costs."""

    uses_binary_events = False


class Cluster(AsyncRedisManager):
    """python-socketio's manager with a listener of our own; `find_topic` names where all instances meet.

    Its own backs off up to a minute, and cannot tell a dead connection from a quiet channel. This one pings a channel
    that is quiet and retries twice a second. It also says a nonce to itself through Redis: one that has not come back
    for DEAF_SECONDS means that others are not heard either, whatever the connection looks like; it then starts anew.
    Whenever it stops listening it calls `on_deaf`. `on_push` is told the channel of each push it hears, whether
    anybody here subscribed to it or not.

    A push is one frame, made once and written to each connection of its room; the library's way takes a task, a queue
    and a frame for each client, which is kept where connections compress: there each has a dictionary of its own.
    """

    def __init__(
        self,
        url: str,
        find_topic: Callable[[], Awaitable[str]],
        *,
        compression: bool,
        on_deaf: Callable[[], Awaitable[None]],
        on_push: Callable[[str], None] = lambda _: None,
    ) -> None:
        options = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
        super().__init__(url, redis_options=options)
        self._find_topic = find_topic
        self._compression = compression
        self._on_deaf = on_deaf
        self._on_push = on_push
        self._listening = asyncio.Event()
        self._nonce = _PROBE + secrets.token_bytes(12)
        self._heard_at: float | None = None

    async def hears(self, seconds: float) -> bool:
        """Whether it listens, now or within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._listening.wait()
        except TimeoutError:
            return False

    def state(self) -> str:
        """`ok` while it hears itself, else what is wrong."""
        if self._heard_at is None:
            return "has not heard Redis yet"
        silence = time.monotonic() - self._heard_at
        return "ok" if silence < DEAF_SECONDS else f"has not heard itself through Redis for {silence:.0f} s"

    async def close(self) -> None:
        """Stop listening. Saying goodbye to Redis may take long, and is nothing to wait for."""
        task: asyncio.Task[None] | None = getattr(self, "thread", None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_SECONDS)

    async def _handle_emit(self, message: dict[str, Any]) -> None:
        room = str(message.get("room"))
        self._on_push(room)
        if self._compression:
            await super()._handle_emit(message)
            return
        sockets = [socket for _, socket in self.get_participants(_NAMESPACE, room)]
        if sockets:
            packet = TextPacket(EVENT, [message["event"], *message["data"]], _NAMESPACE)
            frame = text_frame(f"{_EIO_MESSAGE}{packet.encode()}")
            server: Any = self.server
            for socket in sockets:
                write(server.environ[socket]["aiohttp.request"], frame)

    async def _listen(self) -> AsyncGenerator[bytes, None]:
        told = False
        while True:
            try:
                async for data in self._listen_once():
                    told = False
                    yield data
            except (RedisError, OSError, TimeoutError, HeadwayError) as error:
                if not told:
                    log.warning("nothing can be pushed", error=str(error))
                    told = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen_once(self) -> AsyncGenerator[bytes, None]:
        self.channel = await self._find_topic()
        async with Redis.from_url(self.redis_url, **self.redis_options) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(self.channel)
            began = time.monotonic()
            self._listening.set()
            log.info("pushes flow")
            probing = asyncio.create_task(self._probe(client))
            try:
                while True:
                    data = await _next(pubsub)
                    if data == self._nonce:
                        self._heard_at = time.monotonic()
                    elif time.monotonic() - max(began, self._heard_at or began) > DEAF_SECONDS:
                        raise TimeoutError(self.state())
                    elif data and not data.startswith(_PROBE):
                        yield data
            finally:
                self._listening.clear()
                await self._on_deaf()
                probing.cancel()
                await asyncio.wait([probing], timeout=CLOSE_SECONDS)

    async def _probe(self, client: Redis) -> None:
        while True:
            try:
                await client.publish(self.channel, self._nonce)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("the probe could not be sent", error=str(error))
            await asyncio.sleep(PROBE_SECONDS)


async def _next(pubsub: PubSub) -> bytes:
    """What is heard next, nothing after a quiet while. Raises TimeoutError when Redis does not even answer a ping."""
    message = await pubsub.get_message(timeout=QUIET_SECONDS)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=TIMEOUT_SECONDS)
    if message is None:
        raise TimeoutError(f"no answer to a ping within {TIMEOUT_SECONDS} s")
    return message["data"] if message["type"] == "message" else b""
