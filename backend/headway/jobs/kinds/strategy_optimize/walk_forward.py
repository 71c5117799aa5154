"""Walk-forward analysis: search on a window, test on what follows it, roll on by the test (Pardo 2008, chapter 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.strategy_optimize.candles import DAY_SECONDS, LEAST_CANDLES, Candles, Floats
from headway.jobs.kinds.strategy_optimize.config import StrategyConfig
from headway.jobs.kinds.strategy_optimize.engine import TRADE_PROFIT, Replay
from headway.jobs.kinds.strategy_optimize.figures import Figures, figures_of, return_percent, score_of
from headway.jobs.kinds.strategy_optimize.parameters import Strategy
from headway.jobs.kinds.strategy_optimize.proposals import Episode
from headway.jobs.kinds.strategy_optimize.search import terms_of

MOST_WINDOWS = 1000


@dataclass(frozen=True, slots=True)
class Window:
    """Candles `begin` to `split` to search on, `split` to `end` to test on."""

    begin: int
    split: int
    end: int


@dataclass(frozen=True)
class Tested:
    """One window's test: the parameters chosen (None: none were worth it, so nothing was traded) and how they did.

    `cash` is what the test began with; scores are those of the window and of its test.
    """

    window: Window
    parameters: dict[str, float] | None
    in_sample: float
    out_of_sample: float
    cash: float
    equity: Floats
    profits: Floats


def windows_of(candles: Candles, config: StrategyConfig) -> list[Window]:
    """All whole windows. Raises InvalidInputError when the prices reach for none, or for too many."""
    train, test = (int(days * DAY_SECONDS) for days in (config.train_days, config.test_days))
    if candles.days * DAY_SECONDS < train + test:
        why = f"the prices reach over {candles.days:.0f} days, less than a window of {config.train_days:g} days and"
        raise _problem("train_days", f"{why} a test of {config.test_days:g}: shorten them, or turn walk_forward off")
    first, last = int(candles.time[0]), int(candles.time[-1])
    starts = range(first, last - train - test + 2, test)
    if len(starts) > MOST_WINDOWS:
        raise _problem("test_days", f"makes {len(starts)} windows, more than {MOST_WINDOWS}: test over more days")
    windows = [Window(*(_place(candles, start + after) for after in (0, train, train + test))) for start in starts]
    if any(window.split - window.begin < LEAST_CANDLES or window.end == window.split for window in windows):
        raise _problem("train_days", f"a window has fewer than {LEAST_CANDLES} candles, or a test none: lengthen them")
    return windows


def trade_window(
    candles: Candles, window: Window, strategy: Strategy, best: Episode, config: StrategyConfig, cash: float
) -> Tested:
    """Trade what the search on the window found over the candles that follow it, beginning flat with `cash`."""
    count = window.end - window.split
    if best["score"] == -math.inf or cash <= 0:
        return Tested(window, None, 0.0, 0.0, cash, np.full(count, cash), np.empty(0))
    seen = candles.span(window.begin, window.end)
    signals = strategy.signals(seen, best["parameters"])
    run = Replay(seen, signals, terms_of(config, cash), window.split - window.begin, len(seen))
    run.advance(run.end)
    score = score_of(run, config.score)
    out_of_sample = score if math.isfinite(score) else 0.0
    profits = run.trades[:, TRADE_PROFIT]
    return Tested(window, best["parameters"], best["score"], out_of_sample, cash, run.equity, profits)


def joined(candles: Candles, tested: Sequence[Tested], cash: float) -> tuple[Figures, Floats]:
    """Figures and equity of all tests one after the other."""
    equity = np.concatenate([each.equity for each in tested])
    profits = np.concatenate([each.profits for each in tested])
    return figures_of(candles, tested[0].window.split, equity, cash, profits), equity


def _place(candles: Candles, second: int) -> int:
    return int(np.searchsorted(candles.time, second))


def ratio_of(in_sample: float, out_of_sample: float) -> float | None:
    """What was left of the score out of sample (Pardo's walk-forward efficiency); None if there was none in sample."""
    return out_of_sample / in_sample if in_sample > 0 else None


def warning_of(ratio: float | None, least: float) -> str | None:
    """Whether this looks like over-fitting, in words."""
    if ratio is None:
        return "The search itself found nothing with a score above zero."
    if ratio < 0:
        return "Over-fitting is likely: out of sample the score is below zero."
    if ratio < least:
        return f"Over-fitting is likely: out of sample {ratio:.0%} of the score is left, less than {least:.0%}."
    return None


def summary(candles: Candles, tested: Sequence[Tested]) -> list[dict[str, Any]]:
    """The windows for a person to read."""
    return [
        {
            "train_from": _date(candles, each.window.begin),
            "test_from": _date(candles, each.window.split),
            "test_to": _date(candles, each.window.end - 1),
            "parameters": each.parameters,
            "in_sample": each.in_sample,
            "out_of_sample": each.out_of_sample,
            "return_percent": return_percent(each.equity, each.cash) if each.cash > 0 else 0.0,
            "trades": len(each.profits),
        }
        for each in tested
    ]


def _date(candles: Candles, place: int) -> str:
    return f"{np.datetime64(int(candles.time[place]), 's')}Z"


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))
