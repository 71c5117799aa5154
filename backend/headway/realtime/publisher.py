"""Pushes what is committed to the Socket.IO cluster through Redis, off everybody's critical path.

One thread of its own sends; `publish` only puts into a bounded table. The first update of a channel goes at once
(leading edge), later ones within the batch interval become one. What is dropped while Redis is away is recovered by
the clients: snapshots by revision, metrics and logs by their cursor.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog
from redis import Redis

from headway.realtime.channels import Message

MOST_PENDING = 5000
MOST_CHANNELS = 20_000
MOST_TOGETHER = 100
REDIS_TIMEOUT_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Emitter(Protocol):
    """What sends messages to those in the rooms of their channels."""

    def emit(self, messages: Sequence[Message]) -> None:
        """Send them all, in order. Raises what its way raises; some may have been sent then."""
        ...


class RedisEmitter:
    """Tells all instances, as python-socketio's managers do; but theirs loses in silence, and logs twice each loss."""

    def __init__(self, redis: Redis, topic: str) -> None:
        self._redis = redis
        self._topic = topic

    def emit(self, messages: Sequence[Message]) -> None:
        """Send them all in one round trip. Raises RedisError when Redis cannot be reached."""
        with self._redis.pipeline(transaction=False) as together:
            for message in messages:
                together.publish(self._topic, json.dumps(_to_instances(message)))
            together.execute()


def _to_instances(message: Message) -> dict[str, Any]:
    """As python-socketio's managers tell one another to send an event to a room."""
    payload = dict(message.payload)
    return {"method": "emit", "event": message.event, "data": [payload], "namespace": "/", "room": message.channel}


class Publisher:
    """Sends messages in order from a thread of its own; `interval` is the batch interval in seconds (0: none).

    The emitter is made at the first message, and again at the next one if it cannot be made.
    """

    def __init__(self, make_emitter: Callable[[], Emitter], interval: float) -> None:
        self._make_emitter = make_emitter
        self._emitter: Emitter | None = None
        self._interval = interval
        self._wake = threading.Condition()
        self._stream: deque[Message] = deque(maxlen=MOST_PENDING)
        self._newest: dict[tuple[str, str], Message] = {}
        self._sent_at: dict[str, float] = {}
        self._closing = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="headway-publisher", daemon=True)
        self._thread.start()

    def publish(self, messages: Iterable[Message]) -> None:
        """Hand messages over; never blocks on Redis and never raises."""
        with self._wake:
            for message in messages:
                if message.replaces:
                    self._keep_newest(message)
                else:
                    self._stream.append(message)
            self._wake.notify()

    def close(self, timeout: float = 3.0) -> None:
        """Send what is pending, then end."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)

    def _keep_newest(self, message: Message) -> None:
        # "operations" carries every job: newest wins by job there
        key = (message.channel, str(message.payload.get("job_id")))
        before = self._newest.get(key)
        if before is not None and before.payload["revision"] > message.payload["revision"]:
            return
        if before is not None or len(self._newest) < MOST_PENDING:
            self._newest[key] = message

    def _run(self) -> None:
        while True:
            with self._wake:
                due, wait = self._take_due(time.monotonic())
                if not due:
                    if self._closing and not self._newest:
                        return
                    self._wake.wait(wait)
                    continue
            for first in range(0, len(due), MOST_TOGETHER):
                self._send(due[first : first + MOST_TOGETHER])

    def _take_due(self, now: float) -> tuple[list[Message], float | None]:
        due = list(self._stream)
        self._stream.clear()
        wait: float | None = None
        for key in list(self._newest):
            rest = 0.0 if self._closing else self._sent_at.get("/".join(key), 0.0) + self._interval - now
            if rest <= 0:
                due.append(self._newest.pop(key))
                self._note_sent("/".join(key), now)
            else:
                wait = rest if wait is None else min(wait, rest)
        return due, wait

    def _note_sent(self, key: str, now: float) -> None:
        if len(self._sent_at) >= MOST_CHANNELS:
            horizon = now - self._interval
            self._sent_at = {name: at for name, at in self._sent_at.items() if at > horizon}
        self._sent_at[key] = now

    def _send(self, due: Sequence[Message]) -> None:
        try:
            self._emitter = self._emitter or self._make_emitter()
            self._emitter.emit(due)
        except Exception as error:
            # told once: while Redis is away every push is lost
            if not self._lost:
                log.warning("pushes are lost", channel=due[0].channel, error=str(error))
            self._lost += len(due)
        else:
            if self._lost:
                log.info("pushes flow again", lost=self._lost)
                self._lost = 0
