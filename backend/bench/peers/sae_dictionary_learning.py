"""dictionary_learning's trainSAE over the precomputed rows: THREADS ROWS ARCHITECTURE DEAD (TopK's alone)."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.standard import StandardTrainerAprilUpdate
from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import trainSAE

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import D_IN, D_SAE, DEAD_BIAS, NEVER, K, batches

ENDLESS = 1_000_000
threads, rows, architecture, dead = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.manual_seed(0)


class WithDead(TopKTrainer):
    """TopK with features that AuxK works on at every step."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        if int(dead):
            self.ae.encoder.bias.data[: int(dead)] = DEAD_BIAS
            self.num_tokens_since_fired[: int(dead)] = NEVER


common = {"steps": ENDLESS, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 0, "lm_name": "rows", "device": "cpu"}
config = {
    "topk": {"trainer": WithDead, "k": K, "lr": 1e-3, "warmup_steps": 10},
    "relu": {"trainer": StandardTrainerAprilUpdate, "lr": 1e-3, "warmup_steps": 10, "sparsity_warmup_steps": 10},
    "jumprelu": {"trainer": JumpReluTrainer, "lr": 1e-3, "warmup_steps": 10, "sparsity_warmup_steps": 10},
}[architecture]
trainSAE(data=batches(rows), trainer_configs=[config | common], steps=ENDLESS, device="cpu")
