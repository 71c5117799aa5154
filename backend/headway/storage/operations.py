"""What is under way on all hosts at one moment: queues and how long they make wait, what is held where, what failed."""

from __future__ import annotations

from sqlalchemy import Connection, text

from headway.storage.jobs import JOB_COLUMNS
from headway.storage.rows import Row, many

_QUEUES = text("""
WITH now_there AS (
    SELECT queue, count(*) FILTER (WHERE state = 'queued') AS queued,
           count(*) FILTER (WHERE state <> 'queued') AS running,
           extract(epoch FROM now() - min(queued_at) FILTER (WHERE state = 'queued'))::float8 AS oldest_wait_seconds
    FROM jobs WHERE state IN ('queued', 'running', 'pausing', 'cancelling') GROUP BY queue
), begun AS (
    SELECT queue, count(*) AS started_last_hour,
           (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at)))::float8
               AS median_wait_seconds
    FROM jobs WHERE started_at > now() - interval '1 hour' GROUP BY queue
)
SELECT queue, coalesce(queued, 0) AS queued, coalesce(running, 0) AS running, oldest_wait_seconds,
       coalesce(started_last_hour, 0) AS started_last_hour, median_wait_seconds
FROM now_there FULL JOIN begun USING (queue) ORDER BY queue
""")

_HELD = text("""
SELECT j.id AS job_id, j.name, j.kind, j.attempt, a.host, d.device, d.shared
FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.number = j.attempt
LEFT JOIN device_leases d ON d.job_id = j.id
WHERE j.state IN ('running', 'pausing', 'cancelling') ORDER BY a.started_at, j.id, d.device
""")

_FAILED = text(f"""
SELECT {JOB_COLUMNS} FROM jobs j WHERE j.state = 'failed' AND j.finished_at > now() - interval '1 day'
ORDER BY j.finished_at DESC LIMIT :most
""")


def queues(connection: Connection) -> list[Row]:
    """By queue: what is in it, how long the first has waited, and how long those begun in the last hour did."""
    return many(connection.execute(_QUEUES))


def held(connection: Connection) -> list[Row]:
    """{job_id, name, kind, attempt, host, device, shared} of what runs, a row for each of its GPUs, at least one."""
    return many(connection.execute(_HELD))


def recent_failures(connection: Connection, most: int) -> list[Row]:
    """Jobs that failed within a day, the last one first."""
    return many(connection.execute(_FAILED, {"most": most}))
