"""Rows/s of one whole step of each architecture at 384 -> 3072, batch 4096, k 32, and its ratio to the five bare
matmuls of a dense step, all measured in turns in this run.

    python backend/bench/sae_step.py [--steps 30] [--threads 2] [--only topk jumprelu]

A step is all that training does: rows out of a memory-mapped store, forward, gradients, AuxK (with as many dead
features as `--dead` says), projection, clip, Adam, renorm, metrics. ReLU and JumpReLU are measured as they start, half
of their features firing in a row, and as they are trained, with an L0 of 60 (held there by a learning rate of 0).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from headway.ml.activations.manifest import Manifest
from headway.ml.activations.reader import HookReader, RowOrder
from headway.ml.activations.writer import HookWriter
from headway.ml.sae.architectures import OBJECTIVES, Figures
from headway.ml.sae.jumprelu import LOG_THRESHOLD
from headway.ml.sae.names import Architecture
from headway.ml.sae.objective import Objective
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import SaeTrainer, TrainerConfig

D_IN, D_SAE, BATCH, K, ROWS = 384, 3072, 4096, 32, 65_536
NEVER = 1 << 40
SCALE, LOW_L0 = 2.0, 60


def make_store(folder: Path) -> None:
    """A store of rows that are sparse mixes of fixed directions, as activations are."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(1024, D_IN, generator=generator), dim=1)
    folder.mkdir()
    writer = HookWriter(folder, layer=0, hook="resid_post", d_in=D_IN, dtype="bfloat16")
    for _ in range(0, ROWS, BATCH):
        codes = torch.rand(BATCH, 1024, generator=generator)
        writer.append(codes.mul_(codes > 0.98) @ directions * 5 + 0.05 * torch.randn(BATCH, D_IN, generator=generator))
    entry = writer.finish(lambda _: None)
    Manifest(dtype="bfloat16", d_in=D_IN, rows=ROWS, model={}, tokens={}, hooks=[entry]).write(folder)


def open_reader(folder: Path) -> HookReader:
    """The rows of a store's first hook."""
    manifest = Manifest.read(folder)
    return HookReader(folder, manifest, manifest.hooks[0])


def objective_of(name: Architecture, dtype: torch.dtype | None = None) -> Objective:
    """An architecture as a job makes it, its sparsity at full price."""
    prefixes = tuple(D_SAE * part // 32 for part in (1, 3, 7, 15))
    coefficient = 1.0 if name == "jumprelu" else 5.0
    return OBJECTIVES[name](Figures(K, 256, 1 / 32, coefficient, 0, 0.001, prefixes, dtype))


def make_trainer(reader: HookReader, order: RowOrder, objective: Objective, dead: int, lr: float = 1e-3) -> SaeTrainer:
    """A trainer with `dead` features that AuxK works on at every step."""
    config = TrainerConfig(D_SAE, objective, Schedule(lr, 1_000_000, 10), NEVER if dead else 10_000_000)
    trainer = SaeTrainer.fresh(config, reader.gather(next(order.epoch(0))), seed=0)
    trainer.rows_since_fired[:dead] = 2 * NEVER
    trainer.weights.b_enc[:dead] = -100.0
    return trainer


def make_sparse_trainer(reader: HookReader, order: RowOrder, objective: Objective) -> SaeTrainer:
    """A trainer of which `LOW_L0` features fire in a row, and go on doing so."""
    trainer = make_trainer(reader, order, objective, 0, lr=0.0)
    weights, rows = trainer.weights, reader.gather(next(order.epoch(0)), SCALE)[:512]
    pre = torch.addmm(weights.b_enc, rows, weights.enc.t()).flatten()
    level = pre.kthvalue(len(pre) - LOW_L0 * len(rows)).values
    if LOG_THRESHOLD in trainer.model.extra:
        trainer.model.extra[LOG_THRESHOLD].copy_(level.log())
    else:
        weights.b_enc.sub_(level)
    return trainer


def five_matmuls() -> Callable[[], None]:
    """The matrix products a dense step cannot do without."""
    x, w, z, v = (torch.randn(*shape) for shape in ((BATCH, D_IN), (D_IN, D_SAE), (BATCH, D_SAE), (D_SAE, D_IN)))
    wide, narrow = torch.empty(BATCH, D_SAE), torch.empty(BATCH, D_IN)
    g_dec, g_enc = torch.empty(D_SAE, D_IN), torch.empty(D_IN, D_SAE)

    def run() -> None:
        torch.mm(x, w, out=wide)
        torch.mm(z, v, out=narrow)
        torch.mm(z.t(), x, out=g_dec)
        torch.mm(x, v.t(), out=wide)
        torch.mm(x.t(), z, out=g_enc)

    return run


def cases(options: argparse.Namespace, reader: HookReader, order: RowOrder) -> Iterator[tuple[str, SaeTrainer]]:
    """Name and trainer of what is measured."""
    for name in options.only or OBJECTIVES:
        objective = objective_of(name)
        yield f"{name}, fp32", make_trainer(reader, order, objective, 0)
        if name == "topk":
            yield f"{name}, fp32, AuxK on {options.dead} dead", make_trainer(reader, order, objective, options.dead)
            yield f"{name}, bf16 encode", make_trainer(reader, order, objective_of(name, torch.bfloat16), 0)
        if name in ("relu", "jumprelu"):
            yield f"{name}, fp32, L0 of {LOW_L0}", make_sparse_trainer(reader, order, objective)


def step_of(trainer: SaeTrainer, reader: HookReader, order: RowOrder) -> Callable[[], None]:
    """One step on the next batch, over and over."""
    batches = iter([indices for epoch in range(200) for indices in order.epoch(epoch)])

    def run() -> None:
        trainer.step(reader.gather(next(batches), SCALE))

    return run


def measure(runs: dict[str, Callable[[], None]], steps: int) -> dict[str, float]:
    """Median seconds of each, taken in turns so that a noisy neighbour meets them all."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(steps + 3):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if number >= 3:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dead", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=[], choices=list(OBJECTIVES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        make_store(store := Path(folder) / "store")
        reader, order = open_reader(store), RowOrder(ROWS, BATCH, seed=0)
        runs = {"five bare matmuls": five_matmuls()}
        for name, trainer in cases(options, reader, order):
            runs[name] = step_of(trainer, reader, order)
        medians = measure(runs, options.steps)
    bare = medians["five bare matmuls"]
    print(
        f"{D_IN} -> {D_SAE}, batch {BATCH}, k {K}, {options.threads} threads, torch {torch.__version__}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    for name, seconds in medians.items():
        print(f"{name:36s} {1e3 * seconds:8.1f} ms {BATCH / seconds:10,.0f} rows/s {bare / seconds:6.2f} x")


if __name__ == "__main__":
    main()
