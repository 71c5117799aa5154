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
from headway.ml.sae.adam import BETAS, Adam
from headway.ml.sae.objective import Model, Objective, StepResult
from headway.ml.sae.resampling import resample
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.weights import BiasInit, Weights


class DivergedError(HeadwayError):
    """The loss or a gradient is not finite any more."""

    title = "Diverged"


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """How one SAE is trained. `dead_after_rows`: a feature that has not fired for so many rows counts as dead.

    `resample_every_steps` (0: never) starts dead features again, up to `resample_until_step`; `ema_decay` (0: none) is
    that of the averaged weights with which it is evaluated and saved; `seed` is that of the resampling.
    """

    d_sae: int
    objective: Objective
    schedule: Schedule
    dead_after_rows: int
    clip_norm: float = 1.0
    resample_every_steps: int = 0
    resample_until_step: int = 0
    ema_decay: float = 0.0
    seed: int = 0


class StepMetrics(NamedTuple):
    """What one step shows. `loss` is the mean squared distance of a (scaled) row, without AuxK's share.

    `fvu` is the fraction of variance unexplained, `l0` the mean number of features that fire in a row,
    `grad_norm` the norm before clipping, `penalty` what is minimised beside `loss` and `aux_loss`, if anything.
    """

    loss: float
    aux_loss: float
    fvu: float
    l0: float
    dead_fraction: float
    grad_norm: float
    lr: float
    penalty: float | None


