"""One SAE trained by SAELens for `sae_quality.py`: THREADS ROWS BATCH STEPS ARCHITECTURE D_SAE SEED LR FOLDER."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["WANDB_MODE"] = "disabled"
import sae_lens as sl
import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import D_IN, K, rows_from

DEAD_AFTER_ROWS, WARM_UP_STEPS, DECAY = 50_000, 20, 0.2
threads, path, batch, steps, architecture, d_sae, seed, lr, folder = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(int(seed))
common = {"d_in": D_IN, "d_sae": int(d_sae), "dtype": "float32", "device": "cpu", "k": K}
sae = {
    "topk": lambda: sl.TopKTrainingSAE(sl.TopKTrainingSAEConfig(**common)),
    "batch_topk": lambda: sl.BatchTopKTrainingSAE(sl.BatchTopKTrainingSAEConfig(**common)),
}[architecture]()
config = SAETrainerConfig(
    int(batch) * int(steps),
    int(batch),
    lr=float(lr),
    lr_end=0.0,
    lr_warm_up_steps=WARM_UP_STEPS,
    lr_decay_steps=round(DECAY * int(steps)),
    device="cpu",
    dead_feature_window=DEAD_AFTER_ROWS // int(batch),
)


def batches() -> Iterator[torch.Tensor]:
    """The rows in their order, over and over."""
    rows, size = rows_from(path), int(batch)
    while True:
        yield from (rows[first : first + size] for first in range(0, len(rows) - size + 1, size))


SAETrainer(cfg=config, sae=sae, data_provider=batches()).fit()
sae.save_inference_model(folder)
