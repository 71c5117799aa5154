"""Reads the course of a job within a window of time or phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic_core import from_json
from sqlalchemy import Connection, text

from headway.storage.rows import Row, fetch, many

# one JSON text of all points: row by row, decoding them took longer than all the rest of the answer
_NEWEST = text("""
SELECT coalesce(json_agg(newest ORDER BY revision), '[]')::text AS points FROM (
    SELECT revision, extract(epoch FROM at)::float8 AS at, phase, step, epoch, percent_bp, metrics, message, eta_seconds
    FROM progress_history
    WHERE job_id = :job_id AND at >= coalesce(:since, '-infinity'::timestamptz)
      AND at <= coalesce(:until, 'infinity'::timestamptz)
      AND (CAST(:phases AS text[]) IS NULL OR phase = ANY(:phases))
    ORDER BY revision DESC LIMIT :limit) AS newest
""")

_PHASE_EVENTS = text(
    "SELECT at, type, data FROM job_events WHERE job_id = :job_id "
    "AND type IN ('job.running', 'phase.started', 'phase.finished') ORDER BY no"
)
_LAST_PHASE = text(
    "SELECT phase FROM progress_history WHERE job_id = :job_id AND attempt = :attempt ORDER BY revision DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: times inclusive, None for open; `phases` as the kind calls them, None for all."""

    since: datetime | None = None
    until: datetime | None = None
    phases: Sequence[str] | None = None

    @property
    def of_times(self) -> bool:
        """Whether it is bounded in time."""
        return self.since is not None or self.until is not None


def newest_points(connection: Connection, job_id: str, window: Window, limit: int) -> list[Row]:
    """The newest points of the history, in order; `at` in Unix seconds."""
    parameters = {
        "job_id": job_id,
        "limit": limit,
        "since": window.since,
        "until": window.until,
        "phases": None if window.phases is None else list(window.phases),
    }
    return from_json(fetch(connection, _NEWEST, parameters)[0]["points"])


def phase_events(connection: Connection, job_id: str) -> list[Row]:
    """{at, type, data} of the events that tell which phase runs: attempts that begin, phases entered and left."""
    return many(connection.execute(_PHASE_EVENTS, {"job_id": job_id}))


def last_phase(connection: Connection, job_id: str, attempt: int) -> str | None:
    """The phase in which an attempt was seen last."""
    return connection.scalar(_LAST_PHASE, {"job_id": job_id, "attempt": attempt})
