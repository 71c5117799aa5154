"""Rows as plain dictionaries, so that nothing above the storage knows of SQLAlchemy's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CursorResult, Result

Row = dict[str, Any]


def one(result: Result[Any] | CursorResult[Any]) -> Row | None:
    """The only row, or None."""
    row = result.mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def many(result: Result[Any] | CursorResult[Any]) -> list[Row]:
    """All rows."""
    return [{str(name): value for name, value in row.items()} for row in result.mappings()]
