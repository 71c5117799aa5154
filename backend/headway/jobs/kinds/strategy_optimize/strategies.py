"""Our own strategies. Their compiled parts are loaded with the first signals, so that listing kinds stays cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.jobs.kinds.strategy_optimize.parameters import Parameter, Parameters, Strategy

if TYPE_CHECKING:
    from headway.jobs.kinds.strategy_optimize.candles import Candles
    from headway.jobs.kinds.strategy_optimize.engine import Signals


class MovingAverageCross(Strategy):
    """Long from where the fast moving average of the closes crosses above the slow one, short from where below."""

    name = "moving_average_cross"
    title = "Moving-average cross"
    parameters = {  # noqa: RUF012  # declared ClassVar in the base
        "fast": Parameter(3, 60, 1, title="Candles of the fast average"),
        "slow": Parameter(20, 300, 1, title="Candles of the slow average"),
    }

    def is_valid(self, parameters: Parameters) -> bool:
        """The fast average must be the faster one."""
        return parameters["fast"] < parameters["slow"]

    def signals(self, candles: Candles, parameters: Parameters) -> Signals:
        """Enter at each crossing; the opposite crossing turns the position."""
        from headway.jobs.kinds.strategy_optimize.rules import cross

        return cross(candles, int(parameters["fast"]), int(parameters["slow"]))


class Breakout(Strategy):
    """In the direction of a close beyond the range of the last `entry` candles, until one beyond that of `leave`."""

    name = "breakout"
    title = "Breakout"
    parameters = {  # noqa: RUF012
        "entry": Parameter(10, 240, 2, title="Candles whose range is broken to enter"),
        "leave": Parameter(4, 120, 2, title="Candles whose range is broken to leave"),
    }

    def is_valid(self, parameters: Parameters) -> bool:
        """The range to leave by lies within the one to enter by."""
        return parameters["leave"] <= parameters["entry"]

    def signals(self, candles: Candles, parameters: Parameters) -> Signals:
        """Enter on a close beyond the wide range, leave on one beyond the narrow range."""
        from headway.jobs.kinds.strategy_optimize.rules import breakout

        return breakout(candles, int(parameters["entry"]), int(parameters["leave"]))


class LiquiditySweep(Strategy):
    """Against a spike through the last extreme that comes with much volume and is taken back within a few candles."""

    name = "liquidity_sweep"
    title = "Liquidity-sweep reversal"
    needs_volume = True
    parameters = {  # noqa: RUF012
        "lookback": Parameter(6, 120, 2, title="Candles whose extreme is swept"),
        "pierce_depth": Parameter(0.0001, 0.01, log=True, title="Depth beyond the extreme, as a share of the price"),
        "volume_spike_threshold": Parameter(0.5, 4.0, 0.1, title="Volume, as a multiple of the lookback's mean"),
        "reversal_candles": Parameter(1, 6, 1, title="Candles within which the close must be back"),
        "reward": Parameter(0.5, 5.0, 0.25, title="Target, as a multiple of the distance to the stop"),
    }

    def signals(self, candles: Candles, parameters: Parameters) -> Signals:
        """Enter on the close back inside, with the stop at the spike's end and the target beyond."""
        from headway.jobs.kinds.strategy_optimize.rules import sweep

        return sweep(
            candles,
            lookback=int(parameters["lookback"]),
            pierce_depth=parameters["pierce_depth"],
            volume_spike_threshold=parameters["volume_spike_threshold"],
            reversal_candles=int(parameters["reversal_candles"]),
            reward=parameters["reward"],
        )


OWN: tuple[type[Strategy], ...] = (MovingAverageCross, Breakout, LiquiditySweep)
