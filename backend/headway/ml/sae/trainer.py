"""Trains one sparse autoencoder a batch at a time; its whole state can be saved and taken up again bit for bit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.errors import HeadwayError
from headway.ml.sae.adam import Adam
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.topk import StepResult, TopKObjective, decode, encode, topk_step
from headway.ml.sae.weights import BiasInit, Weights, initial_weights


class DivergedError(HeadwayError):
    """The loss or a gradient is not finite any more."""

    title = "Diverged"


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """How one SAE is trained. `dead_after_rows`: a feature that has not fired for so many rows counts as dead."""

    d_sae: int
    objective: TopKObjective
    schedule: Schedule
    dead_after_rows: int
    clip_norm: float = 1.0


class StepMetrics(NamedTuple):
    """What one step shows. `loss` is the mean squared distance of a (scaled) row, without AuxK's share.

    `fvu` is the fraction of variance unexplained, `l0` the mean number of features that fire in a row,
    `grad_norm` the norm before clipping.
    """

    loss: float
    aux_loss: float
    fvu: float
    l0: float
    dead_fraction: float
    grad_norm: float
    lr: float


class SaeTrainer:
    """Weights, optimizer, step number and dead counters of one SAE. Rows come in scaled, [batch, d_in]."""

    def __init__(self, config: TrainerConfig, weights: Weights) -> None:
        self.config = config
        self.step_number = 0
        self.rows_since_fired = torch.zeros(config.d_sae, dtype=torch.int64, device=weights.enc.device)
        self.weights = Weights(*(tensor.clone() for tensor in weights))  # live: they change with every step
        self._adam = Adam(self.weights)

    @classmethod
    def fresh(cls, config: TrainerConfig, sample: Tensor, seed: int, bias: BiasInit = "geometric_median") -> SaeTrainer:
        """A trainer at step 0, its bias from `sample` [rows, d_in]."""
        return cls(config, initial_weights(config.d_sae, sample, seed, bias))

    def step(self, rows: Tensor) -> StepMetrics:
        """One optimizer step on rows [batch, d_in]. Raises DivergedError that names the step."""
        weights = self.weights
        result = topk_step(weights, rows, self.config.objective, self._dead())
        grad_norm = self._constrain(weights, result.gradients)
        loss = result.loss.item()
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            raise DivergedError(
                f"step {self.step_number + 1}: loss {loss}, gradient norm {grad_norm}. Lower `lr`, "
                "lengthen `warmup_steps`, or look for values that are not finite in the activations"
            )
        lr = self.config.schedule.at(self.step_number)
        self._apply(result.gradients, lr)
        self._count(result.firings, len(rows))
        return self._metrics(result, loss, len(rows), grad_norm, lr)

    def _dead(self) -> Tensor:
        return (self.rows_since_fired >= self.config.dead_after_rows).nonzero().squeeze(1)

    def _constrain(self, weights: Weights, gradients: Weights) -> float:
        """Take from the decoder's gradient what would only lengthen its unit rows, then clip; answers the norm."""
        along = (gradients.dec * weights.dec).sum(1, keepdim=True)
        gradients.dec.addcmul_(weights.dec, along, value=-1)
        norm = math.sqrt(sum(gradient.square().sum().item() for gradient in gradients))
        if math.isfinite(norm) and norm > self.config.clip_norm > 0:
            for gradient in gradients:
                gradient.mul_(self.config.clip_norm / norm)
        return norm

    def _apply(self, gradients: Weights, lr: float) -> None:
        self._adam.step(gradients, lr)
        dec = self.weights.dec
        dec.div_(dec.norm(dim=1, keepdim=True).clamp_min_(1e-12))

    def _count(self, firings: Tensor, rows: int) -> None:
        self.rows_since_fired.add_(rows).masked_fill_(firings > 0, 0)
        self.step_number += 1

    def _metrics(self, result: StepResult, loss: float, rows: int, grad_norm: float, lr: float) -> StepMetrics:
        dead = (self.rows_since_fired >= self.config.dead_after_rows).float().mean().item()
        l0 = result.firings.sum().item() / rows
        return StepMetrics(loss, result.aux_loss.item(), result.fvu.item(), l0, dead, grad_norm, lr)

    @torch.no_grad()
    def reconstruct(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions [batch, d_in] of rows, and firings per feature [d_sae]."""
        weights = self.weights
        codes = encode(weights, rows - weights.b_dec, self.config.objective)
        firings = torch.bincount(codes.indices[codes.values > 0], minlength=self.config.d_sae)
        return decode(codes, weights.dec).add_(weights.b_dec), firings

    def save(self, path: Path) -> None:
        """Write all of the state to one safetensors file."""
        tensors = dict(self.weights._asdict())
        for name, state in zip(Weights._fields, self._adam.state, strict=True):
            tensors |= {f"adam.{name}.{key}": value for key, value in state.items()}
        tensors["rows_since_fired"] = self.rows_since_fired
        tensors["step_number"] = torch.tensor(self.step_number)
        save_file(tensors, path)

    @classmethod
    def load(cls, config: TrainerConfig, path: Path, device: str = "cpu") -> SaeTrainer:
        """The trainer whose state `save` wrote."""
        tensors = load_file(path, device=device)
        trainer = cls(config, Weights(*(tensors[name] for name in Weights._fields)))
        for name, state in zip(Weights._fields, trainer._adam.state, strict=True):
            state.update({key: tensors[f"adam.{name}.{key}"] for key in state})
        trainer.rows_since_fired = tensors["rows_since_fired"]
        trainer.step_number = int(tensors["step_number"])
        return trainer
