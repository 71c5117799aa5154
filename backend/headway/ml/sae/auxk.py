"""AuxK: dead features learn from what the living leave over.

Gao et al. 2024, "Scaling and evaluating sparse autoencoders", section A.2: α · min(1, dead / k_aux) · mean of
‖ê - (y - ŷ)‖² with ê = ReLU(TopK_{k_aux}(pre over the dead features)) W_dec; the residual y - ŷ is held constant.
Dense on the gathered dead columns: they are few, or the run is in trouble anyway.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from headway.ml.sae.largest import largest
from headway.ml.sae.weights import Weights


class AuxK(NamedTuple):
    """k_aux and α; k_aux 0 turns it off."""

    k: int
    coefficient: float

    def chooses(self, dead: Tensor | None) -> Tensor | None:
        """The features whose pre-activations are wanted, or None."""
        return dead if dead is not None and self.k and len(dead) else None


def add_aux(
    gradients: Weights, weights: Weights, inputs: Tensor, error: Tensor, dead: Tensor, pre: Tensor, aux: AuxK
) -> Tensor:
    """Add the gradients in place and answer AuxK's share of the loss. `pre` [batch, dead] is overwritten.

    What reaches `b_dec` does so through the encoder's input alone, so it follows from `b_enc`'s gradient.
    """
    k = min(aux.k, len(dead))
    share = aux.coefficient * min(1.0, len(dead) / aux.k)
    active = _keep_top(pre, k)
    dec = weights.dec[dead]
    difference = (active @ dec).add_(error)  # ê - (y - ŷ), and error = ŷ - y
    upstream = difference * (2 * share / len(inputs))
    active_gradients = (upstream @ dec.t()).mul_(active > 0)
    gradients.dec.index_add_(0, dead, active.t() @ upstream)
    gradients.enc.index_add_(0, dead, active_gradients.t() @ inputs)
    gradients.b_enc.index_add_(0, dead, active_gradients.sum(0))
    return difference.square().sum() * (share / len(inputs))


def _keep_top(pre: Tensor, k: int) -> Tensor:
    """ReLU of the k largest per row, zeros elsewhere, same shape."""
    if k == pre.shape[1]:
        return pre.relu_()
    top = largest(pre, k)
    return torch.zeros_like(pre).scatter_(1, top.features, top.values.relu_())
