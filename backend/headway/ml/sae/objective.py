"""What the trainer asks of an architecture: how it starts, its loss and gradients, and what it reconstructs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from headway.ml.sae.weights import BiasInit, Weights

Tensors = Mapping[str, Tensor]


def no_tensors() -> dict[str, Tensor]:
    """An empty table."""
    return {}


@dataclass(slots=True)
class Model:
    """One autoencoder: the four weights all have, what else it learns, and running figures that are not learned."""

    weights: Weights
    extra: dict[str, Tensor] = field(default_factory=no_tensors)
    running: dict[str, Tensor] = field(default_factory=no_tensors)

    def learned(self) -> dict[str, Tensor]:
        """Every tensor that the optimizer moves, by name, in an order that is the same after a load."""
        return self.weights._asdict() | {name: self.extra[name] for name in sorted(self.extra)}


class StepResult(NamedTuple):
    """Loss (mean squared distance over rows), AuxK's term as it enters the sum, which features fired, gradients.

    `fvu` is Σ‖ŷ - y‖² / Σ‖y - mean‖² over the batch. `penalty` is all else that is minimised (sparsity, inner
    dictionaries), or None where there is none. `fired` [d_sae] says whether a feature fired in any row, `firings` how
    often one fired in all. `extra` are the gradients of `Model.extra`, `running` what
    `Model.running` becomes if the step is taken.
    """

    loss: Tensor
    aux_loss: Tensor
    fvu: Tensor
    fired: Tensor
    firings: Tensor
    gradients: Weights
    penalty: Tensor | None = None
    extra: Tensors = no_tensors()
    running: Tensors = no_tensors()

    def by_name(self) -> dict[str, Tensor]:
        """All gradients in the order of `Model.learned`."""
        return self.gradients._asdict() | {name: self.extra[name] for name in sorted(self.extra)}


class Reconstruction(NamedTuple):
    """Reconstructions [batch, d_out] and firings per feature [d_sae]."""

    rows: Tensor
    firings: Tensor


class Objective(Protocol):
    """An architecture with its loss. It keeps nothing: all that changes is in the `Model`."""

    @property
    def unit_decoder(self) -> bool:
        """Whether decoder rows are held at norm 1."""
        ...

    @property
    def beta1(self) -> float:
        """Adam's first decay, as the paper has it."""
        ...

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """The model before its first step, from a sample of rows [n, d_in] and what is to be made of them."""
        ...

    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """Loss and gradients; `targets` are the rows themselves but for transcoders, `dead` indices of features."""
        ...

    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """What the model makes of rows outside of training."""
        ...


def ramp(step_number: int, warmup_steps: int) -> float:
    """A sparsity coefficient's linear rise from 0: its factor at step `step_number`, counted from 0."""
    return min(1.0, step_number / warmup_steps) if warmup_steps else 1.0
