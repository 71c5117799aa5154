"""What a config and a store of activations come to: sizes, order, schedules; or which field does not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.ml.activations.manifest import HookEntry, Manifest
from headway.ml.activations.reader import HookReader, Indices, RowOrder
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
    entry: HookEntry
    target: HookEntry | None
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

    store: Path
    manifest: Manifest
    saes: list[SaePlan]
    order: RowOrder
    total_steps: int

    @property
    def d_in(self) -> int:
        """Width of a row."""
        return self.manifest.d_in

    @property
    def model_name(self) -> str:
        """Name of the model the activations are of."""
        return str(self.manifest.model.get("name") or "unknown model")

    def entries(self) -> dict[str, HookEntry]:
        """The hooks that are read, by name."""
        wanted = [entry for sae in self.saes for entry in (sae.entry, sae.target) if entry]
        return {entry.name: entry for entry in wanted}

    def reader(self, entry: HookEntry) -> HookReader:
        """Random access to the rows of one hook."""
        return HookReader(self.store, self.manifest, entry)

    def scale(self, entry: HookEntry) -> float:
        """What a hook's rows are multiplied by so that their mean norm is sqrt(d_in)."""
        return math.sqrt(self.d_in) / entry.statistics.mean_norm

    def held_out_batches(self) -> list[Indices]:
        """The rows for evaluation in batches, the last one shorter."""
        held_out, size = self.order.held_out(), self.order.batch_rows
        return [held_out[start : start + size] for start in range(0, len(held_out), size)]

    def metadata(self, sae: SaePlan) -> Mapping[str, Any]:
        """What SAELens wants to know of where an SAE belongs, in its names."""
        entry, target = sae.entry, sae.target
        out = {"hook_name_out": f"blocks.{target.layer}.hook_{target.hook}"} if target else {}
        return out | {
            "model_name": self.model_name,
            "hook_name": f"blocks.{entry.layer}.hook_{entry.hook}",
            "hook_layer": entry.layer,
            "context_size": self.manifest.tokens.get("context_length"),
            "dataset_path": self.manifest.tokens.get("name"),
        }


def make_plan(config: SaeTrainConfig, store: Path) -> Plan:
    """Check the config against the store. Raises InvalidInputError that names every field that does not fit."""
    manifest = Manifest.read(store)
    order = RowOrder(manifest.rows, config.batch_rows, config.seed, config.eval_rows)
    each = own_configs(config)
    problems = [*_layer_problems(config, manifest), *_size_problems(config, manifest, order)]
    problems += [problem for own in each.values() for problem in _own_problems(own, manifest)]
    if len(each) != len(config.saes or [None]):
        problems.append(FieldProblem("config.saes", "two of them have the same name"))
    if problems:
        raise InvalidInputError(*dict.fromkeys(problems))
    total_steps = config.epochs * order.batches_per_epoch
    if config.max_rows:
        total_steps = min(total_steps, config.max_rows // config.batch_rows)
    return Plan(store, manifest, list(_sae_plans(config, each, manifest, total_steps)), order, total_steps)


def own_configs(config: SaeTrainConfig) -> dict[str, SaeTrainConfig]:
    """The config of each SAE of a layer by its label, which is empty where there is no list of them."""
    if not config.saes:
        return {"": config}
    found: dict[str, SaeTrainConfig] = {}
    for number, spec in enumerate(config.saes, 1):
        changes = spec.model_dump(exclude={"name"}, exclude_none=True)
        if "expansion" in changes:
            changes.setdefault("d_sae", None)
        own = config.model_copy(update=changes)
        found[spec.name or f"{own.architecture}{number}"] = own
    return found


def _sae_plans(
    config: SaeTrainConfig, each: Mapping[str, SaeTrainConfig], manifest: Manifest, total_steps: int
) -> Iterator[SaePlan]:
    entries = _entries(config, manifest)
    by_layer = len({entry.layer for entry in entries}) == len(entries)
    for entry in entries:
        place = f"layer{entry.layer}/" if by_layer else f"{entry.name}/"
        for label, own in each.items():
            prefix = (place if len(entries) > 1 else "") + (f"{label}/" if label else "")
            name = f"{entry.name}.{label}" if label else entry.name
            trainer = _trainer_config(own, manifest.d_in, total_steps)
            yield SaePlan(name, prefix, entry, _target(own, manifest, entry), own, trainer)


def _entries(config: SaeTrainConfig, manifest: Manifest) -> list[HookEntry]:
    """The hooks to train on: with layers named, one of each."""
    fitting = [entry for entry in manifest.hooks if config.hook in (None, entry.hook)]
    if not config.layers:
        return fitting
    return [next(entry for entry in fitting if entry.layer == layer) for layer in sorted(set(config.layers))]


def _target(config: SaeTrainConfig, manifest: Manifest, entry: HookEntry) -> HookEntry | None:
    if config.architecture not in TRANSCODERS:
        return None
    place = (entry.layer + config.target_layers_on, config.target_hook or entry.hook)
    return next((each for each in manifest.hooks if (each.layer, each.hook) == place and each != entry), None)


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


def _layer_problems(config: SaeTrainConfig, manifest: Manifest) -> list[FieldProblem]:
    hooks = sorted({entry.hook for entry in manifest.hooks})
    if config.hook is not None and config.hook not in hooks:
        return [FieldProblem("config.hook", f"{config.hook!r} is not in the activations, which hold {hooks}")]
    stored = {entry.layer for entry in manifest.hooks if config.hook in (None, entry.hook)}
    missing = [layer for layer in config.layers if layer not in stored]
    text = f"layers {missing} are not in the activations, which hold {sorted(stored)}"
    return [FieldProblem("config.layers", text)] if missing else []


def _size_problems(config: SaeTrainConfig, manifest: Manifest, order: RowOrder) -> list[FieldProblem]:
    problems: list[FieldProblem] = []
    if config.eval_rows >= manifest.rows:
        problems.append(FieldProblem("config.eval_rows", f"there are only {manifest.rows} rows: hold out fewer"))
    elif order.batches_per_epoch < 1:
        left = manifest.rows - config.eval_rows
        problems.append(
            FieldProblem("config.batch_rows", f"only {left} rows are left to train on: choose a smaller batch")
        )
    if config.max_rows is not None and config.max_rows < config.batch_rows:
        problems.append(FieldProblem("config.max_rows", f"less than one batch of {config.batch_rows} rows"))
    return problems


def _own_problems(config: SaeTrainConfig, manifest: Manifest) -> Iterator[FieldProblem]:
    d_sae = config.d_sae or config.expansion * manifest.d_in
    if config.k > d_sae:
        yield FieldProblem("config.k", f"more than the {d_sae} features there are")
    if config.architecture not in TRANSCODERS or _layer_problems(config, manifest):
        return
    lost = [entry.name for entry in _entries(config, manifest) if not _target(config, manifest, entry)]
    if lost:
        text = f"{lost} have no target: choose a target hook or layers on, of {[each.name for each in manifest.hooks]}"
        yield FieldProblem("config.target_hook", text)
