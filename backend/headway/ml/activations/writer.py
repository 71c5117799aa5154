"""Writes activation rows as they come into flat shards, and keeps their statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel
from torch import Tensor

from headway.ml.activations.manifest import HookEntry, Shard
from headway.ml.activations.places import HookName, Place, StoredDtype
from headway.ml.activations.statistics import RunningStatistics, Sums
from headway.ml.growing import GrowingFile, Mark

SHARD_BYTES = 256 << 20
TORCH_DTYPES: dict[StoredDtype, torch.dtype] = {"bfloat16": torch.bfloat16, "float32": torch.float32}


class HookState(BaseModel):
    """Where the writing of a hook stands: marks of its shards, the last one open, and the sums of its statistics."""

    layer: int
    hook: HookName
    d_in: int
    shards: list[Mark]
    sums: Sums

    @property
    def bytes(self) -> int:
        """Size of the shards."""
        return sum(shard.bytes for shard in self.shards)


class HookWriter:
    """The rows of one hook, [n, d_in] at a time, in the order they come."""

    def __init__(self, store: Path, *, layer: int, hook: HookName, d_in: int, dtype: StoredDtype) -> None:
        self.d_in, self.rows = d_in, 0
        self._store, self._place = store, Place(layer, hook)
        self._dtype = TORCH_DTYPES[dtype]
        self._rows_per_shard = max(1, SHARD_BYTES // self._row_bytes)
        self._whole: list[Mark] = []
        self._open: GrowingFile | None = None
        self._statistics = RunningStatistics(d_in)
        (store / self._place.name).mkdir(parents=True, exist_ok=True)

    @classmethod
    def at_state(
        cls, store: Path, state: HookState, *, dtype: StoredDtype, on_bytes: Callable[[int], None]
    ) -> HookWriter:
        """The writer that left `state`: its shards are checked (`on_bytes` counts), the open one is cut back.

        Raises DamagedError when one does not hold what was written to it.
        """
        writer = cls(store, layer=state.layer, hook=state.hook, d_in=state.d_in, dtype=dtype)
        for number, mark in enumerate(state.shards):
            writer._close()
            writer._open = GrowingFile(store / writer._file_name(number), mark, on_bytes)
        writer.rows = state.sums.rows
        writer._statistics = RunningStatistics(state.d_in, state.sums)
        return writer

    def state(self) -> HookState:
        """All that another process needs to go on; what was written so far stays even if the machine stops."""
        return HookState(
            layer=self._place.layer,
            hook=self._place.hook,
            d_in=self.d_in,
            shards=[*self._whole, *([self._open.mark()] if self._open else [])],
            sums=self._statistics.sums(),
        )

    @property
    def bytes(self) -> int:
        """Size of the shards so far."""
        return self.rows * self._row_bytes

    def append(self, rows: Tensor) -> None:
        """Store rows [n, d_in]; the statistics are those of the stored precision."""
        stored = rows.detach().to(device="cpu", dtype=self._dtype).contiguous()
        self._statistics.add(stored.float())
        self.rows += len(stored)
        while len(stored):
            shard = self._shard_with_room()
            room = self._rows_per_shard - shard.bytes // self._row_bytes
            shard.write(stored[:room].view(torch.uint8).numpy().data)
            stored = stored[room:]

    def finish(self, on_bytes: Callable[[int], None]) -> HookEntry:
        """Close the shards (`on_bytes` counts) and describe them. At least one row must have come."""
        self._close()
        for mark in self._whole:
            on_bytes(mark.bytes)
        shards = [
            Shard(file=self._file_name(number), rows=mark.bytes // self._row_bytes, sha256=mark.sha256)
            for number, mark in enumerate(self._whole)
        ]
        layer, hook = self._place
        statistics = self._statistics.result()
        return HookEntry(name=self._place.name, layer=layer, hook=hook, shards=shards, statistics=statistics)

    def _shard_with_room(self) -> GrowingFile:
        """The open shard, or the next one when it is full."""
        if self._open is None or self._open.bytes == self._rows_per_shard * self._row_bytes:
            self._close()
            self._open = GrowingFile(self._store / self._file_name(len(self._whole)))
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._whole.append(self._open.close())
            self._open = None

    @property
    def _row_bytes(self) -> int:
        return self.d_in * self._dtype.itemsize

    def _file_name(self, number: int) -> str:
        return f"{self._place.name}/shard-{number:05d}.bin"
