"""How well an SAE makes its rows again, and how its features fire, over any number of rows."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.ml.features.firings import BLOCK_ELEMENTS
from headway.ml.sae.saelens import SavedSae

#: A feature that fires on a larger share of the rows counts as dense.
DENSE = 0.1
#: Firing densities are counted by half decades from 1e-6 to 1; what fires more seldom than that is in the first.
LOG10_EDGES = tuple(edge / 2 for edge in range(-12, 1))


class Quality:
    """Sums over rows of one SAE, in float64.

    `figures` has, with x a row (a transcoder's target), x̂ what the SAE makes and x̄ the mean of all rows:

    - `mse`: mean of ‖x̂ - x‖²;
    - `fvu`: Σ‖x̂ - x‖² / Σ‖x - x̄‖², and `explained_variance`, 1 less that (as SAELens and SAEBench define it);
    - `cosine`: mean cosine of x̂ and x; `norm_ratio`: mean of ‖x̂‖ / ‖x‖, below 1 where the SAE shrinks;
    - `l0`: mean number of features above 0; `dead_fraction`: the share of features that fired in no row;
      `dense_fraction`: of those that fired in over a tenth.
    """

    def __init__(self, sae: SavedSae) -> None:
        d_sae, d_out = sae.weights.dec.shape
        self._sae = sae
        self._sums = {
            "scalars": torch.zeros(len(_SCALARS), dtype=torch.float64),
            "total": torch.zeros(d_out, dtype=torch.float64),
            "firings": torch.zeros(d_sae, dtype=torch.int64),
        }

    @torch.no_grad()
    def add(self, rows: Tensor, targets: Tensor) -> None:
        """Rows [n, d_in] and what shall be made of them [n, d_out]."""
        size = max(1, BLOCK_ELEMENTS // len(self._sums["firings"]))
        for block, goal in zip(rows.float().split(size), targets.float().split(size), strict=True):
            codes = self._sae.encode(block)
            rebuilt = self._sae.decode(codes, block)
            norms = goal.norm(dim=1).clamp_min(1e-12)
            found = (
                torch.ones(len(goal), device=goal.device),
                (rebuilt - goal).square().sum(1),
                goal.square().sum(1),
                torch.nn.functional.cosine_similarity(rebuilt, goal),
                rebuilt.norm(dim=1) / norms,
            )
            self._sums["scalars"] += torch.stack([each.double().sum() for each in found]).cpu()
            self._sums["total"] += goal.double().sum(0).cpu()
            self._sums["firings"] += (codes > 0).sum(0).cpu()

    @property
    def mean(self) -> Tensor:
        """The mean of all targets, [d_out] in float32."""
        return (self._sums["total"] / self._sums["scalars"][0]).float()

    def figures(self) -> dict[str, float]:
        """All of them; at least one row must have come."""
        rows, squared, power, cosine, ratio = self._sums["scalars"].tolist()
        firings = self._sums["firings"]
        fvu = squared / max(power - self._sums["total"].square().sum().item() / rows, 1e-30)
        return {
            "mse": squared / rows,
            "fvu": fvu,
            "explained_variance": 1 - fvu,
            "cosine": cosine / rows,
            "norm_ratio": ratio / rows,
            "l0": firings.sum().item() / rows,
            "dead_fraction": (firings == 0).double().mean().item(),
            "dense_fraction": (firings > DENSE * rows).double().mean().item(),
        }

    def densities(self) -> dict[str, object]:
        """How many features fire how often: counts between 10 to the LOG10_EDGES, and how many never."""
        alive = self._sums["firings"][self._sums["firings"] > 0]
        logs = (alive / self._sums["scalars"][0]).log10().clamp(LOG10_EDGES[0], LOG10_EDGES[-1])
        counts = torch.histogram(logs, torch.tensor(LOG10_EDGES, dtype=logs.dtype)).hist
        never = len(self._sums["firings"]) - len(alive)
        return {"log10_edges": LOG10_EDGES, "counts": counts.long().tolist(), "never": never}

    def save(self, path: Path) -> None:
        """Write the sums."""
        save_file(self._sums, path)

    def load(self, path: Path) -> None:
        """Take up what `save` wrote."""
        self._sums = load_file(path)


_SCALARS = ("rows", "squared", "power", "cosine", "norm_ratio")
