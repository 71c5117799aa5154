"""Reads activation rows in any order by memory map, and the orders in which training wants them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.ml.activations.manifest import HookEntry, Manifest
from headway.ml.activations.writer import TORCH_DTYPES

Indices = NDArray[np.int64]


class HookReader:
    """Random access to the rows of one hook. Raises OSError or ValueError when a shard is not as long as it says."""

    def __init__(self, store: Path, manifest: Manifest, entry: HookEntry) -> None:
        self.entry = entry
        self.rows = manifest.rows
        self._dtype = TORCH_DTYPES[manifest.dtype]
        self._d_in = manifest.d_in
        self._shards = [self._map(store / shard.file, shard.rows) for shard in entry.shards]
        self._ends = np.cumsum([shard.rows for shard in entry.shards])

    def _map(self, path: Path, rows: int) -> Tensor:
        expected = rows * self._d_in * self._dtype.itemsize
        if path.stat().st_size != expected:
            raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {expected}: extract it again")
        return torch.from_file(str(path), shared=False, size=rows * self._d_in, dtype=self._dtype).view(rows, -1)

    def gather(self, indices: Indices, scale: float = 1.0) -> Tensor:
        """Rows at `indices` [n] in that order, times `scale`, as float32 [n, d_in]."""
        if len(self._shards) == 1:
            return self._shards[0][torch.from_numpy(indices)].float().mul_(scale)
        out = torch.empty(len(indices), self._d_in, dtype=self._dtype)
        shard_of = np.searchsorted(self._ends, indices, side="right")
        for number in np.unique(shard_of):
            places = np.flatnonzero(shard_of == number)
            start = self._ends[number - 1] if number else 0
            out[torch.from_numpy(places)] = self._shards[number][torch.from_numpy(indices[places] - start)]
        return out.float().mul_(scale)


@dataclass(frozen=True, slots=True)
class RowOrder:
    """Which rows train, which are held out, and in what order each epoch takes them: a function of seed and epoch.

    The held-out rows are the same in every epoch. The only state is a place: epoch and batch number.
    """

    rows: int
    batch_rows: int
    seed: int
    held_out_rows: int = 0

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in an epoch; a remainder shorter than a batch is left out."""
        return (self.rows - self.held_out_rows) // self.batch_rows

    def held_out(self) -> Indices:
        """The rows kept from training, in rising order."""
        return np.sort(self._split()[: self.held_out_rows]).astype(np.int64)

    def epoch(self, number: int, first_batch: int = 0) -> Iterator[Indices]:
        """The batches of one epoch from `first_batch` on, each [batch_rows]; an exact shuffle of the training rows."""
        order = np.random.default_rng([self.seed, 1 + number]).permutation(self._split()[self.held_out_rows :])
        for batch in range(first_batch, self.batches_per_epoch):
            yield order[batch * self.batch_rows : (batch + 1) * self.batch_rows].astype(np.int64)

    def _split(self) -> NDArray[np.uint32]:
        # The orders in use are the only memory that grows with the store: 4 bytes a row each.
        return np.random.default_rng([self.seed, 0]).permutation(np.arange(self.rows, dtype=np.uint32))
