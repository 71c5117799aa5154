"""What one logging call of five scalars costs on the thread that calls it; each peer's driver hands in its call.

The scalars of a step lie ready in a dictionary, as after a training step; only the call is timed.
burst: calls back to back. paced: a 220 x 220 matrix product before each call leaves the caches as a training step does.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

import numpy as np

NAMES = ("loss", "l0", "grad_norm", "lr", "dead")
BURST_CALLS = 5000
PACED_CALLS = 2000
ROUNDS = 3

Scalars = dict[str, float]
Call = Callable[[int, Scalars], None]


def percentiles(nanoseconds: list[int]) -> dict[str, float]:
    """p50 and p99 in microseconds."""
    ordered = sorted(nanoseconds)
    return {name: ordered[int(share * len(ordered))] / 1000 for name, share in (("p50", 0.5), ("p99", 0.99))}


def time_calls(call: Call, first_step: int, calls: int, between: Callable[[], object]) -> list[int]:
    """Nanoseconds of each call."""
    draw = random.Random(0)
    rows = [{name: draw.random() for name in NAMES} for _ in range(calls)]
    taken: list[int] = []
    for step, row in enumerate(rows, first_step):
        between()
        start = time.perf_counter_ns()
        call(step, row)
        taken.append(time.perf_counter_ns() - start)
    return taken


def report(call: Call) -> None:
    """Measure both ways, keep the quietest round of each, and print one line of JSON."""
    matrix = np.random.default_rng(0).random((220, 220), dtype=np.float32)
    ways = {"burst": (BURST_CALLS, int), "paced": (PACED_CALLS, lambda: matrix @ matrix)}
    step = 0
    best: dict[str, dict[str, float]] = {}
    for way, (calls, between) in [*ways.items()] * ROUNDS:
        figures = percentiles(time_calls(call, step, calls, between))
        best[way] = min(best.get(way, figures), figures, key=lambda found: found["p50"])
        step += calls
    print(json.dumps(best), flush=True)
