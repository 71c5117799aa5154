"""Reads the course of a job within a window of time or phases, and aggregates of its metrics there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, TextClause, text

from headway.storage.rows import Row, many
from headway.storage.series import OWNED, SOURCES, Range

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
# of the whole curve the newest value is one look into the index
_AGGREGATES = """
SELECT wanted.name, newest.value AS current, whole.mean, whole.min, whole.max
FROM unnest(CAST(:names AS text[]), CAST(:metrics AS int[])) AS wanted(name, metric)
CROSS JOIN LATERAL (
    SELECT count(*) AS points, avg(m.value) AS mean, min(m.value) AS min, max(m.value) AS max
    {owned} AND m.metric = wanted.metric) AS whole
LEFT JOIN LATERAL (
    SELECT m.value {owned} AND m.metric = wanted.metric ORDER BY m.step DESC LIMIT 1) AS newest ON true
WHERE whole.points > 0 ORDER BY wanted.name
"""
# in a window each row has to be looked at, once; arrays compare by their first element
_AGGREGATES_WITHIN = """
{windows}
SELECT wanted.name, whole.newest[2] AS current, whole.mean, whole.min, whole.max
FROM unnest(CAST(:names AS text[]), CAST(:metrics AS int[])) AS wanted(name, metric)
CROSS JOIN LATERAL (
    SELECT count(*) AS points, avg(m.value) AS mean, min(m.value) AS min, max(m.value) AS max,
           max(ARRAY[m.step::float8, m.value]) AS newest
    {owned} AND m.metric = wanted.metric AND m.at <@ (SELECT kept FROM windows)) AS whole
WHERE whole.points > 0 ORDER BY wanted.name
"""


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
    return json.loads(connection.scalar(_NEWEST, {"job_id": job_id, "limit": limit, **_parameters(window)}) or "[]")


def aggregates(
    connection: Connection, job_id: str, job_key: int, names: Mapping[str, int], reach: Range, window: Window
) -> list[Row]:
    """{name, current, mean, min, max} of each metric on the effective curve that has a point in the window."""
    parameters = {
        "job": job_key,
        "names": list(names),
        "metrics": list(names.values()),
        "attempts": list(reach.owned),
        "bounds": list(reach.owned.values()),
        "from_step": reach.from_step,
        "to_step": reach.to_step,
    }
    if window.windows:
        parameters |= {"job_id": job_id, **_parameters(window)}
    return many(connection.execute(_statement(window.windows, reach.include_archived), parameters))


@cache
def _statement(windows: str, include_archived: bool) -> TextClause:
    owned = OWNED.format(source=SOURCES[include_archived], side="<=")
    shape = _AGGREGATES_WITHIN if windows else _AGGREGATES
    return text(shape.format(owned=owned, windows=windows))


def _parameters(window: Window) -> dict[str, object]:
    return {
        "since": window.since,
        "until": window.until,
        "phases": None if window.phases is None else list(window.phases),
    }
