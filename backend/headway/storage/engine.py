"""Opens Postgres engines with bounded pools and timeouts; translates the driver's errors at the edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.pq import Format
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from headway.errors import UnavailableError

CONNECT_TIMEOUT_SECONDS = 5
POOL_WAIT_SECONDS = 10
STATEMENT_TIMEOUT_MS = 60_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000


def sqlalchemy_url(url: str) -> str:
    """The psycopg 3 dialect for any `postgres://` or `postgresql://` address."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def make_engine(url: str, *, pool_size: int = 8) -> Engine:
    """An engine that connects on first use, with at most `pool_size` connections.

    A statement with the execution option `binary` is answered in Postgres' binary format.
    """
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,
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
    event.listen(engine, "before_cursor_execute", _choose_format)
    return engine


def _choose_format(_: Connection, cursor: Any, __: str, ___: Any, context: Any, *____: Any) -> None:
    if context.execution_options.get("binary"):
        cursor.format = Format.BINARY


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
    with _unavailable(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise UnavailableError(f"Postgres cannot be reached: {_first_line(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise UnavailableError(f"Postgres went away: {_first_line(error)}") from error
        raise


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
