"""Opens Postgres engines with bounded pools and timeouts; translates the driver's errors at the edge."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from headway.errors import UnavailableError

if TYPE_CHECKING:
    Driver = psycopg.Connection[Any]

CONNECT_TIMEOUT_SECONDS = 5
POOL_WAIT_SECONDS = 10
STATEMENT_TIMEOUT_MS = 60_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000
_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


def sqlalchemy_url(url: str) -> str:
    """The psycopg 3 dialect for any `postgres://` or `postgresql://` address."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def make_engine(url: str, *, pool_size: int = 8) -> Engine:
    """An engine that connects on first use, with at most `pool_size` connections.

    The connection used last is used first: it has its statements prepared, and what they read at hand.
    """
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "headway",
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} "
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS} -c timezone=UTC",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )
    event.listen(engine, "checkout", _refuse_lost)
    return engine


def _refuse_lost(connection: Driver, *_: object) -> None:
    """Postgres says nothing unasked but that it is leaving: asking the socket costs no round trip, as a ping would."""
    if not connection.closed:
        unread = select.poll()
        unread.register(connection.fileno(), select.POLLIN)
        if not unread.poll(0):
            return
    raise InvalidatePoolError("Postgres has closed the connection")


def driver_of(connection: Connection) -> Driver:
    """The driver's own connection beneath."""
    return cast("Driver", connection.connection.driver_connection)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction. Raises UnavailableError when Postgres cannot be reached or went away in it."""
    with _unavailable(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with: each statement sees what is committed by then, as in a transaction, without the
    two round trips that begin and end one. Raises UnavailableError as `transaction` does.
    """
    with _unavailable(), engine.connect() as connection:
        driver = driver_of(connection)
        driver.autocommit = True
        try:
            yield connection
        finally:
            if not driver.closed:
                driver.autocommit = False


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (*_AWAY, PoolTimeoutError) as error:
        raise UnavailableError(f"Postgres cannot be reached: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise UnavailableError(f"Postgres went away: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
