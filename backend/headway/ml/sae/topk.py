"""One TopK step by the sparse path: loss and exact gradients without a dense [batch, d_sae] backward pass.

Gao et al. 2024, "Scaling and evaluating sparse autoencoders":

    pre = (x - b_dec) W_encᵀ + b_enc        z = ReLU(TopK_k(pre))        x̂ = z W_dec + b_dec
    loss = mean over rows of ‖x̂ - x‖²       + α · min(1, dead / k_aux) · mean of ‖ê - (x - x̂)‖²

where ê = ReLU(TopK_{k_aux}(pre over the dead features)) W_dec revives features that have stopped firing (AuxK, section
A.2) and the residual x - x̂ is held constant. Only k of d_sae features take part in a row, so beside the dense encode
everything is gathers and segment sums: decode is an embedding bag, the values' gradients are sampled dot products, and
one sort of the batch·k indices turns both weight gradients into sums over contiguous segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.ml.sae.weights import Weights

# The dense pre-activations held at once: few enough to stay in memory that the allocator reuses (a step is a tenth
# faster than with one block of 50 MB), yet enough rows for a good matrix product however wide the dictionary is.
ENCODE_BLOCK_ELEMENTS = 2 << 20
LEAST_BLOCK_ROWS = 256


@dataclass(frozen=True, slots=True)
class TopKObjective:
    """What is minimised. `encode_dtype` bfloat16 halves the encode where the CPU has it; all else stays as it is."""

    k: int
    aux_k: int = 0
    aux_coefficient: float = 1 / 32
    encode_dtype: torch.dtype | None = None


class Codes(NamedTuple):
    """The features that fire: values (>= 0) and indices [batch, k]; dead features' pre-activations [batch, dead]."""

    values: Tensor
    indices: Tensor
    dead: Tensor | None


class StepResult(NamedTuple):
    """Loss (mean squared distance over rows), the AuxK term as it enters the sum, firings per feature, gradients.

    `fvu` is Σ‖x̂ - x‖² / Σ‖x - mean‖² over the batch.
    """

    loss: Tensor
    aux_loss: Tensor
    fvu: Tensor
    firings: Tensor
    gradients: Weights


@torch.no_grad()
def encode(weights: Weights, centred: Tensor, objective: TopKObjective, dead: Tensor | None = None) -> Codes:
    """Codes of rows that have `b_dec` taken off already, [batch, d_in]; `dead` are indices of features to gather."""
    d_sae = weights.enc.shape[0]
    block = max(LEAST_BLOCK_ROWS, ENCODE_BLOCK_ELEMENTS // d_sae)
    enc = weights.enc.to(objective.encode_dtype) if objective.encode_dtype else weights.enc
    parts = [_encode_block(enc, weights.b_enc, part, objective.k, dead) for part in centred.split(block)]
    if len(parts) == 1:
        return parts[0]
    gathered = None if dead is None else torch.cat([part.dead for part in parts if part.dead is not None])
    return Codes(torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts]), gathered)


def _encode_block(enc: Tensor, b_enc: Tensor, rows: Tensor, k: int, dead: Tensor | None) -> Codes:
    if enc.dtype == rows.dtype:
        pre = torch.addmm(b_enc, rows, enc.t())
    else:
        pre = (rows.to(enc.dtype) @ enc.t()).to(rows.dtype).add_(b_enc)
    values, indices = pre.topk(k, dim=-1, sorted=False)
    return Codes(values.relu_(), indices, None if dead is None else pre.index_select(1, dead))


def decode(codes: Codes, dec: Tensor) -> Tensor:
    """Σ_j values[:, j] · dec[indices[:, j]], [batch, d_in], without b_dec."""
    return F.embedding_bag(codes.indices, dec, per_sample_weights=codes.values, mode="sum")


