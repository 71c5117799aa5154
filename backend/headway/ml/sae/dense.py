"""The dense path: five matrix products a step, and as few passes over [batch, d_sae] beside them as there can be.

Whatever is a sum over rows or a constant for a feature rides in the products as one column more: biases come with the
encode (rows end in a 1), prices of codes with the codes' gradient, sums of codes and of gradients with the weights'.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from headway.ml.sae.objective import StepResult
from headway.ml.sae.sparse import pre_activations, rows_in_block, variance_unexplained
from headway.ml.sae.weights import Weights

# Larger than the sparse path's: each block's products are added to whole weight gradients, which costs a pass of them.
DENSE_BLOCK_ELEMENTS = 6 << 20


class Codes(NamedTuple):
    """What all codes of a step come to: their sums by feature [d_sae], and how many are above 0."""

    sums: Tensor
    firings: Tensor


class Activation(Protocol):
    """What lies between encoder and decoder, for one step. Sums of its own are kept from block to block."""

    @property
    def price(self) -> Tensor:
        """What a unit of each code adds to the loss, [d_sae]."""
        ...

    def forward(self, pre: Tensor) -> Tensor:
        """Codes [block, d_sae] (>= 0) of pre-activations, which may be overwritten."""
        ...

    def backward(self, codes: Tensor, d_codes: Tensor) -> Tensor:
        """The gradient of what `forward` was given, from the codes' one, which may be overwritten."""
        ...

    def finish(self, codes: Codes, weights: Weights, gradients: Weights) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty and gradients of extra parameters, after the last block; may add to the gradients."""
        ...


@torch.no_grad()
def dense_step(weights: Weights, inputs: Tensor, goal: Tensor, activation: Activation) -> StepResult:
    """Mean over rows of ‖decoded - goal‖² and the activation's penalty, with their gradients.

    `inputs` [batch, d_in] is what the encoder sees, `goal` [batch, d_out] what shall come out before `b_dec`, whose
    gradient here is the decoder's alone. `aux_loss` is 0.
    """
    rows = with_column(inputs, inputs.new_ones(len(inputs)))
    enc, dec = with_column(weights.enc, weights.b_enc), with_column(weights.dec, activation.price)
    d_enc, d_dec, d_b_dec = torch.zeros_like(enc), torch.zeros_like(dec), torch.zeros_like(weights.b_dec)
    squared, firings = goal.new_zeros(()), torch.zeros((), dtype=torch.int64, device=goal.device)
    block = rows_in_block(len(enc), DENSE_BLOCK_ELEMENTS)
    for part, wanted in zip(rows.split(block), goal.split(block), strict=True):
        codes = activation.forward(part @ enc.t())
        firings.add_(codes.count_nonzero())
        error = torch.addmm(wanted, codes, weights.dec, beta=-1)
        squared.add_(error.square().sum())
        upstream = with_column(error.mul_(2 / len(rows)), error.new_ones(len(error)))
        d_b_dec.add_(upstream[:, :-1].sum(0))
        d_pre = activation.backward(codes, upstream @ dec.t())
        d_dec.addmm_(codes.t(), upstream)
        d_enc.addmm_(d_pre.t(), part)
    gradients = Weights(d_enc[:, :-1].contiguous(), d_enc[:, -1].contiguous(), d_dec[:, :-1].contiguous(), d_b_dec)
    totals = Codes(d_dec[:, -1], firings)
    penalty, extra = activation.finish(totals, weights, gradients)
    loss, fvu = squared / len(inputs), variance_unexplained(squared, goal)
    return StepResult(loss, torch.zeros_like(loss), fvu, totals.sums > 0, firings, gradients, penalty, extra)


@torch.no_grad()
def dense_codes(weights: Weights, inputs: Tensor, activation: Activation) -> Tensor:
    """Codes [batch, d_sae] of all inputs at once."""
    return torch.cat([activation.forward(pre) for pre in pre_activations(weights.enc, weights.b_enc, inputs, None)])


def with_column(matrix: Tensor, column: Tensor) -> Tensor:
    """[n, d] and [n] side by side, [n, d + 1]."""
    return torch.cat([matrix, column.unsqueeze(1)], 1)
