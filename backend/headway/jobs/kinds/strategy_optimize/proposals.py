"""Proposes parameters to try: Optuna's samplers, seeded anew for each batch.

A sampler keeps no state of its own that a list of finished episodes does not tell, and its random numbers follow from
the seed and the number of episodes before. So a search that goes on from such a list proposes exactly what an
uninterrupted one would have.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.strategy_optimize.config import MOST_GRID_POINTS, Method
from headway.jobs.kinds.strategy_optimize.parameters import Parameter, Parameters, Strategy

STARTUP_EPISODES = 10
#: Reported in place of a score that is not defined, which the pruner's median could not take.
LEAST_REPORT = -1e9


class Episode(TypedDict):
    """One set of parameters that was tried; `reports` are the scores on the way, where poor episodes end early."""

    parameters: dict[str, float]
    score: float
    pruned: bool
    reports: list[float]


class Proposals:
    """The study of one search: asks for parameters, is told how they did."""

    def __init__(
        self, method: Method, space: Mapping[str, Parameter], strategy: Strategy, seed: Sequence[int], *, prune: bool
    ) -> None:
        if method == "gp" and importlib.util.find_spec("torch") is None:
            raise _problem("method", "gp needs torch: install it with `pip install 'headway[studio]'`, or choose tpe")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._method: Method = method
        self._space, self._seed = space, tuple(seed)
        self._distributions = {name: _distribution(parameter) for name, parameter in space.items()}
        self._grid = Grid(space, strategy, self._seed) if method == "grid" else None
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_EPISODES) if prune else optuna.pruners.NopPruner()
        self._study = optuna.create_study(direction="maximize", pruner=pruner)

    def most(self, episodes: int) -> int:
        """How many of so many episodes there are to propose: a grid may have fewer points."""
        return min(episodes, len(self._grid)) if self._grid else episodes

    def ask(self, first: int, count: int) -> list[optuna.Trial]:
        """Propose episodes `first` to `first` + `count`, to be tried side by side."""
        self._study.sampler = _sampler(self._method, [*self._seed, first])
        if self._grid:
            for number in range(first, first + count):
                self._study.enqueue_trial(self._grid[number])
        return [self._study.ask(self._distributions) for _ in range(count)]

    def tell(self, trial: optuna.Trial, episode: Episode) -> None:
        """Say how an episode did."""
        if episode["pruned"]:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, episode["score"])

    def restore(self, episodes: Sequence[Episode]) -> None:
        """Take up the episodes of a search that is gone on with."""
        for episode in episodes:
            trial = optuna.trial.create_trial(
                state=TrialState.PRUNED if episode["pruned"] else TrialState.COMPLETE,
                params=_native(episode["parameters"], self._space),
                distributions=self._distributions,
                value=None if episode["pruned"] else episode["score"],
                intermediate_values=dict(enumerate(episode["reports"], 1)),
            )
            self._study.add_trial(trial)


class Grid:
    """All points of a space that make sense, in an order of chance, so that the first ones are spread over all."""

    def __init__(self, space: Mapping[str, Parameter], strategy: Strategy, seed: Sequence[int]) -> None:
        self._axes = {name: _axis(name, parameter) for name, parameter in space.items()}
        size = math.prod(len(axis) for axis in self._axes.values())
        if size > MOST_GRID_POINTS:
            raise _problem("parameters", f"the grid has {size:,} points, more than {MOST_GRID_POINTS:,}: widen steps")
        order = np.random.default_rng(list(seed)).permutation(size)
        self._order: list[int] = [index for index in order.tolist() if strategy.is_valid(self._point(index))]
        if not self._order:
            raise _problem("parameters", f"no point of the grid suits {strategy.name}: widen the ranges")

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, number: int) -> dict[str, float]:
        return self._point(self._order[number])

    def _point(self, index: int) -> dict[str, float]:
        point: dict[str, float] = {}
        for name, axis in self._axes.items():
            index, place = divmod(index, len(axis))
            point[name] = axis[place]
        return point


def _axis(name: str, parameter: Parameter) -> list[float]:
    if parameter.low == parameter.high:
        return [parameter.low]
    if not parameter.step:
        raise _problem("parameters", f"{name} has no step, which a grid needs: give it one, or fix it")
    count = int((parameter.high - parameter.low) / parameter.step + 1e-9) + 1
    values = [parameter.low + place * parameter.step for place in range(count)]
    return [int(value) for value in values] if parameter.is_whole else [round(value, 12) for value in values]


def _distribution(parameter: Parameter) -> BaseDistribution:
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.is_whole:
        return IntDistribution(int(low), int(low + (high - low) // step * step), step=int(step))
    if step:
        return FloatDistribution(low, round(low + int((high - low) / step + 1e-9) * step, 12), step=step)
    return FloatDistribution(low, high, log=parameter.log)


def _native(parameters: Parameters, space: Mapping[str, Parameter]) -> dict[str, Any]:
    return {name: int(value) if space[name].is_whole else value for name, value in parameters.items()}


def _sampler(method: Method, seed: Sequence[int]) -> optuna.samplers.BaseSampler:
    number = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
    if method == "tpe":
        return optuna.samplers.TPESampler(seed=number, n_startup_trials=STARTUP_EPISODES, constant_liar=True)
    if method == "gp":
        return optuna.samplers.GPSampler(seed=number, n_startup_trials=STARTUP_EPISODES, deterministic_objective=True)
    return optuna.samplers.RandomSampler(seed=number)


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))
