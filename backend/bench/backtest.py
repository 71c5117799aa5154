"""Candles a second of one backtest beside backtesting.py with the same strategy, after both are seen to make the same
trades; and what telling the candle costs.

    python backend/bench/backtest.py [--candles 200000]    (`make bench-peers` installs the peer)

Timed is what a search does for each episode: signals, replay, figures; of the peer `Backtest.run`. Compiling, once a
process, is told apart. `--record` writes the peer's trades and figures on the example, which a test compares ours with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from headway.jobs.kinds.strategy_optimize.candles import Candles, made
from headway.jobs.kinds.strategy_optimize.catalogue import find_strategy
from headway.jobs.kinds.strategy_optimize.config import CANDLE_CALLBACK_FREQUENCY
from headway.jobs.kinds.strategy_optimize.engine import Replay, Terms, replay
from headway.jobs.kinds.strategy_optimize.figures import replay_figures
from headway.jobs.kinds.strategy_optimize.reading import read_example
from headway.jobs.kinds.strategy_optimize.search import show
from headway.jobs.reporter import SAMPLE_SECONDS, LiveCounter

ROOT = Path(__file__).parents[2]
PEER = ROOT / ".venv-bench" / "bin" / "python"
RECORD = ROOT / "backend/headway/jobs/kinds/strategy_optimize/peer_figures.json"
FAST, SLOW, FEE, CASH = 10, 50, 0.0001, 1e9
LEAST_RATIO, MOST_COST_PERCENT = 10.0, 0.1
STRATEGY = find_strategy("moving_average_cross")
PARAMETERS = {"fast": FAST, "slow": SLOW}
TERMS = Terms(cash=CASH, fee=FEE)


def closed(candles: Candles) -> Candles:
    """The series with a last candle of no range: the peer closes what is left at that one's open, we at its close."""
    last = float(candles.close[-1])
    columns = {name: np.append(getattr(candles, name), last) for name in ("open", "high", "low", "close")}
    columns |= {"volume": np.append(candles.volume, 0.0), "time": np.append(candles.time, candles.time[-1] + 3600)}
    return made(candles.name, columns)


def walk(count: int) -> Candles:
    """A random walk by the hour."""
    generator = np.random.default_rng(0)
    close = np.round(100 * np.exp(np.cumsum(generator.normal(0, 0.001, count))), 5)
    opened = np.append(100.0, close[:-1])
    spread = np.abs(generator.normal(0, 0.0005, (2, count))) * close
    columns = {"open": opened, "close": close, "volume": np.ones(count), "time": np.arange(count) * 3600}
    high, low = np.maximum(opened, close) + spread[0], np.minimum(opened, close) - spread[1]
    return made(f"random walk, {count:,} candles", columns | {"high": high, "low": low})


def ours(candles: Candles, runs: int) -> tuple[list[float], Replay]:
    """Seconds of whole episodes, and the last replay."""
    seconds: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        run = replay(candles, STRATEGY.signals(candles, PARAMETERS), TERMS)
        replay_figures(run)
        seconds.append(time.perf_counter() - began)
    return seconds, run


def peer(candles: Candles, runs: int) -> dict[str, Any]:
    """backtesting.py's seconds, trades and figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candles.npz"
        np.savez(path, **{name: getattr(candles, name) for name in ("time", "open", "high", "low", "close", "volume")})
        command = [PEER, ROOT / "backend/bench/peers/backtesting_run.py", path, FAST, SLOW, FEE, runs]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=1800)
    return json.loads(done.stdout.splitlines()[-1])


def same_trades(run: Replay, told: dict[str, Any]) -> bool:
    """Whether every trade has the same candles, side and prices, and size and profit within a millionth."""
    trades = run.trades.copy()
    trades[:, (2, 5)] /= CASH
    theirs = np.array(told["trades"])
    return trades.shape == theirs.shape and bool(np.allclose(trades, theirs, rtol=1e-6, atol=1e-9))


def compare(candles: Candles, runs: int, peer_runs: int) -> bool:
    """One row of the table; whether it is fast enough and equal."""
    candles = closed(candles)
    seconds, run = ours(candles, runs)
    told = peer(candles, peer_runs)
    mine, theirs = (len(candles) / statistics.median(each) for each in (seconds, told["seconds"]))
    equal = same_trades(run, told)
    words = f"{len(run.trades)} equal" if equal else "NOT EQUAL"
    print(f"{candles.name:32} {mine / 1e6:10.2f} M {theirs / 1e6:12.4f} M {mine / theirs:8.0f} x   {words}")
    return equal and mine / theirs >= LEAST_RATIO


def cost_percent() -> float:
    """What telling the candle costs of an episode: the compiled notes (by one at every candle), and who reads them."""
    candles = walk(1_000_000)
    signals = STRATEGY.signals(candles, PARAMETERS)

    def best_seconds(every: int) -> float:
        run = Replay(candles, signals, TERMS, 0, len(candles), every=every)
        began = time.perf_counter()
        run.advance(run.end)
        return time.perf_counter() - began

    times = {every: min(best_seconds(every) for _ in range(25)) for every in (1, len(candles))}
    a_candle = min(ours(candles, 10)[0]) / len(candles)
    a_note = max(0.0, (times[1] - times[len(candles)]) / len(candles))
    notes = a_note / CANDLE_CALLBACK_FREQUENCY / a_candle * 100
    cell, episodes, inner = np.zeros(2, np.int64), LiveCounter("episode", 0, 10), LiveCounter("candle", 0, 10)
    began = time.perf_counter()
    for _ in range(10_000):
        show(episodes, inner, 3, cell, 1_000_000)
    a_reading = (time.perf_counter() - began) / 10_000
    readings = a_reading / SAMPLE_SECONDS * 100
    print(
        f"\nTelling the candle: a note {a_note * 1e9:.2f} ns (a candle takes {a_candle * 1e9:.1f}), one in "
        f"{CANDLE_CALLBACK_FREQUENCY}: {notes:.4f} %; a reading {a_reading * 1e6:.1f} µs, {1 / SAMPLE_SECONDS:.0f} a "
        f"second: {readings:.4f} %; together {notes + readings:.4f} % (aim: at most {MOST_COST_PERCENT} %)"
    )
    return notes + readings


def record() -> None:
    """Keep the peer's trades and figures on the example for the test."""
    told = peer(closed(read_example("eurusd-1h")), 1)
    del told["seconds"]
    RECORD.write_text(json.dumps(told | {"fast": FAST, "slow": SLOW, "fee": FEE}) + "\n")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candles", type=int, default=200_000)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if options.record:
        record()
        return 0
    if not PEER.exists():
        print("backtesting.py is not installed beside: run `make bench-peers` to compare")
        return 0 if cost_percent() <= MOST_COST_PERCENT else 1
    began = time.perf_counter()
    ours(read_example("eurusd-1h"), 1)
    print(f"compiling and reading, once: {time.perf_counter() - began:.1f} s\n")
    print(f"{'series':32} {'ours/s':>12} {'backtesting/s':>14} {'ratio':>10}   trades")
    good = [compare(read_example("eurusd-1h"), 200, 5), compare(walk(options.candles), 50, 3)]
    return 0 if all(good) and cost_percent() <= MOST_COST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
