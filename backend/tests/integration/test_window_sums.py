"""Aggregates within a window of time are those of its points, wherever the window, the attempts and the weeks end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from headway.spool.reader import MetricRows
from headway.storage import journal, window_sums
from headway.storage import metrics as metric_store
from headway.storage.run_history import Window
from tests.installation import Installation, open_installation

BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
#: Steps of each attempt in the order they were logged, with the last step it still owns: one goes back, one resumes.
ATTEMPTS = {1: ([*range(1500), *range(700, 900)], 1100), 2: ([*range(1101, 2400)], 2**62)}
PHASES = [(0, "training"), (400, "evaluating"), (450, "training"), (2100, "evaluating"), (9999, "saving")]


@pytest.fixture(scope="module")
def installation(postgres_url: str, redis_url: str) -> Iterator[Installation]:
    with open_installation(postgres_url, redis_url) as opened:
        yield opened


@dataclass(frozen=True)
class Stored:
    """A job with points; those on the effective curve as (seconds, step, value, phase)."""

    job_id: str
    key: int
    ids: dict[str, int]
    points: Sequence[tuple[float, int, float, str]] = field(repr=False)


@pytest.fixture(scope="module")
def stored(installation: Installation) -> Stored:
    """Drained piece by piece into three weeks."""
    job_id = installation.submit()
    points: list[tuple[float, int, float, str]] = []
    seconds = 0.0
    with installation.engine.begin() as connection:
        key = connection.exec_driver_sql("SELECT key FROM jobs WHERE id = %s", (job_id,)).scalar_one()
        ids = metric_store.metric_ids(connection, ["loss"])
        for attempt, (steps, bound) in ATTEMPTS.items():
            for first in range(0, len(steps), 301):  # drains end within buckets
                part = steps[first : first + 301]
                times = [seconds + 0.5 * number for number in range(len(part))]
                values = [math.nan if step % 97 == 0 else math.sin(step) * step for step in part]
                seconds = times[-1] + 0.5
                _append(connection, key, attempt, ids, part, times, values)
                points += [(t, s, v, _phase(t)) for t, s, v in zip(times, part, values, strict=True) if s <= bound]
        for revision, (at, phase) in enumerate(PHASES, 1):
            _enter(connection, job_id, revision, at, phase)
    return Stored(job_id, key, ids, points)


def _append(
    connection: Connection,
    key: int,
    attempt: int,
    ids: dict[str, int],
    steps: list[int],
    times: list[float],
    values: list[float],
) -> None:
    since = BEGAN.timestamp()
    rows = [MetricRows(("loss",), steps, [since + at for at in times], values)]
    received_at = BEGAN + timedelta(weeks=steps[0] // 1000)
    metric_store.append(connection, job_key=key, attempt=attempt, rows=rows, ids=ids, received_at=received_at)


def _enter(connection: Connection, job_id: str, revision: int, at: float, phase: str) -> None:
    point = {
        "job_id": job_id, "revision": revision, "attempt": 1, "at": BEGAN + timedelta(seconds=at), "percent_bp": 0,
        "phase": phase, "phase_changed": True, "step": None, "rate": None, "eta_seconds": None,
    }  # fmt: skip
    journal.add_history(connection, point)


def _phase(seconds: float) -> str:
    return next(phase for at, phase in reversed(PHASES) if at <= seconds)


MOMENTS = st.one_of(st.none(), st.integers(-10, 3200).map(lambda half: half / 2))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(since=MOMENTS, until=MOMENTS, phases=st.sampled_from([None, ("training",), ("evaluating",), ("saving",)]))
def test_sums_of_a_window_are_those_of_its_points(
    installation: Installation,
    stored: Stored,
    since: float | None,
    until: float | None,
    phases: tuple[str, ...] | None,
) -> None:
    ends = [None if each is None else BEGAN + timedelta(seconds=each) for each in (since, until)]
    owned = {attempt: bound for attempt, (_, bound) in ATTEMPTS.items()}
    metrics = list(stored.ids.values()) if phases else None
    received = (BEGAN, BEGAN + timedelta(weeks=2))  # those of the first drain and of the last
    inside = [
        (step, value)
        for at, step, value, phase in stored.points
        if (since is None or at >= since) and (until is None or at <= until) and (phases is None or phase in phases)
    ]
    finite = [value for _, value in inside if math.isfinite(value)]
    window = Window(*ends, phases)
    with installation.engine.connect() as connection:
        found = window_sums.aggregates(connection, stored.job_id, stored.key, metrics, owned, received, window)
    if not inside:
        assert found == []
        return
    newest = max(inside, key=lambda point: point[0])[1]
    assert [(row["name"], row["min"], row["max"]) for row in found] == [
        ("loss", min(finite, default=None), max(finite, default=None))
    ]
    assert found[0]["mean"] == (pytest.approx(sum(finite) / len(finite)) if finite else None)
    assert found[0]["current"] == (newest if math.isfinite(newest) else None)
