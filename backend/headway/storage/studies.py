"""Studies: jobs tied by dependencies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, text

from headway.storage import tables
from headway.storage.rows import Row, many, one

_GET = text("SELECT * FROM studies WHERE id = :id")
_LIST = text("""
SELECT * FROM studies WHERE (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, :before_id))
ORDER BY created_at DESC, id DESC LIMIT :limit
""")


def insert_study(connection: Connection, study_id: str, name: str) -> None:
    """Store a study; its jobs name it."""
    connection.execute(insert(tables.studies), [{"id": study_id, "name": name}])


def get_study(connection: Connection, study_id: str) -> Row | None:
    """One study."""
    return one(connection.execute(_GET, {"id": study_id}))


def list_studies(connection: Connection, before: tuple[datetime, str] | None, limit: int) -> list[Row]:
    """Studies, newest first."""
    before_at, before_id = before or (None, None)
    return many(connection.execute(_LIST, {"before_at": before_at, "before_id": before_id, "limit": limit}))
