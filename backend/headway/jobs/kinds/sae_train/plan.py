"""What a config and a store of activations come to: sizes, order, schedules; or which field does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.jobs.kinds.sae_train.specs import own_configs
from headway.ml.activations.places import Place
from headway.ml.activations.sources import Offer
from headway.ml.sae.architectures import OBJECTIVES, RESAMPLED, TRANSCODERS, Figures
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import TrainerConfig

DEFAULT_COEFFICIENTS = {"jumprelu": 1.0}
DEFAULT_COEFFICIENT = 5.0
RESAMPLINGS = 8


@dataclass(frozen=True, slots=True)
class SaePlan:
    """One SAE: where its rows come from, what it shall make of them, how it is trained.

    `name` is that of its folder and state, `prefix` that of its metrics ("" where it is alone). `config` is the job's
    with what is this one's own.
    """

    name: str
    prefix: str
    place: Place
    target: Place | None
    config: SaeTrainConfig
    trainer: TrainerConfig

    def summary(self) -> dict[str, Any]:
        """What tells it from the others."""
        own: dict[str, Any] = {"architecture": self.config.architecture, "d_sae": self.trainer.d_sae}
        sparsity = {"coefficient": _coefficient(self.config)}
        if self.config.architecture in ("topk", "batch_topk", "matryoshka", "skip_transcoder"):
            sparsity = {"k": self.config.k}
        target = {"target": self.target.name} if self.target else {}
        return own | sparsity | {"lr": self.config.lr, "seed": self.config.seed} | target


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a training that is fixed before its first step."""

    offer: Offer
    saes: list[SaePlan]
    total_steps: int

    @property
    def model_name(self) -> str:
        """Name of the model the activations are of."""
        return str(self.offer.model.get("name") or "unknown model")

    def places(self) -> list[Place]:
        """Those that are read."""
        wanted = [place for sae in self.saes for place in (sae.place, sae.target) if place]
        return list(dict.fromkeys(wanted))

    def metadata(self, sae: SaePlan) -> Mapping[str, Any]:
        """What SAELens wants to know of where an SAE belongs, in its names."""
        place, target = sae.place, sae.target
        out = {"hook_name_out": f"blocks.{target.layer}.hook_{target.hook}"} if target else {}
        return out | {
            "model_name": self.model_name,
            "hook_name": f"blocks.{place.layer}.hook_{place.hook}",
            "hook_layer": place.layer,
            "context_size": self.offer.tokens.get("context_length"),
            "dataset_path": self.offer.tokens.get("name"),
        }


