"""What a replay came to. Each figure says how it is computed and where that comes from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from headway.jobs.kinds.strategy_optimize.candles import Candles, Floats
from headway.jobs.kinds.strategy_optimize.config import Score
from headway.jobs.kinds.strategy_optimize.engine import TRADE_PROFIT, Replay


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one replay; NaN where one is not defined."""

    return_percent: float
    sharpe: float
    sortino: float
    max_drawdown_percent: float
    win_rate_percent: float
    profit_factor: float
    trades: int

    def plain(self) -> dict[str, float | None]:
        """For JSON: null where a figure is not defined."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


NOTHING_TRADED = Figures(0.0, math.nan, math.nan, 0.0, math.nan, math.nan, 0)


def figures_of(candles: Candles, begin: int, equity: Floats, cash: float, profits: Floats) -> Figures:
    """All figures of an equity from candle `begin` on, and of the trades' profits."""
    days = daily_returns(candles, begin, equity, cash)
    return Figures(
        return_percent=return_percent(equity, cash),
        sharpe=sharpe(days, candles.days_per_year),
        sortino=sortino(days, candles.days_per_year),
        max_drawdown_percent=max_drawdown_percent(equity, cash),
        win_rate_percent=win_rate_percent(profits),
        profit_factor=profit_factor(profits),
        trades=len(profits),
    )


def replay_figures(run: Replay) -> Figures:
    """All figures of what a replay has done so far."""
    return figures_of(run.candles, run.begin, run.equity, run.terms.cash, run.trades[:, TRADE_PROFIT])


def score_of(run: Replay, score: Score, least_trades: int = 0) -> float:
    """What a search maximises, of what has been replayed; -inf for too few trades or a figure that is not defined."""
    if len(run.trades) < least_trades:
        return -math.inf
    if score == "return_percent":
        return return_percent(run.equity, run.terms.cash)
    days = daily_returns(run.candles, run.begin, run.equity, run.terms.cash)
    value = (sharpe if score == "sharpe" else sortino)(days, run.candles.days_per_year)
    return value if math.isfinite(value) else -math.inf


def daily_returns(candles: Candles, begin: int, equity: Floats, cash: float) -> Floats:
    """Return of each UTC day from one day's last equity to the next one's; the first from the starting cash."""
    last = candles.last_of_day[begin : begin + len(equity)].copy()
    if len(last):
        last[-1] = True
    closes = np.concatenate(([cash], equity[last]))
    return np.diff(closes) / closes[:-1]


def return_percent(equity: Floats, cash: float) -> float:
    """Total return: last equity over starting cash, less one, in percent."""
    return float(equity[-1] / cash - 1.0) * 100 if len(equity) else 0.0


def sharpe(days: Floats, days_per_year: int) -> float:
    """Mean daily return over its sample deviation, times the root of the days in a year; no risk-free rate.

    Sharpe 1994, "The Sharpe Ratio", The Journal of Portfolio Management 21(1).
    """
    deviation = float(np.std(days, ddof=1)) if len(days) > 1 else 0.0
    return float(np.mean(days)) / deviation * math.sqrt(days_per_year) if deviation > 0 else math.nan


def sortino(days: Floats, days_per_year: int) -> float:
    """As Sharpe's, but over the root mean square of the daily returns below zero (all days count).

    Sortino and Price 1994, "Performance Measurement in a Downside Risk Framework", The Journal of Investing 3(3).
    """
    downside = math.sqrt(float(np.mean(np.minimum(days, 0.0) ** 2))) if len(days) else 0.0
    return float(np.mean(days)) / downside * math.sqrt(days_per_year) if downside > 0 else math.nan


def max_drawdown_percent(equity: Floats, cash: float) -> float:
    """Deepest fall of the equity below its peak so far, at closes, in percent of that peak; at most 0.

    Magdon-Ismail and Atiya 2004, "Maximum Drawdown", Risk 17(10).
    """
    if not len(equity):
        return 0.0
    peaks = np.maximum.accumulate(np.maximum(equity, cash))
    return float(np.min(equity / peaks - 1.0)) * 100


def win_rate_percent(profits: Floats) -> float:
    """Share of trades that made a profit after fees and slippage, in percent."""
    return float(np.mean(profits > 0)) * 100 if len(profits) else math.nan


def profit_factor(profits: Floats) -> float:
    """Sum of the profits over the sum of the losses, after fees and slippage; not defined without a loss.

    Pardo 2008, "The Evaluation and Optimization of Trading Strategies", 2nd edition, Wiley.
    """
    losses = -float(np.sum(profits[profits < 0]))
    return float(np.sum(profits[profits > 0])) / losses if losses > 0 else math.nan