class SaeTrainer:
    """Model, optimizer, step number and dead counters of one SAE. Rows come in scaled, [batch, d_in].

    Nothing here knows an architecture: that is `config.objective`.
    """

    def __init__(self, config: TrainerConfig, model: Model) -> None:
        self.config = config
        self.step_number = 0
        self.model = _copy(model)  # live: it changes with every step
        self.rows_since_fired = torch.zeros(config.d_sae, dtype=torch.int64, device=model.weights.enc.device)
        self._adam = Adam(list(self.model.learned().values()), (config.objective.beta1, BETAS[1]))
        self._averaged = _copy(model) if config.ema_decay else None

    @property
    def weights(self) -> Weights:
        """The four weights every architecture has."""
        return self.model.weights

    @property
    def best(self) -> Model:
        """What is evaluated and saved: the averaged weights where there are any."""
        averaged = self._averaged
        return Model(averaged.weights, averaged.extra, self.model.running) if averaged else self.model

    @classmethod
    def fresh(
        cls,
        config: TrainerConfig,
        sample: Tensor,
        seed: int,
        bias: BiasInit = "geometric_median",
        targets: Tensor | None = None,
    ) -> SaeTrainer:
        """A trainer at step 0, its bias from `sample` [rows, d_in] (a transcoder's from `targets` [rows, d_out])."""
        goal = sample if targets is None else targets
        return cls(config, config.objective.initial(config.d_sae, sample, goal, seed, bias))

    def step(self, rows: Tensor, targets: Tensor | None = None) -> StepMetrics:
        """One optimizer step on rows [batch, d_in] (a transcoder's `targets` [batch, d_out] beside them).

        Raises DivergedError that names the step; the model is then as it was before it.
        """
        goal = rows if targets is None else targets
        result = self.config.objective.step(self.model, rows, goal, self._dead(), self.step_number)
        grad_norm = self._constrain(result)
        self._check(result, grad_norm)
        lr = self.config.schedule.at(self.step_number)
        self._apply(result, lr)
        self._count(result.fired, len(rows))
        self._revive(rows)
        return self._metrics(result, len(rows), grad_norm, lr)

    def _dead(self) -> Tensor:
        return (self.rows_since_fired >= self.config.dead_after_rows).nonzero().squeeze(1)

    def _constrain(self, result: StepResult) -> float:
        """Take from the decoder's gradient what would only lengthen its unit rows, then clip; answers the norm."""
        gradients = list(result.by_name().values())
        if self.config.objective.unit_decoder:
            along = (result.gradients.dec * self.weights.dec).sum(1, keepdim=True)
            result.gradients.dec.addcmul_(self.weights.dec, along, value=-1)
        norm = math.hypot(*(torch.linalg.vector_norm(gradient).item() for gradient in gradients))
        if math.isfinite(norm) and norm > self.config.clip_norm > 0:
            for gradient in gradients:
                gradient.mul_(self.config.clip_norm / norm)
        return norm

    def _check(self, result: StepResult, grad_norm: float) -> None:
        loss = result.loss.item()
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            raise DivergedError(
                f"step {self.step_number + 1}: loss {loss}, gradient norm {grad_norm}. Lower `lr`, "
                "lengthen `warmup_steps`, or look for values that are not finite in the activations"
            )

    @torch.no_grad()
    def _apply(self, result: StepResult, lr: float) -> None:
        self._adam.step(list(result.by_name().values()), lr)
        if self.config.objective.unit_decoder:
            dec = self.weights.dec
            dec.div_(dec.norm(dim=1, keepdim=True).clamp_min_(1e-12))
        self.model.running.update(result.running)
        if self._averaged:
            for mean, value in zip(self._averaged.learned().values(), self.model.learned().values(), strict=True):
                mean.lerp_(value, 1 - self.config.ema_decay)

    def _count(self, fired: Tensor, rows: int) -> None:
        self.rows_since_fired.add_(rows).masked_fill_(fired, 0)
        self.step_number += 1

    def _revive(self, rows: Tensor) -> None:
        every = self.config.resample_every_steps
        if not every or self.step_number % every or self.step_number > self.config.resample_until_step:
            return
        dead = self._dead()
        errors = self.config.objective.reconstruct(self.model, rows).rows - rows
        resample(self.model, rows, errors, dead, self.config.seed * 1_000_003 + self.step_number)
        self._adam.forget(dead, self.config.d_sae)
        self.rows_since_fired[dead] = 0

    def _metrics(self, result: StepResult, rows: int, grad_norm: float, lr: float) -> StepMetrics:
        return StepMetrics(
            loss=result.loss.item(),
            aux_loss=result.aux_loss.item(),
            fvu=result.fvu.item(),
            l0=result.firings.item() / rows,
            dead_fraction=(self.rows_since_fired >= self.config.dead_after_rows).float().mean().item(),
            grad_norm=grad_norm,
            lr=lr,
            penalty=None if result.penalty is None else result.penalty.item(),
        )

    @torch.no_grad()
    def reconstruct(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions [batch, d_out] of rows, and firings per feature [d_sae]."""
        return self.config.objective.reconstruct(self.best, rows)

    def save(self, path: Path) -> None:
        """Write all of the state to one safetensors file."""
        tensors = self.model.learned()
        for name, state in zip(self.model.learned(), self._adam.state, strict=True):
            tensors |= {f"adam.{name}.{key}": value for key, value in state.items()}
        tensors |= {f"running.{name}": value for name, value in self.model.running.items()}
        if self._averaged:
            tensors |= {f"ema.{name}": value for name, value in self._averaged.learned().items()}
        tensors["rows_since_fired"] = self.rows_since_fired
        tensors["step_number"] = torch.tensor(self.step_number)
        save_file(tensors, path)

    @classmethod
    def load(cls, config: TrainerConfig, path: Path, device: str = "cpu") -> SaeTrainer:
        """The trainer whose state `save` wrote."""
        tensors = load_file(path, device=device)
        names = _of(tensors, "adam.", ".step")
        trainer = cls(config, _model({name: tensors[name] for name in names}, _of(tensors, "running.")))
        for name, state in zip(trainer.model.learned(), trainer._adam.state, strict=True):
            state.update({key: tensors[f"adam.{name}.{key}"] for key in state})
        if config.ema_decay:
            trainer._averaged = _model(_of(tensors, "ema."), {})
        trainer.rows_since_fired = tensors["rows_since_fired"]
        trainer.step_number = int(tensors["step_number"])
        return trainer


def _copy(model: Model) -> Model:
    return _model(
        {name: value.clone() for name, value in model.learned().items()},
        {name: value.clone() for name, value in model.running.items()},
    )


def _model(learned: dict[str, Tensor], running: dict[str, Tensor]) -> Model:
    weights = Weights(*(learned[name] for name in Weights._fields))
    return Model(weights, {name: learned[name] for name in learned if name not in Weights._fields}, running)


def _of(tensors: dict[str, Tensor], prefix: str, suffix: str = "") -> dict[str, Tensor]:
    """Those whose names lie between prefix and suffix, by what is between."""
    return {
        name.removeprefix(prefix).removesuffix(suffix): value
        for name, value in tensors.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }
