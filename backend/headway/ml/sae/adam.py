"""Adam by torch's fused kernel, called directly: `torch.optim` imports `torch._dynamo` at its first use, some seconds.

Kingma & Ba 2015; bit for bit what `torch.optim.Adam(fused=True)` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """The moments of some parameters. `state` holds `step`, `exp_avg` and `exp_avg_sq` of each, in their order."""

    def __init__(self, parameters: Sequence[Tensor], betas: tuple[float, float] = BETAS) -> None:
        self._parameters = list(parameters)
        self._betas = betas
        self.state = [
            {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            for parameter in parameters
        ]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], lr: float) -> None:
        """Move each parameter in place against its gradient."""
        steps, firsts, seconds = ([each[name] for each in self.state] for name in ("step", "exp_avg", "exp_avg_sq"))
        torch.ops.aten._foreach_add_(steps, 1)
        torch.ops.aten._fused_adam_(
            self._parameters,
            list(gradients),
            firsts,
            seconds,
            [],
            steps,
            lr=lr,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def forget(self, rows: Tensor, count: int) -> None:
        """Reset the moments of `rows` in every parameter that has `count` rows."""
        for parameter, state in zip(self._parameters, self.state, strict=True):
            if len(parameter) == count:
                state["exp_avg"][rows] = 0
                state["exp_avg_sq"][rows] = 0
