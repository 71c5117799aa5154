"""An SAE as it lies on disk, whoever wrote it: takes activations as they are."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from headway.ml.sae.weights import Weights


class SavedSae(NamedTuple):
    """It takes unscaled activations. `k` is 0 where it is not a TopK.

    `config` has at least `architecture` and `apply_b_dec_to_input`, as SAELens says them. `extra` holds what is beyond
    the four weights, in SAELens' names: `threshold`, `r_mag`, `b_mag`, `W_skip`.
    """

    weights: Weights
    k: int
    config: dict[str, Any]
    extra: dict[str, Tensor]

    @torch.no_grad()
    def encode(self, rows: Tensor) -> Tensor:
        """Codes [batch, d_sae] of rows [batch, d_in]."""
        weights = self.weights
        inputs = rows - weights.b_dec if self.config["apply_b_dec_to_input"] else rows
        product = inputs @ weights.enc.t()
        pre = product + weights.b_enc
        if "r_mag" in self.extra:
            magnitudes = (product * self.extra["r_mag"].exp() + self.extra["b_mag"]).relu()
            return magnitudes.mul_(pre > 0)
        if self.k:
            top = pre.topk(self.k, dim=-1)
            return torch.zeros_like(pre).scatter_(1, top.indices, top.values.relu_())
        codes = pre.relu()
        return codes.mul_(codes > self.extra["threshold"]) if "threshold" in self.extra else codes

    @torch.no_grad()
    def decode(self, codes: Tensor, rows: Tensor) -> Tensor:
        """What codes [batch, d_sae] of rows [batch, d_in] come to: [batch, d_out]."""
        out = torch.addmm(self.weights.b_dec, codes, self.weights.dec)
        return out.addmm_(rows, self.extra["W_skip"].t()) if "W_skip" in self.extra else out

    def reconstruct(self, rows: Tensor) -> Tensor:
        """What it makes of rows [batch, d_in]: [batch, d_out]."""
        return self.decode(self.encode(rows), rows)