@torch.no_grad()
def topk_step(weights: Weights, rows: Tensor, objective: TopKObjective, dead: Tensor | None = None) -> StepResult:
    """Loss and gradients for rows [batch, d_in]. `dead` are the indices of features AuxK shall revive; may be empty."""
    revive = dead if dead is not None and objective.aux_k and len(dead) else None
    batch, d_sae = rows.shape[0], weights.enc.shape[0]
    centred = rows - weights.b_dec
    codes = encode(weights, centred, objective, revive)
    error = decode(codes, weights.dec).sub_(centred)
    upstream = error * (2 / batch)

    value_gradients = _sampled_dots(upstream, weights.dec, codes.indices).mul_(codes.values > 0)
    by_feature = _group_by_feature(codes.indices, d_sae)
    sorted_gradients = value_gradients.reshape(-1)[by_feature.order]
    g_dec = by_feature.sums(upstream, codes.values.reshape(-1)[by_feature.order])
    g_enc = by_feature.sums(centred, sorted_gradients)
    g_b_enc = torch.zeros_like(weights.b_enc).index_add_(0, by_feature.features, sorted_gradients)

    squared = error.square().sum()
    gradients = Weights(g_enc, g_b_enc, g_dec, upstream.sum(0))
    aux_loss = torch.zeros_like(squared)
    if revive is not None and codes.dead is not None:
        aux_loss = _add_aux(gradients, weights, centred, error, revive, codes.dead, objective)
    gradients.b_dec.sub_(gradients.b_enc @ weights.enc)
    spread = centred.square().sum() - batch * centred.mean(0).square().sum()
    firings = torch.bincount(codes.indices[codes.values > 0], minlength=d_sae)
    return StepResult(squared / batch, aux_loss, squared / spread, firings, gradients)


def _sampled_dots(upstream: Tensor, dec: Tensor, indices: Tensor) -> Tensor:
    """upstream[b] · dec[indices[b, j]] for every b, j: [batch, k], without gathering [batch, k, d_in]."""
    batch, k = indices.shape
    starts = torch.arange(0, batch * k, k, device=indices.device)
    bags = torch.arange(batch, device=indices.device).repeat_interleave(k)
    dots = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        upstream, dec, indices.reshape(-1), starts, bags, 0
    )
    return dots.view(batch, k)


class _ByFeature(NamedTuple):
    """The batch·k active entries sorted by feature: features, places before the sort, rows, segment starts."""

    features: Tensor
    order: Tensor
    rows: Tensor
    starts: Tensor

    def sums(self, vectors: Tensor, factors: Tensor) -> Tensor:
        """Per feature, the sum of factors · vectors[row] over its entries: [d_sae, d_in]."""
        return F.embedding_bag(self.rows, vectors, self.starts, mode="sum", per_sample_weights=factors)


def _group_by_feature(indices: Tensor, d_sae: int) -> _ByFeature:
    # Stable, so that equal inputs give equal sums bit for bit on every run.
    features, order = indices.reshape(-1).sort(stable=True)
    ends = torch.bincount(features, minlength=d_sae).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return _ByFeature(features, order, order.div(indices.shape[1], rounding_mode="floor"), starts)


def _add_aux(
    gradients: Weights,
    weights: Weights,
    centred: Tensor,
    error: Tensor,
    dead: Tensor,
    pre: Tensor,
    objective: TopKObjective,
) -> Tensor:
    """Add AuxK's gradients in place (its part of b_dec follows from b_enc's) and answer its share of the loss.

    Dense on the gathered dead columns: they are few, or the run is in trouble anyway.
    """
    k_aux = min(objective.aux_k, len(dead))
    share = objective.aux_coefficient * min(1.0, len(dead) / objective.aux_k)
    active = _keep_top(pre, k_aux)
    dec = weights.dec[dead]
    difference = (active @ dec).add_(error)  # ê - (x - x̂), and error = x̂ - x
    upstream = difference * (2 * share / len(centred))
    active_gradients = (upstream @ dec.t()).mul_(active > 0)
    gradients.dec.index_add_(0, dead, active.t() @ upstream)
    gradients.enc.index_add_(0, dead, active_gradients.t() @ centred)
    gradients.b_enc.index_add_(0, dead, active_gradients.sum(0))
    return difference.square().sum() * (share / len(centred))


def _keep_top(pre: Tensor, k: int) -> Tensor:
    """ReLU of the k largest per row, zeros elsewhere, same shape."""
    if k == pre.shape[1]:
        return pre.relu()
    values, indices = pre.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre).scatter_(1, indices, values.relu_())
