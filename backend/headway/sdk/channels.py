"""Subscriptions by reference count over one connection: the first listener subscribes, the last one's leaving ends it.

Twin of frontend/src/lib/live/channels.ts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from socketio.exceptions import SocketIOError

MOST_HEARD = 1000

#: Asks the server; raises SocketIOError without an answer in time.
Call = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in: a channel's snapshot, a push, a refusal; that the connection is lost; that too much came."""

    what: Literal["snapshot", "push", "refused", "lost", "overflow"]
    channel: str = ""
    data: Any = None
    reset: bool = False


class Inbox:
    """What one follower has heard and not yet looked at, bounded: when full it is emptied, and says so.

    `revision` answers what the follower holds of a channel, None for nothing.
    """

    def __init__(self, revision: Callable[[str], int | None]) -> None:
        self.revision = revision
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()

    def put(self, heard: Heard) -> None:
        """Add what was heard."""
        if self._heard.qsize() >= MOST_HEARD:
            self._heard = asyncio.Queue()
            heard = Heard("overflow")
        self._heard.put_nowait(heard)

    async def next(self, seconds: float) -> Heard | None:
        """The next thing heard, None when nothing comes within `seconds`."""
        try:
            return self._heard.get_nowait()
        except asyncio.QueueEmpty:
            pass
        try:
            async with asyncio.timeout(seconds):
                return await self._heard.get()
        except TimeoutError:
            return None


class Channels:
    """Who listens to what; `call` asks the server."""

    def __init__(self, call: Call) -> None:
        self.connected = False
        self._call = call
        self._inboxes: dict[str, list[Inbox]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, channel: str, inbox: Inbox) -> None:
        """Hear a channel: its snapshot now and after each reconnection, then its pushes."""
        self._inboxes.setdefault(channel, []).append(inbox)
        self.subscribe(channel)

    def leave(self, channel: str, inbox: Inbox) -> None:
        """Hear it no more."""
        inboxes = self._inboxes[channel]
        inboxes.remove(inbox)
        if not inboxes:
            del self._inboxes[channel]
            if self.connected:
                self._start(self._unsubscribe(channel))

    def subscribe(self, channel: str) -> None:
        """Ask for the channel's snapshot (again); nothing happens without a connection."""
        if self.connected:
            self._start(self._subscribe(channel))

    def open(self) -> None:
        """The connection is new: all that is listened to is subscribed again."""
        self.connected = True
        for channel in self._inboxes:
            self.subscribe(channel)

    def lose(self) -> None:
        """The connection is gone."""
        self.connected = False
        for inbox in {id(each): each for inboxes in self._inboxes.values() for each in inboxes}.values():
            inbox.put(Heard("lost"))

    def receive(self, payload: Any) -> None:
        """A push came in."""
        if isinstance(payload, dict):
            self._tell(str(payload.get("channel")), Heard("push", str(payload.get("channel")), payload))

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _subscribe(self, channel: str) -> None:
        held = [revision for each in self._inboxes.get(channel, ()) if (revision := each.revision(channel)) is not None]
        asked = {"channel": channel, **({"revision": max(held)} if held else {})}
        try:
            answer = await self._call("subscribe", asked)
        except SocketIOError:
            return  # who listens asks again
        if answer.get("ok"):
            self._tell(channel, Heard("snapshot", channel, answer["snapshot"], bool(answer.get("reset"))))
        else:
            self._tell(channel, Heard("refused", channel, answer.get("error")))

    async def _unsubscribe(self, channel: str) -> None:
        try:
            await self._call("unsubscribe", {"channel": channel})
        except SocketIOError:
            return
        if channel in self._inboxes:
            self.subscribe(channel)  # somebody came while it was being left

    def _tell(self, channel: str, heard: Heard) -> None:
        for inbox in self._inboxes.get(channel, ()):
            inbox.put(heard)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
