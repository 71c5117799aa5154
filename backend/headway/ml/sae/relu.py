"""ReLU with an L1 penalty: sparse autoencoders and transcoders."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headway.ml.sae.dense import Codes, dense_codes, dense_step
from headway.ml.sae.objective import Model, Reconstruction, StepResult, ramp
from headway.ml.sae.weights import BiasInit, Weights, initial_weights

FREE_DECODER_NORM = 0.1


@dataclass(frozen=True, slots=True)
class ReluObjective:
    """Two recipes: `unit_decoder` False (the later one) or True.

    False: Conerly et al. 2024, "Circuits updates, April 2024: Update on how we train SAEs":

        z = ReLU(x W_encᵀ + b_enc)      loss = mean over rows of ‖z W_dec + b_dec - x‖² + λ Σ_j z_j ‖W_dec,j‖

    Decoder rows start with norm 0.1 and are free, the encoder is tied to them, λ rises linearly; nothing dies enough
    to be resampled.

    True: Bricken et al. 2023, "Towards monosemanticity": x - b_dec is encoded, decoder rows have norm 1, the penalty is
    λ Σ_j z_j, and dead features are resampled (`resampling`).

    `transcoder`: Dunefsky, Chlenski & Nanda 2024, "Transcoders find interpretable LLM feature circuits": x at one place
    is encoded as it is, and the targets at another are what shall come out; decoder rows have norm 1.
    """

    coefficient: float
    warmup_steps: int = 0
    unit_decoder: bool = False
    transcoder: bool = False
    beta1: float = 0.9

    @property
    def centred(self) -> bool:
        """Whether `b_dec` is taken off what is encoded."""
        return self.unit_decoder and not self.transcoder

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """Random decoder rows, the encoder tied to them (where both are of the same width)."""
        weights = initial_weights(d_sae, targets, seed, bias)
        if not self.unit_decoder:
            weights = weights._replace(enc=weights.enc * FREE_DECODER_NORM, dec=weights.dec * FREE_DECODER_NORM)
        if self.transcoder:
            weights = weights._replace(enc=initial_weights(d_sae, rows, seed, "zeros").enc)
        return Model(weights)

    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """The dense path."""
        weights = model.weights
        activation = _ReluL1(self._price(weights, step_number) / len(rows), free=not self.unit_decoder)
        result = dense_step(weights, self._inputs(weights, rows), targets - weights.b_dec, activation)
        if self.centred:
            result.gradients.b_dec.sub_(result.gradients.b_enc @ weights.enc)
        return result

    def _price(self, weights: Weights, step_number: int) -> Tensor:
        """What a unit of each feature costs, [d_sae]."""
        norms = torch.ones_like(weights.b_enc) if self.unit_decoder else weights.dec.norm(dim=1)
        return norms * (self.coefficient * ramp(step_number, self.warmup_steps))

    def _inputs(self, weights: Weights, rows: Tensor) -> Tensor:
        return rows - weights.b_dec if self.centred else rows

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """Codes and their decoding."""
        weights = model.weights
        codes = dense_codes(weights, self._inputs(weights, rows), _ReluL1(weights.b_enc, free=False))
        return Reconstruction(torch.addmm(weights.b_dec, codes, weights.dec), (codes > 0).sum(0))


class _ReluL1:
    """With `free` decoder norms `price` [d_sae] holds their factor."""

    def __init__(self, price: Tensor, *, free: bool) -> None:
        self.price, self._free = price, free
        self.floor = torch.zeros_like(price)

    def forward(self, pre: Tensor) -> None:
        pre.relu_()

    def backward(self, codes: Tensor, d_codes: Tensor, kept: Tensor | None) -> None:
        torch.ops.aten.threshold_backward.grad_input(d_codes, codes, 0, grad_input=d_codes)

    def forward_some(self, pre: Tensor, features: Tensor) -> Tensor:
        return pre  # all are above 0, or they would not be among the few

    def backward_some(self, pre: Tensor, features: Tensor, d_codes: Tensor) -> Tensor:
        return d_codes

    def finish(self, codes: Codes, weights: Weights, gradients: Weights) -> tuple[Tensor, dict[str, Tensor]]:
        penalty = codes.sums * self.price
        if self._free:
            per_row = penalty / weights.dec.square().sum(1).clamp_min_(1e-24)
            gradients.dec.addcmul_(weights.dec, per_row.unsqueeze(1))
        return penalty.sum(), {}
