"""Curves over attempts: attempt k owns the steps up to where attempt k+1 resumed; what it logged beyond is a ghost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LAST_STEP = 2**62


@dataclass(frozen=True, slots=True)
class AttemptSpan:
    """An attempt and the step it resumed from (None: it began anew)."""

    number: int
    resumed_from_step: int | None


def owned_until(attempts: Sequence[AttemptSpan]) -> dict[int, int]:
    """The last step each attempt owns on the effective curve; -1 where a later one began anew."""
    owned: dict[int, int] = {}
    bound = LAST_STEP
    for attempt in sorted(attempts, key=lambda span: span.number, reverse=True):
        owned[attempt.number] = bound
        bound = min(bound, -1 if attempt.resumed_from_step is None else attempt.resumed_from_step)
    return owned
