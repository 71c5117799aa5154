"""Which GPUs a host has, and which of the jobs in line may have some of them now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that a worker may give to jobs. `id` is what CUDA_VISIBLE_DEVICES takes: its UUID, or its index."""

    id: str
    index: int | None = None
    name: str | None = None
    memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job in line and how many GPUs it takes on this host; `shares`: it takes them beside others that do."""

    job_id: str
    gpus: int
    shares: bool


def claimable(line: Iterable[Wanted], free: int, sharable: int) -> Iterator[Wanted]:
    """The jobs of the line that fit now, in its order. `free` GPUs nobody has; `sharable` are they and the shared ones.

    A job that waits for GPUs is not overtaken by others that want some: it would starve behind smaller ones. Those
    that want none pass.
    """
    is_held_back = False
    for wanted in line:
        fits = wanted.gpus <= (sharable if wanted.shares else free)
        if wanted.gpus == 0 or (fits and not is_held_back):
            yield wanted
        else:
            is_held_back = True
