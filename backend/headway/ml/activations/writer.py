"""Writes activation rows as they come into flat shards, and keeps their statistics."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from headway.ml.activations.manifest import HookEntry, HookStatistics, Shard, StoredDtype

SHARD_BYTES = 256 << 20
TORCH_DTYPES: dict[StoredDtype, torch.dtype] = {"bfloat16": torch.bfloat16, "float32": torch.float32}
READ_BYTES = 1 << 20


class HookWriter:
    """The rows of one hook, [n, d_in] at a time, in the order they come."""

    def __init__(self, store: Path, *, layer: int, hook: str, d_in: int, dtype: StoredDtype) -> None:
        self.rows = 0
        self._store, self._layer, self._hook = store, layer, hook
        self._name = f"layer{layer:02d}.{hook}"
        self._dtype = TORCH_DTYPES[dtype]
        self._rows_per_shard = max(1, SHARD_BYTES // (d_in * self._dtype.itemsize))
        self._shard_rows: list[int] = []
        self._file: BinaryIO | None = None
        self._norm_sum = 0.0
        self._square_sum = 0.0
        self._sum = torch.zeros(d_in, dtype=torch.float64)
        (store / self._name).mkdir(parents=True, exist_ok=True)

    def append(self, rows: Tensor) -> None:
        """Store rows [n, d_in]; the statistics are those of the stored precision."""
        stored = rows.detach().to(device="cpu", dtype=self._dtype).contiguous()
        self._measure(stored.float())
        self.rows += len(stored)
        while len(stored):
            room = self._room()
            self._write(stored[:room])
            stored = stored[room:]

    def finish(self, on_bytes: Callable[[int], None]) -> HookEntry:
        """Close the files, hash them (`on_bytes` counts) and describe them. At least one row must have come."""
        self._close()
        shards = [
            Shard(file=file, rows=rows, sha256=_sha256(self._store / file, on_bytes))
            for file, rows in zip(map(self._file_name, range(len(self._shard_rows))), self._shard_rows, strict=True)
        ]
        mean = self._sum / self.rows
        statistics = HookStatistics(
            mean_norm=self._norm_sum / self.rows,
            total_variance=self._square_sum / self.rows - mean.square().sum().item(),
            mean=mean.tolist(),
        )
        return HookEntry(name=self._name, layer=self._layer, hook=self._hook, shards=shards, statistics=statistics)

    def _measure(self, rows: Tensor) -> None:
        squares = rows.square().sum(1)
        self._norm_sum += squares.sqrt().sum(dtype=torch.float64).item()
        self._square_sum += squares.sum(dtype=torch.float64).item()
        self._sum += rows.sum(0, dtype=torch.float64)

    def _room(self) -> int:
        """Rows the open shard still takes; opens the next one when it is full."""
        if self._file is None or self._shard_rows[-1] == self._rows_per_shard:
            self._close()
            self._file = (self._store / self._file_name(len(self._shard_rows))).open("wb")
            self._shard_rows.append(0)
        return self._rows_per_shard - self._shard_rows[-1]

    def _write(self, rows: Tensor) -> None:
        assert self._file is not None
        self._file.write(rows.view(torch.uint8).numpy().data)
        self._shard_rows[-1] += len(rows)

    def _close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _file_name(self, number: int) -> str:
        return f"{self._name}/shard-{number:05d}.bin"


def _sha256(path: Path, on_bytes: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()
