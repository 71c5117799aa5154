"""The composition root: the only place that opens engines, Redis clients and sockets. Nothing connects on import."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine

from headway.errors import FieldProblem, SettingsError
from headway.realtime.channels import Message
from headway.realtime.publisher import REDIS_TIMEOUT_SECONDS, Emitter, Publisher, RedisEmitter
from headway.settings import Settings
from headway.storage.engine import make_engine
from headway.storage.identity import database_id

if TYPE_CHECKING:
    from celery import Celery

MOST_WAKES = 10_000
RUN_JOB = "headway.run_job"

log = structlog.get_logger(__name__)


def make_celery(settings: Settings) -> Celery:
    """The Celery app: every socket has a timeout, a message is acked early and means only "try to claim"."""
    from celery import Celery

    app = Celery("headway", broker=redis_url(settings))
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=False,
        task_default_queue="cpu",
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_timeout=REDIS_TIMEOUT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": REDIS_TIMEOUT_SECONDS * 2,
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            "health_check_interval": 10,
            "visibility_timeout": 3600,
            "max_retries": 1,
        },
        enable_utc=True,
        timezone="UTC",
    )
    return app


def redis_url(settings: Settings) -> str:
    """Where Celery's messages are (database 0). Raises SettingsError when it is not named."""
    if not settings.headway_redis_url:
        raise SettingsError(FieldProblem("HEADWAY_REDIS_URL", "name a Redis, or let `headway up` start one"))
    return settings.headway_redis_url


def realtime_redis_url(settings: Settings) -> str:
    """Where the Socket.IO cluster meets: REDIS_WS_URL, or database 1 of Celery's Redis."""
    if settings.redis_ws_url:
        return settings.redis_ws_url
    parts = urlsplit(redis_url(settings))
    return urlunsplit(parts._replace(path="/1"))


def database_url(settings: Settings) -> str:
    """Where the truth is. Raises SettingsError when it is not named."""
    if not settings.headway_database_url:
        raise SettingsError(FieldProblem("HEADWAY_DATABASE_URL", "name a Postgres, or let `headway up` start one"))
    return settings.headway_database_url


class Waker:
    """Sends "try to claim" messages from a thread of its own; what cannot be sent now, `recover_jobs` sends again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wakes: deque[tuple[str, str]] = deque(maxlen=MOST_WAKES)
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="headway-waker", daemon=True)
        self._thread.start()

    def wake(self, queue: str, job_id: str) -> None:
        """Hand one message over; returns at once."""
        with self._changed:
            self._wakes.append((queue, job_id))
            self._changed.notify()

    def close(self, timeout: float = 3.0) -> None:
        """Send what is pending, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    @cached_property
    def _celery(self) -> Celery:
        return make_celery(self._settings)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._wakes and not self._closing:
                    self._changed.wait()
                if not self._wakes:
                    return
                queue, job_id = self._wakes.popleft()
            self._send(queue, job_id)

    def _send(self, queue: str, job_id: str) -> None:
        try:
            self._celery.send_task(RUN_JOB, args=[job_id, queue], queue=queue, retry=False)
        except Exception as error:
            log.warning("message not sent; the reaper will send it again", job_id=job_id, error=str(error))


@dataclass(frozen=True)
class RuntimeSignals:
    """The ports that services are given."""

    waker: Waker
    publisher: Publisher

    def wake(self, queue: str, job_id: str) -> None:
        """See `services.ports.Signals`."""
        self.waker.wake(queue, job_id)

    def publish(self, messages: Iterable[Message]) -> None:
        """See `services.ports.Signals`."""
        self.publisher.publish(messages)


@dataclass(frozen=True)
class Runtime:
    """What a process of ours works with."""

    settings: Settings
    engine: Engine
    signals: RuntimeSignals

    @cached_property
    def redis(self) -> redis.Redis:
        """A client of Celery's Redis, for health and queue lengths; every call has a timeout."""
        return redis.Redis.from_url(
            redis_url(self.settings),
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        """Send what is pending and close everything."""
        self.signals.waker.close()
        self.signals.publisher.close()
        self.engine.dispose()


def open_runtime(settings: Settings) -> Runtime:
    """Compose a process's runtime; connections are opened on first use."""
    engine = make_engine(database_url(settings), pool_size=settings.headway_db_pool_size)
    url = realtime_redis_url(settings)
    publisher = Publisher(lambda: _make_emitter(url, engine), settings.websocket_batch_interval_ms / 1000)
    return Runtime(settings, engine, RuntimeSignals(Waker(settings), publisher))


def push_topic(engine: Engine) -> str:
    """Where this installation's pushes meet in Redis. Raises UnavailableError.

    Redis' pub/sub knows no database numbers, and hosts no common folder: the name comes from the Postgres they share.
    """
    return f"headway:{database_id(engine)}:push"


def _make_emitter(url: str, engine: Engine) -> Emitter:
    client = redis.Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        # once more, for a connection that Redis' restart had ended; who waits longer holds up what comes after
        retry=Retry(NoBackoff(), 1),
    )
    return RedisEmitter(client, push_topic(engine))
