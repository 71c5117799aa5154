"""Metric rows in the binary format of COPY, packed by hand: a driver would call a dumper for every single value.

A row is its number of fields (i16), then each field's length (i32, -1 for null) and bytes, all big-endian; a
timestamptz is i64 microseconds since 2000-01-01 UTC. Source: PostgreSQL documentation, "COPY", section Binary Format.
The order of fields is job, metric, received_at, attempt, step, at, value, nonfinite.

Rows of finite values are all of one length, so a column of them is a template repeated, into which each byte of a field
is written for all rows at once (a slice with the row's length as its stride): no Python code runs for a single value.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from struct import Struct

from headway.spool.reader import MetricRows

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_EPOCH_SECONDS = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_EARLIEST, _LATEST = 0.0, 4e9  # a producer's clock may be mad; its time is only data
_COMMON = Struct(">hiiiiiqihi")  # fields, job, metric, received_at, attempt with their lengths; the length of step
_FINITE = Struct(">qiqidi")  # step, at, value, null
_NONFINITE = Struct(">iih")  # null, nonfinite
_FIELDS = 8
_BLOCK_ROWS = 1024  # what is filled byte by byte stays in the processor's cache
_ROW = _COMMON.size + _FINITE.size
_METRIC_AT = Struct(">hiii").size  # where in a row the field's bytes begin
_STEP_AT, _TIME_AT, _VALUE_AT = (_COMMON.size + Struct(f">{before}").size for before in ("", "qi", "qiqi"))


def packed(
    rows: MetricRows, metrics: Sequence[int], job: int, attempt: int, received_at: datetime
) -> Iterator[bytes | bytearray]:
    """The rows of one set of names as COPY takes them, in blocks; `metrics` are the names' ids in order."""
    common = _COMMON.pack(_FIELDS, 4, job, 4, 0, 8, _microseconds(received_at.timestamp()), 2, attempt, 8)
    template = common + _FINITE.pack(0, 8, 0, 8, 0.0, -1)
    times = _all_microseconds(rows.times)
    for first in range(0, len(times), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        steps_and_times = bytearray(template * len(times[block]))
        _fill(steps_and_times, _STEP_AT, array("q", rows.steps[block]))
        _fill(steps_and_times, _TIME_AT, array("q", times[block]))
        values = rows.values[first * len(metrics) : (first + _BLOCK_ROWS) * len(metrics)]
        for column, metric in enumerate(metrics):
            yield _column(steps_and_times, metric, array("d", values[column :: len(metrics)]))


def _column(steps_and_times: bytearray, metric: int, values: array[float]) -> bytes | bytearray:
    filled = steps_and_times[:]
    _fill(filled, _METRIC_AT, array("i", [metric]) * len(values))
    _fill(filled, _VALUE_AT, values)
    total = sum(values)
    # finite only if all of them are; a sum that overflows only takes the slower way
    return filled if total - total == 0.0 else b"".join(_one_by_one(filled, values))


def _fill(filled: bytearray, at: int, field: array[int] | array[float]) -> None:
    """Write a field into every row, `at` bytes from its start."""
    if sys.byteorder == "little":
        field = field[:]
        field.byteswap()
    data, size = field.tobytes(), field.itemsize
    for lane in range(size):
        filled[at + lane :: _ROW] = data[lane::size]


def _one_by_one(filled: bytearray, values: Sequence[float]) -> Iterator[bytes | bytearray]:
    """A column's rows where some value is not finite: there null and its kind stand in the value's and null's place."""
    for row, value in enumerate(values):
        whole = filled[row * _ROW : (row + 1) * _ROW]
        # NaN and the infinities are the only values whose difference from themselves is not 0
        yield whole if value - value == 0.0 else whole[: _VALUE_AT - 4] + _NONFINITE.pack(-1, 2, nonfinite_code(value))


def nonfinite_code(value: float) -> int:
    """1 NaN, 2 +Inf, 3 -Inf (see `series.NONFINITE_NAMES`)."""
    return 1 if math.isnan(value) else 2 if value > 0 else 3


def stored_seconds(at: float) -> float:
    """The time that is stored for a producer's: its own, or the nearest that can be stored (Unix seconds)."""
    return min(max(at, _EARLIEST), _LATEST)


def _all_microseconds(times: Sequence[float]) -> list[int]:
    if times and not _EARLIEST <= min(times) <= max(times) <= _LATEST:
        times = [stored_seconds(at) for at in times]
    return [round((at - _EPOCH_SECONDS) * 1e6) for at in times]


def _microseconds(at: float) -> int:
    return round((stored_seconds(at) - _EPOCH_SECONDS) * 1e6)
