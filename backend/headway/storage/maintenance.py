"""What the periodic tasks did: one row a task, totals that only grow."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, many

_ADD_TASK = text("INSERT INTO maintenance (task) VALUES (:task) ON CONFLICT DO NOTHING")
_COUNTS = text("SELECT counts FROM maintenance WHERE task = :task FOR UPDATE")
_NOTE = text("""
UPDATE maintenance SET runs = runs + 1, failures = failures + CASE WHEN CAST(:error AS text) IS NULL THEN 0 ELSE 1 END,
    seconds = seconds + :seconds, last_seconds = :seconds, last_error = :error, last_run_at = now(), counts = :counts
WHERE task = :task
""").bindparams(bindparam("counts", type_=JSONB))
_ALL = text("SELECT * FROM maintenance ORDER BY task")


def note_run(
    connection: Connection, task: str, seconds: float, counts: Mapping[str, int], error: str | None = None
) -> None:
    """Add a run that took this long and did so much of each thing."""
    connection.execute(_ADD_TASK, {"task": task})
    totals: dict[str, int] = connection.scalar(_COUNTS, {"task": task}) or {}
    totals |= {name: totals.get(name, 0) + count for name, count in counts.items()}
    connection.execute(_NOTE, {"task": task, "seconds": seconds, "error": error, "counts": totals})


def task_totals(connection: Connection) -> list[Row]:
    """{task, runs, failures, seconds, counts, last_seconds, last_error, last_run_at} of each task that ever ran."""
    return many(connection.execute(_ALL))
