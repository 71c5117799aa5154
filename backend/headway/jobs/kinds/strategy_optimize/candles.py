"""Candles: a series of prices in flat arrays, and the checks that it must pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headway.errors import FieldProblem, InvalidInputError

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

DAY_SECONDS = 86_400
LEAST_CANDLES = 50
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class Candles:
    """`n` candles, oldest first: `time` of each one's opening in Unix seconds, prices, and the volume traded."""

    name: str
    time: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.time)

    @cached_property
    def last_of_day(self) -> npt.NDArray[np.bool_]:
        """Whether a candle is the last one of its UTC day."""
        days = self.time // DAY_SECONDS
        ends = np.ones(len(days), np.bool_)
        ends[:-1] = days[1:] != days[:-1]
        return ends

    @cached_property
    def days_per_year(self) -> int:
        """Days traded in a year: 365 where weekends are, otherwise 252."""
        weekday = (self.time // DAY_SECONDS + 3) % 7  # 1970-01-01 was a Thursday; 5 is Saturday
        return 365 if np.count_nonzero(weekday == 5) > 0.05 * len(weekday) else 252

    @cached_property
    def step_seconds(self) -> int:
        """What usually lies between two candles."""
        return int(np.median(np.diff(self.time)))

    @cached_property
    def days(self) -> float:
        """Calendar days from the first candle to the last."""
        return float(self.time[-1] - self.time[0]) / DAY_SECONDS

    @cached_property
    def sha256(self) -> str:
        """Of all the numbers."""
        digest = hashlib.sha256()
        for values in (self.time, self.open, self.high, self.low, self.close, self.volume):
            digest.update(values.tobytes())
        return digest.hexdigest()

    def span(self, begin: int, end: int) -> Candles:
        """The candles from `begin` up to, not with, `end`."""
        parts = {name: getattr(self, name)[begin:end] for name in ("time", *PRICES, "volume")}
        return Candles(self.name, **parts)


def check(candles: Candles, *, field: str, most_gap_days: float) -> list[str]:
    """Check a whole series; answers warnings. Raises InvalidInputError that names the row (the first is 1)."""
    if len(candles) < LEAST_CANDLES:
        raise _problem(field, f"{len(candles)} rows are too few: at least {LEAST_CANDLES} candles are needed")
    for name in (*PRICES, "volume"):
        _refuse(candles, ~np.isfinite(getattr(candles, name)), field, f"{name} is not a number")
    for name in PRICES:
        _refuse(candles, getattr(candles, name) <= 0, field, f"{name} is not above zero")
    _refuse(candles, candles.volume < 0, field, "volume is below zero")
    _refuse(candles, candles.high < candles.low, field, "high is below low")
    for name in ("open", "close"):
        price = getattr(candles, name)
        _refuse(candles, (price > candles.high) | (price < candles.low), field, f"{name} lies outside low to high")
    _check_times(candles, field, most_gap_days)
    return _warnings(candles)


def _check_times(candles: Candles, field: str, most_gap_days: float) -> None:
    after = np.diff(candles.time, prepend=candles.time[0] - 1)
    _refuse(candles, after == 0, field, "has the same time as the row before: remove the duplicate")
    _refuse(candles, after < 0, field, "is older than the row before: sort the rows by time")
    gap = f"comes more than {most_gap_days:g} days after the row before: fill the gap, or raise most_gap_days"
    _refuse(candles, after > most_gap_days * DAY_SECONDS, field, gap)


def _warnings(candles: Candles) -> list[str]:
    after = np.diff(candles.time)
    odd = int(np.count_nonzero(after % candles.step_seconds))
    still = int(np.count_nonzero(candles.high == candles.low))
    told = [
        (odd, f"{odd} candles do not lie on the series' step of {candles.step_seconds} s"),
        (still > len(candles) // 20, f"{still} candles have no range at all"),
    ]
    return [text for count, text in told if count]


def _refuse(candles: Candles, wrong: npt.NDArray[np.bool_], field: str, why: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        at = np.datetime64(int(candles.time[row]), "s")
        more = int(np.count_nonzero(wrong)) - 1
        others = f" (and {more} more rows)" if more else ""
        raise _problem(field, f"row {row + 1} ({at}Z): {why}{others}")


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))


def made(name: str, columns: dict[str, npt.NDArray[Any]]) -> Candles:
    """Candles of plain columns; without a volume it is zero throughout."""
    count = len(columns["time"])
    values = {price: np.ascontiguousarray(columns[price], dtype=np.float64) for price in PRICES}
    volume = np.ascontiguousarray(columns.get("volume", np.zeros(count)), dtype=np.float64)
    return Candles(name, np.ascontiguousarray(columns["time"], dtype=np.int64), **values, volume=volume)
