"""When a training that no longer gets better ends."""

from __future__ import annotations

from collections.abc import Mapping

SMOOTHING = 0.98


class Patience:
    """Watches a smoothed value of several runs, lower being better; `state` is all it remembers, ready for JSON."""

    def __init__(self, steps: int | None, least_improvement: float) -> None:
        """Out of patience when no run fell by the share `least_improvement` for `steps`; None never is."""
        self._steps, self._least = steps, least_improvement
        self.state: dict[str, dict[str, float]] = {"mean": {}, "best": {}, "waited": {}}

    def see(self, values: Mapping[str, float]) -> None:
        """One step's value of each run."""
        waited = self.state["waited"].get("steps", 0) + 1
        for name, value in values.items():
            mean = SMOOTHING * self.state["mean"].get(name, value) + (1 - SMOOTHING) * value
            self.state["mean"][name] = mean
            if mean < (1 - self._least) * self.state["best"].get(name, float("inf")):
                self.state["best"][name] = mean
                waited = 0
        self.state["waited"]["steps"] = waited

    @property
    def is_out(self) -> bool:
        """Whether it is time to end."""
        return self._steps is not None and self.state["waited"].get("steps", 0) >= self._steps
