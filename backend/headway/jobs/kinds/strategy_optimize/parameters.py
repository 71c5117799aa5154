"""What a strategy is: a small class that declares its parameters and turns candles into signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from headway.jobs.kinds.strategy_optimize.candles import Candles
    from headway.jobs.kinds.strategy_optimize.engine import Signals

Parameters = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number to search: from `low` to `high` in steps of `step` (0: any value), evenly by its logarithm if `log`."""

    low: float
    high: float
    step: float = 0.0
    log: bool = False
    title: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every value is an integer."""
        return self.step > 0 and float(self.step).is_integer() and float(self.low).is_integer()


class Strategy(ABC):
    """A strategy. Another package adds one by an entry point of the group `headway.strategies` that names its class.

    `signals` may look at candle t and those before it for what it says at t, and never beyond; what it says at t is
    done at the open of candle t + 1.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs_volume: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]]

    def is_valid(self, parameters: Parameters) -> bool:
        """Whether these values make sense together; those that do not are not replayed."""
        return True

    @abstractmethod
    def signals(self, candles: Candles, parameters: Parameters) -> Signals:
        """What to do after each candle."""
