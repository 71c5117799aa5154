"""sparsify's Trainer.fit: sae_sparsify.py THREADS ROWS OPTIMIZER DEAD.

Its trainer hooks a model, so the model is an embedding whose table is the precomputed rows: 6 MB gathered a step.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # it is for GPUs
import torch
from sparsify import SparseCoderConfig, TrainConfig, Trainer
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import BATCH, D_IN, DEAD_BIAS, NEVER, K, rows_from, turns

ENDLESS, SEQUENCES = 1_000_000, 32
threads, path, optimizer, dead = sys.argv[1:]
torch.set_num_threads(int(threads))
rows = rows_from(path)


class RowsConfig(PretrainedConfig):
    model_type = "rows"
    num_hidden_layers = 1


class Rows(PreTrainedModel):
    """A model with one layer whose output is the rows at the given places; a call is a turn once `go` is set."""

    config_class = RowsConfig
    base_model_prefix = ""

    def __init__(self, config: RowsConfig) -> None:
        super().__init__(config)
        self.rows = nn.Embedding(*rows.shape, _weight=rows)
        self.go = None

    def forward(self, input_ids: Tensor, **_: object) -> Tensor:
        if self.go:
            next(self.go)
        return self.rows(input_ids)


class Places:
    """Sequences of consecutive places, round and round."""

    def __len__(self) -> int:
        return SEQUENCES * ENDLESS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        length = BATCH // SEQUENCES
        first = index * length % (len(rows) - length + 1)
        return {"input_ids": torch.arange(first, first + length)}


model = Rows(RowsConfig())
config = TrainConfig(
    sae=SparseCoderConfig(expansion_factor=8, k=K),
    batch_size=SEQUENCES,
    optimizer=optimizer,
    lr=1e-3,
    auxk_alpha=1 / 32,
    hookpoints=["rows"],
    log_to_wandb=False,
    save_every=10**9,
    save_dir=tempfile.mkdtemp(),
)
assert rows.shape[1] == D_IN
trainer = Trainer(config, Places(), model)
if int(dead):
    trainer.saes["rows"].encoder.bias.data[: int(dead)] = DEAD_BIAS
    trainer.num_tokens_since_fired["rows"][: int(dead)] = NEVER
model.go = turns()
trainer.fit()
