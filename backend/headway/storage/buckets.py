"""What 256 steps each say, so that a thinned curve of a million points keeps every spike and reads 4000 rows.

The rule: the drain that appends points folds them into the bucket of their step (`step / 256`, rounded down), by job,
metric, attempt and week of receipt, in its transaction. A bucket therefore says what its points say, always: least and
greatest finite value each with its step, how many finite ones there are and their sum, one step that is not finite, and
the first and last time. What a bucket covers only in part (the ends of a range or of a window of time, the step from
which a later attempt went on) is read point by point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, text

from headway.domain.series import LAST_STEP
from headway.spool.reader import MetricRows
from headway.storage.copy_format import nonfinite_code, stored_seconds
from headway.storage.partitions import week_start
from headway.storage.rows import perform

STEPS = 256
#: Sums of finite values stay finite: a value beyond counts as this in its mean.
MOST_SUMMED = 1e290
# `least` and `greatest` pass over nulls
TOTAL = f"sum(least(greatest(m.value, -{MOST_SUMMED}), {MOST_SUMMED})) FILTER (WHERE m.value IS NOT NULL)"

# `least` and `greatest` pass over nulls; a null comparison falls to ELSE
_FOLD = text("""
INSERT INTO metric_buckets AS b
    (job, attempt, week, first_at, last_at, metric, bucket, low, low_step, high, high_step, odd_step, nonfinite, finite,
     total)
SELECT :job, :attempt, :week, to_timestamp(first_at), to_timestamp(last_at), metric, bucket, low, low_step, high,
       high_step, odd_step, nonfinite, finite, total
FROM unnest(
    CAST(:metric AS int[]), CAST(:bucket AS int8[]), CAST(:low AS float8[]), CAST(:low_step AS int8[]),
    CAST(:high AS float8[]), CAST(:high_step AS int8[]), CAST(:odd_step AS int8[]), CAST(:nonfinite AS int2[]),
    CAST(:finite AS int8[]), CAST(:total AS float8[]), CAST(:first_at AS float8[]), CAST(:last_at AS float8[]))
    AS e(metric, bucket, low, low_step, high, high_step, odd_step, nonfinite, finite, total, first_at, last_at)
ON CONFLICT (job, metric, attempt, bucket, week) DO UPDATE SET
    low_step = CASE WHEN b.low IS NULL OR excluded.low < b.low THEN excluded.low_step ELSE b.low_step END,
    low = least(b.low, excluded.low),
    high_step = CASE WHEN b.high IS NULL OR excluded.high > b.high THEN excluded.high_step ELSE b.high_step END,
    high = greatest(b.high, excluded.high),
    odd_step = coalesce(b.odd_step, excluded.odd_step), nonfinite = coalesce(b.nonfinite, excluded.nonfinite),
    finite = b.finite + excluded.finite, total = b.total + excluded.total,
    first_at = least(b.first_at, excluded.first_at), last_at = greatest(b.last_at, excluded.last_at)
""")
_OF_ATTEMPTS = """
FROM unnest(CAST(:whole_attempts AS int2[]), CAST(:whole_firsts AS int8[]), CAST(:whole_lasts AS int8[]))
    AS o(attempt, first, last)
