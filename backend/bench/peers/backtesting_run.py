"""backtesting.py on candles given as .npz: run by the bench in an environment of its own, answers JSON.

.venv-bench/bin/python backend/bench/peers/backtesting_run.py candles.npz 10 50 0.0001 5
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import empyrical
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

CASH = 1e9  # so large that whole units, which this library trades, are as good as fractions
TIE = 1e-12
DAYS = 252

warnings.filterwarnings("ignore")


def mean(values: pd.Series, count: int) -> np.ndarray:
    return pd.Series(values).rolling(count).mean().to_numpy()


class Cross(Strategy):
    """The moving-average cross of ours, in this library's words."""

    fast, slow = 10, 50

    def init(self) -> None:
        close = self.data.Close
        self.difference = self.I(lambda: mean(close, self.fast) - mean(close, self.slow))
        self.side = 0

    def next(self) -> None:
        if not self.side:
            self.side = self.sign(-2)
        side = self.sign(-1)
        if side != self.side and self.side:
            self.position.close()
            (self.buy if side > 0 else self.sell)()
        self.side = side

    def sign(self, place: int) -> int:
        least = TIE * self.data.Close[place]
        value = self.difference[place]
        return 1 if value > least else -1 if value < -least else self.side


def main(path: str, fast: str, slow: str, fee: str, runs: str) -> None:
    columns = np.load(path)
    frame = pd.DataFrame(
        {name.capitalize(): columns[name] for name in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(columns["time"], unit="s"),
    )
    test = Backtest(frame, Cross, cash=CASH, commission=float(fee), finalize_trades=True)
    seconds = []
    for _ in range(int(runs)):
        began = time.perf_counter()
        stats = test.run(fast=int(fast), slow=int(slow))
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"seconds": seconds} | answer(stats)))


def answer(stats: pd.Series) -> dict:
    trades = stats["_trades"]
    equity = pd.concat([pd.Series([CASH], [pd.Timestamp(0)]), stats["_equity_curve"]["Equity"]])
    daily = equity.resample("D").last().dropna().pct_change().dropna()
    return {
        "return_percent": stats["Return [%]"],
        "max_drawdown_percent": empyrical.max_drawdown(equity.pct_change().dropna()) * 100,
        "sharpe": empyrical.sharpe_ratio(daily, annualization=DAYS),
        "sortino": empyrical.sortino_ratio(daily, annualization=DAYS),
        "win_rate_percent": stats["Win Rate [%]"],
        "profit_factor_of_returns": stats["Profit Factor"],
        "trades": [
            [int(row.EntryBar), int(row.ExitBar), row.Size / CASH, row.EntryPrice, row.ExitPrice, row.PnL / CASH]
            for row in trades.itertuples()
        ],
        "returns": trades["ReturnPct"].tolist(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
