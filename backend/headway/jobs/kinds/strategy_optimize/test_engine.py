"""The replay does what stands in its words, never looks ahead, and agrees with an established library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.jobs.kinds.strategy_optimize import figures
from headway.jobs.kinds.strategy_optimize.candles import Candles, made
from headway.jobs.kinds.strategy_optimize.catalogue import find_strategy
from headway.jobs.kinds.strategy_optimize.engine import LEAVE_LONG, TRADE_PROFIT, Replay, Signals, Terms, replay
from headway.jobs.kinds.strategy_optimize.reading import read_example
from headway.jobs.kinds.strategy_optimize.rules import extreme, mean
from headway.jobs.kinds.strategy_optimize.strategies import OWN

PEER: dict[str, Any] = json.loads((Path(__file__).parent / "peer_figures.json").read_text())
CASH = 1e9
PARAMETERS: dict[str, dict[str, float]] = {
    "moving_average_cross": {"fast": 10, "slow": 50},
    "breakout": {"entry": 40, "leave": 16},
    "liquidity_sweep": {
        "lookback": 24, "pierce_depth": 0.0002, "volume_spike_threshold": 1.1, "reversal_candles": 4, "reward": 1.5,
    },
}  # fmt: skip


def candles_of(*rows: tuple[float, float, float, float]) -> Candles:
    """Candles by the hour from (open, high, low, close)."""
    columns = {
        name: np.array([row[place] for row in rows]) for place, name in enumerate(("open", "high", "low", "close"))
    }
    return made("few", columns | {"time": np.arange(len(rows)) * 3600})


def signals_of(count: int, **at: tuple[int, float]) -> Signals:
    """No signals but those named: field=(candle, value)."""
    signals = Signals.none(count)
    for name, (candle, value) in at.items():
        getattr(signals, name)[candle] = value
    return signals


def walk(seed: int, count: int) -> Candles:
    """A random walk that gaps and spikes."""
    generator = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(generator.standard_t(3, count) * 0.004))
    opened = np.append(100.0, close[:-1]) * (1 + generator.normal(0, 0.001, count))
    spread = np.abs(generator.standard_t(3, (2, count))) * 0.003 * close
    columns = {"open": opened, "close": close, "volume": generator.gamma(1.0, 100, count)}
    high, low = np.maximum(opened, close) + spread[0], np.maximum(1e-6, np.minimum(opened, close) - spread[1])
    return made("walk", columns | {"high": high, "low": low, "time": np.arange(count) * 3600})


def shuffled_after(candles: Candles, place: int, seed: int) -> Candles:
    """The same past, with what comes after `place` in another order."""
    order = np.arange(len(candles))
    np.random.default_rng(seed).shuffle(order[place + 1 :])
    names = ("open", "high", "low", "close", "volume")
    return made("other", {name: getattr(candles, name)[order] for name in names} | {"time": candles.time})


@pytest.mark.parametrize("name", [strategy.name for strategy in OWN])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), place=st.integers(60, 590))
def test_another_future_changes_no_decision_of_the_past(name: str, seed: int, place: int) -> None:
    candles = walk(seed, 600)
    other = shuffled_after(candles, place, seed + 1)
    strategy, seen = find_strategy(name), place + 1
    mine, theirs = (strategy.signals(each, PARAMETERS[name]) for each in (candles, other))
    for field in ("entry", "leave", "stop", "take"):
        np.testing.assert_array_equal(getattr(mine, field)[:seen], getattr(theirs, field)[:seen])
    runs = [Replay(each, made_, Terms(fee=0.001), 0, 600) for each, made_ in ((candles, mine), (other, theirs))]
    for run in runs:
        run.advance(seen)
    np.testing.assert_array_equal(runs[0].equity, runs[1].equity)
    np.testing.assert_array_equal(runs[0].trades, runs[1].trades)


@pytest.mark.parametrize("name", [strategy.name for strategy in OWN])
def test_each_strategy_trades_on_real_prices(name: str) -> None:
    candles = read_example("eurusd-1h")
    run = replay(candles, find_strategy(name).signals(candles, PARAMETERS[name]), Terms())
    assert len(run.trades) > 20
    assert {1.0, -1.0} == set(np.sign(run.trades[:, 2]))


def test_signal_is_filled_at_the_next_open_with_fee_and_slippage() -> None:
    candles = candles_of((10, 10, 10, 10), (11, 13, 11, 12), (12, 14, 12, 14), (15, 15, 15, 15))
    signals = signals_of(4, entry=(0, 1), leave=(2, LEAVE_LONG))
    run = replay(candles, signals, Terms(cash=1000, fee=0.01, slippage=0.1))
    entry, end, units, bought, sold, profit = run.trades[0]
    assert (entry, end) == (1, 3)
    assert bought == pytest.approx(11 * 1.1)
    assert sold == pytest.approx(15 * 0.9)
    assert units == pytest.approx(1000 / 1.01 / (11 * 1.1))
    assert profit == pytest.approx(units * (sold - bought) - 0.01 * units * (sold + bought))
    assert run.equity[-1] == pytest.approx(1000 + profit)
    assert run.equity[1] == pytest.approx(1000 - 0.01 * units * bought + units * (12 - bought))


@pytest.mark.parametrize(
    ("side", "third", "price"),
    [
        (1, (10, 10, 8, 9), 9.0),  # the stop inside the candle
        (1, (8, 12, 7, 9), 8.0),  # an open below the stop is the price
        (1, (10, 13, 10, 12), 12.0),  # the target
        (1, (10, 13, 8, 10), 9.0),  # both: the stop counts
        (1, (12.5, 13, 10, 10), 12.5),  # an open above the target is the price
        (-1, (10, 13, 10, 10), 12.0),
        (-1, (10, 10, 8, 8), 9.0),
    ],
)
def test_stop_and_target_are_filled_where_the_price_met_them(side: int, third: tuple, price: float) -> None:
    candles = candles_of((10, 10, 10, 10), (10, 10, 10, 10), third, (10, 10, 10, 10))
    stop, take = (9.0, 12.0) if side > 0 else (12.0, 9.0)
    run = replay(candles, signals_of(4, entry=(0, side), stop=(0, stop), take=(0, take)), Terms())
    assert run.trades[0, :2].tolist() == [1, 2]
    assert run.trades[0, 4] == price


def test_directions_that_are_not_allowed_only_close() -> None:
    rows = [(10.0 + n, 11.0 + n, 9.0 + n, 10.0 + n) for n in range(6)]
    signals = signals_of(6, entry=(0, 1))
    signals.entry[2] = -1
    run = replay(candles_of(*rows), signals, Terms(direction="long"))
    assert run.trades[:, :2].tolist() == [[1, 3]]
    assert len(replay(candles_of(*rows), signals, Terms(direction="short")).trades) == 1


def test_ruin_ends_the_trading() -> None:
    candles = candles_of((10, 10, 10, 10), (10, 10, 10, 10), (30, 30, 30, 30), (10, 10, 10, 10), (10, 10, 10, 10))
    signals = signals_of(5, entry=(0, -1))
    signals.entry[2] = 1
    run = replay(candles, signals, Terms(cash=1000))
    assert len(run.trades) == 1
    assert run.equity[-1] == run.equity[2] <= 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_rolling_figures_are_those_of_the_values_before(values: list[int], count: int) -> None:
    array = np.array(values, float)
    for found, of in (
        (extreme(array, count, 1.0), np.max),
        (extreme(array, count, -1.0), np.min),
        (mean(array, count), np.mean),
    ):
        for place, value in enumerate(found):
            assert np.isnan(value) if place < count else value == pytest.approx(of(array[place - count : place]))


def test_replay_in_pieces_is_the_replay_in_one_go() -> None:
    candles = walk(1, 500)
    signals = find_strategy("breakout").signals(candles, PARAMETERS["breakout"])
    whole, pieces = replay(candles, signals, Terms()), Replay(candles, signals, Terms(), 0, 500, every=7)
    for to in (1, 2, 100, 333, 500):
        pieces.advance(to)
        assert pieces.cell[0] == to
    np.testing.assert_array_equal(pieces.equity, whole.equity)
    np.testing.assert_array_equal(pieces.trades, whole.trades)


@pytest.fixture(scope="module")
def same_run() -> Replay:
    """The run whose trades and figures the library was asked for (backend/bench/backtest.py --record)."""
    candles = read_example("eurusd-1h")
    last = candles.close[-1:]
    columns = {name: np.append(getattr(candles, name), last) for name in ("open", "high", "low", "close")}
    columns |= {"volume": np.append(candles.volume, 0), "time": np.append(candles.time, candles.time[-1] + 3600)}
    candles = made("closed", columns)
    parameters = {"fast": PEER["fast"], "slow": PEER["slow"]}
    signals = find_strategy("moving_average_cross").signals(candles, parameters)
    return replay(candles, signals, Terms(cash=CASH, fee=PEER["fee"]))


def test_trades_are_those_of_backtesting_py(same_run: Replay) -> None:
    theirs = np.array(PEER["trades"])
    trades = same_run.trades.copy()
    trades[:, (2, 5)] /= CASH
    assert len(theirs) > 100
    np.testing.assert_allclose(trades, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["return_percent", "sharpe", "sortino", "max_drawdown_percent", "win_rate_percent"])
def test_figures_are_those_of_empyrical_and_backtesting_py(same_run: Replay, name: str) -> None:
    assert getattr(figures.replay_figures(same_run), name) == pytest.approx(PEER[name], rel=1e-6)


def test_profit_factor_is_that_of_backtesting_py(same_run: Replay) -> None:
    assert figures.profit_factor(np.array(PEER["returns"])) == pytest.approx(PEER["profit_factor_of_returns"])
    profits = same_run.trades[:, TRADE_PROFIT]
    by_hand = profits[profits > 0].sum() / -profits[profits < 0].sum()
    assert figures.replay_figures(same_run).profit_factor == pytest.approx(by_hand)
