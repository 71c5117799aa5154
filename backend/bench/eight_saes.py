"""Eight SAEs from one read beside eight runs that each extract for themselves.

    python backend/bench/eight_saes.py [--tokens 16384] [--threads 2]

The model has SmolLM2-135M's shape (hidden 576, 30 blocks) and random weights; rows are taken behind block 15, the SAEs
are TopK, 576 -> 4608, batch 4096, of eight seeds. Whole runs of the kinds are timed, from loading the model to the
saved SAE. Of the eight runs for themselves, which are alike, two are timed. Exit 1 below the aim.
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

from headway.ml.text.token_store import TokenManifest, TokenWriter
from tests.kind_runs import Ran, run_kind

LAYER, CONTEXT, VOCABULARY, TIMED_ALONE, AIM = 15, 128, 4096, 2, 6.0
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


def main() -> None:
    """Print the ratio."""
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
    print(f"an SAE alone {each:.1f} s, one of eight {shared:.2f} s: {each / shared:.1f} times cheaper (at least {AIM})")
    raise SystemExit(each / shared < AIM)


if __name__ == "__main__":
    main()
