"""Running sums of metrics by attempt and phase: added to with each drain, so that aggregates never read a curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from headway.domain.series import LAST_STEP
from headway.storage.buckets import TOTAL
from headway.storage.rows import Row, fetch, perform
from headway.storage.series import SOURCES

_ADD = text("""
INSERT INTO metric_sums AS s (job, attempt, phase, metric, finite, total, low, high, last_step, last_value)
SELECT :job, :attempt, * FROM unnest(
    CAST(:phase AS text[]), CAST(:metric AS int[]), CAST(:finite AS int8[]), CAST(:total AS float8[]),
    CAST(:low AS float8[]), CAST(:high AS float8[]), CAST(:last_step AS int8[]), CAST(:last_value AS float8[]))
ON CONFLICT (job, attempt, phase, metric) DO UPDATE SET
    finite = s.finite + excluded.finite, total = s.total + excluded.total,
    low = least(s.low, excluded.low), high = greatest(s.high, excluded.high),
    last_value = CASE WHEN excluded.last_step >= s.last_step THEN excluded.last_value ELSE s.last_value END,
    last_step = greatest(s.last_step, excluded.last_step)
""")
# arrays compare from their first element on, so the greatest step brings its value along
_READ = text("""
SELECT n.name, (max(ARRAY[s.last_step::float8, s.attempt::float8, s.last_value]))[3] AS current,
       sum(s.total) AS total, sum(s.finite)::int8 AS finite, min(s.low) AS min, max(s.high) AS max,
       bool_or(s.last_step > o.bound) AS stale
FROM metric_sums s JOIN metric_names n ON n.id = s.metric
JOIN unnest(CAST(:attempts AS int2[]), CAST(:bounds AS int8[])) AS o(attempt, bound) USING (attempt)
WHERE s.job = :job AND (CAST(:phases AS text[]) IS NULL OR s.phase = ANY(:phases))
GROUP BY n.name ORDER BY n.name
""")
# a superseded attempt's late drain holds its row of `attempts` until it has committed
_LOCK = text("SELECT 1 FROM attempts WHERE job_id = :job_id AND number = ANY(:attempts) ORDER BY number FOR UPDATE")
_STALE = text("""
WITH stale AS (
    DELETE FROM metric_sums s USING unnest(CAST(:attempts AS int2[]), CAST(:bounds AS int8[])) AS o(attempt, bound)
    WHERE s.job = :job AND s.attempt = o.attempt AND (s.attempt, s.metric) IN (
        SELECT t.attempt, t.metric FROM metric_sums t WHERE t.job = :job AND t.last_step > o.bound)
    RETURNING s.attempt, s.metric, o.bound)
SELECT DISTINCT attempt, metric, bound FROM stale
""")
_SUM_AGAIN = text(f"""
INSERT INTO metric_sums (job, attempt, phase, metric, finite, total, low, high, last_step, last_value)
SELECT :job, m.attempt, coalesce((CAST(:phases AS text[]))[width_bucket(m.at, CAST(:begins AS timestamptz[]))], ''),
       m.metric, count(m.value), coalesce({TOTAL}, 0), min(m.value), max(m.value),
       max(m.step), (max(ARRAY[m.step::float8, m.value]))[2]
FROM unnest(CAST(:attempts AS int2[]), CAST(:metrics AS int[]), CAST(:bounds AS int8[])) AS o(attempt, metric, bound)
CROSS JOIN LATERAL (SELECT * FROM {SOURCES[True]} AS every WHERE every.job = :job AND every.metric = o.metric
                    AND every.attempt = o.attempt AND every.step <= o.bound) AS m
GROUP BY 2, 3, 4
""")


class MetricSum(NamedTuple):
    """What a drain adds: `finite` values with their `total`, least and greatest; the value at the greatest step."""

    phase: str
    metric: int
    finite: int
    total: float
    low: float | None
    high: float | None
    last_step: int
    last_value: float | None


def add(connection: Connection, job_key: int, attempt: int, sums: Sequence[MetricSum]) -> None:
    """Add to an attempt's sums, each phase and metric at most once. The caller's transaction makes it exactly once."""
    columns = zip(*sums, strict=True)
    values = {name: list(column) for name, column in zip(MetricSum._fields, columns, strict=True)}
    perform(connection, _ADD, {"job": job_key, "attempt": attempt, **values})


def read(
    connection: Connection,
    job_key: int,
    owned: Mapping[int, int],
    phases: Sequence[str] | None,
) -> list[Row]:
    """{name, current, total, finite, min, max, stale} of each metric in some phases, or (None) in all.

    `owned` is the last step by attempt; `stale` sums hold steps beyond it: `sum_again` first.
    """
    parameters = {
        "job": job_key,
        "attempts": list(owned),
        "bounds": list(owned.values()),
        "phases": None if phases is None else list(phases),
    }
    return fetch(connection, _READ, parameters)


def sum_again(
    connection: Connection,
    job_id: str,
    job_key: int,
    owned: Mapping[int, int],
    phases: Sequence[tuple[datetime, str]],
) -> None:
    """Sum the steps that attempts own still, where they logged more; `phases` are those entered, in order of time."""
    bounded = {attempt: bound for attempt, bound in owned.items() if bound < LAST_STEP}
    bounds = {"attempts": list(bounded), "bounds": list(bounded.values())}
    connection.execute(_LOCK, {"job_id": job_id, "attempts": list(bounded)})
    stale = list(connection.execute(_STALE, {"job": job_key, **bounds}))
    parameters = {
        "job": job_key,
        "phases": [phase for _, phase in phases],
        "begins": [at for at, _ in phases],
        "attempts": [row.attempt for row in stale],
        "metrics": [row.metric for row in stale],
        "bounds": [row.bound for row in stale],
    }
    connection.execute(_SUM_AGAIN, parameters)
