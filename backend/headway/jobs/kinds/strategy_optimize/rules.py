"""The compiled signals of our own strategies; each looks at a candle and at those before it, never beyond."""

from __future__ import annotations

import numpy as np

from headway.jobs.kinds.strategy_optimize.candles import Candles, Floats, Integers
from headway.jobs.kinds.strategy_optimize.compiled import compiled
from headway.jobs.kinds.strategy_optimize.engine import LEAVE_LONG, LEAVE_SHORT, Bytes, Signals

#: Means that differ by less, as a share of the price, are equal: the rest is rounding.
TIE = 1e-12


def cross(candles: Candles, fast: int, slow: int) -> Signals:
    """Enter where the means of the last `fast` and `slow` closes cross."""
    signals = Signals.none(len(candles))
    _cross(candles.close, fast, slow, signals.entry)
    return signals


def breakout(candles: Candles, entry: int, leave: int) -> Signals:
    """Enter on a close beyond the extremes of the `entry` candles before it, leave beyond those of `leave`."""
    signals = Signals.none(len(candles))
    _breakout(candles.high, candles.low, candles.close, entry, leave, signals.entry, signals.leave)
    return signals


def sweep(
    candles: Candles,
    *,
    lookback: int,
    pierce_depth: float,
    volume_spike_threshold: float,
    reversal_candles: int,
    reward: float,
) -> Signals:
    """Enter against a pierced extreme once the close is back inside it."""
    signals = Signals.none(len(candles))
    top, bottom = extreme(candles.high, lookback, 1.0), extreme(candles.low, lookback, -1.0)
    spikes = (candles.volume >= volume_spike_threshold * mean(candles.volume, lookback)).astype(np.int8)
    for side, level in ((1, bottom), (-1, top)):
        _sweep(
            side, candles.high, candles.low, candles.close, level, spikes, pierce_depth, reversal_candles, reward,
            signals.entry, signals.stop, signals.take,
        )  # fmt: skip
    return signals


@compiled
def mean(values: Floats, count: int) -> Floats:
    """Mean of the `count` values before each one; NaN where there are fewer."""
    found = np.full(len(values), np.nan)
    total = 0.0
    for t in range(len(values)):
        if t >= count:
            found[t] = total / count
            total -= values[t - count]
        total += values[t]
    return found


@compiled
def extreme(values: Floats, count: int, sign: float) -> Floats:
    """Greatest (`sign` 1) or least (-1) of the `count` values before each one; NaN where there are fewer.

    The places of falling candidates are kept in a ring, so that each value is looked at once.
    """
    found = np.full(len(values), np.nan)
    places: Integers = np.empty(count + 1, np.int64)
    head, size = 0, 0
    for t in range(len(values)):
        if size and places[head] < t - count:
            head, size = (head + 1) % (count + 1), size - 1
        if t >= count:
            found[t] = values[places[head]]
        while size and sign * values[places[(head + size - 1) % (count + 1)]] <= sign * values[t]:
            size -= 1
        places[(head + size) % (count + 1)] = t
        size += 1
    return found


@compiled
def _cross(close: Floats, fast: int, slow: int, entry: Bytes) -> None:
    fast_sum, slow_sum, before = 0.0, 0.0, 0
    for t in range(len(close)):
        fast_sum += close[t]
        slow_sum += close[t]
        if t >= fast:
            fast_sum -= close[t - fast]
        if t >= slow:
            slow_sum -= close[t - slow]
        if t >= slow - 1:
            difference, least = fast_sum / fast - slow_sum / slow, TIE * close[t]
            side = 1 if difference > least else (-1 if difference < -least else before)
            if before != 0 and side != before:
                entry[t] = side
            before = side


@compiled
def _breakout(high: Floats, low: Floats, close: Floats, wide: int, narrow: int, entry: Bytes, leave: Bytes) -> None:
    top, bottom = extreme(high, wide, 1.0), extreme(low, wide, -1.0)
    leave_top, leave_bottom = extreme(high, narrow, 1.0), extreme(low, narrow, -1.0)
    for t in range(len(close)):  # no comparison with NaN is true
        if close[t] > top[t]:
            entry[t] = 1
        elif close[t] < bottom[t]:
            entry[t] = -1
        if close[t] < leave_bottom[t]:
            leave[t] = LEAVE_LONG
        elif close[t] > leave_top[t]:
            leave[t] = LEAVE_SHORT


@compiled
def _sweep(
    side: int, high: Floats, low: Floats, close: Floats, level: Floats, spikes: Bytes, depth: float, within: int,
    reward: float, entry: Bytes, stop: Floats, take: Floats,
) -> None:  # fmt: skip
    swept, worst, since = np.nan, np.nan, -1
    for t in range(len(close)):
        reach = low[t] if side > 0 else high[t]
        if since >= 0:
            worst = min(worst, reach) if side > 0 else max(worst, reach)
        if spikes[t] and side * (level[t] * (1.0 - side * depth) - reach) >= 0:
            swept, worst, since = level[t], reach if since < 0 else worst, t
        if since >= 0 and side * (close[t] - swept) > 0:
            entry[t], stop[t] = side, worst
            take[t] = close[t] + reward * (close[t] - worst)
            since = -1
        elif since >= 0 and t - since >= within:
            since = -1
