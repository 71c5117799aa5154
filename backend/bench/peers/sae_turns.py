"""What a contender of `sae_peers.py` needs: it takes a step when it is told to, and says how long that took.

Only the standard library and torch: this runs in the peers' environment as well as in ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

D_IN, D_SAE, BATCH, K = 384, 3072, 4096, 32
NEVER = 1 << 40
DEAD_BIAS = -100.0
# What libraries print goes to standard error: standard output is for the figures.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def turns() -> Iterator[int]:
    """Numbers of batches from 0, each when a line comes in; asking for the next one ends the step. Exits at the end."""
    number = 0
    while sys.stdin.readline():
        wall, processor = time.perf_counter(), time.process_time()
        yield number
        took = {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}
        print(json.dumps(took), file=_answers, flush=True)
        number += 1
    os._exit(0)


def rows_from(path: str) -> torch.Tensor:
    """The precomputed rows, [rows, d_in] float32, memory-mapped."""
    count = Path(path).stat().st_size // (4 * D_IN)
    return torch.from_file(path, shared=False, size=count * D_IN, dtype=torch.float32).view(count, D_IN)


def batches(path: str) -> Iterator[torch.Tensor]:
    """The rows batch by batch, round and round, one a turn."""
    rows = rows_from(path)
    for number in turns():
        first = number * BATCH % (len(rows) - BATCH + 1) // BATCH * BATCH
        yield rows[first : first + BATCH]