JOIN metric_buckets b ON b.attempt = o.attempt AND b.bucket BETWEEN o.first AND o.last
WHERE b.job = :job AND b.metric = ANY(:metrics){weeks}
"""
EXTENTS = f"SELECT b.metric, min(b.bucket) AS first, max(b.bucket) AS last {_OF_ATTEMPTS} GROUP BY b.metric"
# as `series` reads points: what a bucket says of its steps, placed at the first of them
FOLDED = f"""
SELECT b.metric, b.bucket * {STEPS} AS step, b.low, b.low_step, b.high, b.high_step, b.odd_step, b.nonfinite
{_OF_ATTEMPTS}
"""
LIVE_WEEKS = """ AND b.week IN (
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'training_metrics'::regclass)"""


class Stretch(NamedTuple):
    """Steps (or buckets) of an attempt, both ends included."""

    attempt: int
    first: int
    last: int


def cut(stretches: Iterable[Stretch]) -> tuple[list[Stretch], list[Stretch]]:
    """The buckets that lie within stretches of steps as a whole, and what steps are left over at their ends."""
    whole: list[Stretch] = []
    edges: list[Stretch] = []
    for attempt, first, last in stretches:
        begin, end = -(-first // STEPS), last if last >= LAST_STEP else (last + 1) // STEPS
        if begin >= end:
            edges += [Stretch(attempt, first, last)] if first <= last else []
            continue
        whole.append(Stretch(attempt, begin, end - 1))
        ends = (Stretch(attempt, first, begin * STEPS - 1), Stretch(attempt, end * STEPS, last))
        edges += [each for each in ends if each.first <= each.last]
    return whole, edges


def touched(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The buckets that hold any of these steps."""
    return [Stretch(attempt, first // STEPS, last // STEPS) for attempt, first, last in stretches if first <= last]


def aligned(first: int, last: int, most: int) -> tuple[int, int]:
    """Origin and width in steps of at most `most` groups of whole buckets that cover the steps."""
    begin, end = first // STEPS, last // STEPS
    return begin * STEPS, ((end - begin) // most + 1) * STEPS


class Extremes(NamedTuple):
    """What a drain brings to one bucket of one metric; `finite` values with their `total`, times in Unix seconds."""

    metric: int
    bucket: int
    low: float | None
    low_step: int | None
    high: float | None
    high_step: int | None
    odd_step: int | None
    nonfinite: int | None
    finite: int
    total: float
    first_at: float
    last_at: float


def fold(
    connection: Connection,
    job_key: int,
    attempt: int,
    groups: Sequence[MetricRows],
    ids: Mapping[str, int],
    received_at: datetime,
) -> None:
    """Fold a drain's rows into their buckets. The caller's transaction makes it exactly once."""
    found: dict[tuple[int, int], Extremes] = {}
    for each in extremes(groups, ids):
        key = (each.metric, each.bucket)
        found[key] = _together(found[key], each) if key in found else each
    if not found:
        return
    columns = zip(*found.values(), strict=True)
    values = {name: list(column) for name, column in zip(Extremes._fields, columns, strict=True)}
    week: date = week_start(received_at).date()
    perform(connection, _FOLD, {"job": job_key, "attempt": attempt, "week": week, **values})


def extremes(groups: Iterable[MetricRows], ids: Mapping[str, int]) -> Iterator[Extremes]:
    """The extremes of each stretch of rows in one bucket; a bucket comes again where steps go back to it."""
    for rows in groups:
        first = 0
        for bucket, stretch in groupby(step // STEPS for step in rows.steps):
            end = first + sum(1 for _ in stretch)
            times = rows.times[first:end]
            between = stored_seconds(min(times)), stored_seconds(max(times))
            for column, name in enumerate(rows.names):
                yield _extremes(rows, ids[name], column, bucket, first, end, between)
            first = end


def finite_total(values: Sequence[float]) -> tuple[Sequence[float], float]:
    """The values that are finite, and their sum, each counted as MOST_SUMMED at most."""
    total = sum(values, 0.0)
    if -MOST_SUMMED < total < MOST_SUMMED:
        return values, total
    # NaN as well: some value is not finite, or they are too much
    values = [value for value in values if value - value == 0.0]
    return values, sum((min(max(value, -MOST_SUMMED), MOST_SUMMED) for value in values), 0.0)


def _extremes(
    rows: MetricRows, metric: int, column: int, bucket: int, first: int, end: int, between: tuple[float, float]
) -> Extremes:
    steps, width = rows.steps[first:end], len(rows.names)
    values = rows.values[first * width + column : end * width : width]
    finite, total = finite_total(values)
    odd_step = nonfinite = None
    if len(finite) < len(values):
        odd = next((step, value) for step, value in zip(steps, values, strict=True) if value - value != 0.0)
        odd_step, nonfinite = odd[0], nonfinite_code(odd[1])
        steps = [step for step, value in zip(steps, values, strict=True) if value - value == 0.0]
        if not finite:
            return Extremes(metric, bucket, None, None, None, None, odd_step, nonfinite, 0, 0.0, *between)
    low, high = min(finite), max(finite)
    places = steps[finite.index(low)], steps[finite.index(high)]
    return Extremes(metric, bucket, low, places[0], high, places[1], odd_step, nonfinite, len(finite), total, *between)


def _together(one: Extremes, other: Extremes) -> Extremes:
    low = min((each for each in (one, other) if each.low is not None), key=lambda e: (e.low, e.low_step), default=one)
    high = max((each for each in (one, other) if each.high is not None), key=lambda e: e.high or 0.0, default=one)
    odd = one if one.odd_step is not None else other
    return Extremes(
        metric=one.metric,
        bucket=one.bucket,
        low=low.low,
        low_step=low.low_step,
        high=high.high,
        high_step=high.high_step,
        odd_step=odd.odd_step,
        nonfinite=odd.nonfinite,
        finite=one.finite + other.finite,
        total=one.total + other.total,
        first_at=min(one.first_at, other.first_at),
        last_at=max(one.last_at, other.last_at),
    )
