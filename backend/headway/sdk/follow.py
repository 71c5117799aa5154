"""How a stream is followed without a gap: pushes while the socket is up, HTTP for what is missing and while it is away.

Twin of frontend/src/lib/live/follow.ts.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol, TypeVar

from headway.errors import UnavailableError
from headway.sdk.channels import Channels, Heard, Inbox
from headway.sdk.streams import Stream

#: How long to wait for the first subscription before asking over HTTP.
FIRST_SECONDS = 0.5
#: How often to ask over HTTP while the socket is away.
POLL_SECONDS = 2.0
#: A push can be lost without a trace (a worker's Redis dies with it in hand): silence is looked into.
QUIET_SECONDS = 15.0

T = TypeVar("T")


class Connection(Protocol):
    """What following needs; `Live` is one."""

    channels: Channels

    async def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1; raises UnavailableError when nothing answers."""
        ...


async def follow(connection: Connection, stream: Stream[T]) -> AsyncIterator[T]:
    """What the stream tells until it is over. Raises what HTTP answers, but for UnavailableError: then it waits."""
    inbox = Inbox(stream.revision)
    for channel in stream.channels:
        connection.channels.join(channel, inbox)
    answered: set[str] = set()
    patience = FIRST_SECONDS
    try:
        while not stream.over:
            heard = await inbox.next(patience)
            for told in _take(stream, answered, heard):
                yield told
            whole = answered == set(stream.channels)
            polled = not whole and (heard is None or heard.what == "refused")
            if stream.behind or polled:
                try:
                    async for told in stream.read(connection.get, polled):
                        yield told
                except UnavailableError:
                    pass  # it comes back, and then everything is told
            if heard is None or heard.what == "overflow":
                _ask_again(connection, stream)
            patience = random.uniform(0.8, 1.2) * QUIET_SECONDS if whole and not stream.behind else POLL_SECONDS
    finally:
        for channel in stream.channels:
            connection.channels.leave(channel, inbox)


def _take(stream: Stream[T], answered: set[str], heard: Heard | None) -> Iterable[T]:
    if heard is None:
        return ()
    if heard.what == "push":
        return stream.push(heard.channel, heard.data)
    if heard.what == "snapshot":
        answered.add(heard.channel)
        return stream.snapshot(heard.channel, heard.data, heard.reset)
    answered.clear()
    return ()


def _ask_again(connection: Connection, stream: Stream[Any]) -> None:
    for channel in stream.channels:
        connection.channels.subscribe(channel)
