"""The Redis side of the Socket.IO cluster: a listener that notices silence, and comes back at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError
from socketio import AsyncRedisManager

TIMEOUT_SECONDS = 2.0
QUIET_SECONDS = 2.0
RETRY_SECONDS = 0.5
CLOSE_SECONDS = 0.2

log = structlog.get_logger(__name__)


class Cluster(AsyncRedisManager):
    """python-socketio's manager with a listener of our own.

    Its own backs off up to a minute, and cannot tell a dead connection from a quiet channel. This one pings a channel
    that is quiet, retries twice a second, and calls `on_deaf` when it hears nothing more. `on_push` is told the channel
    of each push it hears, whether anybody here subscribed to it or not.
    """

    def __init__(
        self, url: str, *, on_deaf: Callable[[], Awaitable[None]], on_push: Callable[[str], None] = lambda _: None
    ) -> None:
        options = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
        super().__init__(url, redis_options=options)
        self._on_deaf = on_deaf
        self._on_push = on_push
        self._listening = asyncio.Event()

    async def hears(self, seconds: float) -> bool:
        """Whether it listens, now or within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._listening.wait()
        except TimeoutError:
            return False

    async def close(self) -> None:
        """Stop listening. Saying goodbye to Redis may take long, and is nothing to wait for."""
        task: asyncio.Task[None] | None = getattr(self, "thread", None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_SECONDS)

    async def _handle_emit(self, message: dict[str, Any]) -> None:
        self._on_push(str(message.get("room")))
        await super()._handle_emit(message)

    async def _listen(self) -> AsyncGenerator[bytes, None]:
        told = False
        while True:
            try:
                async for data in self._listen_once():
                    told = False
                    yield data
            except (RedisError, OSError, TimeoutError) as error:
                if not told:
                    log.warning("nothing can be pushed: Redis does not answer", error=str(error))
                    told = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen_once(self) -> AsyncIterator[bytes]:
        async with Redis.from_url(self.redis_url, **self.redis_options) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(self.channel)
            self._listening.set()
            log.info("pushes flow")
            try:
                while True:
                    message = await _next(pubsub)
                    if message["type"] == "message":
                        yield message["data"]
            finally:
                self._listening.clear()
                await self._on_deaf()


async def _next(pubsub: PubSub) -> dict[str, Any]:
    """The next message. Raises TimeoutError when Redis does not even answer a ping."""
    message = await pubsub.get_message(timeout=QUIET_SECONDS)
    if message is None:
        await pubsub.ping()
        message = await pubsub.get_message(timeout=TIMEOUT_SECONDS)
    if message is None:
        raise TimeoutError(f"no answer to a ping within {TIMEOUT_SECONDS} s")
    return message
