"""Artifacts that a person sends: pending while their files arrive, with what was announced of each file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many

#: What stands for the name of an output where no job made the artifact.
OUTPUT = "upload"

# held until commit, so that two uploads at once do not both become the last one allowed
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('uploads', 0))")
_UNFINISHED = text("SELECT count(*) FROM artifacts WHERE output = 'upload' AND job_id IS NULL AND state = 'pending'")
_GET = text("SELECT * FROM artifacts WHERE id = :id AND output = 'upload' AND job_id IS NULL")
_OF_HOST = text("""
SELECT *, extract(epoch FROM now() - created_at)::float AS age_seconds FROM artifacts
WHERE output = 'upload' AND job_id IS NULL AND state = 'pending' AND host = :host
""")
_FINISH = text("""
UPDATE artifacts SET state = 'ready', ready_at = now(), path = :path, files = :files
WHERE id = :id AND state = 'pending'
""").bindparams(bindparam("files", type_=JSONB))
_FORGET = text("DELETE FROM artifacts WHERE id = :id AND output = 'upload' AND job_id IS NULL AND state = 'pending'")


def is_upload(row: Row) -> bool:
    """Whether a person sent the artifact."""
    return row["output"] == OUTPUT and row["job_id"] is None


def count_unfinished(connection: Connection) -> int:
    """How many are being sent; nobody else begins one until the transaction ends."""
    connection.execute(_LOCK)
    return connection.scalar(_UNFINISHED) or 0


def get_upload(connection: Connection, upload_id: str) -> Row | None:
    """An upload, finished or not."""
    return next(iter(many(connection.execute(_GET, {"id": upload_id}))), None)


def unfinished_of_host(connection: Connection, host: str) -> list[Row]:
    """What is being sent to a host, each with its `age_seconds`."""
    return many(connection.execute(_OF_HOST, {"host": host}))


def finish(connection: Connection, upload_id: str, path: str, files: Mapping[str, Any]) -> None:
    """Make it ready, once."""
    connection.execute(_FINISH, {"id": upload_id, "path": path, "files": dict(files)})


def forget(connection: Connection, upload_id: str) -> bool:
    """Delete one that is not finished; whether there was one."""
    return connection.execute(_FORGET, {"id": upload_id}).rowcount > 0
