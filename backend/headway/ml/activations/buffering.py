"""What fills the mixing buffer of a streamed training, and in what order its rows are taken: functions of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from headway.ml.activations.reader import Indices


@dataclass(frozen=True, slots=True)
class BufferPart:
    """What one filling takes: contexts, of each its number of rows and which of them, `first` to before `end`."""

    contexts: Indices
    counts: Indices
    first: Indices
    end: Indices

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int((self.end - self.first).sum())

    def keep(self, contexts: Indices) -> NDArray[np.bool_]:
        """Which of the rows of these contexts, one after the other, are in the part."""
        sorter = np.argsort(self.contexts)
        at = sorter[np.searchsorted(self.contexts, contexts, sorter=sorter)]
        counts = self.counts[at]
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return (number >= np.repeat(self.first[at], counts)) & (number < np.repeat(self.end[at], counts))


class ContextOrder:
    """In what order each epoch takes contexts, `rows_of` rows each, and which of them fill a buffer of whole batches.

    Each row that is not held out is taken at most once an epoch; a context at the edge of two buffers is run for both.
    """

    def __init__(self, rows_of: Indices, batch_rows: int, buffer_rows: int, seed: int, held_out_rows: int = 0) -> None:
        self.batch_rows, self.seed = batch_rows, seed
        self.batches_per_buffer = max(1, buffer_rows // batch_rows)
        self.rows = int(rows_of.sum())
        self._rows_of = rows_of
        self._split = np.random.default_rng([seed, 0]).permutation(len(rows_of))
        reached = np.cumsum(rows_of[self._split])
        self._held_out = int(np.searchsorted(reached, held_out_rows)) + 1 if held_out_rows else 0
        self._order = lru_cache(maxsize=1)(self._order_of)

    @cached_property
    def held_out_part(self) -> BufferPart:
        """The contexts kept from training, whole."""
        return self._part(np.sort(self._split[: self._held_out]))

    @cached_property
    def batches_per_epoch(self) -> int:
        """Whole batches in an epoch; a remainder shorter than a batch is left out."""
        return int(self._rows_of[self._split[self._held_out :]].sum()) // self.batch_rows

    def part(self, epoch: int, buffer: int) -> BufferPart:
        """What fills a buffer of an epoch; the last one may be shorter."""
        order, ends = self._order(epoch)
        size = self.batches_per_buffer * self.batch_rows
        low, high = buffer * size, min((buffer + 1) * size, self.batches_per_epoch * self.batch_rows)
        chosen = slice(int(np.searchsorted(ends, low, side="right")), int(np.searchsorted(ends, high)) + 1)
        part = self._part(order[chosen])
        starts = ends[chosen] - part.counts
        first, end = np.maximum(low - starts, 0), np.minimum(high - starts, part.counts)
        return BufferPart(part.contexts, part.counts, first, end)

    def shuffle(self, epoch: int, buffer: int) -> Indices:
        """The order in which a buffer's rows are taken."""
        batches = min(self.batches_per_buffer, self.batches_per_epoch - buffer * self.batches_per_buffer)
        return np.random.default_rng([self.seed, 1 + epoch, buffer]).permutation(batches * self.batch_rows)

    def _part(self, contexts: Indices) -> BufferPart:
        counts = self._rows_of[contexts]
        return BufferPart(contexts, counts, np.zeros_like(counts), counts)

    def _order_of(self, epoch: int) -> tuple[Indices, Indices]:
        order = np.random.default_rng([self.seed, 1 + epoch]).permutation(self._split[self._held_out :])
        return order, np.cumsum(self._rows_of[order])
