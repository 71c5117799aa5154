"""Reads metric series: each step once, or minimum and maximum of each bucket, so that no single-step spike is lost."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import isfinite, isnan
from operator import itemgetter, lt
from sys import byteorder
from typing import Any, Literal

from sqlalchemy import Connection, TextClause, text

from headway.storage.buckets import EXTENTS, FOLDED, LIVE_WEEKS, STEPS, Stretch, aligned, cut, touched
from headway.storage.rows import Row, fetch

NONFINITE_NAMES = {1: "NaN", 2: "+Inf", 3: "-Inf"}
#: Where points are, without and with the archive.
SOURCES = {
    False: "training_metrics",
    True: "(SELECT * FROM training_metrics UNION ALL SELECT * FROM training_metrics_archive)",
}
ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))

# weeks outside the time of receipt are pruned; the covering index holds that time too
_POINTS = """
FROM unnest(CAST(:attempts AS int2[]), CAST(:firsts AS int8[]), CAST(:lasts AS int8[])) AS o(attempt, first, last)
JOIN {source} m ON m.attempt = o.attempt AND m.step BETWEEN o.first AND o.last
WHERE m.job = :job AND m.received_at BETWEEN :since AND :until
"""
# the same of one stretch, as most jobs have only one attempt: the index is told what a join would look for in each row
_POINTS_OF_ONE = """
FROM {source} m WHERE m.attempt = (CAST(:attempts AS int2[]))[1]
AND m.step BETWEEN (CAST(:firsts AS int8[]))[1] AND (CAST(:lasts AS int8[]))[1]
AND m.job = :job AND m.received_at BETWEEN :since AND :until
"""
# as the index has them: by step within an attempt and a week; packed, as a driver decodes long arrays slowly
_AT_MOST = """
SELECT wanted.metric, few.* FROM unnest(CAST(:metrics AS int[])) AS wanted(metric) CROSS JOIN LATERAL (
    SELECT string_agg(int8send(step), '') AS steps, string_agg(float8send(coalesce(value, 'NaN')), '') AS values
    FROM (SELECT m.step, m.value {points} AND m.metric = wanted.metric LIMIT :most + 1) AS p) AS few
WHERE few.steps IS NOT NULL
"""
_ODD = "SELECT m.step, m.nonfinite {points} AND m.metric = ANY(:metrics) AND m.nonfinite IS NOT NULL"
_RAW = """
SELECT m.metric, m.step, m.value AS low, m.step AS low_step, m.value AS high, m.step AS high_step,
       CASE WHEN m.nonfinite IS NOT NULL THEN m.step END AS odd_step, m.nonfinite {points} AND m.metric = ANY(:metrics)
"""
# arrays compare by their first element, so the extreme value brings its own step along
_BUCKETS = """
SELECT metric, string_agg(float8send(coalesce(low[1], 'NaN')), '') AS lows,
       string_agg(int8send(coalesce(low[2]::int8, 0)), '') AS low_steps,
       string_agg(float8send(coalesce(high[1], 'NaN')), '') AS highs,
       string_agg(int8send(coalesce(high[2]::int8, 0)), '') AS high_steps,
       array_agg(odd_step) FILTER (WHERE odd_step IS NOT NULL) AS odd_steps,
       array_agg(nonfinite) FILTER (WHERE odd_step IS NOT NULL) AS kinds
FROM (SELECT p.metric, (p.step - w.first) / w.width AS bucket,
             min(ARRAY[p.low, p.low_step]) FILTER (WHERE p.low IS NOT NULL) AS low,
             max(ARRAY[p.high, p.high_step]) FILTER (WHERE p.high IS NOT NULL) AS high,
             min(p.odd_step) AS odd_step, min(p.nonfinite) AS nonfinite
      FROM ({parts}) AS p JOIN unnest(CAST(:metrics AS int[]), CAST(:origins AS int8[]), CAST(:widths AS int8[]))
          AS w(metric, first, width) USING (metric) GROUP BY p.metric, 2) AS found
