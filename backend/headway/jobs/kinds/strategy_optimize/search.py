"""One search: batches of episodes side by side, counted by the candle, kept so that it can be gone on with."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from headway.jobs.context import JobContext
from headway.jobs.kinds.strategy_optimize.candles import Candles, Integers
from headway.jobs.kinds.strategy_optimize.config import StrategyConfig
from headway.jobs.kinds.strategy_optimize.engine import Replay, Terms
from headway.jobs.kinds.strategy_optimize.figures import NOTHING_TRADED, Figures, replay_figures, score_of
from headway.jobs.kinds.strategy_optimize.parameters import Parameters, Strategy
from headway.jobs.kinds.strategy_optimize.proposals import LEAST_REPORT, Episode, Proposals
from headway.jobs.reporter import LiveCounter

#: A batch that has taken longer is given up when a stop is asked for; it is replayed alike later.
PATIENCE_SECONDS = 1.0
REPORTS = 10
#: What a replay does in one go, so that a stop is never far.
MOST_CANDLES = 5_000_000


class GivenUpError(Exception):
    """A batch was left because the job is to stop."""


@dataclass
class Play:
    """One episode under way; without a replay its parameters do not make sense together."""

    trial: optuna.Trial
    parameters: Parameters
    run: Replay | None
    reports: list[float]
    pruned: bool = False


@dataclass(frozen=True)
class Outcome:
    """An episode that is over, with its figures up to where it was replayed."""

    episode: Episode
    figures: Figures


@dataclass
class Search:
    """Tries `count` sets of parameters over all of `candles`; `done` are the episodes so far, best first or not."""

    config: StrategyConfig
    strategy: Strategy
    candles: Candles
    count: int
    seed: Sequence[int]
    done: list[Episode]
    job: JobContext
    pool: ThreadPoolExecutor

    def __post_init__(self) -> None:
        config = self.config
        self._proposals = Proposals(config.method, config.space(), self.strategy, self.seed, prune=config.prune)
        self.count = self._proposals.most(self.count)
        self._proposals.restore(self.done)
        self._cell = np.zeros(config.parallel, np.int64)
        self._lock = threading.Lock()
        self._terms = terms_of(config)

    @property
    def best(self) -> Episode:
        """The best episode replayed to its end, the earliest of equals."""
        whole = [episode for episode in self.done if not episode["pruned"]] or self.done
        return max(whole, key=lambda episode: episode["score"])

    def run(self, on_batch: Callable[[list[Outcome]], None]) -> None:
        """Go on to the end. Each batch is told once it is over, in order. Raises GivenUpError."""
        with self._counted():
            while len(self.done) < self.count:
                outcomes = self._batch(min(self.config.parallel, self.count - len(self.done)))
                with self._lock:
                    self.done += [outcome.episode for outcome in outcomes]
                    self._cell[:] = 0
                on_batch(outcomes)

    @contextmanager
    def _counted(self) -> Generator[None]:
        """Two counters that the reporter's thread moves, ten times a second, to where the compiled code has got to."""

        def follow() -> None:
            with self._lock:
                show(episodes, candles, len(self.done), self._cell, len(self.candles))

        with (
            self.job.count(unit="episode", total=self.count, start=len(self.done)) as episodes,
            self.job.count(unit="candle", total=len(self.candles)) as candles,
        ):
            episodes.follow = follow
            yield

    def _batch(self, size: int) -> list[Outcome]:
        began = time.monotonic()
        trials = self._proposals.ask(len(self.done), size)
        preparing = [self.pool.submit(self._prepare, slot, trial) for slot, trial in enumerate(trials)]
        plays = [future.result() for future in preparing]
        for end in self._stages():
            live = [play for play in plays if play.run is not None and not play.pruned]
            for replaying in [self.pool.submit(play.run.advance, end) for play in live if play.run]:
                replaying.result()
            if self.config.prune and end < len(self.candles):
                for play in live:
                    self._report(play)
            if time.monotonic() - began > PATIENCE_SECONDS and self.job.should_stop():
                raise GivenUpError
        return [self._over(play) for play in plays]

    def _prepare(self, slot: int, trial: optuna.Trial) -> Play:
        parameters: dict[str, Any] = trial.params
        run = None
        if self.strategy.is_valid(parameters):
            signals = self.strategy.signals(self.candles, parameters)
            every, end = self.config.candles_a_reading, len(self.candles)
            run = Replay(self.candles, signals, self._terms, 0, end, self._cell, slot, every)
        return Play(trial, parameters, run, [])

    def _stages(self) -> list[int]:
        """Up to which candle to replay before looking up."""
        count = len(self.candles)
        stages = max(REPORTS if self.config.prune else 1, math.ceil(count / MOST_CANDLES))
        return [count * number // stages for number in range(1, stages + 1)]

    def _report(self, play: Play) -> None:
        assert play.run is not None
        play.reports.append(max(LEAST_REPORT, score_of(play.run, self.config.score)))
        play.trial.report(play.reports[-1], len(play.reports))
        if play.trial.should_prune():
            play.pruned = True
            self._cell[play.run.slot] = len(self.candles)

    def _over(self, play: Play) -> Outcome:
        score, figures = -math.inf, NOTHING_TRADED
        if play.run is not None:
            score = score_of(play.run, self.config.score, self.config.least_trades)
            figures = replay_figures(play.run)
        if play.pruned:
            score = play.reports[-1]
        episode = Episode(parameters=dict(play.parameters), score=score, pruned=play.pruned, reports=play.reports)
        self._proposals.tell(play.trial, episode)
        return Outcome(episode, figures)


def terms_of(config: StrategyConfig, cash: float | None = None) -> Terms:
    """On what terms a config's orders are filled."""
    return Terms(config.cash if cash is None else cash, config.fee, config.slippage, config.size, config.direction)


def metrics_of(outcome: Outcome, best: Episode) -> Mapping[str, float]:
    """What is logged of an episode, and of the best one so far."""
    figures = outcome.figures
    return {
        "score": outcome.episode["score"],
        "best_score": best["score"],
        "return_percent": figures.return_percent,
        "max_drawdown_percent": figures.max_drawdown_percent,
        "trades": figures.trades,
        "pruned": float(outcome.episode["pruned"]),
        **{f"params/{name}": value for name, value in outcome.episode["parameters"].items()},
        **{f"best_params/{name}": value for name, value in best["parameters"].items()},
    }


def show(episodes: LiveCounter, candles: LiveCounter, done: int, cell: Integers, whole: int) -> None:
    """Move both counters to what the replays have done; candles of several at once count together."""
    more, candles.current = divmod(sum(cell.tolist()), whole)
    episodes.current = done + more