def make_plan(config: SaeTrainConfig, offer: Offer) -> Plan:
    """Check the config against what there is. Raises InvalidInputError that names every field that does not fit."""
    each = own_configs(config)
    problems = [*_layer_problems(config, offer), *_size_problems(config, offer)]
    problems += [problem for own in each.values() for problem in _own_problems(own, offer)]
    if len(each) != len(config.saes or [None]):
        problems.append(FieldProblem("config.saes", "two of them have the same name"))
    if problems:
        raise InvalidInputError(*dict.fromkeys(problems))
    total_steps = config.epochs * offer.batches_per_epoch
    if config.max_rows:
        total_steps = min(total_steps, config.max_rows // config.batch_rows)
    return Plan(offer, list(_sae_plans(config, each, offer, total_steps)), total_steps)


def _sae_plans(
    config: SaeTrainConfig, each: Mapping[str, SaeTrainConfig], offer: Offer, total_steps: int
) -> Iterator[SaePlan]:
    places = _places(config, offer)
    by_layer = len({place.layer for place in places}) == len(places)
    for place in places:
        where = f"layer{place.layer}/" if by_layer else f"{place.name}/"
        for label, own in each.items():
            prefix = (where if len(places) > 1 else "") + (f"{label}/" if label else "")
            name = f"{place.name}.{label}" if label else place.name
            trainer = _trainer_config(own, offer.d_in, total_steps)
            yield SaePlan(name, prefix, place, _target(own, offer, place), own, trainer)


def _places(config: SaeTrainConfig, offer: Offer) -> list[Place]:
    """The places to train on: with layers named, one of each."""
    fitting = [place for place in offer.places if config.hook in (None, place.hook)]
    if not config.layers:
        return fitting
    return [next(place for place in fitting if place.layer == layer) for layer in sorted(set(config.layers))]


def _target(config: SaeTrainConfig, offer: Offer, place: Place) -> Place | None:
    if config.architecture not in TRANSCODERS:
        return None
    wanted = (place.layer + config.target_layers_on, config.target_hook or place.hook)
    return next((each for each in offer.places if each == wanted != place), None)


def _trainer_config(config: SaeTrainConfig, d_in: int, total_steps: int) -> TrainerConfig:
    d_sae = config.d_sae or config.expansion * d_in
    every = config.resample_every_steps
    every = max(1, total_steps // RESAMPLINGS) if every is None else every
    return TrainerConfig(
        d_sae=d_sae,
        objective=OBJECTIVES[config.architecture](_figures(config, d_in, d_sae, total_steps)),
        schedule=Schedule(config.lr, total_steps, config.warmup_steps, config.decay_fraction),
        dead_after_rows=config.dead_after_rows,
        clip_norm=config.clip_norm,
        resample_every_steps=every if config.architecture in RESAMPLED else 0,
        resample_until_step=total_steps // 2,
        ema_decay=config.ema_decay,
        seed=config.seed,
    )


def _figures(config: SaeTrainConfig, d_in: int, d_sae: int, total_steps: int) -> Figures:
    return Figures(
        k=config.k,
        aux_k=half_as_power_of_two(d_in) if config.aux_k is None else config.aux_k,
        aux_coefficient=config.aux_coefficient,
        coefficient=_coefficient(config),
        warmup_steps=round(config.sparsity_warmup * total_steps),
        bandwidth=config.bandwidth,
        prefixes=tuple(sorted({max(1, int(share * d_sae)) for share in config.prefixes})),
        encode_dtype=torch.bfloat16 if config.encode_dtype == "bfloat16" else None,
    )


def _coefficient(config: SaeTrainConfig) -> float:
    default = DEFAULT_COEFFICIENTS.get(config.architecture, DEFAULT_COEFFICIENT)
    return default if config.coefficient is None else config.coefficient


def half_as_power_of_two(d_in: int) -> int:
    """The power of two nearest to d_in / 2, as Gao et al. 2024 (section A.2) choose k_aux; the greater of two."""
    below = 1 << max(0, (d_in // 2).bit_length() - 1)
    return below if d_in / 2 - below < 2 * below - d_in / 2 else 2 * below


def _layer_problems(config: SaeTrainConfig, offer: Offer) -> list[FieldProblem]:
    hooks = sorted({place.hook for place in offer.places})
    if config.hook is not None and config.hook not in hooks:
        return [FieldProblem("config.hook", f"{config.hook!r} is not in the activations, which hold {hooks}")]
    stored = {place.layer for place in offer.places if config.hook in (None, place.hook)}
    missing = [layer for layer in config.layers if layer not in stored]
    text = f"layers {missing} are not in the activations, which hold {sorted(stored)}"
    return [FieldProblem("config.layers", text)] if missing else []


def _size_problems(config: SaeTrainConfig, offer: Offer) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    if config.eval_rows >= offer.rows:
        problems.append(FieldProblem("config.eval_rows", f"there are only {offer.rows} rows: hold out fewer"))
    elif offer.batches_per_epoch < 1:
        left = offer.rows - config.eval_rows
        problems.append(
            FieldProblem("config.batch_rows", f"only {left} rows are left to train on: choose a smaller batch")
        )
    if config.max_rows is not None and config.max_rows < config.batch_rows:
        problems.append(FieldProblem("config.max_rows", f"less than one batch of {config.batch_rows} rows"))
    return problems


def _own_problems(config: SaeTrainConfig, offer: Offer) -> Iterator[FieldProblem]:
    d_sae = config.d_sae or config.expansion * offer.d_in
    if config.k > d_sae:
        yield FieldProblem("config.k", f"more than the {d_sae} features there are")
    if config.architecture not in TRANSCODERS or _layer_problems(config, offer):
        return
    lost = [place.name for place in _places(config, offer) if not _target(config, offer, place)]
    if lost:
        there = [place.name for place in offer.places]
        text = f"{lost} have no target: choose a target hook or layers on, of {there}"
        yield FieldProblem("config.target_hook", text)
