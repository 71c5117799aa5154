"""Rows for COPY: packed column by column, they are what packing value by value gives."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from headway.spool.reader import MetricRows
from headway.storage.copy_format import packed

RECEIVED = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)
SECONDS_TO_2000 = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


def field(code: str, value: float) -> bytes:
    return struct.pack(">i", struct.calcsize(code)) + struct.pack(f">{code}", value)


def microseconds(at: float) -> int:
    return round((at - SECONDS_TO_2000) * 1e6)


def row(job: int, metric: int, attempt: int, step: int, at: float, value: float) -> bytes:
    """One row as the documentation of COPY describes it."""
    null = struct.pack(">i", -1)
    code = 1 if math.isnan(value) else 2 if value > 0 else 3
    last = field("d", value) + null if math.isfinite(value) else null + field("h", code)
    received = microseconds(RECEIVED.timestamp())
    common = field("i", job) + field("i", metric) + field("q", received) + field("h", attempt)
    return struct.pack(">h", 8) + common + field("q", step) + field("q", microseconds(at)) + last


steps = st.integers(-(2**63), 2**63 - 1)
times = st.floats(0, 4e9)
rows = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.tuples(steps, times, st.lists(st.floats(), min_size=width, max_size=width)), max_size=6)
)


@given(rows, st.integers(1, 2**31 - 1), st.integers(1, 2**15 - 1))
def test_columns_packed_at_once_are_the_rows_packed_one_by_one(table, job, attempt):
    width = len(table[0][2]) if table else 1
    metrics = [7 + column * 1000 for column in range(width)]
    group = MetricRows(tuple(map(str, metrics)))
    for step, at, values in table:
        group.steps.append(step)
        group.times.append(at)
        group.values += values
    expected = b"".join(
        row(job, metric, attempt, step, at, values[column])
        for column, metric in enumerate(metrics)
        for step, at, values in table
    )
    assert b"".join(packed(group, metrics, job, attempt, RECEIVED)) == expected


def test_rows_of_several_blocks_each_come_once():
    group = MetricRows(("a", "b"), list(range(5000)), [1e9] * 5000, [float(value) for value in range(10_000)])
    expected = {row(1, metric, 1, step, 1e9, 2.0 * step + metric) for step in range(5000) for metric in (0, 1)}
    data = b"".join(packed(group, [0, 1], 1, 1, RECEIVED))
    length = len(next(iter(expected)))
    assert len(data) == length * 10_000
    assert {data[at : at + length] for at in range(0, len(data), length)} == expected
