"""Aggregates of metrics from running sums: what a drain adds to them, and reading them for the effective curve.

Each value belongs to the phase that ran at its time. An attempt's sums hold all it logged; the first reader after a
later attempt resumed before its last step has them summed again from the curve, up to the step it still owns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from headway.domain.plan import PhaseSpec
from headway.domain.progress import PhaseFinished, PhaseStarted, PlanSet, Snapshot, apply
from headway.spool.reader import MetricRows
from headway.storage import metric_sums, run_history
from headway.storage.buckets import finite_total
from headway.storage.metric_sums import MetricSum
from headway.storage.rows import Row

#: A phase and since when it ran, in Unix seconds.
PhaseEntry = tuple[float, str]


def sums_of(groups: Iterable[MetricRows], ids: Mapping[str, int], entered: Sequence[PhaseEntry]) -> list[MetricSum]:
    """What a drain's rows add; `entered` are the phases in order, the first of them the one it began in."""
    found: dict[tuple[str, int], MetricSum] = {}
    for rows in groups:
        for phase, first, end in _stretches(rows.times, entered):
            for each in _sums_of_stretch(rows, ids, phase, first, end):
                key = (each.phase, each.metric)
                found[key] = _together(found[key], each) if key in found else each
    return list(found.values())


def read_sums(
    connection: Connection, job: Row, owned: Mapping[int, int], phases: Sequence[str] | None
) -> list[Row] | None:
    """{name, current, mean, min, max} of each metric on the effective curve, in some phases or (None) in all.

    None while some sums hold what a later attempt did again: `sum_again` first.
    """
    rows = metric_sums.read(connection, job["key"], owned, phases)
    if any(row["stale"] for row in rows):
        return None
    return [
        {
            "name": row["name"],
            "current": row["current"],
            "mean": row["total"] / row["finite"] if row["finite"] else None,
            "min": row["min"],
            "max": row["max"],
        }
        for row in rows
    ]


def sum_again(connection: Connection, job: Row, owned: Mapping[int, int]) -> None:
    """Take out of the sums what later attempts did again. In a transaction of its own."""
    entries = _entries_of_job(connection, job["id"])
    metric_sums.sum_again(connection, job["id"], job["key"], owned, entries)


def _stretches(times: Sequence[float], entered: Sequence[PhaseEntry]) -> Iterable[tuple[str, int, int]]:
    """(phase, first row, row after its last) of the phases in which there are rows."""
    first = 0
    for place, (_, phase) in enumerate(entered):
        following = entered[place + 1][0] if place + 1 < len(entered) else None
        end = len(times) if following is None else max(first, bisect_left(times, following))
        if end > first:
            yield phase, first, end
        first = end


def _sums_of_stretch(rows: MetricRows, ids: Mapping[str, int], phase: str, first: int, end: int) -> Iterable[MetricSum]:
    steps, width = rows.steps[first:end], len(rows.names)
    last_step = max(steps)
    last = len(steps) - 1 - steps[::-1].index(last_step)  # of two at one step the later counts
    for column, name in enumerate(rows.names):
        values = rows.values[first * width + column : end * width : width]
        newest = values[last]
        values, total = finite_total(values)
        yield MetricSum(
            phase=phase,
            metric=ids[name],
            finite=len(values),
            total=total,
            low=min(values, default=None),
            high=max(values, default=None),
            last_step=last_step,
            last_value=newest if newest - newest == 0.0 else None,
        )


def _together(one: MetricSum, other: MetricSum) -> MetricSum:
    """Two sums of one phase and metric; of two values at one step that of the `other` counts."""
    newest = other if other.last_step >= one.last_step else one
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    return MetricSum(
        phase=one.phase,
        metric=one.metric,
        finite=one.finite + other.finite,
        total=one.total + other.total,
        low=min(lows, default=None),
        high=max(highs, default=None),
        last_step=newest.last_step,
        last_value=newest.last_value,
    )


def _entries_of_job(connection: Connection, job_id: str) -> list[tuple[datetime, str]]:
    """The phases that were entered, as the journal tells it: an inner one gives back to the one around it."""
    events = run_history.phase_events(connection, job_id)
    names = dict.fromkeys(event["data"]["name"] for event in events if "name" in event["data"])
    planned = apply(Snapshot(), PlanSet(0.0, tuple(PhaseSpec(name, name) for name in names)))
    snapshot, entries = planned, list[tuple[datetime, str]]()
    for event in events:
        at, data = event["at"], event["data"]
        match event["type"]:
            case "phase.started":
                snapshot = apply(snapshot, PhaseStarted(at.timestamp(), data["name"]))
            case "phase.finished":
                change = PhaseFinished(at.timestamp(), data["name"], bool(data.get("skipped")), bool(data.get("again")))
                snapshot = apply(snapshot, change)
            case _:
                snapshot = planned  # another attempt
        since = max(at, entries[-1][0]) if entries else at
        if not entries or entries[-1][1] != (snapshot.phase or ""):
            entries.append((since, snapshot.phase or ""))
    return entries
