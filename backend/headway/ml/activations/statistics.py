"""Sums over rows as they come, and the statistics they come to."""

from __future__ import annotations

import torch
from pydantic import BaseModel
from torch import Tensor

from headway.ml.activations.manifest import HookStatistics


class Sums(BaseModel):
    """What is kept of the rows of one hook: their count, and the sums of norms, squared norms and of each dimension."""

    rows: int
    norm: float
    square: float
    each: list[float]


class RunningStatistics:
    """Statistics of rows [n, d_in], a batch at a time; from `sums` on where they are given."""

    def __init__(self, d_in: int, sums: Sums | None = None) -> None:
        self._rows = sums.rows if sums else 0
        self._norm = sums.norm if sums else 0.0
        self._square = sums.square if sums else 0.0
        self._each = torch.tensor(sums.each if sums else [0.0] * d_in, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Take in rows [n, d_in]."""
        squares = rows.square().sum(1)
        self._rows += len(rows)
        self._norm += squares.sqrt().sum(dtype=torch.float64).item()
        self._square += squares.sum(dtype=torch.float64).item()
        self._each += rows.sum(0, dtype=torch.float64)

    def sums(self) -> Sums:
        """All that another process needs to go on."""
        return Sums(rows=self._rows, norm=self._norm, square=self._square, each=self._each.tolist())

    def result(self) -> HookStatistics:
        """The statistics of at least one row."""
        mean = self._each / self._rows
        return HookStatistics(
            mean_norm=self._norm / self._rows,
            total_variance=self._square / self._rows - mean.square().sum().item(),
            mean=mean.tolist(),
        )
