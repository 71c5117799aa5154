"""The matrix products a dense step cannot do without, one set a turn."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parents[1])]
from peers.sae_turns import turns
from sae_step import five_matmuls

torch.set_num_threads(int(sys.argv[1]))
run = five_matmuls()
for _ in turns():
    run()
