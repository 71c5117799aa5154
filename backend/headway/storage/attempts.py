"""Attempts: where each one's spool is drained to, what it resumed from, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from headway.storage.rows import Row, fetch, one

_GET = text("SELECT * FROM attempts WHERE job_id = :job_id AND number = :number")
_OF_JOB = text("SELECT * FROM attempts WHERE job_id = :job_id ORDER BY number")
_SPANS = text("""
SELECT j.key, a.number, a.resumed_from_step, a.started_at, a.drained_at, a.spool_offset
FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id WHERE j.id = :job_id ORDER BY a.number
""")
_BEGIN = text("UPDATE attempts SET resumed_from_step = :resumed_from_step WHERE job_id = :job_id AND number = :number")
_NOTE_PROCESS = text("UPDATE attempts SET process_group = :process_group WHERE job_id = :job_id AND number = :number")
_MOVE_OFFSETS = text(
    "UPDATE attempts SET spool_offset = :spool_to, output_offset = :output_to, drained_at = now() "
    "WHERE job_id = :job_id AND number = :number AND spool_offset = :spool_from AND output_offset = :output_from "
    "RETURNING drained_at"
)
_SECONDS_RUN = text(
    "SELECT coalesce(sum(extract(epoch FROM ended_at - started_at)), 0)::float8 FROM attempts "
    "WHERE job_id = :job_id AND number < :number"
)
_END = text(
    "UPDATE attempts SET outcome = :outcome, error = :error, ended_at = now() "
    "WHERE job_id = :job_id AND number = :number AND ended_at IS NULL"
).bindparams(bindparam("error", type_=JSONB(none_as_null=True)))


def get_attempt(connection: Connection, job_id: str, number: int) -> Row | None:
    """One attempt."""
    return one(connection.execute(_GET, {"job_id": job_id, "number": number}))


def attempts_of(connection: Connection, job_id: str) -> list[Row]:
    """All attempts of a job in order."""
    return fetch(connection, _OF_JOB, {"job_id": job_id})


def spans_of(connection: Connection, job_id: str) -> tuple[int, list[Row]] | None:
    """The key of a job, and what its curves need to know of its attempts; None when there is no such job."""
    rows = fetch(connection, _SPANS, {"job_id": job_id})
    return (rows[0]["key"], [row for row in rows if row["number"] is not None]) if rows else None


def begin(connection: Connection, job_id: str, number: int, resumed_from_step: int) -> None:
    """Store where the attempt goes on (`domain.series.BEGAN_ANEW`: nowhere), before its process can log anything."""
    connection.execute(_BEGIN, {"job_id": job_id, "number": number, "resumed_from_step": resumed_from_step})


def note_process(connection: Connection, job_id: str, number: int, process_group: int) -> None:
    """Store which process group runs the attempt."""
    connection.execute(_NOTE_PROCESS, {"job_id": job_id, "number": number, "process_group": process_group})


def move_offsets(
    connection: Connection, job_id: str, number: int, *, spool: tuple[int, int], output: tuple[int, int]
) -> datetime | None:
    """Compare-and-set of both offsets (from, to): when, by Postgres' clock; None when somebody else drained these."""
    parameters = {
        "job_id": job_id, "number": number, "spool_from": spool[0], "spool_to": spool[1],
        "output_from": output[0], "output_to": output[1],
    }  # fmt: skip
    rows = fetch(connection, _MOVE_OFFSETS, parameters)
    return rows[0]["drained_at"] if rows else None


def end_attempt(
    connection: Connection, job_id: str, number: int, outcome: str, error: Mapping[str, Any] | None = None
) -> None:
    """Store how the attempt ended, once."""
    parameters = {"job_id": job_id, "number": number, "outcome": outcome, "error": dict(error) if error else None}
    connection.execute(_END, parameters)


def seconds_run(connection: Connection, job_id: str, before: int) -> float:
    """Seconds that the attempts numbered below `before` ran."""
    return float(connection.scalar(_SECONDS_RUN, {"job_id": job_id, "number": before}) or 0.0)
