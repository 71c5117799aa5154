"""The table of architectures, and the figures that make an objective of a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from headway.ml.sae.batch_topk import BatchTopKObjective
from headway.ml.sae.gated import GatedObjective
from headway.ml.sae.jumprelu import JumpReluObjective
from headway.ml.sae.names import Architecture
from headway.ml.sae.objective import Objective
from headway.ml.sae.relu import ReluObjective
from headway.ml.sae.topk import SkipTranscoderObjective, TopKObjective

#: Those that start dead features again, as their papers do; the TopK kinds have AuxK, the others need neither.
RESAMPLED: frozenset[str] = frozenset({"relu_unit_norm", "gated"})
TRANSCODERS: frozenset[str] = frozenset({"transcoder", "skip_transcoder"})


@dataclass(frozen=True, slots=True)
class Figures:
    """What objectives are made of; each takes what it knows. `prefixes` are Matryoshka's, without the whole."""

    k: int
    aux_k: int
    aux_coefficient: float
    coefficient: float
    warmup_steps: int
    bandwidth: float
    prefixes: tuple[int, ...]
    encode_dtype: torch.dtype | None


def _topk(figures: Figures) -> TopKObjective:
    return TopKObjective(figures.k, figures.aux_k, figures.aux_coefficient, figures.encode_dtype)


def _batch_topk(figures: Figures, prefixes: tuple[int, ...] = ()) -> BatchTopKObjective:
    return BatchTopKObjective(figures.k, figures.aux_k, figures.aux_coefficient, figures.encode_dtype, prefixes)


def _relu(figures: Figures, *, unit: bool, transcoder: bool = False) -> ReluObjective:
    return ReluObjective(figures.coefficient, figures.warmup_steps, unit_decoder=unit, transcoder=transcoder)


OBJECTIVES: Mapping[Architecture, Callable[[Figures], Objective]] = {
    "topk": _topk,
    "batch_topk": _batch_topk,
    "matryoshka": lambda figures: _batch_topk(figures, figures.prefixes),
    "relu": lambda figures: _relu(figures, unit=False),
    "relu_unit_norm": lambda figures: _relu(figures, unit=True),
    "jumprelu": lambda figures: JumpReluObjective(figures.coefficient, figures.warmup_steps, figures.bandwidth),
    "gated": lambda figures: GatedObjective(figures.coefficient, figures.warmup_steps),
    "transcoder": lambda figures: _relu(figures, unit=True, transcoder=True),
    "skip_transcoder": lambda figures: SkipTranscoderObjective(_topk(figures)),
}
