"""Artifacts: what jobs make and use; an id from the moment the job is submitted, ready once it is completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage import tables
from headway.storage.rows import Row, many

_GET_MANY = text("SELECT * FROM artifacts WHERE id = ANY(:ids)")
_OF_JOBS = text("SELECT * FROM artifacts WHERE job_id = ANY(:job_ids) ORDER BY output")
_INPUTS = text(
    "SELECT i.field, a.* FROM job_inputs i JOIN artifacts a ON a.id = i.artifact_id WHERE i.job_id = :job_id"
)
_DECLARE = text(
    "UPDATE artifacts SET host = :host, path = :path, bytes = :bytes, meta = :meta "
    "WHERE job_id = :job_id AND output = :output AND state = 'pending'"
).bindparams(bindparam("meta", type_=JSONB))
_SETTLE = text("""
UPDATE artifacts SET state = CASE WHEN :completed AND path IS NOT NULL THEN 'ready' ELSE 'failed' END,
    ready_at = CASE WHEN :completed AND path IS NOT NULL THEN now() END
WHERE job_id = :job_id AND state = 'pending'
""")
_NOTE_FILES = text("UPDATE artifacts SET files = coalesce(files, :files) WHERE id = :id RETURNING files").bindparams(
    bindparam("files", type_=JSONB)
)
_IS_IN_USE = text("""
SELECT EXISTS (SELECT 1 FROM job_inputs i JOIN jobs j ON j.id = i.job_id
               WHERE i.artifact_id = :id AND j.state NOT IN ('completed', 'failed', 'cancelled'))
""")
_LOCK = text("SELECT * FROM artifacts WHERE id = :id FOR UPDATE")
_USER = text("SELECT job_id FROM job_inputs WHERE artifact_id = :id ORDER BY job_id LIMIT 1")
_DELETE = text("DELETE FROM artifacts WHERE id = :id")
_KNOWN = text("SELECT id FROM artifacts WHERE id = ANY(:ids)")
_REPOINT = text("UPDATE job_inputs SET artifact_id = :new WHERE artifact_id = :old")
_LIST = text("""
SELECT * FROM artifacts
WHERE (CAST(:type AS text) IS NULL OR type = :type) AND (CAST(:state AS text) IS NULL OR state = :state)
  AND (CAST(:q AS text) IS NULL OR name ILIKE :q OR id ILIKE :q)
  AND (CAST(:job_id AS text) IS NULL OR job_id = :job_id)
  AND (CAST(:made_from AS text) IS NULL
       OR job_id IN (SELECT job_id FROM job_inputs WHERE artifact_id = :made_from))
  AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, :before_id))
ORDER BY created_at DESC, id DESC LIMIT :limit
""")


def insert_artifacts(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store pending artifacts."""
    if rows:
        connection.execute(insert(tables.artifacts), [dict(row) for row in rows])


def insert_inputs(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store which artifacts jobs use: {job_id, field, artifact_id}."""
    if rows:
        connection.execute(insert(tables.job_inputs), [dict(row) for row in rows])


def get_artifacts(connection: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """Artifacts by id, those that exist."""
    return {row["id"]: row for row in many(connection.execute(_GET_MANY, {"ids": list(ids)}))}


def artifacts_of_jobs(connection: Connection, job_ids: Sequence[str]) -> list[Row]:
    """What these jobs make."""
    return many(connection.execute(_OF_JOBS, {"job_ids": list(job_ids)}))


def inputs_of_job(connection: Connection, job_id: str) -> dict[str, Row]:
    """The artifacts a job uses, by config field."""
    return {row["field"]: row for row in many(connection.execute(_INPUTS, {"job_id": job_id}))}


def declare(
    connection: Connection, job_id: str, output: str, *, host: str, path: str, size: int, meta: Mapping[str, Any]
) -> None:
    """Store where an output lies; it stays pending until its job is completed."""
    parameters = {"job_id": job_id, "output": output, "host": host, "path": path, "bytes": size, "meta": dict(meta)}
    connection.execute(_DECLARE, parameters)


def settle(connection: Connection, job_id: str, *, completed: bool) -> None:
    """At a job's end: what it declared is ready if it completed, all else failed."""
    connection.execute(_SETTLE, {"job_id": job_id, "completed": completed})


def note_files(connection: Connection, artifact_id: str, files: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Store the checksums of an artifact's files, unless they are known; answers what is known."""
    return connection.scalar(_NOTE_FILES, {"id": artifact_id, "files": dict(files)}) or {}


def is_in_use(connection: Connection, artifact_id: str) -> bool:
    """Whether a job that is not over uses it."""
    return bool(connection.scalar(_IS_IN_USE, {"id": artifact_id}))


def lock_artifact(connection: Connection, artifact_id: str) -> Row | None:
    """An artifact that no job can be given until the transaction ends."""
    return next(iter(many(connection.execute(_LOCK, {"id": artifact_id}))), None)


def user_of(connection: Connection, artifact_id: str) -> str | None:
    """A job that was given it, over or not."""
    return connection.scalar(_USER, {"id": artifact_id})


def delete_artifact(connection: Connection, artifact_id: str) -> None:
    """Delete it, with what was written down of it alone."""
    connection.execute(_DELETE, {"id": artifact_id})


def known_artifacts(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that there are artifacts of."""
    return set(connection.scalars(_KNOWN, {"ids": list(ids)})) if ids else set()


def repoint_inputs(connection: Connection, old: str, new: str) -> None:
    """Let what was to use the artifact `old` use `new`."""
    connection.execute(_REPOINT, {"old": old, "new": new})


def list_artifacts(
    connection: Connection,
    *,
    artifact_type: str | None,
    state: str | None,
    q: str | None,
    job_id: str | None = None,
    made_from: str | None = None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Row]:
    """Artifacts, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {
        "type": artifact_type, "state": state, "q": f"%{q}%" if q else None, "job_id": job_id, "made_from": made_from,
        "before_at": before_at, "before_id": before_id, "limit": limit,
    }  # fmt: skip
    return many(connection.execute(_LIST, parameters))
