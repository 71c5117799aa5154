"""Where features fire: the sparse codes of rows, named by the tokens the rows came from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.ml.sae.saelens import SavedSae

# Dense codes that are held at once, as in training: the sparse ones are all that is kept of them.
BLOCK_ELEMENTS = 4 << 20


class Firings(NamedTuple):
    """Each code above 0: its feature, the place of its token in the token store, and its value; all [n]."""

    features: NDArray[np.int32]
    places: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def none(cls) -> Firings:
        """No firings."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def joined(cls, *parts: Firings) -> Firings:
        """All of the parts, one after the other."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.places for part in parts]),
            np.concatenate([part.values for part in parts]),
        )

    def at(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Firings:
        """Those at these indices, in that order; or where a mask is true."""
        return Firings(self.features[chosen], self.places[chosen], self.values[chosen])


@torch.no_grad()
def firings_of(sae: SavedSae, rows: Tensor, places: NDArray[Any]) -> Firings:
    """The firings in rows [n, d_in] of the tokens at `places` [n]."""
    found: list[Firings] = []
    first = 0
    for block in rows.float().split(max(1, BLOCK_ELEMENTS // len(sae.weights.enc))):
        codes = sae.encode(block)
        row, feature = codes.nonzero(as_tuple=True)
        values = codes[row, feature].cpu().numpy()
        at = places[first : first + len(block)][row.cpu().numpy()]
        found.append(Firings(feature.cpu().numpy().astype(np.int32), at.astype(np.int64), values))
        first += len(block)
    return Firings.joined(*found) if found else Firings.none()
