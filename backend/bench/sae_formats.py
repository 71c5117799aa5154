"""Whether SAEs mean the same here and there: ours loaded by SAELens, and SAELens', sparsify's and
dictionary_learning's loaded here. Prints the greatest difference of codes and reconstructions; exit 1 above 1e-5.

    make bench-sae        or        .venv/bin/python backend/bench/sae_formats.py [--keep FOLDER]

Ours are trained for some steps on rows that are scaled, so that the folding of the scale is part of it. The peers' have
random weights. `--keep` leaves theirs in a folder: the unit tests' fixtures come from there.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from sae_peers import DRIVERS, PEERS_PYTHON
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.ml.sae.architectures import OBJECTIVES, Figures
from headway.ml.sae.names import Architecture
from headway.ml.sae.saelens import load_sae, save_sae
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import SaeTrainer, TrainerConfig

D_IN, D_SAE, ROWS, STEPS, SCALE = 64, 512, 512, 20, 3.0
LIMIT = 1e-5
FIGURES = Figures(16, 32, 1 / 32, 0.5, 0, 0.1, (64, 128), None)


def train(architecture: Architecture, folder: Path, rows: Tensor) -> None:
    """One of ours after some steps, with the rows it shall be asked about."""
    objective = OBJECTIVES[architecture](FIGURES)
    trainer = SaeTrainer.fresh(TrainerConfig(D_SAE, objective, Schedule(1e-2, 100), 1 << 40), rows * SCALE, seed=0)
    for _ in range(STEPS):
        trainer.step(rows * SCALE)
    save_sae(folder, objective, trainer.best, scale=SCALE, metadata={})
    save_file({"rows": rows}, folder / "rows.safetensors")


def peers(action: str, folder: Path) -> None:
    """Run their half."""
    command = [PEERS_PYTHON, "-W", "ignore", DRIVERS / "sae_formats_peers.py", action, folder]
    subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)


def differences(folder: Path) -> Iterator[tuple[str, float]]:
    """For each SAE with answers beside it: the greatest difference to what we make of the same rows."""
    for place in sorted(each.parent for each in folder.glob("*/answers.safetensors")):
        answers, sae = load_file(place / "answers.safetensors"), load_sae(place)
        codes = sae.encode(answers["rows"])
        made = {"codes": codes, "out": sae.decode(codes, answers["rows"])}
        yield place.name, max((made[name] - answers[name]).abs().max().item() for name in made)


def main() -> None:
    """Print a line an SAE."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    rows = torch.randn(ROWS, D_IN, generator=torch.Generator().manual_seed(0)) + 0.5
    found: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as temporary:
        ours, theirs = Path(temporary) / "ours", options.keep or Path(temporary) / "theirs"
        theirs.mkdir(parents=True)
        # A TopK skip transcoder has no counterpart in SAELens.
        for architecture in (each for each in OBJECTIVES if each != "skip_transcoder"):
            train(architecture, ours / architecture, rows)
        peers("answer", ours)
        peers("write", theirs)
        found += [(f"ours, in SAELens: {name}", value) for name, value in differences(ours)]
        found += [(f"theirs, here: {name}", value) for name, value in differences(theirs)]
    for name, value in found:
        print(f"{name:60s} {value:.1e}{'   TOO FAR' if value > LIMIT else ''}")
    raise SystemExit(any(value > LIMIT for _, value in found))


if __name__ == "__main__":
    main()
