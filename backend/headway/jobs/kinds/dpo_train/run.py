"""The work of `dpo.train`."""

# pyright: standard
# the libraries' models are patched as they are wrapped, which no type tells.

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from headway.jobs.context import JobContext
from headway.jobs.kinds.dpo_train.config import DpoTrainConfig
from headway.jobs.kinds.dpo_train.trainer import CountingTrainer, check_prompts, make_trainer, split
from headway.jobs.kinds.dpo_train.watching import DpoCallback, evaluation_in
from headway.ml import rng
from headway.ml.models.causal import continue_texts, load_causal_model, most_positions
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.preferences.pairs import Pair, read_pairs

CACHE, ADAPTER, SAMPLES_FILE = ".cache", "adapter", "samples.json"
SHOWN_CHARACTERS = 500
COMPARED = ("prompt", "before", "after")
_log = logging.getLogger(__name__)


def run(config: DpoTrainConfig, job: JobContext) -> None:
    """Compute what the reference gives, train and evaluate, save the model; from the checkpoint where there is one."""
    torch.set_num_threads(job.threads)
    os.environ["TQDM_DISABLE"] = "1"
    # what the reader of a log cannot mend: names to come, and that a GGUF has no config beside it
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file")
    _log.setLevel(logging.INFO)
    with job.phase("initializing"):
        tuning = _Tuning(config, job)
    if not config.eval_fraction:
        job.skip_phase("evaluating")
    with job.phase("training"):
        tuning.train()
    with job.phase("saving"):
        tuning.save()


class _Tuning:
    """One job's model, pairs and trainer."""

    def __init__(self, config: DpoTrainConfig, job: JobContext) -> None:
        self._config, self._job = config, job
        pairs = read_pairs(job.input("preferences"))
        self._data = split(pairs, config)
        self._model = load_causal_model(job.input("model"), job.device)
        self._tokenizer = load_tokenizer(job.input("model"))
        self._max_length = min(config.max_length, most_positions(self._model) or config.max_length)
        check_prompts(pairs, self._tokenizer, self._max_length)
        rng.seed_all(config.seed)
        self._shown = (self._data[1] or self._data[0])[: config.samples]
        self._before = self._sample(self._model)
        self._trainer = self._make_trainer()

    def _make_trainer(self) -> CountingTrainer:
        """The reference's log-probabilities are most of the work here; another attempt finds them in the output."""
        job = self._job
        job.say(f"What the model gives {sum(map(len, self._data))} pairs before the training")
        batches = sum(math.ceil(len(part) / self._config.batch_size) for part in self._data)
        with job.count(unit="batch", total=batches) as counter:

            def on_reference() -> None:
                _stop_if_cancelled(job)
                counter.advance()

            return make_trainer(
                self._config,
                self._model,
                self._tokenizer,
                self._data,
                folder=job.folder / "trainer",
                cache=job.output("policy") / CACHE,
                max_length=self._max_length,
                on_reference=on_reference,
                callbacks=[DpoCallback(job, len(self._data[0]), self._config.checkpoint_every_steps)],
            )

    def train(self) -> None:
        """All epochs that are left, with their evaluations."""
        resume = self._job.resume
        if resume:
            self._job.say(f"Going on from step {resume.step}")
        self._trainer.train(resume_from_checkpoint=str(resume.path) if resume else None)

    def save(self) -> None:
        """The tuned model as one that other jobs take (adapters merged, and beside it), with the samples."""
        folder = self._job.output("policy")
        shutil.rmtree(folder / CACHE, ignore_errors=True)
        shutil.rmtree(self._job.folder / "trainer", ignore_errors=True)
        model = self._merged(folder)
        model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        samples = self._compared(self._sample(model))
        (folder / SAMPLES_FILE).write_text(json.dumps(samples, indent=1, ensure_ascii=False))
        self._job.artifact("policy", meta=self._meta(samples))

    def _merged(self, folder: Path) -> Any:
        model: Any = self._trainer.model
        if not isinstance(model, PeftModel):
            return model.eval()
        model.peft_config["default"].base_model_name_or_path = self._model_name
        model.save_pretrained(str(folder / ADAPTER), save_embedding_layers=False)
        return model.merge_and_unload().eval()

    def _sample(self, model: PreTrainedModel) -> list[str]:
        """The likeliest continuation of each prompt that is shown."""
        texts: list[str] = []
        tokens = min(self._config.sample_tokens, self._max_length // 2)
        room = max(1, self._max_length - tokens - 1)
        for pair in self._shown:
            _stop_if_cancelled(self._job)
            prompt = self._tokenizer(pair.prompt, add_special_tokens=False)["input_ids"][-room:]
            own = continue_texts(model, self._tokenizer, [prompt], tokens, temperature=0)[0]
            texts.append(self._tokenizer.decode(own, skip_special_tokens=True)[:SHOWN_CHARACTERS])
        return texts

    def _compared(self, after: Sequence[str]) -> list[dict[str, str]]:
        samples = [_shown(*each) for each in zip(self._shown, self._before, after, strict=True)]
        for sample in samples:
            _log.info("%s\n  before:%s\n  after: %s", *(" ".join(sample[key].split("\n")) for key in COMPARED))
        return samples

    @property
    def _model_name(self) -> str:
        return str(self._job.input_meta("model").get("name") or "model")

    def _last_evaluation(self) -> dict[str, float]:
        """From the trainer's history, which a checkpoint brings back; under the names of the training's metrics."""
        found = (evaluation_in(logs) for logs in reversed(self._trainer.state.log_history))
        return {name.removeprefix("eval/"): value for name, value in next(filter(None, found), {}).items()}

    def _meta(self, samples: list[dict[str, str]]) -> dict[str, object]:
        return {
            "name": f"{self._model_name} tuned",
            "base": self._model_name,
            "pairs": len(self._data[0]),
            "held_out": len(self._data[1]),
            "adapter": ADAPTER if self._config.lora_rank else None,
            "evaluation": self._last_evaluation(),
            "samples": samples,
        }


def _shown(pair: Pair, before: str, after: str) -> dict[str, str]:
    told = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    return {name: text[:SHOWN_CHARACTERS] for name, text in told.items()} | {"before": before, "after": after}


def _stop_if_cancelled(job: JobContext) -> None:
    """A pause waits for the first step, whose checkpoint it needs."""
    if job.should_stop() == "cancel":
        job.stop()
