"""Extremes of 256 steps each, so that a thinned curve of a million points keeps every spike and reads 4000 rows.

The rule: the drain that appends points folds them into the bucket of their step (`step / 256`, rounded down), by job,
metric, attempt and week of receipt, in its transaction. A bucket therefore says what its points say, always: least and
greatest finite value each with its step, and one step that is not finite. What a bucket covers only in part (the ends
of a range, the step from which a later attempt went on) is read point by point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, text

from headway.domain.series import LAST_STEP
from headway.spool.reader import MetricRows
from headway.storage.copy_format import nonfinite_code
from headway.storage.partitions import week_start

STEPS = 256

# `least` and `greatest` pass over nulls; a null comparison falls to ELSE
_FOLD = text("""
INSERT INTO metric_buckets AS b
    (job, attempt, week, metric, bucket, low, low_step, high, high_step, odd_step, nonfinite)
SELECT :job, :attempt, :week, * FROM unnest(
    CAST(:metric AS int[]), CAST(:bucket AS int8[]), CAST(:low AS float8[]), CAST(:low_step AS int8[]),
    CAST(:high AS float8[]), CAST(:high_step AS int8[]), CAST(:odd_step AS int8[]), CAST(:nonfinite AS int2[]))
ON CONFLICT (job, metric, attempt, bucket, week) DO UPDATE SET
    low_step = CASE WHEN b.low IS NULL OR excluded.low < b.low THEN excluded.low_step ELSE b.low_step END,
    low = least(b.low, excluded.low),
    high_step = CASE WHEN b.high IS NULL OR excluded.high > b.high THEN excluded.high_step ELSE b.high_step END,
    high = greatest(b.high, excluded.high),
    odd_step = coalesce(b.odd_step, excluded.odd_step), nonfinite = coalesce(b.nonfinite, excluded.nonfinite)
""")
# as `series` reads points: what a bucket says of its steps, placed at the first of them
FOLDED = f"""
SELECT b.metric, b.bucket * {STEPS} AS step, b.low, b.low_step, b.high, b.high_step, b.odd_step, b.nonfinite
FROM unnest(CAST(:whole_attempts AS int2[]), CAST(:whole_firsts AS int8[]), CAST(:whole_lasts AS int8[]))
    AS o(attempt, first, last)
JOIN metric_buckets b ON b.attempt = o.attempt AND b.bucket BETWEEN o.first AND o.last
WHERE b.job = :job AND b.metric = ANY(:metrics){{weeks}}
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


def aligned(first: int, last: int, most: int) -> tuple[int, int]:
    """Origin and width in steps of at most `most` groups of whole buckets that cover the steps."""
    begin, end = first // STEPS, last // STEPS
    return begin * STEPS, ((end - begin) // most + 1) * STEPS


@dataclass(frozen=True, slots=True)
class Extremes:
    """What a drain brings to one bucket of one metric."""

    metric: int
    bucket: int
    low: float | None
    low_step: int | None
    high: float | None
    high_step: int | None
    odd_step: int | None
    nonfinite: int | None


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
    columns = zip(*(astuple(each) for each in found.values()), strict=True)
    values = {name: list(column) for name, column in zip(Extremes.__slots__, columns, strict=True)}
    week: date = week_start(received_at).date()
    connection.execute(_FOLD, {"job": job_key, "attempt": attempt, "week": week, **values})


def extremes(groups: Iterable[MetricRows], ids: Mapping[str, int]) -> Iterator[Extremes]:
    """The extremes of each stretch of rows in one bucket; a bucket comes again where steps go back to it."""
    for rows in groups:
        first = 0
        for bucket, stretch in groupby(step // STEPS for step in rows.steps):
            end = first + sum(1 for _ in stretch)
            for column, name in enumerate(rows.names):
                yield _extremes(rows, ids[name], column, bucket, first, end)
            first = end


def _extremes(rows: MetricRows, metric: int, column: int, bucket: int, first: int, end: int) -> Extremes:
    steps, width = rows.steps[first:end], len(rows.names)
    values = rows.values[first * width + column : end * width : width]
    total = sum(values)
    odd_step = nonfinite = None
    if total - total != 0.0:  # some value is not finite, or their sum is not
        odd = next(((step, value) for step, value in zip(steps, values, strict=True) if value - value != 0.0), None)
        odd_step, nonfinite = (odd[0], nonfinite_code(odd[1])) if odd else (None, None)
        finite = [(step, value) for step, value in zip(steps, values, strict=True) if value - value == 0.0]
        if not finite:
            return Extremes(metric, bucket, None, None, None, None, odd_step, nonfinite)
        steps, values = [step for step, _ in finite], [value for _, value in finite]
    low, high = min(values), max(values)
    low_step, high_step = steps[values.index(low)], steps[values.index(high)]
    return Extremes(metric, bucket, low, low_step, high, high_step, odd_step, nonfinite)


def _together(one: Extremes, other: Extremes) -> Extremes:
    low = min((each for each in (one, other) if each.low is not None), key=lambda e: (e.low, e.low_step), default=one)
    high = max((each for each in (one, other) if each.high is not None), key=lambda e: e.high or 0.0, default=one)
    odd = one if one.odd_step is not None else other
    return Extremes(
        one.metric, one.bucket, low.low, low.low_step, high.high, high.high_step, odd.odd_step, odd.nonfinite
    )
