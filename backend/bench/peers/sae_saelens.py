"""SAELens' SAETrainer.fit over the precomputed rows: sae_saelens.py THREADS ROWS ARCHITECTURE DEAD."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["WANDB_MODE"] = "disabled"
import sae_lens
import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import BATCH, D_IN, D_SAE, DEAD_BIAS, NEVER, K, batches

ENDLESS = 1_000_000
threads, rows, architecture, dead = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
common = {"d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "device": "cpu"}
sae = {
    "topk": lambda: sae_lens.TopKTrainingSAE(sae_lens.TopKTrainingSAEConfig(k=K, **common)),
    "topk_sparse": lambda: sae_lens.TopKTrainingSAE(
        sae_lens.TopKTrainingSAEConfig(k=K, use_sparse_activations=True, **common)
    ),
    "batch_topk": lambda: sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(k=K, **common)),
    "relu": lambda: sae_lens.StandardTrainingSAE(sae_lens.StandardTrainingSAEConfig(l1_coefficient=5.0, **common)),
    "jumprelu": lambda: sae_lens.JumpReLUTrainingSAE(sae_lens.JumpReLUTrainingSAEConfig(l0_coefficient=1.0, **common)),
}[architecture]()
config = SAETrainerConfig(BATCH * ENDLESS, BATCH, lr=1e-3, lr_end=1e-3, device="cpu")
trainer = SAETrainer(cfg=config, sae=sae, data_provider=batches(rows))
if int(dead):
    sae.b_enc.data[: int(dead)] = DEAD_BIAS
    trainer.n_forward_passes_since_fired[: int(dead)] = NEVER
trainer.fit()
