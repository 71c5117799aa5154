"""What progress, metrics and checkpoints cost a training of SAEs, as shares of its time. A minute or two.

    python backend/bench/sae_tracking.py [--saes 1] [--steps 300] [--threads 2]

One whole run of `sae.train`, TopK 384 -> 3072, batch 4096, k 32, its checkpoints as often as they are by default.
Tracking is what the job itself measures of its calls; checkpoints are timed from outside, metrics of features and the
last one of the training included. Exit 1 where both together take over 1 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from sae_step import BATCH, ROWS, K, make_store

from headway.jobs.keeper import Keeper
from headway.spool.records import EventKind
from tests.kind_runs import run_kind

AIM_PERCENT = 1.0


class CheckpointTime:
    """Adds up what `Keeper.heed` takes when it leaves a checkpoint, and when it does not."""

    def __init__(self) -> None:
        self.seconds, self.left = 0.0, 0
        heed = Keeper.heed

        def timed(keeper: Keeper, *args: Any, **options: Any) -> None:
            before, began = keeper._last, time.perf_counter()
            heed(keeper, *args, **options)
            self.seconds += time.perf_counter() - began
            self.left += keeper._last != before

        # pyright: a method is replaced, for the length of this program, by itself with a clock around it
        Keeper.heed = timed  # type: ignore[method-assign]


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    checkpoints = CheckpointTime()
    config = {
        "expansion": 8, "k": K, "batch_rows": BATCH, "eval_rows": 0,
        "epochs": -(-options.steps * BATCH // ROWS), "max_rows": options.steps * BATCH,
        "saes": [{"seed": seed} for seed in range(options.saes)],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        make_store(store := Path(folder) / "store")
        inputs = {"activations": store}
        ran = run_kind(Path(folder) / "run", "sae.train", config, inputs=inputs, threads=options.threads)
    if ran.result["outcome"] != "completed":
        raise SystemExit(str(ran.result))
    seconds = sum(BATCH / rate for rate in next(v for name, v in ran.metrics.items() if "rows_per_s" in name).values())
    tracking = ran.of(EventKind.OVERHEAD)[-1]["percent_of_step"]
    saving = 100 * checkpoints.seconds / seconds
    print(f"{options.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}, {options.saes} SAEs")
    print(f"{options.steps} steps in {seconds:.0f} s: {1e3 * seconds / options.steps:.0f} ms a step")
    print(f"tracking    {tracking:7.4f} % of the time")
    print(f"checkpoints {saving:7.4f} %, {checkpoints.left} of them, {1e3 * checkpoints.seconds:.0f} ms in all")
    print(f"together    {tracking + saving:7.4f} % (at most {AIM_PERCENT:g})")
    raise SystemExit(tracking + saving > AIM_PERCENT)


if __name__ == "__main__":
    main()
