"""TRL's trainer as this kind sets it up: reference log-probabilities counted and kept, all data in one folder."""

# pyright: standard
# TRL's and datasets' types are those of whatever they are given.

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
from huggingface_hub import constants as hub_constants
from peft import LoraConfig
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from headway.errors import FieldProblem, InvalidInputError
from headway.jobs.kinds.dpo_train.config import DpoTrainConfig
from headway.ml.preferences.pairs import Pair

datasets.disable_progress_bars()
# TRL would tell its makers of each trainer
hub_constants.HF_HUB_DISABLE_TELEMETRY = True


class CountingTrainer(DPOTrainer):
    """A DPOTrainer that calls `on_reference` before each batch of reference log-probabilities it has to compute."""

    def __init__(self, on_reference: Callable[[], None], **arguments: Any) -> None:
        self._on_reference = on_reference
        super().__init__(**arguments)

    def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
        """As TRL does."""
        self._on_reference()
        return super().compute_ref_log_probs(model, inputs)


def split(pairs: Sequence[Pair], config: DpoTrainConfig) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to evaluate on, told apart by the seed.

    Raises InvalidInputError when none are left to train on.
    """
    mixed = list(pairs)
    random.Random(config.seed).shuffle(mixed)
    held_out = max(1, round(len(mixed) * config.eval_fraction)) if config.eval_fraction else 0
    if held_out >= len(mixed):
        problem = f"it leaves none of {len(mixed)} pairs to train on: lower it, or give more pairs"
        raise InvalidInputError(FieldProblem("config.eval_fraction", problem))
    return mixed[held_out:], mixed[:held_out]


def check_prompts(pairs: Sequence[Pair], tokenizer: Any, most_tokens: int) -> None:
    """Raises InvalidInputError that names the first prompt that leaves no room for a continuation."""
    for first in range(0, len(pairs), 1000):
        block = pairs[first : first + 1000]
        for pair, ids in zip(block, tokenizer([pair.prompt for pair in block])["input_ids"], strict=True):
            if len(ids) >= most_tokens:
                problem = f"the prompt of {pair.place} alone takes {len(ids)} of {most_tokens} tokens: shorten it"
                raise InvalidInputError(FieldProblem("config.max_length", problem))


def as_dataset(pairs: Sequence[Pair], folder: Path) -> datasets.Dataset:
    """The pairs as a dataset in a folder, made once: what is computed from it is kept beside it."""
    if not (folder / "state.json").is_file():
        rows = [{"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected} for pair in pairs]
        datasets.Dataset.from_list(rows).save_to_disk(folder)
    return datasets.Dataset.load_from_disk(folder)


def make_trainer(
    config: DpoTrainConfig,
    model: PreTrainedModel,
    tokenizer: Any,
    data: Sequence[Sequence[Pair]],
    *,
    folder: Path,
    cache: Path,
    max_length: int,
    on_reference: Callable[[], None],
    callbacks: Sequence[TrainerCallback],
) -> CountingTrainer:
    """A trainer over `data` (training, held out); it computes what the reference gives them, or finds it in `cache`."""
    train, held_out = (
        as_dataset(pairs, cache / name) if pairs else None for pairs, name in zip(data, ("train", "eval"), strict=True)
    )
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    trainer = CountingTrainer(
        on_reference,
        model=model,
        args=arguments(config, folder, use_cpu=model.device.type == "cpu"),
        # not by `max_length`: TRL's filter of long prompts would tie what it keeps to the folder of this attempt
        data_collator=DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id, max_length=max_length),
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=lora(config),
        callbacks=list(callbacks),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def lora(config: DpoTrainConfig) -> LoraConfig | None:
    """Adapters for all linear layers but the head; None where all weights are tuned."""
    if not config.lora_rank:
        return None
    return LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def arguments(config: DpoTrainConfig, folder: Path, *, use_cpu: bool) -> DPOConfig:
    """TRL's arguments of a config; every step is logged, and checkpoints are the callback's business."""
    every = config.evaluate_every_steps
    return DPOConfig(
        output_dir=str(folder),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_fraction if config.warmup_fraction < 1 else 0.999,
        lr_scheduler_type="linear",
        beta=config.beta,
        loss_type=[config.loss],
        max_length=None,
        precompute_ref_log_probs=True,
        eval_strategy=("steps" if every else "epoch") if config.eval_fraction else "no",
        eval_steps=every,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        save_total_limit=1,
        bf16=config.compute_dtype == "bfloat16",
        gradient_checkpointing=config.gradient_checkpointing,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=use_cpu,
        dataloader_pin_memory=not use_cpu,
        disable_tqdm=True,
        report_to="none",
    )
