"""Groups of similar vectors, and the nearest of each: no files, no progress, only numbers."""

# pyright: standard
# scikit-learn has no types.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN  # pyright: ignore[reportMissingTypeStubs]
from sklearn.decomposition import PCA  # pyright: ignore[reportMissingTypeStubs]

Floats = NDArray[np.float32]
Whole = NDArray[np.int64]
#: Distances in more dimensions tell groups no better, and no tree helps to find them.
MOST_DIMENSIONS = 64
BLOCK_CELLS = 16_000_000


@dataclass(frozen=True, slots=True)
class Groups:
    """`members`: the rows of each group, the most typical first; groups by size. `noise`: rows of no group."""

    members: list[list[int]]
    noise: list[int]


def group(vectors: Floats, least: int) -> Groups:
    """Groups of at least `least` rows by HDBSCAN on the unit vectors, reduced by PCA.

    Source: Campello, Moulavi, Sander, Density-Based Clustering Based on Hierarchical Density Estimates (2013).
    """
    count = len(vectors)
    if count <= least:
        return Groups([], list(range(count)))
    # leaves: groups of one density each, where the excess of mass would make one group of all that is not apart
    settings: dict[str, Any] = {"min_samples": min(2, least), "cluster_selection_method": "leaf", "copy": True}
    model: Any = HDBSCAN(min_cluster_size=least, **settings)
    model.fit(_reduced(vectors))
    labels, sureness = np.asarray(model.labels_), np.asarray(model.probabilities_)
    members = [_most_typical_first(np.flatnonzero(labels == label), sureness) for label in range(labels.max() + 1)]
    members.sort(key=lambda rows: (-len(rows), min(rows)))
    return Groups(members, np.flatnonzero(labels < 0).tolist())


def nearest(vectors: Floats, most: int) -> Iterator[tuple[Whole, Floats]]:
    """For each row its `most` nearest others and their cosines, nearest first; in blocks of rows."""
    count = len(vectors)
    kept = min(most, count - 1)
    size = max(1, BLOCK_CELLS // max(1, count))
    for begin in range(0, count, size):
        cosines = vectors[begin : begin + size] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, begin + rows] = -np.inf
        # by cosine, then by number: equal pictures stand in their order
        ranked = np.argsort(-cosines, axis=1, kind="stable")[:, :kept] if count <= 2000 else _ranked(cosines, kept)
        yield ranked, np.take_along_axis(cosines, ranked, axis=1)


def _ranked(cosines: Floats, kept: int) -> Whole:
    """The first of each row without sorting the whole row."""
    if kept == 0:
        return np.zeros((len(cosines), 0), dtype=np.int64)
    some = np.sort(np.argpartition(-cosines, kept - 1, axis=1)[:, :kept], axis=1)
    order = np.argsort(-np.take_along_axis(cosines, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _reduced(vectors: Floats) -> Floats:
    dimensions = min(MOST_DIMENSIONS, *vectors.shape)
    return PCA(n_components=dimensions, random_state=0).fit_transform(vectors)


def _most_typical_first(rows: Whole, sureness: NDArray[np.float64]) -> list[int]:
    return rows[np.argsort(-sureness[rows], kind="stable")].tolist()
