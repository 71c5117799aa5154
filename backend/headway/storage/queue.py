"""The queue as Postgres holds it: claims, leases that ran out, messages that were lost, jobs that wait."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from headway.domain.devices import Wanted
from headway.storage.devices import FITS_HOST, GPUS_TAKEN
from headway.storage.jobs import JOB_COLUMNS
from headway.storage.rows import Row, many, one

#: A host with GPUs looks so far down a queue for a job that fits beside those that wait for GPUs.
MOST_IN_LINE = 200

_CLAIM = text(f"""
WITH target AS (
    SELECT id FROM jobs
    WHERE state = 'queued' AND queue = :queue AND (CAST(:id AS text) IS NULL OR id = :id)
      AND (not_before IS NULL OR not_before <= now()) AND {FITS_HOST}
    ORDER BY priority DESC, queued_at, key LIMIT 1 FOR UPDATE SKIP LOCKED
), j AS (
    UPDATE jobs SET state = 'running', attempt = attempt + 1, lease_owner = :owner,
        lease_expires_at = now() + make_interval(secs => :lease_seconds), error = NULL,
        started_at = coalesce(started_at, now()), updated_at = now(), revision = revision + 1
    FROM target WHERE jobs.id = target.id RETURNING jobs.*
), made AS (
    INSERT INTO attempts (job_id, number, lease_owner, host) SELECT id, attempt, :owner, :host FROM j
)
SELECT {JOB_COLUMNS} FROM j
""")

_LINE = text(f"""
SELECT id, {GPUS_TAKEN} AS gpus, coalesce((resources->>'share_gpu')::bool, false) AS shares FROM jobs
WHERE state = 'queued' AND queue = :queue AND (CAST(:id AS text) IS NULL OR id = :id)
  AND (not_before IS NULL OR not_before <= now()) AND {FITS_HOST}
ORDER BY priority DESC, queued_at, key LIMIT :most
""")

_READY_WAITERS = text("""
UPDATE jobs SET state = 'queued', queued_at = now(), updated_at = now(), revision = revision + 1
WHERE state = 'waiting'
  AND (CAST(:needed AS text) IS NULL
       OR id IN (SELECT job_id FROM job_dependencies WHERE needs_job_id = :needed))
  AND NOT EXISTS (SELECT 1 FROM job_dependencies d JOIN jobs n ON n.id = d.needs_job_id
                  WHERE d.job_id = jobs.id AND n.state <> 'completed')
RETURNING id, queue
""")

_UNSENT = text("""
UPDATE jobs SET sent_at = now() WHERE id IN (
    SELECT id FROM jobs WHERE state = 'queued' AND queue = ANY(:queues) AND (not_before IS NULL OR not_before <= now())
      AND (sent_at IS NULL OR sent_at < now() - make_interval(secs => :older_than_seconds))
    ORDER BY priority DESC, queued_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id, queue
""")

_EXPIRED = text("""
SELECT id FROM jobs WHERE state IN ('running', 'pausing', 'cancelling') AND lease_expires_at < now()
  AND pg_postmaster_start_time() < now() - make_interval(secs => :lease_seconds)
ORDER BY lease_expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
""")

# waits for the row of a transaction that a killed worker left open, unlike the reaper, which comes again
_HELD_BY = text(
    "SELECT id FROM jobs WHERE state IN ('running', 'pausing', 'cancelling') AND lease_owner = :owner "
    "ORDER BY id FOR UPDATE"
)

_QUEUES_WITH_WORK = text(f"""
SELECT queue FROM unnest(CAST(:queues AS text[])) AS wanted(queue) WHERE EXISTS (
    SELECT 1 FROM jobs WHERE state = 'queued' AND jobs.queue = wanted.queue
      AND (not_before IS NULL OR not_before <= now()) AND {FITS_HOST})
""")

_PAUSED_FOR_DISK = text("""
SELECT j.id FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.number = j.attempt
WHERE j.state = 'paused' AND j.error->>'class' = 'DISK_FULL' AND a.host = :host
  AND j.updated_at < now() - interval '1 minute'
ORDER BY j.updated_at LIMIT 100 FOR UPDATE OF j SKIP LOCKED
""")

_QUEUE_LENGTHS = text(
    "SELECT queue, count(*) FILTER (WHERE state = 'queued') AS queued, "
    "count(*) FILTER (WHERE state IN ('running', 'pausing', 'cancelling')) AS running "
    "FROM jobs WHERE state IN ('queued', 'running', 'pausing', 'cancelling') GROUP BY queue ORDER BY queue"
)


def claim(
    connection: Connection,
    *,
    queue: str,
    job_id: str | None,
    owner: str,
    host: str,
    lease_seconds: float,
    gpus_there: int = 0,
    memory_mb: int | None = None,
) -> Row | None:
    """Take a queued job that fits the host (this one, or the first): attempt + 1 and a lease, in one statement."""
    parameters = {
        "queue": queue, "id": job_id, "owner": owner, "host": host, "lease_seconds": lease_seconds,
        "gpus_there": gpus_there, "memory_mb": memory_mb,
    }  # fmt: skip
    return one(connection.execute(_CLAIM, parameters))


def line(
    connection: Connection, queue: str, job_id: str | None, gpus_there: int, memory_mb: int | None
) -> list[Wanted]:
    """The first jobs of a queue that fit a host, with the GPUs they take there, in the order of their turn."""
    parameters = {
        "queue": queue, "id": job_id, "gpus_there": gpus_there, "memory_mb": memory_mb, "most": MOST_IN_LINE,
    }  # fmt: skip
    return [Wanted(row.id, row.gpus, row.shares) for row in connection.execute(_LINE, parameters)]


def queue_ready_waiters(connection: Connection, needed: str | None = None) -> list[tuple[str, str]]:
    """Queue the waiting jobs whose needs are all completed (those that need `needed`, or any): (id, queue)."""
    return [(row.id, row.queue) for row in connection.execute(_READY_WAITERS, {"needed": needed})]


def take_unsent(
    connection: Connection, queues: Sequence[str], older_than_seconds: float, limit: int = 50
) -> list[tuple[str, str]]:
    """Queued jobs whose message was never sent or is old, marked as sent now: (id, queue)."""
    parameters = {"queues": list(queues), "older_than_seconds": older_than_seconds, "limit": limit}
    return [(row.id, row.queue) for row in connection.execute(_UNSENT, parameters)]


def expired(connection: Connection, lease_seconds: float) -> list[str]:
    """Held jobs whose lease ran out by Postgres' clock, locked; none until Postgres has been up for one lease."""
    return list(connection.scalars(_EXPIRED, {"lease_seconds": lease_seconds}))


def held_by(connection: Connection, owner: str) -> list[str]:
    """The jobs that a worker holds, locked."""
    return list(connection.scalars(_HELD_BY, {"owner": owner}))


def queues_with_work(
    connection: Connection, queues: Sequence[str], gpus_there: int = 0, memory_mb: int | None = None
) -> list[str]:
    """Those of the queues in which a job waits that fits such a host."""
    parameters = {"queues": list(queues), "gpus_there": gpus_there, "memory_mb": memory_mb}
    return list(connection.scalars(_QUEUES_WITH_WORK, parameters))


def queue_lengths(connection: Connection) -> list[Row]:
    """Queued and running jobs by queue."""
    return many(connection.execute(_QUEUE_LENGTHS))


def paused_for_disk(connection: Connection, host: str) -> list[str]:
    """Jobs of a host that have waited a minute for room on its disk, locked."""
    return list(connection.scalars(_PAUSED_FOR_DISK, {"host": host}))
