"""What a config and a store of activations come to: sizes, order, schedule; or which field does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.sae_train.config import SaeTrainConfig
from headway.ml.activations.manifest import HookEntry, Manifest
from headway.ml.activations.reader import HookReader, Indices, RowOrder
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.topk import TopKObjective
from headway.ml.sae.trainer import TrainerConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a training that is fixed before its first step."""

    store: Path
    manifest: Manifest
    hooks: list[HookEntry]
    order: RowOrder
    total_steps: int
    trainer: TrainerConfig

    @property
    def d_in(self) -> int:
        """Width of a row."""
        return self.manifest.d_in

    @property
    def model_name(self) -> str:
        """Name of the model the activations are of."""
        return str(self.manifest.model.get("name") or "unknown model")

    def reader(self, entry: HookEntry) -> HookReader:
        """Random access to the rows of one hook."""
        return HookReader(self.store, self.manifest, entry)

    def held_out_batches(self) -> list[Indices]:
        """The rows for evaluation in batches, the last one shorter."""
        held_out, size = self.order.held_out(), self.order.batch_rows
        return [held_out[start : start + size] for start in range(0, len(held_out), size)]

    def metadata(self, entry: HookEntry) -> Mapping[str, Any]:
        """What SAELens wants to know of where an SAE belongs, in its names."""
        return {
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
    d_sae = config.d_sae or config.expansion * manifest.d_in
    problems = [*_layer_problems(config, manifest), *_size_problems(config, manifest, order, d_sae)]
    if problems:
        raise InvalidInputError(*problems)
    total_steps = config.epochs * order.batches_per_epoch
    if config.max_rows:
        total_steps = min(total_steps, config.max_rows // config.batch_rows)
    hooks = [manifest.entry(layer) for layer in sorted(set(config.layers))] if config.layers else manifest.hooks
    return Plan(store, manifest, hooks, order, total_steps, _trainer_config(config, manifest.d_in, d_sae, total_steps))


def _trainer_config(config: SaeTrainConfig, d_in: int, d_sae: int, total_steps: int) -> TrainerConfig:
    aux_k = half_as_power_of_two(d_in) if config.aux_k is None else config.aux_k
    encode_dtype = torch.bfloat16 if config.encode_dtype == "bfloat16" else None
    return TrainerConfig(
        d_sae=d_sae,
        objective=TopKObjective(config.k, aux_k, config.aux_coefficient, encode_dtype),
        schedule=Schedule(config.lr, total_steps, config.warmup_steps, config.decay_fraction),
        dead_after_rows=config.dead_after_rows,
        clip_norm=config.clip_norm,
    )


def half_as_power_of_two(d_in: int) -> int:
    """The power of two nearest to d_in / 2, as Gao et al. 2024 (section A.2) choose k_aux; the greater of two."""
    below = 1 << max(0, (d_in // 2).bit_length() - 1)
    return below if d_in / 2 - below < 2 * below - d_in / 2 else 2 * below


def _layer_problems(config: SaeTrainConfig, manifest: Manifest) -> list[FieldProblem]:
    stored = {entry.layer for entry in manifest.hooks}
    missing = [layer for layer in config.layers if layer not in stored]
    text = f"layers {missing} are not in the activations, which hold {sorted(stored)}"
    return [FieldProblem("config.layers", text)] if missing else []


def _size_problems(config: SaeTrainConfig, manifest: Manifest, order: RowOrder, d_sae: int) -> list[FieldProblem]:
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
    if config.k > d_sae:
        problems.append(FieldProblem("config.k", f"more than the {d_sae} features there are"))
    return problems
