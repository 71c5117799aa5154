"""Examples/s of dpo.train and of bare TRL with the same arguments, side by side: in turns, in this run.

    python backend/bench/dpo.py [--steps 30] [--rounds 3] [--threads 2] [--hidden 256]

Both train a random Llama with LoRA on the same pairs with the reference computed ahead; the time is that of the steps
alone, without the first one, and is told twice: as a whole, and by the median step, which what else the machine does
hardly moves. Who begins a round changes. Ours is the kind in an empty folder, with its spool, counters, every metric
at every step and checkpoints by time; bare is `DPOTrainer.train()` with the same
`DPOConfig` and no callback but a clock.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback

sys.path.insert(0, str(Path(__file__).parents[1]))
from headway.jobs.kinds.dpo_train import run as kind_run
from headway.jobs.kinds.dpo_train.config import DpoTrainConfig
from headway.jobs.kinds.dpo_train.trainer import make_trainer, split
from headway.ml.models.causal import load_causal_model
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.preferences.pairs import read_pairs, write_pair
from tests.kind_runs import run_kind
from tests.tiny_models import WORDS, tiny_llama

WORDS_A_SIDE = 24
EXAMPLES_A_STEP = 8


class Clock(TrainerCallback):
    """Seconds that each step but the first took."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.ends)]


def make_inputs(folder: Path, hidden: int, pairs: int) -> dict[str, Path]:
    """A random model of some size, and pairs of one length."""
    model = tiny_llama(folder / "model", head=True)
    size = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_hidden_layers": 4, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=3 + len(WORDS), max_position_embeddings=64, **size)).save_pretrained(model)
    (folder / "pairs").mkdir()
    with (folder / "pairs/pairs.jsonl").open("wb") as file:
        for number in range(pairs):
            words = [WORDS[(number + place * place) % len(WORDS)] for place in range(WORDS_A_SIDE)]
            file.write(write_pair(" ".join(words[:6]), " " + " ".join(words), " " + " ".join(words[::-1])))
    return {"model": model, "preferences": folder / "pairs"}


def bare(config: DpoTrainConfig, inputs: dict[str, Path], folder: Path) -> list[float]:
    """TRL alone."""
    model, tokenizer, clock = load_causal_model(inputs["model"]), load_tokenizer(inputs["model"]), Clock()
    data = split(read_pairs(inputs["preferences"]), config)
    trainer = make_trainer(
        config, model, tokenizer, data, folder=folder / "trainer", cache=folder / "cache", max_length=config.max_length,
        on_reference=lambda: None, callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    return clock.seconds


def ours(config: dict[str, Any], inputs: dict[str, Path], folder: Path) -> list[float]:
    """The kind as its job process runs it, with the clock beside its callback."""
    clock = Clock()
    make = kind_run.make_trainer

    def with_clock(*given: Any, callbacks: list[TrainerCallback], **named: Any) -> Any:
        return make(*given, callbacks=[*callbacks, clock], **named)

    kind_run.make_trainer = with_clock
    try:
        ran = run_kind(folder, "dpo.train", config, inputs=inputs, threads=torch.get_num_threads())
    finally:
        kind_run.make_trainer = make
    if ran.result["outcome"] != "completed":
        raise SystemExit(json.dumps(ran.result))
    return clock.seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    for name, default in (("steps", 30), ("rounds", 3), ("threads", 2), ("hidden", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["TQDM_DISABLE"] = "1"
    config = {"batch_size": 4, "gradient_accumulation_steps": 2, "max_length": 60, "eval_fraction": 0, "samples": 0}
    examples = EXAMPLES_A_STEP * options.steps
    references = dict.fromkeys(("model", "preferences"), "artifact:aaaaaaaaaaaa")
    checked = DpoTrainConfig.model_validate(config | references)
    seconds: dict[str, list[list[float]]] = {"bare TRL": [], "dpo.train": []}
    with tempfile.TemporaryDirectory() as root:
        inputs = make_inputs(Path(root), options.hidden, examples)
        turns = {
            "bare TRL": lambda number: bare(checked, inputs, Path(root) / f"bare{number}"),
            "dpo.train": lambda number: ours(config, inputs, Path(root) / f"ours{number}"),
        }
        for number in range(options.rounds):
            for name in sorted(turns, reverse=bool(number % 2)):
                seconds[name].append(turns[name](number))
                gc.collect()
                rate = EXAMPLES_A_STEP / statistics.median(seconds[name][-1])
                print(f"round {number + 1}: {name:10} {rate:.1f} examples/s by the median step", flush=True)
    for what, of in (("whole", statistics.fmean), ("median step", statistics.median)):
        tell(what, {name: [EXAMPLES_A_STEP / of(steps) for steps in rounds] for name, rounds in seconds.items()})


def tell(what: str, rates: dict[str, list[float]]) -> None:
    """Examples a second of each round, and ours as a share of TRL's."""
    for name, each in rates.items():
        told = " ".join(f"{rate:.1f}" for rate in each)
        print(f"{what:12} {name:10} {statistics.median(each):7.1f} examples/s   ({told})")
    ratios = [own / alone for own, alone in zip(rates["dpo.train"], rates["bare TRL"], strict=True)]
    print(f"{what:12} ratio      {statistics.median(ratios):7.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
