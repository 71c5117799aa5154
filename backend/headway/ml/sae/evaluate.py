"""How well an SAE does on rows it was not trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from headway.ml.sae.saelens import save_sparsity
from headway.ml.sae.trainer import SaeTrainer


class Evaluation(NamedTuple):
    """Over all rows together: `fvu` against the rows' own mean, `l0`, `cosine` of row (or target) and reconstruction.

    `dead_fraction` is the share of features that fired in no row, `dense_fraction` of those in over 10 % of them.
    """

    loss: float
    fvu: float
    l0: float
    cosine: float
    dead_fraction: float
    dense_fraction: float


@torch.no_grad()
def evaluate(
    trainer: SaeTrainer, batches: Iterable[Tensor | tuple[Tensor, Tensor]], folder: Path | None = None
) -> Evaluation:
    """Evaluate on batches of rows [batch, d_in], a transcoder on pairs of rows and targets; at least one row.

    Sums are kept in float64. How often each feature fired is written into `folder` as SAELens has it.
    """
    rows, squared, cosine = 0, 0.0, 0.0
    total: Tensor | None = None
    power = 0.0
    firings = torch.zeros_like(trainer.rows_since_fired)
    for each in batches:
        inputs, batch = each if isinstance(each, tuple) else (each, each)
        rebuilt, fired = trainer.reconstruct(inputs)
        squared += (rebuilt - batch).double().square().sum().item()
        cosine += torch.nn.functional.cosine_similarity(rebuilt, batch).double().sum().item()
        power += batch.double().square().sum().item()
        total = batch.double().sum(0) if total is None else total + batch.double().sum(0)
        firings += fired
        rows += len(batch)
    if total is None:
        raise ValueError("no rows to evaluate on: raise `eval_rows`")
    if folder is not None:
        save_sparsity(folder, firings, rows)
    variance = power - total.square().sum().item() / rows
    return Evaluation(
        loss=squared / rows,
        fvu=squared / variance,
        l0=firings.sum().item() / rows,
        cosine=cosine / rows,
        dead_fraction=(firings == 0).double().mean().item(),
        dense_fraction=(firings > 0.1 * rows).double().mean().item(),
    )
