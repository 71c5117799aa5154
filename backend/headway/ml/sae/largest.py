"""The k largest of each row, found among the best groups of columns instead of all columns."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor


class Largest(NamedTuple):
    """Values and their columns, both [rows, k], in no order."""

    values: Tensor
    features: Tensor


def largest(pre: Tensor, k: int) -> Largest:
    """The k largest of each row of [rows, d], d >= k, exactly; which ones of several that are equal is not said.

    Columns are dealt to groups. What is among the k largest lies in one of the k groups with the largest maxima: any
    other group's maximum has k values above it or beside it. So only the groups' maxima are searched, then the members
    of k groups; with about sqrt(d / k) members to a group that is some sqrt(k / d) of the work.
    """
    members = _members(pre.shape[1], k)
    if members == 1:
        return Largest(*pre.topk(k, dim=-1, sorted=False))
    dealt = pre.view(len(pre), members, -1)
    groups = dealt.amax(1).topk(k, dim=-1, sorted=False).indices
    candidates = dealt.gather(2, groups.unsqueeze(1).expand(-1, members, -1)).flatten(1)
    values, places = candidates.topk(k, dim=-1, sorted=False)
    member = places.div(k, rounding_mode="floor")
    return Largest(values, groups.gather(1, places - member * k).add_(member, alpha=dealt.shape[2]))


def _members(d: int, k: int) -> int:
    """The greatest power of two up to sqrt(d / k) that divides d."""
    wanted = 1 << max(0, int(math.log2(max(1.0, math.sqrt(d / k)))))
    return math.gcd(wanted, d)
