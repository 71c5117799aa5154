"""Reads metric series: each step once, or minimum and maximum of each bucket, so that no single-step spike is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

NONFINITE_NAMES = {1: "NaN", 2: "+Inf", 3: "-Inf"}
#: Where points are, without and with the archive.
SOURCES = {
    False: "training_metrics",
    True: "(SELECT * FROM training_metrics UNION ALL SELECT * FROM training_metrics_archive)",
}
_OWNED = """
FROM {source} m JOIN unnest(CAST(:attempts AS int2[]), CAST(:bounds AS int8[])) AS o(attempt, bound) USING (attempt)
WHERE m.job = :job AND m.step BETWEEN :from_step AND :to_step AND m.step {side} o.bound
"""
_EXTENT = """
SELECT wanted.metric, extent.points, extent.first, extent.last
FROM unnest(CAST(:metrics AS int[])) AS wanted(metric) CROSS JOIN LATERAL (
    SELECT (SELECT count(*) FROM (SELECT 1 {owned} AND m.metric = wanted.metric LIMIT :enough) AS counted) AS points,
           (SELECT m.step {owned} AND m.metric = wanted.metric ORDER BY m.step LIMIT 1) AS first,
           (SELECT m.step {owned} AND m.metric = wanted.metric ORDER BY m.step DESC LIMIT 1) AS last) AS extent
"""
_ALL = "SELECT m.metric, m.step, m.value, m.nonfinite {owned} AND m.metric = ANY(:metrics) ORDER BY m.metric, m.step"
# arrays compare by their first element, so the extreme value brings its own step along
_BUCKETS = """
SELECT metric, min(ARRAY[value, step]) AS low, max(ARRAY[value, step]) AS high,
       min(step) FILTER (WHERE nonfinite IS NOT NULL) AS odd_step, min(nonfinite) AS nonfinite
FROM (SELECT m.metric, m.step::float8 AS step, m.value, m.nonfinite, (m.step - w.first) / w.width AS bucket
      {owned_joined} ) AS points
GROUP BY metric, bucket ORDER BY metric, bucket
"""
_WIDTHS = (
    "JOIN unnest(CAST(:metrics AS int[]), CAST(:firsts AS int8[]), CAST(:widths AS int8[])) "
    "AS w(metric, first, width) ON w.metric = m.metric WHERE"
)


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
    """What to read: steps inclusive, at most `max_points` a series; `owned` is the last step by attempt."""

    owned: Mapping[int, int]
    from_step: int
    to_step: int
    max_points: int
    include_archived: bool = True
    ghosts: bool = False


def read_series(connection: Connection, job_key: int, names: Mapping[str, int], wanted: Range) -> list[Series]:
    """The series of these metrics (name -> id), thinned where they hold more than `max_points`."""
    by_id = {metric: Series(name) for name, metric in names.items()}
    owned = _OWNED.format(source=SOURCES[wanted.include_archived], side=">" if wanted.ghosts else "<=")
    parameters = {
        "job": job_key,
        "metrics": list(by_id),
        "attempts": list(wanted.owned),
        "bounds": list(wanted.owned.values()),
        "from_step": wanted.from_step,
        "to_step": wanted.to_step,
        "enough": wanted.max_points + 1,
    }
    extents = [row for row in connection.execute(text(_EXTENT.format(owned=owned)), parameters) if row.points]
    whole = [row.metric for row in extents if row.points <= wanted.max_points]
    thinned = [row for row in extents if row.points > wanted.max_points]
    if whole:
        for row in connection.execute(text(_ALL.format(owned=owned)), parameters | {"metrics": whole}):
            by_id[row.metric].add(row.step, row.value, row.nonfinite)
    if thinned:
        buckets = max(1, wanted.max_points // 2)
        parameters |= {
            "metrics": [row.metric for row in thinned],
            "firsts": [row.first for row in thinned],
            "widths": [(row.last - row.first) // buckets + 1 for row in thinned],
        }
        statement = text(_BUCKETS.format(owned_joined=owned.replace("WHERE", _WIDTHS, 1)))
        for row in connection.execute(statement, parameters):
            _add_bucket(by_id[row.metric], row.low, row.high, row.odd_step, row.nonfinite)
    return list(by_id.values())


def _add_bucket(
    series: Series, low: Sequence[float] | None, high: Sequence[float] | None, odd_step: float | None, odd: int | None
) -> None:
    points: dict[int, tuple[float | None, int | None]] = {}
    for extreme in (low, high):
        if extreme is not None and extreme[0] is not None:
            points[int(extreme[1])] = (extreme[0], None)
    if odd_step is not None:
        points[int(odd_step)] = (None, odd)
    for step in sorted(points):
        series.add(step, *points[step])
