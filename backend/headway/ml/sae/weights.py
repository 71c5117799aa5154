"""The four tensors of a sparse autoencoder and how they start."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

BiasInit = Literal["geometric_median", "mean", "zeros"]
MEDIAN_ROUNDS = 50
MEDIAN_TOLERANCE = 1e-6


class Weights(NamedTuple):
    """`enc` and `dec` are both [d_sae, d_in] (a feature is a row of each), `b_enc` [d_sae], `b_dec` [d_in].

    Their gradients have the same shapes and travel in the same tuple.
    """

    enc: Tensor
    b_enc: Tensor
    dec: Tensor
    b_dec: Tensor


def initial_weights(d_sae: int, sample: Tensor, seed: int, bias: BiasInit = "geometric_median") -> Weights:
    """Random unit decoder rows, the encoder tied to them, `b_dec` in the middle of `sample` [rows, d_in].

    Gao et al. 2024, "Scaling and evaluating sparse autoencoders", section A.1; the median after Bricken et al. 2023.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(d_sae, sample.shape[1], generator=generator, dtype=sample.dtype).to(sample.device)
    directions /= directions.norm(dim=1, keepdim=True)
    centre = {"geometric_median": geometric_median, "mean": _mean, "zeros": _zeros}[bias](sample)
    return Weights(directions.clone(), sample.new_zeros(d_sae), directions, centre)


def geometric_median(rows: Tensor) -> Tensor:
    """The point with the least mean distance to the rows [n, d], by Weiszfeld's iteration; answers [d]."""
    points = rows.double()
    centre = points.mean(0)
    for _ in range(MEDIAN_ROUNDS):
        weights = 1 / (points - centre).norm(dim=1).clamp_min(1e-12)
        moved = (weights @ points) / weights.sum()
        step = (moved - centre).norm()
        centre = moved
        if step <= MEDIAN_TOLERANCE * centre.norm().clamp_min(1.0):
            break
    return centre.to(rows.dtype)


def _mean(rows: Tensor) -> Tensor:
    return rows.mean(0)


def _zeros(rows: Tensor) -> Tensor:
    return rows.new_zeros(rows.shape[1])
