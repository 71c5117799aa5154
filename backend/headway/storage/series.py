"""Reads metric series: each step once, or minimum and maximum of each bucket, so that no single-step spike is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from math import isnan
from operator import itemgetter, lt
from struct import unpack_from
from typing import Any

from sqlalchemy import Connection, TextClause, text

from headway.storage.buckets import FOLDED, LIVE_WEEKS, STEPS, Stretch, aligned, cut

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
_EXTENT = """
SELECT wanted.metric, extent.first, extent.last
FROM unnest(CAST(:metrics AS int[])) AS wanted(metric) CROSS JOIN LATERAL (
    SELECT (SELECT m.step {points} AND m.metric = wanted.metric ORDER BY m.step LIMIT 1) AS first,
           (SELECT m.step {points} AND m.metric = wanted.metric ORDER BY m.step DESC LIMIT 1) AS last) AS extent
WHERE extent.first IS NOT NULL
"""
_MORE_THAN = """
SELECT wanted.metric FROM unnest(CAST(:metrics AS int[])) AS wanted(metric)
WHERE :most < (SELECT count(*) FROM (SELECT 1 {points} AND m.metric = wanted.metric LIMIT :most + 1) AS counted)
"""
# as the index has them: by step within an attempt and a week; packed, as a driver decodes long arrays slowly
_ALL = """
SELECT wanted.metric, every.* FROM unnest(CAST(:metrics AS int[])) AS wanted(metric) CROSS JOIN LATERAL (
    SELECT array_send(array_agg(m.step)) AS steps, array_send(array_agg(coalesce(m.value, 'NaN'))) AS values,
           count(m.nonfinite) AS odd {points} AND m.metric = wanted.metric) AS every
"""
_ODD = "SELECT m.step, m.nonfinite {points} AND m.metric = ANY(:metrics) AND m.nonfinite IS NOT NULL"
#: `array_send` puts dimensions, flags, type, length and lower bound before the elements, and a length before each.
_ARRAY_HEAD_BYTES, _ELEMENT_BYTES = 20, 12
_RAW = """
SELECT m.metric, m.step, m.value AS low, m.step AS low_step, m.value AS high, m.step AS high_step,
       CASE WHEN m.nonfinite IS NOT NULL THEN m.step END AS odd_step, m.nonfinite {points} AND m.metric = ANY(:metrics)
"""
# arrays compare by their first element, so the extreme value brings its own step along
_BUCKETS = """
SELECT metric, low[1] AS low, low[2]::int8 AS low_step, high[1] AS high, high[2]::int8 AS high_step,
       odd_step, nonfinite
FROM (SELECT p.metric, (p.step - w.first) / w.width AS bucket,
             min(ARRAY[p.low, p.low_step]) FILTER (WHERE p.low IS NOT NULL) AS low,
             max(ARRAY[p.high, p.high_step]) FILTER (WHERE p.high IS NOT NULL) AS high,
             min(p.odd_step) AS odd_step, min(p.nonfinite) AS nonfinite
      FROM ({parts}) AS p JOIN unnest(CAST(:metrics AS int[]), CAST(:origins AS int8[]), CAST(:widths AS int8[]))
          AS w(metric, first, width) USING (metric) GROUP BY p.metric, 2) AS found
ORDER BY metric, bucket
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
    extents = reader.extents(list(by_id))
    # as many points as steps at most: the long ones are counted, the others need not be
    long = [metric for metric, (first, last) in extents.items() if last - first >= wanted.max_points]
    thinned = set(reader.with_more_points(long)) if long else set[int]()
    reader.read_whole({metric: by_id[metric] for metric in extents if metric not in thinned})
    reader.read_thinned(by_id, {metric: extents[metric] for metric in thinned})
    return list(by_id.values())


class _Reader:
    """The statements about one range of a job's points."""

    def __init__(self, connection: Connection, job_key: int, wanted: Range) -> None:
        self._connection = connection
        self._wanted = wanted
        self._points = _POINTS.format(source=SOURCES[wanted.include_archived])
        since, until = wanted.received
        self._parameters = {"job": job_key, "since": since, "until": until, **_columns(wanted.stretches)}

    def extents(self, metrics: Sequence[int]) -> dict[int, tuple[int, int]]:
        """First and last step of each metric that has any."""
        return {row.metric: (row.first, row.last) for row in self._rows(_EXTENT, metrics=metrics)}

    def with_more_points(self, metrics: Sequence[int]) -> list[int]:
        """The metrics that have more points than wanted."""
        return [row.metric for row in self._rows(_MORE_THAN, metrics=metrics, most=self._wanted.max_points)]

    def read_whole(self, series: Mapping[int, Series]) -> None:
        """Fill in every point; of two at the same step the later wins."""
        for row in self._rows(_ALL, metrics=list(series)) if series else ():
            found, steps, values = series[row.metric], _unpacked(row.steps, "q"), _unpacked(row.values, "d")
            if not row.odd and all(map(lt, steps, steps[1:])):
                found.steps, found.values = steps, values
                continue
            odd = dict(map(tuple, self._rows(_ODD, metrics=[row.metric])))
            for step, value in sorted(zip(steps, values, strict=True), key=itemgetter(0)):
                found.add(step, *((None, odd[step]) if isnan(value) else (value, None)))

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
            live = "" if self._wanted.include_archived else LIVE_WEEKS
            parts = FOLDED.format(weeks=live) + (" UNION ALL " + _RAW.format(points=self._points) if edges else "")
            self._read_buckets(series, parts, folded, **_columns(edges), **_columns(whole, "whole_"))

    def _read_buckets(
        self, series: Mapping[int, Series], parts: str, grid: Mapping[int, tuple[int, int]], **parameters: object
    ) -> None:
        origins, widths = [list(column) for column in zip(*grid.values(), strict=True)]
        rows = self._rows(
            _BUCKETS.replace("{parts}", parts), metrics=list(grid), origins=origins, widths=widths, **parameters
        )
        for metric, low, low_step, high, high_step, odd_step, nonfinite in rows:
            points = [] if low is None else [(low_step, low, None), (high_step, high, None)]
            if odd_step is not None:
                points.append((odd_step, None, nonfinite))
            for point in sorted(points, key=itemgetter(0)):
                series[metric].add(*point)

    def _rows(self, statement: str, **parameters: object) -> Iterable[Any]:
        complete = statement.replace("{points}", self._points)
        return self._connection.execute(_parsed(complete), self._parameters | parameters)


@cache
def _parsed(statement: str) -> TextClause:
    """There are a handful of them; looking for the parameters takes longer than some of them run."""
    return text(statement)


def _unpacked(packed: bytes, code: str) -> list[Any]:
    """The elements, all of 8 bytes and none null, of an array that Postgres sent in its binary format."""
    count = (len(packed) - _ARRAY_HEAD_BYTES) // _ELEMENT_BYTES
    return list(unpack_from(">" + f"4x{code}" * count, packed, _ARRAY_HEAD_BYTES))


def _columns(stretches: Sequence[Stretch], prefix: str = "") -> dict[str, list[int]]:
    names = ("attempts", "firsts", "lasts")
    return {prefix + name: [stretch[place] for stretch in stretches] for place, name in enumerate(names)}
