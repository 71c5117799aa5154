"""How finished jobs of a kind went on a host, phase by phase."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many

_ADD = text(
    "INSERT INTO kind_runs (job_id, kind, host, phases) VALUES (:job_id, :kind, :host, :phases) ON CONFLICT DO NOTHING"
).bindparams(bindparam("phases", type_=JSONB))
_NEWEST = text("SELECT phases FROM kind_runs WHERE kind = :kind AND host = :host ORDER BY ended_at DESC LIMIT :limit")
_NEWEST_WITH_CONFIGS = text("""
SELECT r.host, r.phases, j.config FROM kind_runs r JOIN jobs j ON j.id = r.job_id
WHERE r.kind = :kind AND r.host = (SELECT host FROM kind_runs WHERE kind = :kind ORDER BY ended_at DESC LIMIT 1)
ORDER BY r.ended_at DESC LIMIT :limit
""")


def add_run(connection: Connection, job_id: str, kind: str, host: str, phases: dict[str, Any]) -> None:
    """Keep how a completed job's phases went."""
    connection.execute(_ADD, {"job_id": job_id, "kind": kind, "host": host, "phases": phases})


def newest_runs(connection: Connection, kind: str, host: str, limit: int) -> list[dict[str, Any]]:
    """The newest runs, oldest first."""
    found = connection.scalars(_NEWEST, {"kind": kind, "host": host, "limit": limit}).all()
    return list(reversed(found))


def newest_runs_with_configs(connection: Connection, kind: str, limit: int) -> list[Row]:
    """The newest runs on the host where the kind ran last, newest first: host, phases, and the config of the job."""
    return many(connection.execute(_NEWEST_WITH_CONFIGS, {"kind": kind, "limit": limit}))
