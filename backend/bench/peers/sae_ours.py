"""Headway's trainer: sae_ours.py THREADS STORE ARCHITECTURE DEAD [DTYPE]. Rows come shuffled out of the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import torch

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import turns
from sae_step import make_trainer, objective_of, open_reader, step_of

from headway.ml.activations.reader import RowOrder
from headway.ml.sae.names import Architecture

threads, store, architecture, dead, *dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
reader = open_reader(Path(store))
order = RowOrder(reader.rows, 4096, seed=0)
objective = objective_of(cast(Architecture, architecture), torch.bfloat16 if dtype else None)
step = step_of(make_trainer(reader, order, objective, int(dead)), reader, order)
for _ in turns():
    step()
