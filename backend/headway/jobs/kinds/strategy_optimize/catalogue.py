"""Finds strategies: our own and those of installed packages (entry points of the group `headway.strategies`)."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import Any

from headway.errors import KindError
from headway.jobs.kinds.strategy_optimize.parameters import Strategy
from headway.jobs.kinds.strategy_optimize.strategies import OWN

GROUP = "headway.strategies"
_OWN: dict[str, type[Strategy]] = {strategy.name: strategy for strategy in OWN}


def strategy_names() -> list[str]:
    """Every strategy there is; nothing of another package is loaded for it."""
    return [*_OWN, *sorted(entry.name for entry in entry_points(group=GROUP) if entry.name not in _OWN)]


def declared_ranges() -> str:
    """The parameters of each strategy of ours, with the range it declares, for who narrows them."""
    return "; ".join(
        f"`{name}`: " + ", ".join(f"{key} {each.low:g} to {each.high:g}" for key, each in strategy.parameters.items())
        for name, strategy in _OWN.items()
    )


def find_strategy(name: str) -> Strategy:
    """The strategy of that name. Raises ValueError with what there is, KindError for an entry that is none."""
    if name in _OWN:
        return _OWN[name]()
    for entry in entry_points(group=GROUP, name=name):
        found: Any = entry.load()
        if not (inspect.isclass(found) and issubclass(found, Strategy)):
            raise KindError(f"the entry point {entry.value} is no subclass of Strategy: name the class itself")
        return found()
    raise ValueError(f"there is no strategy {name!r}; there are: {', '.join(strategy_names())}")
