"""Batches of contexts through a tap: which of their tokens become rows, and what is done when memory runs out."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.ml.activations.hooks import Tap
from headway.ml.activations.places import Place
from headway.ml.text.token_store import TokenStore

COUNTED_AT_ONCE = 1 << 22
_log = logging.getLogger(__name__)


class Rows(NamedTuple):
    """What a batch gave: `tokens` taken in, each row's place in the token store [n], and rows [n, d_in] by place."""

    tokens: int
    of_tokens: NDArray[np.uint32]
    by_place: dict[Place, Tensor]


class Forward:
    """Runs contexts of `tokens` through `tap`; text tokens become rows, special ones and padding do not.

    A batch that does not fit into memory is repeated in twice as many `parts`, and so are all that follow it: the rows
    and their order stay the same. A single context that does not fit is an error, as torch raises it. What is `reduced`
    is computed in bfloat16 where that does no harm.
    """

    def __init__(self, tokens: TokenStore, tap: Tap, device: str = "cpu", *, reduced: bool = False) -> None:
        self.tokens = tokens
        self.parts = 1
        self._tap, self._device, self._reduced = tap, device, reduced
        self._special = np.array(tokens.manifest.special_ids, dtype=np.int64)

    def run(self, contexts: NDArray[np.int64]) -> Rows:
        """The rows of a batch of contexts, named by their numbers, in order."""
        ids, places = self.tokens.padded(contexts)
        real = places >= 0
        wanted = real & ~np.isin(ids, self._special)
        while (found := self._in_parts(ids, real, wanted)) is None:
            self.parts *= 2
            _log.warning("Memory ran out: the same batch again, and all after it, in %d parts", self.parts)
        return Rows(int(real.sum()), places[wanted].astype(np.uint32), found)

    def _in_parts(
        self, ids: NDArray[np.int64], real: NDArray[np.bool_], wanted: NDArray[np.bool_]
    ) -> dict[Place, Tensor] | None:
        """None when memory ran out: what the attempt held is free again by then."""
        parts = min(self.parts, len(ids))
        cut = [np.array_split(array, parts) for array in (ids, real, wanted)]
        try:
            found = [self._rows(*part) for part in zip(*cut, strict=True)]
        except RuntimeError as error:
            if parts == len(ids) or not _is_out_of_memory(error):
                raise
            return None
        return found[0] if parts == 1 else {place: torch.cat([part[place] for part in found]) for place in found[0]}

    def _rows(self, ids: NDArray[np.int64], real: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> dict[Place, Tensor]:
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._reduced):
            found = self._tap.forward(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(real.astype(np.int64)).to(self._device),
            )
        mask = torch.from_numpy(wanted).to(self._device)
        return {place: values[mask] for place, values in found.items()}


def rows_of_contexts(tokens: TokenStore) -> NDArray[np.int64]:
    """How many rows each context of a store gives, [contexts]."""
    special, offsets = np.array(tokens.manifest.special_ids, dtype=np.uint32), tokens.offsets
    counts = np.diff(offsets)
    first = 0
    while first < len(counts):
        end = max(first + 1, int(np.searchsorted(offsets, offsets[first] + COUNTED_AT_ONCE, side="right")) - 1)
        is_special = np.isin(tokens.tokens[offsets[first] : offsets[end]], special)
        sums = np.concatenate([[0], np.cumsum(is_special)])[offsets[first : end + 1] - offsets[first]]
        counts[first:end] -= np.diff(sums)
        first = end
    return counts


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
