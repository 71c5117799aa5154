"""Aggregates of metrics within a window of time: from the sums of buckets that lie in it whole, and from points beside.

Nothing is taken for granted of the order of steps and times: a bucket knows its first and last time. A bucket across an
edge of the window, or of what an attempt still owns, is read point by point through the index of steps, so an answer
reads 256 points an edge and one row for each 256 steps between. Phases that change within a bucket make more edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, TextClause, text

from headway.storage.buckets import STEPS, TOTAL
from headway.storage.rows import Row, fetch
from headway.storage.run_history import Window
from headway.storage.series import SOURCES

# a phase lasts from its point to the next change of phase; those points are never thinned away
_PHASES = """
spans AS (
    SELECT phase, at AS began, coalesce(lead(at) OVER (ORDER BY revision), 'infinity') AS ended
    FROM progress_history WHERE job_id = :job_id AND phase_changed),
windows AS (
    SELECT range_agg(tstzrange(began, ended)) * tstzmultirange(tstzrange(:since, :until, '[]')) AS kept
    FROM spans WHERE ended > began AND phase = ANY(:phases)),
"""
_TIMES = "windows AS (SELECT tstzmultirange(tstzrange(:since, :until, '[]')) AS kept),"
# a bucket's points are all in the partition of its week, and no others of its steps; which partitions those may be is
# said twice, as planning for every week there is takes longer than the whole answer
_POINTS = f"""
FROM {SOURCES[True]} m WHERE m.job = :job AND m.metric = h.metric AND m.attempt = h.attempt
AND m.step BETWEEN h.first AND h.last AND m.received_at >= h.week AND m.received_at < h.week + interval '7 days'
AND m.received_at BETWEEN :received_since AND :received_until
"""
# arrays compare by their first element, so the greatest step brings its value along
_AGGREGATES = f"""
WITH {{windows}} held AS (
    SELECT b.metric, b.attempt, b.week::timestamp AT TIME ZONE 'UTC' AS week, b.finite, b.total, b.low, b.high,
           b.bucket * {STEPS} AS first, least((b.bucket + 1) * {STEPS} - 1, o.bound) AS last,
           (b.bucket + 1) * {STEPS} - 1 <= o.bound AND tstzrange(b.first_at, b.last_at, '[]') <@ kept AS whole
    FROM windows CROSS JOIN unnest(CAST(:attempts AS int2[]), CAST(:bounds AS int8[])) AS o(attempt, bound)
    JOIN metric_buckets b ON b.attempt = o.attempt AND b.bucket * {STEPS} <= o.bound
    WHERE b.job = :job AND (CAST(:metrics AS int[]) IS NULL OR b.metric = ANY(:metrics))
      AND tstzrange(b.first_at, b.last_at, '[]') && kept),
parts AS (
    SELECT h.metric, h.finite, h.total, h.low, h.high, CASE WHEN h.place = 1 THEN (
               SELECT ARRAY[m.step::float8, m.value] {{points}} ORDER BY m.step DESC LIMIT 1) END AS newest
    FROM (SELECT *, rank() OVER (PARTITION BY metric ORDER BY first DESC) AS place FROM held WHERE whole) AS h
    UNION ALL
    SELECT h.metric, part.*
    FROM windows CROSS JOIN held h CROSS JOIN LATERAL (
        SELECT count(m.value), {TOTAL}, min(m.value), max(m.value),
               max(ARRAY[m.step::float8, m.value]) {{points}} AND m.at <@ kept HAVING count(*) > 0) AS part
    WHERE NOT h.whole)
SELECT n.name, (max(newest))[2] AS current, sum(total) / nullif(sum(finite), 0)::float8 AS mean, min(low) AS min,
       max(high) AS max
FROM parts JOIN metric_names n ON n.id = parts.metric GROUP BY n.name ORDER BY n.name
"""


def aggregates(
    connection: Connection,
    job_id: str,
    job_key: int,
    metrics: Sequence[int] | None,
    owned: Mapping[int, int],
    received: tuple[datetime, datetime],
    window: Window,
) -> list[Row]:
    """{name, current, mean, min, max} of each metric (of these, or None: of all) that has a point in the window.

    `owned` is the last step by attempt; `received`, when the points came in.
    """
    if window.since and window.until and window.since > window.until:
        return []
    parameters = {
        "job": job_key,
        "metrics": None if metrics is None else list(metrics),
        "attempts": list(owned),
        "bounds": list(owned.values()),
        "received_since": received[0],
        "received_until": received[1],
        "since": window.since,
        "until": window.until,
    }
    if window.phases is not None:
        parameters |= {"job_id": job_id, "phases": list(window.phases)}
    return fetch(connection, _statement(window.phases is not None), parameters)


@cache
def _statement(of_phases: bool) -> TextClause:
    return text(_AGGREGATES.format(windows=_PHASES if of_phases else _TIMES, points=_POINTS))
