"""What a job told on its way: log lines, events, progress history, checkpoints; numbered on its job, under its lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, text

from headway.storage import tables
from headway.storage.rows import Row, fetch, many, one

HISTORY_POINTS = 1000

_LOGS = text(
    "SELECT no, at, attempt, level, text FROM job_logs WHERE job_id = :job_id AND no > :after ORDER BY no LIMIT :limit"
)
_LAST_LOGS = text(
    "SELECT * FROM (SELECT no, at, attempt, level, text FROM job_logs WHERE job_id = :job_id "
    "ORDER BY no DESC LIMIT :limit) AS newest ORDER BY no"
)
# one statement, so that the count and the lines are of one moment; more lines than :most are none
_LOGS_SINCE = text("""
SELECT job.logs_count, line.no, line.at, line.attempt, line.level, line.text
FROM jobs AS job LEFT JOIN LATERAL (
    SELECT * FROM job_logs WHERE job_id = job.id AND no > :after AND job.logs_count - :after <= :most
    ORDER BY no LIMIT :most) AS line ON true
WHERE job.id = :job_id ORDER BY line.no
""")
_EVENTS = text(
    "SELECT no, type, at, data FROM job_events WHERE job_id = :job_id AND no > :after ORDER BY no LIMIT :limit"
)
_HISTORY = text(
    "SELECT at, attempt, revision, percent_bp, phase, step, rate, eta_seconds FROM progress_history "
    "WHERE job_id = :job_id ORDER BY revision"
)
# what the job shows is taken from its row, written before in the same transaction
_ADD_HISTORY = text("""
INSERT INTO progress_history (job_id, revision, attempt, at, percent_bp, phase, phase_changed, step, rate, eta_seconds,
                              epoch, message, metrics)
SELECT id, :revision, :attempt, :at, :percent_bp, :phase, :phase_changed, :step, :rate, :eta_seconds,
       (SELECT (counter->>'current')::float8 FROM jsonb_array_elements(progress->'counters') AS counter
        WHERE counter->>'unit' = 'epoch' LIMIT 1),
       progress->>'message', coalesce(progress->'metrics', '{}')
FROM jobs WHERE id = :job_id
""")
# every second point goes, phase changes stay; run only when the history is full
_THIN_HISTORY = text("""
DELETE FROM progress_history WHERE job_id = :job_id AND NOT phase_changed AND revision IN (
    SELECT revision FROM (SELECT revision, row_number() OVER (ORDER BY revision) AS place
                          FROM progress_history WHERE job_id = :job_id) AS numbered WHERE place % 2 = 0)
""")
_CHECKPOINTS = text("SELECT * FROM checkpoints WHERE job_id = :job_id ORDER BY step DESC, attempt DESC")
_CHECKPOINT = text("SELECT * FROM checkpoints WHERE id = :id")
_DROP_CHECKPOINTS = text("DELETE FROM checkpoints WHERE job_id = :job_id AND attempt = :attempt AND path = ANY(:paths)")
_ADD_EVENT = text("""
WITH job AS (UPDATE jobs SET events_count = events_count + 1 WHERE id = :job_id RETURNING events_count)
INSERT INTO job_events (job_id, no, type, data) SELECT :job_id, events_count, :type, CAST(:data AS jsonb) FROM job
""")


def add_logs(
    connection: Connection, job_id: str, attempt: int, last_no: int, lines: Sequence[Mapping[str, Any]]
) -> None:
    """Store log lines {at, level, text}; `last_no` is the job's count with them included."""
    first = last_no - len(lines) + 1
    rows = [{"job_id": job_id, "no": first + i, "attempt": attempt, **line} for i, line in enumerate(lines)]
    if rows:
        connection.execute(insert(tables.job_logs), rows)


def add_events(connection: Connection, job_id: str, last_no: int, events: Sequence[Mapping[str, Any]]) -> None:
    """Store events {type, data, at}; `last_no` is the job's count with them included."""
    first = last_no - len(events) + 1
    rows = [{"job_id": job_id, "no": first + i, **event} for i, event in enumerate(events)]
    if rows:
        connection.execute(insert(tables.job_events), rows)


def add_event(connection: Connection, job_id: str, event_type: str, data: str = "{}") -> None:
    """Store one event (data as JSON text), counting it on the job."""
    connection.execute(_ADD_EVENT, {"job_id": job_id, "type": event_type, "data": data})


def read_logs(connection: Connection, job_id: str, after: int, limit: int) -> list[Row]:
    """Log lines numbered above `after`."""
    return many(connection.execute(_LOGS, {"job_id": job_id, "after": after, "limit": limit}))


def read_last_logs(connection: Connection, job_id: str, limit: int) -> list[Row]:
    """The newest log lines, in order."""
    return many(connection.execute(_LAST_LOGS, {"job_id": job_id, "limit": limit}))


def logs_since(connection: Connection, job_id: str, after: int, most: int) -> tuple[int, list[Row]] | None:
    """How many lines a job has logged, and those numbered above `after` unless they are more than `most`.

    None without such a job.
    """
    rows = many(connection.execute(_LOGS_SINCE, {"job_id": job_id, "after": after, "most": most}))
    if not rows:
        return None
    counts = [row.pop("logs_count") for row in rows]
    return counts[0], [row for row in rows if row["no"] is not None]


def read_events(connection: Connection, job_id: str, after: int, limit: int) -> list[Row]:
    """Events numbered above `after`."""
    return many(connection.execute(_EVENTS, {"job_id": job_id, "after": after, "limit": limit}))


def add_history(connection: Connection, row: Mapping[str, Any]) -> None:
    """Store one point of progress, with the epoch, the message and the metrics that the job's row shows."""
    connection.execute(_ADD_HISTORY, dict(row))


def thin_history(connection: Connection, job_id: str) -> None:
    """Halve a full history evenly."""
    connection.execute(_THIN_HISTORY, {"job_id": job_id})


def read_history(connection: Connection, job_id: str) -> list[Row]:
    """The points of progress in order; at most HISTORY_POINTS and the phase changes."""
    return fetch(connection, _HISTORY, {"job_id": job_id})


def add_checkpoints(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store checkpoints."""
    if rows:
        connection.execute(insert(tables.checkpoints), [dict(row) for row in rows])


def drop_checkpoints(connection: Connection, job_id: str, attempt: int, paths: Sequence[str]) -> None:
    """Forget checkpoints that their attempt has removed."""
    if paths:
        connection.execute(_DROP_CHECKPOINTS, {"job_id": job_id, "attempt": attempt, "paths": list(paths)})


def checkpoints_of(connection: Connection, job_id: str) -> list[Row]:
    """A job's checkpoints, newest first."""
    return many(connection.execute(_CHECKPOINTS, {"job_id": job_id}))


def get_checkpoint(connection: Connection, checkpoint_id: str) -> Row | None:
    """One checkpoint."""
    return one(connection.execute(_CHECKPOINT, {"id": checkpoint_id}))


def moment(seconds: float) -> datetime:
    """A producer's Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
