"""What extraction costs beside the bare truncated forward, and reading shuffled rows beside the training they feed.

    python backend/bench/extract.py [--batches 6] [--threads 2]

The model has MiniLM's shape (22 M parameters, 6 blocks of 384) and random weights. Each batch is run in turns: the bare
model cut off behind the deepest layer, and all that an extraction does (hooks, masks, statistics, hashes, shards).
Rows are then read back shuffled from a memory map, in turns with training steps of a TopK SAE (384 -> 3072, k 32).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

from headway.ml.activations.extract import Extraction
from headway.ml.activations.forward import Forward
from headway.ml.activations.hooks import Tap, find_blocks
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.places import Place
from headway.ml.activations.reader import HookReader, RowOrder
from headway.ml.sae.architectures import OBJECTIVES, Figures
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import SaeTrainer, TrainerConfig
from headway.ml.text.token_store import TokenManifest, TokenStore, TokenWriter

BLOCKS, WIDTH, CONTEXT, BATCH_TOKENS, BATCH_ROWS, D_SAE, K = 6, 384, 128, 4096, 4096, 3072, 32
VOCABULARY, SPECIAL = 30_522, [0, 101, 102]


def make_model() -> BertModel:
    """MiniLM's shape, the same weights each time."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=WIDTH, num_hidden_layers=BLOCKS, num_attention_heads=12, intermediate_size=1536)
    return BertModel(config, add_pooling_layer=False).eval()


def make_tokens(folder: Path, batches: int) -> TokenStore:
    """Contexts of random ids between a start and an end."""
    folder.mkdir()
    writer, chance = TokenWriter(folder), np.random.default_rng(0)
    contexts = batches * BATCH_TOKENS // CONTEXT
    for _ in range(contexts):
        writer.append([101, *chance.integers(1000, VOCABULARY, CONTEXT - 2), 102])
    writer.finish(
        TokenManifest(
            contexts=contexts, tokens=writer.tokens, documents=contexts, context_length=CONTEXT,
            vocab_size=VOCABULARY, pad_id=0, special_ids=SPECIAL, tokenizer="",
        )
    )  # fmt: skip
    return TokenStore(folder)


def timed(run: Callable[[], object]) -> float:
    """Seconds a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def compare(folder: Path, tokens: TokenStore, layers: list[int]) -> tuple[float, float, Extraction]:
    """Seconds of the bare forward and of the extraction over the same batches, in turns."""
    bare, places = make_model(), [Place(layer, "resid_post") for layer in layers]
    owner, name = find_blocks(bare, BLOCKS)
    setattr(owner, name, getattr(owner, name)[: max(layers) + 1])
    extraction = Extraction(folder, Forward(tokens, Tap(make_model(), places, BLOCKS)), places, "bfloat16")
    ours, seconds = extraction.run(BATCH_TOKENS), [0.0, 0.0]

    @torch.inference_mode()
    def plainly(ids: torch.Tensor) -> None:
        bare(input_ids=ids, attention_mask=torch.ones_like(ids))

    for number, contexts in enumerate(tokens.batches(BATCH_TOKENS)):
        ids = torch.from_numpy(tokens.padded(contexts)[0])
        turn = [timed(lambda ids=ids: plainly(ids)), timed(lambda: next(ours))]
        if number:  # the first is warm-up
            seconds = [sum(pair) for pair in zip(seconds, turn, strict=True)]
    next(ours, None)
    return seconds[0], seconds[1], extraction


def reading(folder: Path, manifest: Manifest, steps: int = 12) -> tuple[float, float]:
    """Rows a second read shuffled, and trained on."""
    reader, order = HookReader(folder, manifest, manifest.hooks[0]), RowOrder(manifest.rows, BATCH_ROWS, seed=0)
    objective = OBJECTIVES["topk"](Figures(K, 256, 1 / 32, 0.0, 0, 0.001, (), None))
    batches = [indices for epoch in range(steps) for indices in order.epoch(epoch)][:steps]
    trainer = SaeTrainer.fresh(
        TrainerConfig(D_SAE, objective, Schedule(1e-3, 10_000, 10), 10_000_000), reader.gather(batches[0]), seed=0
    )
    spent = [0.0, 0.0]
    for number, indices in enumerate(batches):
        rows = reader.gather(indices, 2.0)
        turn = [timed(lambda indices=indices: reader.gather(indices, 2.0)), timed(lambda rows=rows: trainer.step(rows))]
        if number > 1:
            spent = [sum(pair) for pair in zip(spent, turn, strict=True)]
    done = (len(batches) - 2) * BATCH_ROWS
    return done / spent[0], done / spent[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        tokens = make_tokens(Path(folder) / "tokens", options.batches)
        done = (options.batches - 1) * BATCH_TOKENS
        for layers in ([3], [0, 1, 2, 3, 4, 5]):
            out = Path(folder) / f"store{len(layers)}"
            out.mkdir()
            bare, ours, extraction = compare(out, tokens, layers)
            print(
                f"layers {layers}: bare forward {done / bare:,.0f} tokens/s, extraction {done / ours:,.0f} tokens/s, "
                f"ratio {100 * bare / ours:.1f} % (at least 95)"
            )
        manifest = extraction.finish({}, {}, lambda _: None)
        read, trained = reading(out, manifest)
        print(f"shuffled reading {read:,.0f} rows/s, a TopK step {trained:,.0f} rows/s, ratio {read / trained:.0f}")


if __name__ == "__main__":
    main()
