"""Hosts and the workers on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many

WORKER_GONE_SECONDS = 30
FILE_SERVER_SEEN_SECONDS = 20
FILE_SERVER_GONE_SECONDS = 3 * FILE_SERVER_SEEN_SECONDS

_SEE_HOST = text("""
INSERT INTO hosts (name, cpus, memory_mb) VALUES (:name, :cpus, :memory_mb)
ON CONFLICT (name) DO UPDATE SET cpus = excluded.cpus, memory_mb = excluded.memory_mb, last_seen_at = now()
""")
_SEE_WORKER = text("""
INSERT INTO workers (id, host, pid, slots, gpus) VALUES (:id, :host, :pid, :slots, :gpus)
ON CONFLICT (id) DO UPDATE SET last_seen_at = now(), slots = excluded.slots, gpus = excluded.gpus
RETURNING xmax = 0
""").bindparams(bindparam("slots", type_=JSONB), bindparam("gpus", type_=JSONB))
_FORGET_WORKERS = text("""
DELETE FROM workers WHERE id = :id OR last_seen_at < now() - make_interval(secs => :gone_seconds) RETURNING id, host
""")
_SEE_FILE_SERVER = text("""
INSERT INTO file_servers (host, url) VALUES (:host, :url) ON CONFLICT (host, url) DO UPDATE SET seen_at = now()
""")
_FORGET_FILE_SERVERS = text("DELETE FROM file_servers WHERE seen_at < now() - interval '1 day'")
_FILE_SERVERS = text("""
SELECT url FROM file_servers WHERE host = :host AND seen_at > now() - make_interval(secs => :gone_seconds)
ORDER BY seen_at DESC, url LIMIT 10
""")
_HOSTS = text("""
SELECT h.*, extract(epoch FROM now() - h.last_seen_at)::float8 AS age_seconds,
    coalesce((SELECT jsonb_agg(DISTINCT gpu) FROM workers w CROSS JOIN jsonb_array_elements(w.gpus) AS gpu
              WHERE w.host = h.name AND w.last_seen_at > now() - make_interval(secs => :gone_seconds)), '[]') AS gpus,
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
) -> bool:
    """Note that a worker lives, what it gives to jobs, and what its host has; whether it was not in the list before."""
    connection.execute(_SEE_HOST, {"name": host, "cpus": cpus, "memory_mb": memory_mb})
    given = {"slots": dict(slots), "gpus": list(gpus)}
    return bool(connection.scalar(_SEE_WORKER, {"id": worker_id, "host": host, "pid": pid, **given}))


def see_file_server(connection: Connection, host: str, url: str) -> None:
    """Note that the files of a host can be fetched there."""
    connection.execute(_SEE_FILE_SERVER, {"host": host, "url": url})
    connection.execute(_FORGET_FILE_SERVERS)


def file_servers(connection: Connection, host: str) -> list[str]:
    """Where the files of a host can be fetched now."""
    parameters = {"host": host, "gone_seconds": FILE_SERVER_GONE_SECONDS}
    return list(connection.scalars(_FILE_SERVERS, parameters))


def forget_workers(connection: Connection, ended: str | None = None) -> list[Row]:
    """Take out those not seen for WORKER_GONE_SECONDS, and one that ended; id and host of each that was there."""
    return many(connection.execute(_FORGET_WORKERS, {"id": ended, "gone_seconds": WORKER_GONE_SECONDS}))


def list_hosts(connection: Connection) -> list[Row]:
    """Every host with its living workers."""
    return many(connection.execute(_HOSTS, {"gone_seconds": WORKER_GONE_SECONDS}))
