"""Rows as plain dictionaries, so that nothing above the storage knows of SQLAlchemy's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Connection, CursorResult, Result, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from headway.storage.engine import driver_of

Row = dict[str, Any]


def one(result: Result[Any] | CursorResult[Any]) -> Row | None:
    """The only row, or None."""
    row = result.mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def many(result: Result[Any] | CursorResult[Any]) -> list[Row]:
    """All rows."""
    return [{str(name): value for name, value in row.items()} for row in result.mappings()]


def fetch(
    connection: Connection, statement: TextClause, parameters: Mapping[str, Any], *, binary: bool = False
) -> list[Row]:
    """All rows of what is asked for often, by the driver itself, within the connection's transaction.

    SQLAlchemy takes three times as long for a row by its key as Postgres and the driver together. `binary` is the
    format of the answer: worth it for long values.
    """
    with _driver_cursor(connection, binary=binary) as cursor:
        return cursor.execute(_driver_text(statement), parameters).fetchall()


def perform(connection: Connection, statement: TextClause, parameters: Mapping[str, Any]) -> None:
    """A statement without an answer that is given often, as `fetch` asks."""
    with _driver_cursor(connection) as cursor:
        cursor.execute(_driver_text(statement), parameters)


@contextmanager
def _driver_cursor(connection: Connection, *, binary: bool = False) -> Iterator[psycopg.Cursor[Row]]:
    driver = driver_of(connection)
    try:
        with driver.cursor(row_factory=dict_row, binary=binary) as cursor:
            yield cursor
    except psycopg.Error:
        if driver.closed:
            connection.invalidate()  # so that the pool does not try to end its transaction
        raise


@cache
def _driver_text(statement: TextClause) -> bytes:
    """With the driver's own marks for parameters."""
    return str(statement.compile(dialect=PGDialect_psycopg())).encode()
