"""Examples/s of dpo.train and of bare TRL with the same arguments, side by side: in turns, in this run.

    python backend/bench/dpo.py [--steps 30] [--rounds 3] [--threads 2] [--hidden 256]

Both train a random Llama with LoRA on the same pairs with the reference computed ahead; the time is that of the steps
alone, without the first one, and is told as a whole, by the median step, which the aim is held against, and by the
processors' time of the median step, which other work moves less (with OMP_WAIT_POLICY=PASSIVE). Who begins a round
changes. Ours is the kind in an empty folder, with its spool, counters, every metric at every step and checkpoints by
time; bare is `DPOTrainer.train()` with the same `DPOConfig` and no callback but a clock.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

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
TARGET = 0.95


class Steps(NamedTuple):
    """Seconds that each step but the first took, by the clock and of the processors."""

    clock: list[float]
    processor: list[float]


class Clock(TrainerCallback):
    """Times steps."""

    def __init__(self) -> None:
        self._clock: list[float] = []
        self._processor: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._clock.append(time.perf_counter())
        self._processor.append(time.process_time())

    @property
    def steps(self) -> Steps:
        return Steps(*([b - a for a, b in itertools.pairwise(ends)] for ends in (self._clock, self._processor)))


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


def bare(config: DpoTrainConfig, inputs: dict[str, Path], folder: Path) -> Steps:
    """TRL alone."""
    model, tokenizer, clock = load_causal_model(inputs["model"]), load_tokenizer(inputs["model"]), Clock()
    data = split(read_pairs(inputs["preferences"]), config)
    trainer = make_trainer(
        config, model, tokenizer, data, folder=folder / "trainer", cache=folder / "cache", max_length=config.max_length,
        on_reference=lambda: None, callbacks=[clock],
    )  # fmt: skip
    trainer.train()
    return clock.steps


def ours(config: dict[str, Any], inputs: dict[str, Path], folder: Path) -> Steps:
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
    return clock.steps


def main() -> int:
    """Print the table; 1 if the aim is missed."""
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
    rounds: dict[str, list[Steps]] = {"bare TRL": [], "dpo.train": []}
    with tempfile.TemporaryDirectory() as root:
        inputs = make_inputs(Path(root), options.hidden, examples)
        turns = {
            "bare TRL": lambda number: bare(checked, inputs, Path(root) / f"bare{number}"),
            "dpo.train": lambda number: ours(config, inputs, Path(root) / f"ours{number}"),
        }
        for number in range(options.rounds):
            for name in sorted(turns, reverse=bool(number % 2)):
                rounds[name].append(turns[name](number))
                gc.collect()
                rate = EXAMPLES_A_STEP / statistics.median(rounds[name][-1].clock)
                print(f"round {number + 1}: {name:10} {rate:.1f} examples/s by the median step", flush=True)
    tell("whole", rates_of(rounds, lambda steps: statistics.fmean(steps.clock)))
    ratio = tell("median step", rates_of(rounds, lambda steps: statistics.median(steps.clock)))
    tell("processors", rates_of(rounds, lambda steps: statistics.median(steps.processor)))
    print(f"dpo.train / bare TRL: {ratio:.2f} (at least {TARGET}: {'met' if ratio >= TARGET else 'MISSED'})")
    return 0 if ratio >= TARGET else 1


def rates_of(rounds: dict[str, list[Steps]], seconds: Callable[[Steps], float]) -> dict[str, list[float]]:
    """Examples a second of each round, by what a step took."""
    return {name: [EXAMPLES_A_STEP / seconds(steps) for steps in each] for name, each in rounds.items()}


def tell(what: str, rates: dict[str, list[float]]) -> float:
    """Print the rates of each round; ours as a share of TRL's."""
    for name, each in rates.items():
        told = " ".join(f"{rate:.1f}" for rate in each)
        print(f"{what:12} {name:10} {statistics.median(each):7.1f} examples/s   ({told})")
    ratios = [own / alone for own, alone in zip(rates["dpo.train"], rates["bare TRL"], strict=True)]
    print(f"{what:12} ratio      {statistics.median(ratios):7.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    return statistics.median(ratios)


if __name__ == "__main__":
    sys.exit(main())
