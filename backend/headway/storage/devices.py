"""GPUs leased to held jobs: leased with the claim, freed by the move that ends the attempt (`jobs.move`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

# claims of one host's GPUs come one after the other, so that each sees what the one before took
_LOCK_HOST = text("SELECT pg_advisory_xact_lock(hashtextextended('headway.devices/' || :host, 0))")
_HELD = text(
    "SELECT device, count(*) AS jobs, bool_and(shared) AS shared FROM device_leases WHERE host = :host GROUP BY device"
)
_LEASE = text("""
INSERT INTO device_leases (host, device, job_id, attempt, shared)
SELECT :host, device, :job_id, :attempt, :shared FROM unnest(CAST(:devices AS text[])) AS device
""")
_NOTE_GPUS = text("UPDATE attempts SET gpus = :gpus WHERE job_id = :job_id AND number = :attempt").bindparams(
    bindparam("gpus", type_=JSONB)
)

#: How many GPUs a job takes on a host that has `:gpus_there`.
GPUS_TAKEN = """CASE WHEN coalesce((resources->>'gpus_optional')::bool, false)
    THEN least((resources->>'gpus')::int, :gpus_there) ELSE coalesce((resources->>'gpus')::int, 0) END"""

#: Whether a job (of `jobs`) could run on a host with `:gpus_there` GPUs and `:memory_mb` (null: not known) at all. One
#: that uses a GPU where there is one is left to a worker that has some and lives.
FITS_HOST = f"""
    {GPUS_TAKEN} <= :gpus_there
    AND (CAST(:memory_mb AS int) IS NULL OR coalesce((resources->>'memory_mb')::int, 0) <= :memory_mb)
    AND NOT (:gpus_there = 0 AND coalesce((resources->>'gpus')::int, 0) > 0 AND EXISTS (
        SELECT 1 FROM workers w WHERE w.gpus <> '[]' AND coalesce((w.slots->>jobs.queue)::int, 0) > 0
            AND w.last_seen_at > now() - interval '15 seconds'))"""

#: What a queued job (of `j`) waits for that no living worker can give, as one text in an array; else an empty one.
LACK = """
    CASE WHEN j.state <> 'queued' THEN CAST('{}' AS text[])
    WHEN NOT EXISTS (SELECT 1 FROM workers w WHERE coalesce((w.slots->>j.queue)::int, 0) > 0
                     AND w.last_seen_at > now() - interval '30 seconds')
    THEN ARRAY['a worker for the queue ' || j.queue]
    WHEN NOT EXISTS (
        SELECT 1 FROM workers w JOIN hosts h ON h.name = w.host
        WHERE coalesce((w.slots->>j.queue)::int, 0) > 0 AND w.last_seen_at > now() - interval '30 seconds'
          AND h.memory_mb >= coalesce((j.resources->>'memory_mb')::int, 0)
          AND (coalesce((j.resources->>'gpus_optional')::bool, false)
               OR jsonb_array_length(w.gpus) >= coalesce((j.resources->>'gpus')::int, 0)))
    THEN ARRAY['a host with ' || array_to_string(ARRAY[
        CASE WHEN coalesce((j.resources->>'gpus_optional')::bool, false) THEN NULL
             WHEN (j.resources->>'gpus')::int = 1 THEN '1 GPU'
             WHEN (j.resources->>'gpus')::int > 1 THEN (j.resources->>'gpus') || ' GPUs' END,
        CASE WHEN NOT EXISTS (
            SELECT 1 FROM workers w JOIN hosts h ON h.name = w.host
            WHERE coalesce((w.slots->>j.queue)::int, 0) > 0 AND w.last_seen_at > now() - interval '30 seconds'
              AND h.memory_mb >= coalesce((j.resources->>'memory_mb')::int, 0))
        THEN (j.resources->>'memory_mb') || ' MB of memory' END], ' and ')]
    ELSE CAST('{}' AS text[]) END"""


def lock_host(connection: Connection, host: str) -> None:
    """Claim this host's GPUs alone until the transaction ends."""
    connection.execute(_LOCK_HOST, {"host": host})


def held(connection: Connection, host: str) -> dict[str, tuple[int, bool]]:
    """By device that is leased: to how many jobs, and whether all of them share."""
    return {row.device: (row.jobs, row.shared) for row in connection.execute(_HELD, {"host": host})}


def lease(
    connection: Connection, host: str, job_id: str, attempt: int, gpus: Sequence[dict[str, Any]], *, shared: bool
) -> None:
    """Give GPUs to an attempt. Fails on an index when another job has one of them for itself."""
    key = {"job_id": job_id, "attempt": attempt}
    connection.execute(_LEASE, {**key, "host": host, "devices": [gpu["id"] for gpu in gpus], "shared": shared})
    connection.execute(_NOTE_GPUS, {**key, "gpus": list(gpus)})
