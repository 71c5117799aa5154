"""Replays candles one by one, as they came: orders, stops and targets, fees and slippage, in compiled code.

What signals say after candle t is done at the open of candle t + 1. Within a candle the stop is looked at before the
target, for a candle does not tell which of them the price met first; an open beyond either is filled at that open.
A position that is left when the replay ends is closed at the last close.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headway.jobs.kinds.strategy_optimize.candles import Candles, Floats, Integers
from headway.jobs.kinds.strategy_optimize.compiled import compiled

Bytes: TypeAlias = npt.NDArray[np.int8]
Direction = Literal["both", "long", "short"]

LEAVE_LONG, LEAVE_SHORT, LEAVE_ANY = 1, 2, 3
# places in the state of a replay
CASH, UNITS, ENTRY_PRICE, ENTRY_AT, STOP, TAKE, ENTRY_FEE, TRADES = range(8)
# columns of a trade
TRADE_ENTRY, TRADE_EXIT, TRADE_UNITS, TRADE_ENTRY_PRICE, TRADE_EXIT_PRICE, TRADE_PROFIT = range(6)
_SIDES: dict[Direction, tuple[bool, bool]] = {"both": (True, True), "long": (True, False), "short": (False, True)}


@dataclass(frozen=True)
class Signals:
    """What to do after each candle: `entry` is +1 (long), -1 (short) or 0; `leave` is 1 (longs), 2 (shorts), 3 or 0.

    `stop` and `take` are prices that end the position entered here, NaN for none.
    """

    entry: Bytes
    leave: Bytes
    stop: Floats
    take: Floats

    @classmethod
    def none(cls, count: int) -> Signals:
        """No signal at all, to be filled in."""
        nothing = np.full(count, np.nan)
        return cls(np.zeros(count, np.int8), np.zeros(count, np.int8), nothing, nothing.copy())


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms orders are filled: fee and slippage as shares of the price, size as a share of the equity."""

    cash: float = 10_000.0
    fee: float = 0.0
    slippage: float = 0.0
    size: float = 1.0
    direction: Direction = "both"


@dataclass
class Replay:
    """One pass over candles `begin` to `end`. `cell[slot]` is the number replayed, written every `every` candles."""

    candles: Candles
    signals: Signals
    terms: Terms
    begin: int
    end: int
    cell: Integers = field(default_factory=lambda: np.zeros(1, np.int64))
    slot: int = 0
    every: int = 1000

    def __post_init__(self) -> None:
        self.at = self.begin
        self._state = np.zeros(8)
        self._state[CASH] = self.terms.cash
        self._equity = np.empty(self.end - self.begin)
        most = int(np.count_nonzero(self.signals.entry[self.begin : self.end])) + 1
        self._trades = np.empty((most, 6))

    def advance(self, to: int) -> None:
        """Replay up to candle `to`; at the end the open position is closed."""
        to = min(to, self.end)
        long, short = _SIDES[self.terms.direction]
        fee, slippage, size = self.terms.fee, self.terms.slippage, self.terms.size
        candles, signals = self.candles, self.signals
        _replay(
            candles.open, candles.high, candles.low, candles.close,
            signals.entry, signals.leave, signals.stop, signals.take,
            self._state, self._equity, self._trades, self.cell,
            self.slot, self.begin, self.at, to, self.end, self.every, fee, slippage, size, long, short,
        )  # fmt: skip
        self.at = to

    @property
    def equity(self) -> Floats:
        """Cash and position at each close so far."""
        return self._equity[: self.at - self.begin]

    @property
    def trades(self) -> Floats:
        """The trades so far, a row each: candles of entry and exit, units (below zero: short), prices, profit."""
        return self._trades[: int(self._state[TRADES])]


def replay(candles: Candles, signals: Signals, terms: Terms, begin: int = 0, end: int | None = None) -> Replay:
    """Replay in one go."""
    whole = Replay(candles, signals, terms, begin, len(candles) if end is None else end)
    whole.advance(whole.end)
    return whole


@compiled
def _close_position(state: Floats, trades: Floats, at: int, price: float, fee: float) -> None:
    units = state[UNITS]
    paid = abs(units) * price * fee
    state[CASH] += units * price - paid
    row = trades[int(state[TRADES])]
    row[TRADE_ENTRY], row[TRADE_EXIT], row[TRADE_UNITS] = state[ENTRY_AT], at, units
    row[TRADE_ENTRY_PRICE], row[TRADE_EXIT_PRICE] = state[ENTRY_PRICE], price
    row[TRADE_PROFIT] = units * (price - state[ENTRY_PRICE]) - paid - state[ENTRY_FEE]
    state[TRADES] += 1
    state[UNITS] = 0.0


@compiled
def _open_position(state: Floats, side: int, at: int, price: float, fee: float, size: float) -> None:
    notional = state[CASH] * size / (1.0 + fee)
    state[UNITS] = side * notional / price
    state[ENTRY_FEE] = notional * fee
    state[CASH] -= state[UNITS] * price + state[ENTRY_FEE]
    state[ENTRY_PRICE], state[ENTRY_AT] = price, at


@compiled
def _resting_fill(state: Floats, open_: float, high: float, low: float) -> float:
    """The price at which the stop or the target is met in a candle, 0 if neither is."""
    stop, take = state[STOP], state[TAKE]
    if state[UNITS] > 0:
        if low <= stop:
            return min(open_, stop)
        if high >= take:
            return max(open_, take)
    else:
        if high >= stop:
            return max(open_, stop)
        if low <= take:
            return min(open_, take)
    return 0.0


@compiled
def _replay(
    open_: Floats, high: Floats, low: Floats, close: Floats,
    entry: Bytes, leave: Bytes, stop: Floats, take: Floats,
    state: Floats, equity: Floats, trades: Floats, cell: Integers,
    slot: int, begin: int, at: int, to: int, end: int, every: int,
    fee: float, slippage: float, size: float, long: bool, short: bool,
) -> None:  # fmt: skip
    t = at
    while t < to:
        block_end = min(to, t + every)
        while t < block_end:
            if t > begin:
                side, units = entry[t - 1], state[UNITS]
                leaves = (units > 0 and leave[t - 1] & 1) or (units < 0 and leave[t - 1] & 2)
                if units != 0 and (leaves or side * units < 0):
                    sign = 1.0 if units > 0 else -1.0
                    _close_position(state, trades, t, open_[t] * (1.0 - sign * slippage), fee)
                if state[UNITS] == 0 and state[CASH] > 0 and ((side > 0 and long) or (side < 0 and short)):
                    _open_position(state, side, t, open_[t] * (1.0 + side * slippage), fee, size)
                    state[STOP], state[TAKE] = stop[t - 1], take[t - 1]
            if state[UNITS] != 0:
                filled = _resting_fill(state, open_[t], high[t], low[t])
                if filled > 0:
                    sign = 1.0 if state[UNITS] > 0 else -1.0
                    _close_position(state, trades, t, filled * (1.0 - sign * slippage), fee)
            worth = state[CASH] + state[UNITS] * close[t]
            if state[UNITS] != 0 and (worth <= 0 or t == end - 1):
                sign = 1.0 if state[UNITS] > 0 else -1.0
                _close_position(state, trades, t, close[t] * (1.0 - sign * slippage), fee)
                worth = state[CASH]
            equity[t - begin] = worth
            t += 1
        cell[slot] = t - begin
