"""Reads the course of a job within a window of time or phases, and aggregates of its metrics there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from pydantic_core import from_json
from sqlalchemy import Connection, TextClause, text

from headway.storage.rows import Row, many
from headway.storage.series import SOURCES

# one JSON text of all points: row by row, decoding them took longer than all the rest of the answer
_NEWEST = text("""
SELECT coalesce(json_agg(newest ORDER BY revision), '[]')::text FROM (
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

# a phase lasts from its point to the next change of phase; those points are never thinned away
_WINDOWS = """
WITH spans AS (
    SELECT phase, at AS began, coalesce(lead(at) OVER (ORDER BY revision), 'infinity') AS ended
    FROM progress_history WHERE job_id = :job_id AND phase_changed),
windows AS (
    SELECT range_agg(tstzrange(began, ended)) * tstzmultirange(tstzrange(:since, :until, '[]')) AS kept
    FROM spans WHERE ended > began AND phase = ANY(:phases))
"""
_TIMES = "WITH windows AS (SELECT tstzmultirange(tstzrange(:since, :until, '[]')) AS kept)"
# attempt by attempt, as each is a stretch of the index; arrays compare by their first element, so the greatest step
# brings its value along
_AGGREGATES = """
{windows}
SELECT wanted.name, (max(part.newest))[2] AS current, sum(part.total) / nullif(sum(part.finite), 0) AS mean,
       min(part.low) AS min, max(part.high) AS max
FROM unnest(CAST(:names AS text[]), CAST(:metrics AS int[])) AS wanted(name, metric)
CROSS JOIN unnest(CAST(:attempts AS int2[]), CAST(:bounds AS int8[])) AS o(attempt, bound)
CROSS JOIN LATERAL (
    SELECT {newest} AS newest, count(*) AS points, count(m.value) AS finite, sum(m.value) AS total,
           min(m.value) AS low, max(m.value) AS high
    {stretch}) AS part
WHERE part.points > 0 GROUP BY wanted.name ORDER BY wanted.name
"""
_STRETCH = (
    "FROM {source} m WHERE m.job = :job AND m.metric = wanted.metric AND m.attempt = o.attempt AND m.step <= o.bound"
)
# of a whole stretch the newest is one look into the index; in a window each row has to be looked at anyhow
_NEWEST_OF_ALL = "(SELECT ARRAY[m.step::float8, m.value] {stretch} ORDER BY m.step DESC LIMIT 1)"
_NEWEST_WITHIN = "max(ARRAY[m.step::float8, m.value])"
_WITHIN = " AND m.at <@ (SELECT kept FROM windows)"


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: times inclusive, None for open; `phases` as the kind calls them, None for all."""

    since: datetime | None = None
    until: datetime | None = None
    phases: Sequence[str] | None = None

    @property
    def windows(self) -> str:
        """The SQL of its times, "" for all."""
        if self.phases is not None:
            return _WINDOWS
        return _TIMES if self.since or self.until else ""


def newest_points(connection: Connection, job_id: str, window: Window, limit: int) -> list[Row]:
    """The newest points of the history, in order; `at` in Unix seconds."""
    return from_json(connection.scalar(_NEWEST, {"job_id": job_id, "limit": limit, **_parameters(window)}) or "[]")


def phase_events(connection: Connection, job_id: str) -> list[Row]:
    """{at, type, data} of the events that tell which phase runs: attempts that begin, phases entered and left."""
    return many(connection.execute(_PHASE_EVENTS, {"job_id": job_id}))


def last_phase(connection: Connection, job_id: str, attempt: int) -> str | None:
    """The phase in which an attempt was seen last."""
    return connection.scalar(_LAST_PHASE, {"job_id": job_id, "attempt": attempt})


def aggregates(
    connection: Connection,
    job_id: str,
    job_key: int,
    names: Mapping[str, int],
    owned: Mapping[int, int],
    window: Window,
) -> list[Row]:
    """{name, current, mean, min, max} of each metric that has a point in the window; `owned`: last step by attempt."""
    parameters = {
        "job": job_key,
        "names": list(names),
        "metrics": list(names.values()),
        "attempts": list(owned),
        "bounds": list(owned.values()),
    }
    if window.windows:
        parameters |= {"job_id": job_id, **_parameters(window)}
    return many(connection.execute(_statement(window.windows), parameters))


@cache
def _statement(windows: str) -> TextClause:
    stretch = _STRETCH.format(source=SOURCES[True]) + (_WITHIN if windows else "")
    newest = _NEWEST_WITHIN if windows else _NEWEST_OF_ALL.format(stretch=stretch)
    return text(_AGGREGATES.format(windows=windows, newest=newest, stretch=stretch))


def _parameters(window: Window) -> dict[str, object]:
    return {
        "since": window.since,
        "until": window.until,
        "phases": None if window.phases is None else list(window.phases),
    }