GROUP BY metric
"""


@dataclass(slots=True)
class Series:
    """Points of one metric in order of step; a value that is not finite is None, its kind in `nonfinite` by index."""

    name: str
    steps: list[int] = field(default_factory=list[int])
    values: list[float | None] = field(default_factory=list["float | None"])
    nonfinite: dict[int, str] = field(default_factory=dict[int, str])

    def add(self, step: int, value: float | None, nonfinite: int | None) -> None:
        """Append a point; of two at the same step the later wins."""
        if self.steps and self.steps[-1] == step:
            self.values[-1] = value
            self.nonfinite.pop(len(self.steps) - 1, None)
        else:
            self.steps.append(step)
            self.values.append(value)
        if nonfinite is not None:
            self.nonfinite[len(self.steps) - 1] = NONFINITE_NAMES[nonfinite]


@dataclass(frozen=True, slots=True)
class Range:
    """What to read: steps inclusive, at most `max_points` a series; `owned` is the last step by attempt.

    `received` is when the points came in, as far as that is known: other weeks need not be looked at.
    """

    owned: Mapping[int, int]
    from_step: int
    to_step: int
    max_points: int
    include_archived: bool = True
    ghosts: bool = False
    received: tuple[datetime, datetime] = ALWAYS

    @property
    def stretches(self) -> list[Stretch]:
        """The steps of each attempt: those it owns, or (ghosts) those beyond."""
        if self.ghosts:
            return [Stretch(each, max(self.from_step, own + 1), self.to_step) for each, own in self.owned.items()]
        return [Stretch(each, self.from_step, min(self.to_step, own)) for each, own in self.owned.items()]


def read_series(connection: Connection, job_key: int, names: Mapping[str, int], wanted: Range) -> list[Series]:
    """The series of these metrics (name -> id), thinned where they hold more than `max_points`."""
    by_id = {metric: Series(name) for name, metric in names.items()}
    reader = _Reader(connection, job_key, wanted)
    long = reader.read_short(by_id)
    if long:
        reader.read_thinned(by_id, reader.extents(long))
    return list(by_id.values())


class _Reader:
    """The statements about one range of a job's points."""

    def __init__(self, connection: Connection, job_key: int, wanted: Range) -> None:
        self._connection = connection
        self._wanted = wanted
        self._joined = _POINTS.format(source=SOURCES[wanted.include_archived])
        one = _POINTS_OF_ONE.format(source=SOURCES[wanted.include_archived])
        self._points = one if len(wanted.owned) == 1 else self._joined
        self._weeks = "" if wanted.include_archived else LIVE_WEEKS
        since, until = wanted.received
        self._parameters = {"job": job_key, "since": since, "until": until, **_columns(wanted.stretches)}

    def read_short(self, series: Mapping[int, Series]) -> list[int]:
        """Fill in the metrics that have no more points than wanted, of two at a step the later; the ids of the rest."""
        long: list[int] = []
        for row in self._rows(_AT_MOST, metrics=list(series), most=self._wanted.max_points):
            metric, steps = row["metric"], _unpacked(row["steps"], "q")
            if len(steps) > self._wanted.max_points:
                long.append(metric)
            else:
                self._fill(series[metric], metric, steps, _unpacked(row["values"], "d"))
        return long

    def _fill(self, found: Series, metric: int, steps: list[int], values: list[Any]) -> None:
        if isfinite(sum(values)) and all(map(lt, steps, steps[1:])):
            found.steps, found.values = steps, values
            return
        odd = {row["step"]: row["nonfinite"] for row in self._rows(_ODD, metrics=[metric])}
        for step, value in sorted(zip(steps, values, strict=True), key=itemgetter(0)):
            found.add(step, *((None, odd[step]) if isnan(value) else (value, None)))

    def extents(self, metrics: Sequence[int]) -> dict[int, tuple[int, int]]:
        """First and last step of each metric that has any, to within a bucket."""
        stretches = self._wanted.stretches
        lowest, highest = min(each.first for each in stretches), max(each.last for each in stretches)
        statement = EXTENTS.format(weeks=self._weeks)
        rows = self._rows(statement, metrics=metrics, **_columns(touched(stretches), "whole_"))
        return {
            row["metric"]: (max(lowest, row["first"] * STEPS), min(highest, (row["last"] + 1) * STEPS - 1))
            for row in rows
        }

    def read_thinned(self, series: Mapping[int, Series], extents: Mapping[int, tuple[int, int]]) -> None:
        """Fill in the extremes of each bucket: at most half as many buckets as points are wanted."""
        most = max(1, self._wanted.max_points // 2)
        widths = {metric: (last - first) // most + 1 for metric, (first, last) in extents.items()}
        narrow = [metric for metric, width in widths.items() if width < STEPS]
        if narrow:
            parts = _RAW.format(points=self._points)
            self._read_buckets(series, parts, {metric: (extents[metric][0], widths[metric]) for metric in narrow})
        folded = {m: aligned(*extents[m], most) for m in extents if m not in narrow}
        if folded:
            whole, edges = cut(self._wanted.stretches)
            cut_off = f" UNION ALL {_RAW.format(points=self._joined)}" if edges else ""
            parts = FOLDED.format(weeks=self._weeks) + cut_off
            self._read_buckets(series, parts, folded, **_columns(edges), **_columns(whole, "whole_"))

    def _read_buckets(
        self, series: Mapping[int, Series], parts: str, grid: Mapping[int, tuple[int, int]], **parameters: object
    ) -> None:
        origins, widths = [list(column) for column in zip(*grid.values(), strict=True)]
        rows = self._rows(
            _BUCKETS.replace("{parts}", parts), metrics=list(grid), origins=origins, widths=widths, **parameters
        )
        for row in rows:
            found = series[row["metric"]]
            steps = _unpacked(row["low_steps"], "q") + _unpacked(row["high_steps"], "q")
            values = _unpacked(row["lows"], "d") + _unpacked(row["highs"], "d")
            # buckets do not overlap, so this sorts within each
            extremes = sorted(zip(steps, values, strict=True))
            if not row["odd_steps"]:
                points = dict(extremes)
                found.steps, found.values = list(points), list(points.values())
                continue
            kinds = zip(row["odd_steps"], row["kinds"], strict=True)
            odd: list[tuple[int, float | None, int | None]] = [(step, None, kind) for step, kind in kinds]
            # a bucket without a finite value has no extremes
            for point in sorted([*((s, v, None) for s, v in extremes if not isnan(v)), *odd], key=itemgetter(0)):
                found.add(*point)

    def _rows(self, statement: str, **parameters: object) -> list[Row]:
        complete = statement.replace("{points}", self._points)
        return fetch(self._connection, _parsed(complete), self._parameters | parameters, binary=True)


@cache
def _parsed(statement: str) -> TextClause:
    """There are a handful of them; looking for the parameters takes longer than some of them run."""
    return text(statement)


def _unpacked(packed: bytes, code: Literal["q", "d"]) -> list[Any]:
    """Numbers of 8 bytes as Postgres sends them, highest byte first."""
    numbers = array(code)
    numbers.frombytes(packed)
    if byteorder == "little":
        numbers.byteswap()
    return numbers.tolist()


def _columns(stretches: Sequence[Stretch], prefix: str = "") -> dict[str, list[int]]:
    names = ("attempts", "firsts", "lasts")
    return {prefix + name: [stretch[place] for stretch in stretches] for place, name in enumerate(names)}
