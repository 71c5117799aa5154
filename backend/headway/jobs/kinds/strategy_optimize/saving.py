"""The saved configuration: what was found, how it did in and out of sample, and all that it takes to find it again."""

from __future__ import annotations

import csv
import importlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from headway.jobs.kinds.strategy_optimize.candles import Candles, Floats
from headway.jobs.kinds.strategy_optimize.config import StrategyConfig
from headway.jobs.kinds.strategy_optimize.engine import Replay, Signals
from headway.jobs.kinds.strategy_optimize.figures import replay_figures, score_of
from headway.jobs.kinds.strategy_optimize.parameters import Strategy
from headway.jobs.kinds.strategy_optimize.proposals import Episode
from headway.jobs.kinds.strategy_optimize.search import terms_of
from headway.jobs.kinds.strategy_optimize.walk_forward import Tested, joined, ratio_of, summary, warning_of

CURVE_POINTS = 300
TRADE_COLUMNS = ("entry", "exit", "units", "entry_price", "exit_price", "profit")


def document(
    config: StrategyConfig, strategy: Strategy, candles: Candles, split: int, best: Episode, tested: list[Tested]
) -> tuple[dict[str, Any], dict[str, Replay]]:
    """The configuration as JSON, and the replays of the best parameters before and after `split`."""
    signals = strategy.signals(candles, best["parameters"])
    replays = {"in_sample": _replayed(config, candles, signals, 0, split)}
    if split < len(candles):
        replays["out_of_sample"] = _replayed(config, candles, signals, split, len(candles))
    told: dict[str, Any] = {
        "format": 1,
        "strategy": strategy.name,
        "parameters": best["parameters"],
        "score_name": config.score,
        "score": best["score"],
        "seed": config.seed,
        "market": candles.name,
        "data_sha256": candles.sha256,
        "candles": len(candles),
        "candle_seconds": candles.step_seconds,
        "from": _time(candles, 0),
        "split": _time(candles, min(split, len(candles) - 1)),
        "to": _time(candles, len(candles) - 1),
        "walk_forward": None,
    }
    told |= {name: replay_figures(run).plain() for name, run in replays.items()}
    told["curves"] = {name: _curve(candles, run.begin, run.equity) for name, run in replays.items()}
    ratio = _holdout_ratio(config, best, replays)
    if tested:
        figures, equity = joined(candles, tested, config.cash)
        means = (float(np.mean([getattr(each, name) for each in tested])) for name in ("in_sample", "out_of_sample"))
        ratio = ratio_of(*means)
        told["walk_forward"] = figures.plain() | {"windows": summary(candles, tested)}
        told["curves"]["walk_forward"] = _curve(candles, tested[0].window.split, equity)
    told |= {"ratio": ratio, "warning": warning_of(ratio, config.least_ratio) if tested or len(replays) > 1 else None}
    return told | {"config": config.model_dump(mode="json")}, replays


def write(folder: Path, told: dict[str, Any], replays: dict[str, Replay]) -> None:
    """Write `configuration.json`, the whole equity of each part (time in Unix seconds) and every trade."""
    (folder / "configuration.json").write_text(json.dumps(told, indent=1, allow_nan=False))
    for part, run in replays.items():
        columns = {"time": run.candles.time[run.begin : run.end], "equity": run.equity}
        table = importlib.import_module("pyarrow").table(columns)
        importlib.import_module("pyarrow.parquet").write_table(table, folder / f"equity_{part}.parquet")
    with (folder / "trades.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("part", *TRADE_COLUMNS))
        for part, run in replays.items():
            for entry, end, *others in run.trades.tolist():
                rows.writerow((part, _time(run.candles, int(entry)), _time(run.candles, int(end)), *others))


def _replayed(config: StrategyConfig, candles: Candles, signals: Signals, begin: int, end: int) -> Replay:
    run = Replay(candles, signals, terms_of(config), begin, end)
    run.advance(end)
    return run


def _holdout_ratio(config: StrategyConfig, best: Episode, replays: dict[str, Replay]) -> float | None:
    if "out_of_sample" not in replays:
        return None
    score = score_of(replays["out_of_sample"], config.score)
    return ratio_of(best["score"], score if math.isfinite(score) else 0.0)


def _curve(candles: Candles, begin: int, equity: Floats) -> dict[str, list[float]]:
    """The equity thinned to the extremes of equal buckets, so that no fall is lost."""
    places = [0, len(equity) - 1]
    for bucket in np.array_split(np.arange(len(equity)), min(len(equity), CURVE_POINTS // 2 - 1)):
        places += [int(bucket[np.argmin(equity[bucket])]), int(bucket[np.argmax(equity[bucket])])]
    kept = np.unique(places)
    return {"times": candles.time[begin + kept].tolist(), "values": np.round(equity[kept], 2).tolist()}


def _time(candles: Candles, place: int) -> str:
    return f"{np.datetime64(int(candles.time[place]), 's')}Z"
