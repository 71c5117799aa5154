"""Gated: one path decides which features fire, another how strongly.

Rajamanoharan, Conmy et al. 2024, "Improving dictionary learning with gated sparse autoencoders":

    π = (x - b_dec) W_gateᵀ + b_gate        W_mag = exp(r_mag) W_gate
    z = H(π) · ReLU((x - b_dec) W_magᵀ + b_mag)
    loss = mean over rows of ‖z W_dec + b_dec - x‖² + λ ‖ReLU(π)‖₁ + ‖ReLU(π) W_dec' + b_dec' - x‖²

where W_dec' and b_dec' are held constant. Decoder rows have norm 1, Adam's first decay is 0, λ rises linearly, dead
features are resampled (`resampling`). `Weights.enc` and `b_enc` are W_gate and b_gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headway.ml.sae.objective import Model, Reconstruction, StepResult, ramp
from headway.ml.sae.sparse import pre_activations, variance_unexplained
from headway.ml.sae.weights import BiasInit, Weights, initial_weights


@dataclass(frozen=True, slots=True)
class GatedObjective:
    """`coefficient` is λ."""

    coefficient: float
    warmup_steps: int = 0
    unit_decoder: bool = True
    beta1: float = 0.0

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """Unit decoder rows, the encoder tied to them; both paths start equal."""
        weights = initial_weights(d_sae, rows, seed, bias)
        return Model(weights, {"b_mag": torch.zeros_like(weights.b_enc), "r_mag": torch.zeros_like(weights.b_enc)})

    @torch.no_grad()
    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """Dense, seven matrix products, in blocks of rows."""
        weights = model.weights
        centred = rows - weights.b_dec
        sums = _Sums(model, self.coefficient * ramp(step_number, self.warmup_steps), centred)
        unbiased = torch.zeros_like(weights.b_enc)
        first = 0
        for product in pre_activations(weights.enc, unbiased, centred, None):
            sums.add(product, centred[first : (first := first + len(product))])
        return sums.result()

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """Codes of both paths together, decoded."""
        weights = model.weights
        product = (rows - weights.b_dec) @ weights.enc.t()
        codes = _magnitudes(model, product).mul_(product + weights.b_enc > 0)
        return Reconstruction(torch.addmm(weights.b_dec, codes, weights.dec), (codes > 0).sum(0))


def _magnitudes(model: Model, product: Tensor) -> Tensor:
    return torch.addcmul(model.extra["b_mag"], product, model.extra["r_mag"].exp()).relu_()


class _Sums:
    """Losses and gradients of one step, block by block."""

    def __init__(self, model: Model, coefficient: float, centred: Tensor) -> None:
        self._model, self._centred, self._batch = model, centred, len(centred)
        self._price = coefficient / self._batch
        self._gradients = Weights(*(torch.zeros_like(tensor) for tensor in model.weights))
        self._extra = {name: torch.zeros_like(tensor) for name, tensor in model.extra.items()}
        self._squared, self._penalty = centred.new_zeros(()), centred.new_zeros(())
        self._firings = torch.zeros_like(model.weights.b_enc)

    def add(self, product: Tensor, centred: Tensor) -> None:
        """One block: `product` = centred @ W_gateᵀ, [block, d_sae]."""
        dec = self._model.weights.dec
        gates = (product + self._model.weights.b_enc).relu_()
        d_product = self._gate_path(gates, centred)
        codes = torch.ops.aten.threshold_backward(_magnitudes(self._model, product), gates, 0)
        error = torch.addmm(centred, codes, dec, beta=-1)
        self._squared.add_(error.square().sum())
        upstream = error.mul_(2 / self._batch)
        d_magnitude = torch.ops.aten.threshold_backward(upstream @ dec.t(), codes, 0)
        self._extra["b_mag"].add_(d_magnitude.sum(0))
        d_scaled = d_magnitude.mul_(self._model.extra["r_mag"].exp())
        self._extra["r_mag"].add_(product.mul_(d_scaled).sum(0))
        self._gradients.dec.addmm_(codes.t(), upstream)
        self._encoder(d_product.add_(d_scaled), centred)
        self._gradients.b_dec.add_(upstream.sum(0))
        self._firings.add_(codes.sign_().sum(0))

    def _gate_path(self, gates: Tensor, centred: Tensor) -> Tensor:
        """The gradient that the sparsity and the frozen decoder send to the gates, [block, d_sae]."""
        dec = self._model.weights.dec
        error = torch.addmm(centred, gates, dec, beta=-1)
        self._penalty.add_(gates.sum() * self._price + error.square().sum() / self._batch)
        d_gates = (error.mul_(2 / self._batch) @ dec.t()).add_(self._price)
        torch.ops.aten.threshold_backward.grad_input(d_gates, gates, 0, grad_input=d_gates)
        self._gradients.b_enc.add_(d_gates.sum(0))
        return d_gates

    def _encoder(self, d_product: Tensor, centred: Tensor) -> None:
        self._gradients.enc.addmm_(d_product.t(), centred)
        self._gradients.b_dec.sub_(d_product.sum(0) @ self._model.weights.enc)

    def result(self) -> StepResult:
        """All of it."""
        loss = self._squared / self._batch
        fvu = variance_unexplained(self._squared, self._centred)
        fired, firings = self._firings > 0, self._firings.sum()
        rest = (self._gradients, self._penalty, self._extra)
        return StepResult(loss, torch.zeros_like(loss), fvu, fired, firings, *rest)
