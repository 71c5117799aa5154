"""The dense path: five matrix products a step, all else in place, on blocks of rows that bound the memory."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from headway.ml.sae.objective import StepResult
from headway.ml.sae.sparse import pre_activations, variance_unexplained
from headway.ml.sae.weights import Weights

# Larger than the sparse path's: each block's products are added to whole weight gradients, which costs a pass of them.
DENSE_BLOCK_ELEMENTS = 6 << 20


class Activation(Protocol):
    """What lies between encoder and decoder, for one step. Sums of its own are kept from block to block."""

    def forward(self, pre: Tensor) -> Tensor:
        """Codes [block, d_sae] of pre-activations, which may be overwritten."""
        ...

    def backward(self, codes: Tensor, d_codes: Tensor) -> Tensor:
        """The gradient of what `forward` was given, from the codes' one, which may be overwritten."""
        ...

    def finish(self, weights: Weights, gradients: Weights) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty and gradients of extra parameters, after the last block; may add to the gradients."""
        ...


@torch.no_grad()
def dense_step(weights: Weights, inputs: Tensor, goal: Tensor, activation: Activation) -> StepResult:
    """Mean over rows of ‖decoded - goal‖² and the activation's penalty, with their gradients.

    `inputs` [batch, d_in] is what the encoder sees, `goal` [batch, d_out] what shall come out before `b_dec`, whose
    gradient here is the decoder's alone. `aux_loss` is 0.
    """
    gradients = Weights(*(torch.zeros_like(tensor) for tensor in weights))
    squared, firings = goal.new_zeros(()), torch.zeros_like(weights.b_enc)
    first = 0
    for pre in pre_activations(weights.enc, weights.b_enc, inputs, None, DENSE_BLOCK_ELEMENTS):
        part = slice(first, first := first + len(pre))
        codes = activation.forward(pre)
        error = torch.addmm(goal[part], codes, weights.dec, beta=-1)
        squared.add_(error.square().sum())
        upstream = error.mul_(2 / len(inputs))
        d_pre = activation.backward(codes, upstream @ weights.dec.t())
        gradients.dec.addmm_(codes.t(), upstream)
        gradients.enc.addmm_(d_pre.t(), inputs[part])
        gradients.b_enc.add_(d_pre.sum(0))
        gradients.b_dec.add_(upstream.sum(0))
        firings.add_(codes.sign_().sum(0))
    penalty, extra = activation.finish(weights, gradients)
    fvu = variance_unexplained(squared, goal)
    loss = squared / len(inputs)
    return StepResult(loss, torch.zeros_like(loss), fvu, firings.long(), gradients, penalty, extra)


@torch.no_grad()
def dense_codes(weights: Weights, inputs: Tensor, activation: Activation) -> Tensor:
    """Codes [batch, d_sae] of all inputs at once."""
    return torch.cat([activation.forward(pre) for pre in pre_activations(weights.enc, weights.b_enc, inputs, None)])
