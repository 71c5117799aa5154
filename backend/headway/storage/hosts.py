"""Hosts and the workers on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many

WORKER_GONE_SECONDS = 30

_SEE_HOST = text("""
INSERT INTO hosts (name, cpus, memory_mb, gpus) VALUES (:name, :cpus, :memory_mb, :gpus)
ON CONFLICT (name) DO UPDATE SET cpus = excluded.cpus, memory_mb = excluded.memory_mb, gpus = excluded.gpus,
    last_seen_at = now()
""").bindparams(bindparam("gpus", type_=JSONB))
_SEE_WORKER = text("""
INSERT INTO workers (id, host, pid, slots) VALUES (:id, :host, :pid, :slots)
ON CONFLICT (id) DO UPDATE SET last_seen_at = now()
""").bindparams(bindparam("slots", type_=JSONB))
_FORGET_WORKERS = text(
    "DELETE FROM workers WHERE id = :id OR last_seen_at < now() - make_interval(secs => :gone_seconds)"
)
_HOSTS = text("""
SELECT h.*, extract(epoch FROM now() - h.last_seen_at)::float8 AS age_seconds,
    coalesce((SELECT jsonb_agg(jsonb_build_object('id', w.id, 'pid', w.pid, 'slots', w.slots) ORDER BY w.started_at)
              FROM workers w WHERE w.host = h.name
                AND w.last_seen_at > now() - make_interval(secs => :gone_seconds)), '[]') AS workers
FROM hosts h ORDER BY h.name
""")


def see(
    connection: Connection,
    *,
    worker_id: str,
    host: str,
    pid: int,
    slots: Mapping[str, int],
    cpus: int,
    memory_mb: int,
    gpus: Sequence[Mapping[str, Any]],
) -> None:
    """Note that a worker lives, and what its host has."""
    connection.execute(_SEE_HOST, {"name": host, "cpus": cpus, "memory_mb": memory_mb, "gpus": list(gpus)})
    connection.execute(_SEE_WORKER, {"id": worker_id, "host": host, "pid": pid, "slots": dict(slots)})


def forget_worker(connection: Connection, worker_id: str) -> None:
    """Take a worker out that ended, and those not seen for long."""
    connection.execute(_FORGET_WORKERS, {"id": worker_id, "gone_seconds": WORKER_GONE_SECONDS * 10})


def list_hosts(connection: Connection) -> list[Row]:
    """Every host with its living workers."""
    return many(connection.execute(_HOSTS, {"gone_seconds": WORKER_GONE_SECONDS}))
