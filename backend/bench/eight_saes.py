"""Eight SAEs from one read beside eight runs that each extract for themselves; and what watching the eight costs.

    python backend/bench/eight_saes.py [--tokens 16384] [--threads 2]

The model has SmolLM2-135M's shape (hidden 576, 30 blocks) and random weights; rows are taken behind block 15, the SAEs
are TopK, 576 -> 4608, batch 4096, of eight seeds. Whole runs of the kinds are timed, from loading the model to the
saved SAE. Of the eight runs for themselves, which are alike, two are timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaModel

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from headway.jobs.context import JobContext
from headway.ml.text.token_store import TokenManifest, TokenWriter
from headway.spool.records import EventKind
from tests.kind_runs import Ran, run_kind

LAYER, CONTEXT, VOCABULARY, TIMED_ALONE = 15, 128, 4096, 2
SAE = {"expansion": 8, "k": 32, "batch_rows": 4096, "eval_rows": 0, "epochs": 1}


def make_model(folder: Path) -> Path:
    """SmolLM2-135M's shape with a small vocabulary, which no block sees."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        intermediate_size=1536,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder)
    return folder


def make_tokens(folder: Path, tokens: int) -> Path:
    """Contexts of random ids."""
    folder.mkdir()
    writer, chance, contexts = TokenWriter(folder), np.random.default_rng(0), tokens // CONTEXT
    for _ in range(contexts):
        writer.append(chance.integers(1, VOCABULARY, CONTEXT).tolist())
    writer.finish(
        TokenManifest(
            contexts=contexts, tokens=writer.tokens, documents=contexts, context_length=CONTEXT,
            vocab_size=VOCABULARY, pad_id=0, special_ids=[0], tokenizer="",
        )
    )  # fmt: skip
    return folder


def timed(
    folder: Path, kind: str, config: Mapping[str, Any], inputs: Mapping[str, Path], threads: int
) -> tuple[float, Ran]:
    """Seconds of a whole run."""
    began = time.perf_counter()
    ran = run_kind(folder, kind, config, inputs=inputs, threads=threads)
    if ran.result["outcome"] != "completed":
        raise SystemExit(str(ran.result))
    return time.perf_counter() - began, ran


def extracted(folder: Path, inputs: Mapping[str, Path], threads: int) -> tuple[float, Path]:
    """Seconds of an extraction, and its store."""
    seconds, ran = timed(folder, "activations.extract", {"layers": [LAYER]}, inputs, threads)
    return seconds, ran.outputs["activations"]


class CheckpointTime:
    """Adds up the time of leaving checkpoints."""

    def __init__(self) -> None:
        self.seconds, self.left = 0.0, 0
        leave = JobContext.checkpoint

        def checkpoint(job: JobContext, *args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return leave(job, *args, **options)
            finally:
                self.seconds += time.perf_counter() - began
                self.left += 1

        JobContext.checkpoint = checkpoint  # type: ignore[method-assign]


def tracking(folder: Path, store: Path, threads: int) -> None:
    """Train eight on the same rows for a minute or so, and say what all but training took."""
    checkpoints = CheckpointTime()
    config = SAE | {"saes": [{"seed": seed} for seed in range(8)], "epochs": 20, "max_rows": 48 * 4096}
    seconds, ran = timed(folder, "sae.train", config, {"activations": store}, threads)
    overhead = ran.of(EventKind.OVERHEAD)[-1]
    print(
        f"48 steps of eight in {seconds:.0f} s: tracking {overhead['percent_of_step']:.4f} % of a step, "
        f"{checkpoints.left} checkpoints {100 * checkpoints.seconds / seconds:.2f} % of the time"
    )


def main() -> None:
    """Print the ratio and the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=16_384)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"{options.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        inputs = {"model": make_model(root / "model"), "tokens": make_tokens(root / "tokens", options.tokens)}
        took, store = extracted(root / "extract", inputs, options.threads)
        alone: list[float] = []
        for seed in range(TIMED_ALONE):
            own, own_store = (took, store) if seed == 0 else extracted(root / f"extract{seed}", inputs, options.threads)
            config = SAE | {"seed": seed}
            trained, _ = timed(root / f"alone{seed}", "sae.train", config, {"activations": own_store}, options.threads)
            alone.append(own + trained)
            print(f"alone: extraction {own:.1f} s, training {trained:.2f} s")
        eight = SAE | {"saes": [{"seed": seed} for seed in range(8)]}
        together, _ = timed(root / "eight", "sae.train", eight, {"activations": store}, options.threads)
        each, shared = statistics.median(alone), (took + together) / 8
        print(f"eight in one read: extraction {took:.1f} s, training {together:.2f} s")
        print(f"an SAE alone {each:.1f} s, one of eight {shared:.2f} s: {each / shared:.1f} times cheaper (at least 6)")
        tracking(root / "tracking", store, options.threads)


if __name__ == "__main__":
    main()
