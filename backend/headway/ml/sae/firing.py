"""What an SAE's features do: how often each fires, looked at whenever a checkpoint is left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.ml.sae.trainer import SaeTrainer

DENSE = 0.1
#: A whole batch of 4096 rows took four fifths of what leaving a checkpoint took.
MOST_ROWS_A_LOOK = 1024
#: What was seen weighs half once so many rows were.
WINDOW_ROWS = 1 << 18
#: Features are counted in decades of density; the first two are those never seen to fire, and those below the third.
DECADES = ("never", "below", "1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1")


class FiringDensity:
    """How often each of `d_sae` features fires, over samples of rows; older ones weigh ever less."""

    def __init__(self, d_sae: int) -> None:
        self.counts = torch.zeros(d_sae)
        self.rows = torch.zeros(())

    def look(self, trainer: SaeTrainer, rows: Tensor) -> None:
        """Take in what fires in the first of scaled rows [n, d_in], `MOST_ROWS_A_LOOK` at most."""
        rows = rows[:MOST_ROWS_A_LOOK]
        if self.rows >= WINDOW_ROWS:
            self.counts.mul_(0.5)
            self.rows.mul_(0.5)
        self.counts.add_(trainer.reconstruct(rows)[1].cpu())
        self.rows.add_(len(rows))

    def figures(self) -> dict[str, float]:
        """The share of features that fire in over a tenth of the rows, and how many lie in each of the decades."""
        density = self.counts / self.rows.clamp(min=1)
        edges = torch.tensor([0.0, *map(float, DECADES[2:])])
        # one that never fired lies below the first edge, one at an edge in the decade above it
        decade = torch.bucketize(density, edges, right=True).sub_((density == 0).long())
        counts = torch.bincount(decade, minlength=len(DECADES)).tolist()
        by_decade = {f"density/{name}": float(count) for name, count in zip(DECADES, counts, strict=True)}
        return {"dense_fraction": (density > DENSE).float().mean().item()} | by_decade


def save_densities(path: Path, densities: Mapping[str, FiringDensity]) -> None:
    """Write those of several SAEs to one file."""
    counts = {f"{name}.counts": density.counts for name, density in densities.items()}
    save_file(counts | {f"{name}.rows": density.rows for name, density in densities.items()}, path)


def load_densities(path: Path, densities: Mapping[str, FiringDensity]) -> None:
    """Put them back to where `save_densities` found them."""
    tensors = load_file(path)
    for name, density in densities.items():
        density.counts, density.rows = tensors[f"{name}.counts"], tensors[f"{name}.rows"]
