"""Learning rate as a pure function of the step, so that there is no scheduler whose state could be lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """Linear warm-up to `peak` over `warmup_steps`, constant, linear decay to 0 over the last `decay_fraction`."""

    peak: float
    total_steps: int
    warmup_steps: int = 0
    decay_fraction: float = 0.2

    def at(self, step: int) -> float:
        """The rate of step number `step`, counted from 0."""
        decay_steps = self.total_steps * self.decay_fraction
        rising = (step + 1) / (self.warmup_steps + 1)
        falling = (self.total_steps - step) / decay_steps if decay_steps else 1.0
        return self.peak * max(0.0, min(1.0, rising, falling))
