"""Where the rows of a training come from: an activation store, or the model itself by way of a mixing buffer.

Both give the rows of each step as a function of the seed and the step's place, so a training is taken up bit for bit
with nothing of the rows in its checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from headway.ml.activations.buffering import BufferPart, ContextOrder
from headway.ml.activations.forward import Forward
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.places import Place
from headway.ml.activations.reader import HookReader, Indices, RowOrder
from headway.ml.activations.statistics import RunningStatistics

Rows = dict[Place, Tensor]
Watch = Callable[[Sequence[Indices]], Iterable[Indices]]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a source has: rows of `d_in` at places, `batches_per_epoch` of them to train on, and what they are of."""

    rows: int
    d_in: int
    places: Sequence[Place]
    batches_per_epoch: int
    model: Mapping[str, Any]
    tokens: Mapping[str, Any]


class RowSource(Protocol):
    """Rows come as float32 [n, d_in] by place, times `scale(place)`, on the device of the training."""

    def scale(self, place: Place) -> float:
        """What rows are multiplied by so that their mean norm is sqrt(d_in)."""
        ...

    def epoch(self, number: int, first_batch: int) -> Iterator[Rows]:
        """The batches of an epoch from `first_batch` on, each row once, in an order of its own."""
        ...

    def held_out(self) -> Sequence[Indices]:
        """The rows kept from training, in batches, the last one shorter."""
        ...

    def read_held_out(self, indices: Indices, places: Iterable[Place]) -> Rows:
        """One of these batches at some of the places."""
        ...

    def state(self) -> dict[str, Any]:
        """What another process needs beside the seed to give the same rows, ready for JSON."""
        ...


class StoredRows:
    """The rows of a store at some of its places; each is read once however many SAEs take it."""

    def __init__(self, folder: Path, manifest: Manifest, order: RowOrder, places: Iterable[Place], device: str) -> None:
        entries = {entry.place: entry for entry in manifest.hooks}
        self._order, self._device = order, device
        self._readers = {place: HookReader(folder, manifest, entries[place]) for place in places}
        self._scales = {
            place: math.sqrt(manifest.d_in) / entries[place].statistics.mean_norm for place in self._readers
        }

    def scale(self, place: Place) -> float:
        """By the mean norm of all rows."""
        return self._scales[place]

    def epoch(self, number: int, first_batch: int) -> Iterator[Rows]:
        """An exact shuffle of all rows but those held out."""
        for indices in self._order.epoch(number, first_batch):
            yield self._read(indices, self._readers)

    def held_out(self) -> Sequence[Indices]:
        """Rows drawn from all."""
        return _in_batches(self._order.held_out(), self._order.batch_rows)

    def read_held_out(self, indices: Indices, places: Iterable[Place]) -> Rows:
        """Rows by their numbers in the store."""
        return self._read(indices, places)

    def state(self) -> dict[str, Any]:
        """Nothing: the order is a function of the seed."""
        return {}

    def _read(self, indices: Indices, places: Iterable[Place]) -> Rows:
        found = {place: (self._readers[place], self._scales[place]) for place in places}
        return {place: reader.gather(indices, scale).to(self._device) for place, (reader, scale) in found.items()}


class StreamedRows:
    """Rows straight out of a model: it fills a buffer, which is shuffled, trained on to its end and filled again.

    Contexts come in a random order over all tokens, and the buffer mixes what comes of `order.buffer_rows` rows of
    them. Its content is a function of the seed and its number, so after a stop it is filled again and not stored. The
    mean norms are those of the first buffer; they and the parts that a batch was run in are all the `state`.
    `watch` goes over the batches of a filling, so that it can be counted and ended.
    """

    def __init__(
        self,
        forward: Forward,
        d_in: int,
        order: ContextOrder,
        places: Sequence[Place],
        batch_tokens: int,
        device: str,
        watch: Watch,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._forward, self._order, self._places = forward, order, places
        self._d_in, self._batch_tokens, self._device, self._watch = d_in, batch_tokens, device, watch
        self._filled: tuple[int, int] | None = None
        self._buffer: Rows = {}
        self._shuffle: Indices = np.empty(0, dtype=np.int64)
        self._kept: Rows = {}
        if state:
            forward.parts = state["parts"]
            self._mean_norms = {Place(*name): norm for *name, norm in state["mean_norms"]}
        else:
            self._mean_norms = self._measured(self._buffer_of(0, 0))

    def scale(self, place: Place) -> float:
        """By the mean norm of the first buffer's rows."""
        return math.sqrt(self._d_in) / self._mean_norms[place]

    def epoch(self, number: int, first_batch: int) -> Iterator[Rows]:
        """Buffer after buffer, each in a random order."""
        size, per_buffer = self._order.batch_rows, self._order.batches_per_buffer
        for batch in range(first_batch, self._order.batches_per_epoch):
            buffer, place_in = divmod(batch, per_buffer)
            rows = self._buffer_of(number, buffer)
            yield self._taken(rows, self._shuffle[place_in * size : (place_in + 1) * size], self._places)

    def held_out(self) -> Sequence[Indices]:
        """Rows of whole contexts drawn from all, at least as many as asked for."""
        return _in_batches(np.arange(self._order.held_out_part.rows), self._order.batch_rows)

    def read_held_out(self, indices: Indices, places: Iterable[Place]) -> Rows:
        """Rows by their place among them; the first time, the model runs over their contexts."""
        self._kept = self._kept or self._extracted(self._order.held_out_part)
        return self._taken(self._kept, indices, places)

    def state(self) -> dict[str, Any]:
        """The mean norms, and in how many parts batches are run."""
        return {
            "parts": self._forward.parts,
            "mean_norms": [[*place, norm] for place, norm in self._mean_norms.items()],
        }

    def _taken(self, rows: Rows, indices: Indices, places: Iterable[Place]) -> Rows:
        chosen = torch.from_numpy(indices).to(self._device)
        return {place: rows[place][chosen].float().mul_(self.scale(place)) for place in places}

    def _buffer_of(self, epoch: int, number: int) -> Rows:
        if self._filled != (epoch, number):
            self._filled = None  # a filling that is ended leaves a buffer of two
            self._buffer = self._extracted(self._order.part(epoch, number), self._buffer)
            self._shuffle = self._order.shuffle(epoch, number)
            self._filled = (epoch, number)
        return self._buffer

    def _extracted(self, part: BufferPart, into: Rows | None = None) -> Rows:
        """The rows of a part [n, d_in] as bfloat16, in the memory of `into` where that is given and large enough."""
        out = {place: self._room(part.rows, (into or {}).get(place)) for place in self._places}
        filled = 0
        for contexts in self._watch(list(self._forward.tokens.batches(self._batch_tokens, part.contexts))):
            found = self._forward.run(contexts).by_place
            keep = torch.from_numpy(part.keep(contexts)).to(self._device)
            for place in self._places:
                chosen = found[place][keep]
                out[place][filled : filled + len(chosen)] = chosen
            filled += int(keep.sum())
        return out

    def _room(self, rows: int, before: Tensor | None) -> Tensor:
        if before is not None and len(before) >= rows:
            return before
        return torch.empty(rows, self._d_in, dtype=torch.bfloat16, device=self._device)

    def _measured(self, rows: Rows) -> dict[Place, float]:
        found: dict[Place, float] = {}
        for place, values in rows.items():
            statistics = RunningStatistics(self._d_in)
            for part in values.split(self._order.batch_rows):
                statistics.add(part.float())
            found[place] = statistics.result().mean_norm
        return found


def _in_batches(indices: Indices, size: int) -> list[Indices]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]
