"""Curves over attempts: attempt k owns the steps up to where attempt k+1 resumed; what it logged beyond is a ghost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LAST_STEP = 2**62
BEGAN_ANEW = -1


@dataclass(frozen=True, slots=True)
class AttemptSpan:
    """An attempt and the step it resumed from: BEGAN_ANEW without a checkpoint, None if its process never began."""

    number: int
    resumed_from_step: int | None


def owned_until(attempts: Sequence[AttemptSpan]) -> dict[int, int]:
    """The last step each attempt owns on the effective curve; -1 where a later one began anew.

    An attempt whose process never began (its worker died right after the claim) takes nothing from those before it.
    """
    owned: dict[int, int] = {}
    bound = LAST_STEP
    for attempt in sorted(attempts, key=lambda span: span.number, reverse=True):
        owned[attempt.number] = bound
        if attempt.resumed_from_step is not None:
            bound = min(bound, attempt.resumed_from_step)
    return owned
