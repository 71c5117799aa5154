"""Config of `strategy.optimize`."""

from __future__ import annotations

import os
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from headway.jobs.kind import KindConfig, artifact_input
from headway.jobs.kinds.strategy_optimize.catalogue import declared_ranges, find_strategy, strategy_names
from headway.jobs.kinds.strategy_optimize.parameters import Parameter
from headway.jobs.uploads import Upload

Method = Literal["tpe", "random", "grid", "gp"]
Score = Literal["sharpe", "sortino", "return_percent"]
Example = Literal["eurusd-1h"]

MOST_GRID_POINTS = 1_000_000
#: Candles between two of the counter's readings, where the installation does not say.
CANDLE_CALLBACK_FREQUENCY = 1000


class ExampleSource(NamedTuple):
    """A series in an installed package."""

    package: str
    file: str
    time_format: str


EXAMPLES: dict[Example, ExampleSource] = {
    "eurusd-1h": ExampleSource("gym_anytrading", "datasets/data/FOREX_EURUSD_1H_ASK.csv", "%d.%m.%Y %H:%M:%S.%f")
}


class Range(KindConfig):
    """A narrower range of one parameter; equal bounds fix it."""

    low: float = Field(title="From", description="The least value, not below the strategy's own.")
    high: float = Field(title="To", description="The greatest value, not above the strategy's own.")
    step: float | None = Field(None, gt=0, title="Step", description="Between two values; empty takes the strategy's.")
    log: bool | None = Field(None, title="Logarithmic", description="Search evenly by the logarithm; without a step.")


class StrategyConfig(KindConfig):
    """Which prices, which strategy, how it is searched and how it is tested."""

    example: Example = Field(
        "eurusd-1h",
        title="Example",
        description="Prices that come with a package: EUR/USD by the hour, 2017. Used if neither path nor dataset is.",
    )
    path: str | None = Field(
        None,
        max_length=4096,
        title="Path",
        description="A CSV or Parquet file on the server, with time, open, high, low, close and, if known, volume.",
    )
    dataset: str | None = artifact_input(
        "dataset",
        title="Dataset",
        description="One such file, uploaded.",
        optional=True,
        upload=Upload(("*.csv", "*.parquet")),
    )
    time_format: str | None = Field(
        None,
        max_length=64,
        title="Format of times",
        description="As of strptime (%d.%m.%Y %H:%M); empty takes ISO 8601 and Unix seconds or milliseconds, in UTC.",
    )
    most_gap_days: float = Field(
        7, gt=0, le=366, title="Longest gap (days)", description="A longer gap between two candles is an error."
    )
    data_sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        title="Hash of the data",
        description="Refuse prices with any other content; a re-run fills it in.",
    )
    strategy: str = Field(
        "moving_average_cross",
        title="Strategy",
        description="What turns candles into orders; packages may add some.",
        json_schema_extra={"enum": list(strategy_names())},
    )
    parameters: dict[str, Range] = Field(
        default={},
        title="Ranges",
        description="Narrower ranges of the strategy's parameters, by name; the others keep the declared one. "
        f"{declared_ranges()}.",
        max_length=32,
    )
    method: Method = Field(
        "tpe",
        title="Search",
        description="tpe and gp learn from what they tried (Bayesian), random does not, grid tries evenly laid points.",
    )
    episodes: int = Field(
        200, ge=1, le=1_000_000, title="Episodes", description="Sets of parameters to try, each over all the candles."
    )
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(
        2,
        title="At once",
        description="Episodes chosen together and replayed side by side; part of what makes a search repeatable.",
    )
    score: Score = Field("sharpe", title="Score", description="What is maximised, over the candles of the search.")
    least_trades: int = Field(
        10, ge=1, le=1_000_000, title="Least trades", description="An episode with fewer trades counts for nothing."
    )
    prune: bool = Field(
        False,
        title="Stop poor episodes early",
        description="Ends an episode that is worse than the median of the others at the same candle.",
    )
    cash: float = Field(10_000, gt=0, le=1e12, title="Cash", description="What a replay begins with.")
    fee: float = Field(0.00005, ge=0, lt=0.5, title="Fee", description="Of each fill, as a share of its value.")
    slippage: float = Field(
        0.00005, ge=0, lt=0.5, title="Slippage", description="How much worse than asked a fill is, as a share."
    )
    size: float = Field(1.0, gt=0, le=20, title="Position size", description="Value of a position in equities.")
    direction: Literal["both", "long", "short"] = Field(
        "both", title="Direction", description="Which positions may be taken."
    )
    holdout_fraction: float = Field(
        0.25, ge=0, le=0.9, title="Held out", description="The last part of the candles, which the search never sees."
    )
    walk_forward: bool = Field(
        True, title="Walk forward", description="Search again on each of many windows, and test on what follows it."
    )
    train_days: float = Field(90, ge=1, le=36_600, title="Window (days)", description="Calendar days to search on.")
    test_days: float = Field(
        30, ge=1, le=36_600, title="Test (days)", description="Calendar days after it to test on; windows roll by it."
    )
    window_episodes: int = Field(
        40, ge=1, le=1_000_000, title="Episodes a window", description="Sets of parameters to try on each window."
    )
    least_ratio: float = Field(
        0.5,
        ge=0,
        le=10,
        title="Least ratio",
        description="Warn of over-fitting where the score out of sample is below this share of that in sample.",
    )
    checkpoint_seconds: float = Field(
        15, ge=0, le=86_400, title="Checkpoint every (s)", description="Seconds between checkpoints of the search."
    )
    candle_callback_frequency: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        title="Candles a reading",
        description="Candles between two readings of their counter; empty takes the installation's.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Same seed, same config, same result.")

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        find_strategy(name)
        return name

    @model_validator(mode="after")
    def _ranges_fit(self) -> StrategyConfig:
        self.space()
        return self

    def space(self) -> dict[str, Parameter]:
        """The parameters to search, narrowed as asked. Raises ValueError that names the range."""
        declared = find_strategy(self.strategy).parameters
        for name in self.parameters:
            if name not in declared:
                raise ValueError(f"parameters.{name}: {self.strategy} has {', '.join(declared)}")
        return {
            name: _narrowed(name, parameter, self.parameters[name]) if name in self.parameters else parameter
            for name, parameter in declared.items()
        }

    @property
    def candles_a_reading(self) -> int:
        """Candles between two readings: the config's, the installation's, or ours."""
        return self.candle_callback_frequency or int(
            os.environ.get("CANDLE_CALLBACK_FREQUENCY") or CANDLE_CALLBACK_FREQUENCY
        )


def _narrowed(name: str, declared: Parameter, asked: Range) -> Parameter:
    if not declared.low <= asked.low <= asked.high <= declared.high:
        raise ValueError(f"parameters.{name}: must lie within {declared.low:g} to {declared.high:g}, low first")
    step = declared.step if asked.step is None else asked.step
    log = declared.log if asked.log is None else asked.log
    if log and (step or asked.low <= 0):
        raise ValueError(f"parameters.{name}: a logarithmic range has no step and begins above zero")
    if declared.is_whole and not (float(step).is_integer() and float(asked.low).is_integer()):
        raise ValueError(f"parameters.{name}: its values are whole numbers")
    return Parameter(asked.low, asked.high, step, log, declared.title)
