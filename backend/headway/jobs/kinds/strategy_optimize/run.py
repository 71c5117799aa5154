"""The work of `strategy.optimize`: collect prices, search, walk forward, save what was found."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.context import JobContext
from headway.jobs.keeper import Keeper
from headway.jobs.kinds.strategy_optimize.candles import LEAST_CANDLES, Candles, check
from headway.jobs.kinds.strategy_optimize.catalogue import find_strategy
from headway.jobs.kinds.strategy_optimize.config import StrategyConfig
from headway.jobs.kinds.strategy_optimize.engine import replay
from headway.jobs.kinds.strategy_optimize.figures import replay_figures
from headway.jobs.kinds.strategy_optimize.parameters import Strategy
from headway.jobs.kinds.strategy_optimize.proposals import Episode
from headway.jobs.kinds.strategy_optimize.reading import find_file, read_example, read_file
from headway.jobs.kinds.strategy_optimize.saving import document, write
from headway.jobs.kinds.strategy_optimize.search import GivenUpError, Outcome, Search, metrics_of, terms_of
from headway.jobs.kinds.strategy_optimize.walk_forward import Tested, Window, trade_window, windows_of

STATE_FILE = "searches.json"


def run(config: StrategyConfig, job: JobContext) -> None:
    """Search the parameters, test them on what follows, save them; from the checkpoint where there is one."""
    strategy = find_strategy(config.strategy)
    with job.phase("data_collection"):
        candles, windows = _collect(config, strategy, job)
    with ThreadPoolExecutor(min(job.threads, config.parallel), "headway-episode") as pool:
        searches = Searches(config, strategy, candles, job, pool)
        with job.phase("optimization"):
            best = searches.optimize()
        if windows:
            with job.phase("validation"):
                tested = searches.walk_forward(windows)
        else:
            job.skip_phase("validation")
            tested = []
    with job.phase("saving"):
        _stop_if_cancelled(job)
        told, replays = document(config, strategy, candles, searches.split, best, tested)
        write(job.output("configuration"), told, replays)
        job.artifact("configuration", meta=told | {"name": f"{strategy.title} on {candles.name}"})
    job.say(told["warning"] or f"{config.score} {best['score']:.3g} in sample, of {len(searches.done[0])} episodes")


def _collect(config: StrategyConfig, strategy: Strategy, job: JobContext) -> tuple[Candles, list[Window]]:
    """Read, check and compile, each a step of the phase."""
    with job.count(unit="step", total=3) as step:
        field = "path" if config.path else "dataset" if config.dataset else "example"
        candles = _read(config, job)
        _stop_if_cancelled(job)
        step.advance()
        for warning in check(candles, field=field, most_gap_days=config.most_gap_days):
            job.say(warning)
        _check_fit(config, strategy, candles, field)
        windows = windows_of(candles, config) if config.walk_forward else []
        job.expect("optimization", unit="episode", total=config.episodes)
        if windows:
            job.expect("validation", unit="window", total=len(windows))
        step.advance()
        job.say(f"Compiling {strategy.title}")
        lowest = {name: parameter.low for name, parameter in config.space().items()}
        few = candles.span(0, LEAST_CANDLES)
        replay_figures(replay(few, strategy.signals(few, lowest), terms_of(config)))
        step.advance()
    job.say(f"{len(candles):,} candles over {candles.days:,.0f} days")
    return candles, windows


def _read(config: StrategyConfig, job: JobContext) -> Candles:
    if config.path:
        return read_file(Path(config.path), Path(config.path).stem, config.time_format, "path")
    if config.dataset:
        path = find_file(job.input("dataset"))
        return read_file(path, path.stem, config.time_format, "dataset")
    return read_example(config.example)


def _check_fit(config: StrategyConfig, strategy: Strategy, candles: Candles, field: str) -> None:
    if strategy.needs_volume and not candles.volume.any():
        raise _problem("strategy", f"{strategy.name} needs a volume, which the prices do not have")
    if config.data_sha256 and config.data_sha256 != candles.sha256:
        raise _problem(field, f"the prices are not those of data_sha256 any more: they hash to {candles.sha256}")
    if _split(config, candles) < LEAST_CANDLES:
        raise _problem("holdout_fraction", f"leaves fewer than {LEAST_CANDLES} candles to search on")


def _split(config: StrategyConfig, candles: Candles) -> int:
    return len(candles) - int(len(candles) * config.holdout_fraction)


class Searches:
    """All searches of one job: the first over the candles before the held-out ones, then one for each window."""

    def __init__(
        self, config: StrategyConfig, strategy: Strategy, candles: Candles, job: JobContext, pool: ThreadPoolExecutor
    ) -> None:
        self._config, self._strategy, self._candles = config, strategy, candles
        self._job, self._pool = job, pool
        self._keeper = Keeper(job, config.checkpoint_seconds)
        self.split = _split(config, candles)
        self.done: list[list[Episode]] = _load(job)
        if job.resume:
            job.say(f"Going on after episode {self._episodes}")

    @property
    def _episodes(self) -> int:
        """Episodes done over all searches; the step of checkpoints."""
        return sum(map(len, self.done))

    def optimize(self) -> Episode:
        """The main search. Raises InvalidInputError when no episode traded enough."""
        search = self._search(0, self._candles.span(0, self.split), self._config.episodes)
        best = search.best if search.done else None

        def tell(outcomes: list[Outcome]) -> None:
            nonlocal best
            first = len(search.done) - len(outcomes) + 1
            for step, outcome in enumerate(outcomes, first):
                best = _better(best, outcome.episode)
                self._job.log(step, **metrics_of(outcome, best))
            self._heed()

        self._run(search, tell)
        if search.best["score"] == -math.inf:
            asked = f"no episode made {self._config.least_trades} trades with a {self._config.score} that is defined"
            raise _problem("least_trades", f"{asked}: lower it, or widen the ranges")
        return search.best

    def walk_forward(self, windows: list[Window]) -> list[Tested]:
        """Search on every window and test on what follows it."""
        tested: list[Tested] = []
        cash = self._config.cash
        for number, window in enumerate(self._job.track(windows, unit="window"), 1):
            search = self._search(number, self._candles.span(window.begin, window.split), self._config.window_episodes)
            self._run(search, self._heed_after)
            found = trade_window(self._candles, window, self._strategy, search.best, self._config, cash)
            self._job.log(
                self._episodes,
                **{"walk_forward/in_sample": found.in_sample, "walk_forward/out_of_sample": found.out_of_sample},
            )
            cash = float(found.equity[-1])
            tested.append(found)
        return tested

    def _search(self, number: int, candles: Candles, episodes: int) -> Search:
        if number == len(self.done):
            self.done.append([])
        seed = (self._config.seed, number)
        return Search(self._config, self._strategy, candles, episodes, seed, self.done[number], self._job, self._pool)

    def _run(self, search: Search, on_batch: Callable[[list[Outcome]], None]) -> None:
        try:
            search.run(on_batch)
        except GivenUpError:
            self._heed()
            self._job.stop()

    def _heed_after(self, _: list[Outcome]) -> None:
        self._heed()

    def _heed(self) -> None:
        self._keeper.heed(self._episodes, self._save)

    def _save(self, folder: Path) -> None:
        (folder / STATE_FILE).write_text(json.dumps(self.done))


def _load(job: JobContext) -> list[list[Episode]]:
    if not job.resume:
        return []
    return cast("list[list[Episode]]", json.loads((job.resume.path / STATE_FILE).read_text()))


def _better(best: Episode | None, episode: Episode) -> Episode:
    if best is None or (not episode["pruned"] and (best["pruned"] or episode["score"] > best["score"])):
        return episode
    return best


def _stop_if_cancelled(job: JobContext) -> None:
    """A pause waits for the first episode, whose checkpoint it needs."""
    if job.should_stop() == "cancel":
        job.stop()


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))
