"""TopK: exactly k features take part in a row, and skip transcoders built on it.

Gao et al. 2024, "Scaling and evaluating sparse autoencoders":

    pre = (x - b_dec) W_encᵀ + b_enc        z = ReLU(TopK_k(pre))        x̂ = z W_dec + b_dec
    loss = mean over rows of ‖x̂ - x‖² + AuxK
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from headway.ml.sae.auxk import AuxK, add_aux
from headway.ml.sae.largest import largest
from headway.ml.sae.objective import Model, Reconstruction, StepResult
from headway.ml.sae.sparse import Entries, pre_activations, sparse_gradients, variance_unexplained
from headway.ml.sae.weights import BiasInit, Weights, initial_weights


class Chosen(NamedTuple):
    """The entries that fire, and dead features' pre-activations [batch, dead] where they were asked for."""

    entries: Entries
    dead: Tensor | None


@dataclass(frozen=True, slots=True)
class TopKObjective:
    """What is minimised. `encode_dtype` is that of the encode's product alone (`sparse.pre_activations`)."""

    k: int
    aux_k: int = 0
    aux_coefficient: float = 1 / 32
    encode_dtype: torch.dtype | None = None
    unit_decoder: bool = True
    beta1: float = 0.9

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """Section A.1: unit decoder rows, the encoder tied to them."""
        return Model(initial_weights(d_sae, rows, seed, bias))

    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """The sparse path, and AuxK for the dead."""
        return topk_step(model.weights, rows, self, dead)

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """The same choice as in training."""
        weights = model.weights
        entries = encode(weights, rows - weights.b_dec, self).entries
        return Reconstruction(entries.decode(weights.dec).add_(weights.b_dec), entries.firings(len(weights.enc)))


@dataclass(frozen=True, slots=True)
class SkipTranscoderObjective:
    """TopK from one place of the model to another, beside a linear map that is not sparse.

    Paulo et al. 2025, "Transcoders beat sparse autoencoders for interpretability":

        ŷ = ReLU(TopK_k(x W_encᵀ + b_enc)) W_dec + x W_skipᵀ + b_dec        loss = mean over rows of ‖ŷ - y‖² + AuxK

    The decoder and the skip start at 0, `b_dec` at the middle of the targets; decoder rows are left free.
    """

    topk: TopKObjective
    unit_decoder: bool = False
    beta1: float = 0.9

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """Random unit encoder rows."""
        weights = initial_weights(d_sae, targets, seed, bias)
        enc = initial_weights(d_sae, rows, seed, "zeros").enc
        skip = rows.new_zeros(targets.shape[1], rows.shape[1])
        return Model(weights._replace(enc=enc, dec=torch.zeros_like(weights.dec)), {"skip": skip})

    @torch.no_grad()
    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """The sparse path; the skip's gradient is one product more."""
        weights, skip = model.weights, model.extra["skip"]
        goal = (targets - weights.b_dec).addmm_(rows, skip.t(), alpha=-1)
        spread = targets - weights.b_dec
        result, error = step_between(weights, rows, goal, self.topk, dead)
        fvu = variance_unexplained(result.loss * len(rows), spread)
        return result._replace(fvu=fvu, extra={"skip": (error * (2 / len(rows))).t() @ rows})

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """What it makes of the rows of the first place."""
        weights = model.weights
        entries = encode(weights, rows, self.topk).entries
        rebuilt = entries.decode(weights.dec).addmm_(rows, model.extra["skip"].t()).add_(weights.b_dec)
        return Reconstruction(rebuilt, entries.firings(len(weights.enc)))


@torch.no_grad()
def encode(weights: Weights, inputs: Tensor, objective: TopKObjective, dead: Tensor | None = None) -> Chosen:
    """Codes of what the encoder sees, [batch, d_in]; `dead` are indices of features to gather."""
    values: list[Tensor] = []
    features: list[Tensor] = []
    gathered: list[Tensor] = []
    for pre in pre_activations(weights.enc, weights.b_enc, inputs, objective.encode_dtype):
        top = largest(pre, objective.k)
        values.append(top.values.relu_().flatten())
        features.append(top.features.flatten())
        if dead is not None:
            gathered.append(pre.index_select(1, dead))
    starts = torch.arange(0, len(inputs) * objective.k, objective.k, device=inputs.device)
    rows = torch.arange(len(inputs), device=inputs.device).repeat_interleave(objective.k)
    entries = Entries(rows, torch.cat(features), torch.cat(values), starts)
    return Chosen(entries, torch.cat(gathered) if gathered else None)


@torch.no_grad()
def topk_step(weights: Weights, rows: Tensor, objective: TopKObjective, dead: Tensor | None = None) -> StepResult:
    """Loss and gradients for rows [batch, d_in]. `dead` are the indices of features AuxK shall revive; may be empty."""
    centred = rows - weights.b_dec
    result, _ = step_between(weights, centred, centred, objective, dead)
    result.gradients.b_dec.sub_(result.gradients.b_enc @ weights.enc)
    return result


def step_between(
    weights: Weights, inputs: Tensor, goal: Tensor, objective: TopKObjective, dead: Tensor | None
) -> tuple[StepResult, Tensor]:
    """A TopK step from what is encoded to what shall be decoded, and its errors; `b_dec` as in `sparse_gradients`."""
    aux = AuxK(objective.aux_k, objective.aux_coefficient)
    revive = aux.chooses(dead)
    entries, pre = encode(weights, inputs, objective, revive)
    errors, gradients = sparse_gradients(weights, inputs, goal, entries, [len(weights.enc)])
    squared = errors[-1].square().sum()
    aux_loss = torch.zeros_like(squared)
    if revive is not None and pre is not None:
        aux_loss = add_aux(gradients, weights, inputs, errors[-1], revive, pre, aux)
    fvu = variance_unexplained(squared, goal)
    loss, fired = squared / len(goal), entries.fired(len(weights.enc))
    return StepResult(loss, aux_loss, fvu, *fired, gradients), errors[-1]
