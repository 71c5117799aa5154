"""JumpReLU: a threshold for each feature, learned through a pseudo-derivative of the jump.

Rajamanoharan, Lieberum et al. 2024, "Jumping ahead: improving reconstruction fidelity with JumpReLU SAEs":

    π = ReLU(x W_encᵀ + b_enc)      z = π · H(π - θ)      loss = mean over rows of ‖z W_dec + b_dec - x‖² + λ ‖z‖₀

with θ = exp(log θ) learned, and with the rectangle kernel K of width ε

    ∂z/∂θ = -(θ/ε) K((π - θ)/ε)      ∂H(π - θ)/∂θ = -(1/ε) K((π - θ)/ε)

Decoder rows have norm 1, Adam's first decay is 0, λ rises linearly. The paper's θ = ε = 0.001 are for rows of mean
square 1; ours have d_in, so both are multiplied by its root.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from headway.ml.sae.dense import Codes, dense_codes, dense_step
from headway.ml.sae.objective import Model, Reconstruction, StepResult, ramp
from headway.ml.sae.places import places
from headway.ml.sae.weights import BiasInit, Weights, initial_weights

LOG_THRESHOLD = "log_threshold"


@dataclass(frozen=True, slots=True)
class JumpReluObjective:
    """`coefficient` is λ; `bandwidth` ε and `threshold` (θ at the start) are those of rows with mean square 1."""

    coefficient: float
    warmup_steps: int = 0
    bandwidth: float = 0.001
    threshold: float = 0.001
    unit_decoder: bool = True
    beta1: float = 0.0

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """Unit decoder rows, the encoder tied to them, one threshold for all."""
        start = math.log(self.threshold * math.sqrt(rows.shape[1]))
        return Model(initial_weights(d_sae, rows, seed, bias), {LOG_THRESHOLD: rows.new_full((d_sae,), start)})

    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """The dense path."""
        weights = model.weights
        price = self.coefficient * ramp(step_number, self.warmup_steps) / len(rows)
        bandwidth = self.bandwidth * math.sqrt(rows.shape[1])
        activation = _Jump(model.extra[LOG_THRESHOLD].exp(), bandwidth, price)
        return dense_step(weights, rows, targets - weights.b_dec, activation)

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """Codes above their thresholds, decoded."""
        weights = model.weights
        codes = dense_codes(weights, rows, _Jump(model.extra[LOG_THRESHOLD].exp(), 1.0, 0.0))
        return Reconstruction(torch.addmm(weights.b_dec, codes, weights.dec), (codes > 0).sum(0))


class _Jump:
    """`threshold` [d_sae] is θ, `price` what one firing adds to the loss. Only entries near θ move it: few."""

    def __init__(self, threshold: Tensor, bandwidth: float, price: float) -> None:
        self._threshold, self._bandwidth, self._price = threshold, bandwidth, price
        self.price = torch.zeros_like(threshold)  # of a code; that of a firing has no gradient but the threshold's
        self._slopes, self._counts = torch.zeros_like(threshold), torch.zeros_like(threshold)
        # Where 0 is near θ, so is every pre-activation below it, for π = ReLU(pre).
        below = threshold - bandwidth / 2
        self.floor = below.masked_fill(below < 0, -math.inf)

    def forward(self, pre: Tensor) -> Tensor:
        above = pre.relu_() - self._threshold
        torch.ops.aten.threshold_backward.grad_input(pre, above, 0, grad_input=pre)
        return places(above.abs_() < self._bandwidth / 2)

    def backward(self, codes: Tensor, d_codes: Tensor, kept: Tensor | None) -> None:
        if kept is not None:
            self._move(kept % codes.shape[1], d_codes.flatten()[kept])
        torch.ops.aten.threshold_backward.grad_input(d_codes, codes, 0, grad_input=d_codes)

    def forward_some(self, pre: Tensor, features: Tensor) -> Tensor:
        return pre.where(pre > self._threshold[features], 0)

    def backward_some(self, pre: Tensor, features: Tensor, d_codes: Tensor) -> Tensor:
        above = pre.relu() - self._threshold[features]
        near = (above.abs() < self._bandwidth / 2).nonzero().squeeze(1)
        self._move(features[near], d_codes[near])
        return d_codes.where(above > 0, 0)

    def _move(self, features: Tensor, d_codes: Tensor) -> None:
        """Count entries near their thresholds, and what their codes' gradients come to."""
        self._slopes.index_add_(0, features, d_codes)
        self._counts.add_(torch.bincount(features, minlength=len(self._counts)))

    def finish(self, codes: Codes, weights: Weights, gradients: Weights) -> tuple[Tensor, dict[str, Tensor]]:
        by_threshold = (self._threshold * self._slopes + self._price * self._counts) / -self._bandwidth
        return codes.firings.sum().to(by_threshold.dtype) * self._price, {LOG_THRESHOLD: by_threshold * self._threshold}
