"""The first few of each group, found for all groups at once by sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[Any]


def group_starts(groups: Ints) -> NDArray[np.int64]:
    """Where each run of equal numbers begins, [runs]."""
    if not len(groups):
        return np.empty(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(groups[1:] != groups[:-1]) + 1])


def rank_in_group(groups: Ints) -> NDArray[np.int64]:
    """How far each stands behind the begin of its run of equal numbers, from 0."""
    starts = group_starts(groups)
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))


def first_of_groups(groups: Ints, scores: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Indices of the `most` largest scores of each group, by group and then falling; equal ones in their order."""
    order = np.lexsort((-scores, groups))
    return order[rank_in_group(groups[order]) < most]


def largest_sums(groups: Ints, keys: Ints, weights: NDArray[np.float64], most: int) -> tuple[Ints, Ints, Ints]:
    """Sums of the weights by (group, key), the `most` heaviest keys of each group kept: groups, keys, sums.

    What is given up is bounded: the first sum that has no place is taken from those kept, so that after any number of
    calls, each on the last one's answer and new weights, a kept sum is at most 1 / (most + 1) of its group's whole
    weight too small, and a key heavier than that is always there (Misra & Gries 1982, merged as by Agarwal et al. 2012,
    "Mergeable summaries").
    """
    order = np.lexsort((keys, groups))
    groups, keys = groups[order], keys[order]
    is_first = np.ones(len(groups), dtype=bool)
    is_first[1:] = (groups[1:] != groups[:-1]) | (keys[1:] != keys[:-1])
    starts = np.flatnonzero(is_first)
    sums = np.add.reduceat(weights[order], starts) if len(starts) else np.empty(0)
    groups, keys = groups[starts], keys[starts]
    order = np.lexsort((-sums, groups))
    groups, keys, sums, ranks = groups[order], keys[order], sums[order], rank_in_group(groups[order])
    surplus = np.zeros(int(groups.max(initial=-1)) + 1)
    surplus[groups[ranks == most]] = sums[ranks == most]
    sums = sums - surplus[groups]
    kept = (ranks < most) & (sums > 0)
    return groups[kept], keys[kept], sums[kept]
