"""What the trainer tells, as the job tells it: TRL's names to ours, checkpoints by time, an end where it diverged."""

# pyright: standard
# transformers' callbacks take whatever the trainer passes.

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from headway.errors import HeadwayError
from headway.jobs.adapters.transformers import JobCallback
from headway.jobs.context import JobContext
from headway.jobs.keeper import CHECKPOINT_SECONDS, MOST_SHARE

EVAL = "eval_"
#: What TRL logs -> our metric. The rest is left out: rates over the whole, totals that a resumed run counts in part.
METRICS = {
    "loss": "loss",
    "rewards/accuracies": "accuracy",
    "rewards/chosen": "rewards/chosen",
    "rewards/rejected": "rewards/rejected",
    "rewards/margins": "rewards/margins",
    "logps/chosen": "logps/chosen",
    "logps/rejected": "logps/rejected",
    "mean_token_accuracy": "token_accuracy",
    "entropy": "entropy",
    "grad_norm": "grad_norm",
    "learning_rate": "lr",
}


def evaluation_in(logs: Mapping[str, Any]) -> dict[str, float]:
    """What was logged of an evaluation, under our names."""
    return {f"eval/{ours}": logs[EVAL + name] for name, ours in METRICS.items() if EVAL + name in logs}


class DivergedError(HeadwayError):
    """The loss is not finite any more: going on would only spoil the weights."""

    title = "Diverged"


class DpoCallback(JobCallback):
    """`JobCallback` under our metrics' names, with examples a second, and checkpoints at `Keeper`'s pace."""

    def __init__(self, job: JobContext, examples: int, every_steps: int | None) -> None:
        super().__init__(job)
        self._examples, self._every_steps = examples, every_steps
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._save_began = self._cost_seconds = self._rate = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the time between checkpoints."""
        super().on_train_begin(args, state, control, **kwargs)
        self._saved_at, self._saved_step = time.monotonic(), state.global_step

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin the step's time."""
        self._step_began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the step; within an epoch ask for a checkpoint that is due."""
        super().on_step_end(args, state, control, **kwargs)
        at_once = args.train_batch_size * args.gradient_accumulation_steps
        within = (state.global_step - 1) % self._steps_per_epoch
        self._rate = min(at_once, self._examples - within * at_once) / (time.perf_counter() - self._step_began)
        if not self._stopping and state.global_step % self._steps_per_epoch and self._is_due(state.global_step):
            self._ask(control)
        self._save_began = time.monotonic()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """At the end of an epoch a checkpoint waits for the evaluation; after the last there is one in any case."""
        super().on_epoch_end(args, state, control, **kwargs)
        if not self._stopping and (state.global_step == state.max_steps or self._is_due(state.global_step)):
            self._ask(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """An evaluation is no part of what a checkpoint costs."""
        super().on_evaluate(args, state, control, **kwargs)
        self._save_began = time.monotonic()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Metrics under our names. Raises DivergedError that names the step."""
        logs: dict[str, Any] = kwargs.get("logs") or {}
        told = {ours: logs[name] for name, ours in METRICS.items() if name in logs}
        evaluated = evaluation_in(logs)
        rate = {"examples_per_s": self._rate} if told else {}
        super().on_log(args, state, control, **kwargs | {"logs": told | rate | evaluated})
        for name in ("loss", "grad_norm"):
            if name in told and not math.isfinite(told[name]):
                raise DivergedError(f"{name} is {told[name]} at step {state.global_step}: lower learning_rate")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Make it the job's, and learn what it cost."""
        super().on_save(args, state, control, **kwargs)
        self._saved_at, self._saved_step = time.monotonic(), state.global_step
        self._cost_seconds = self._saved_at - self._save_began

    def _is_due(self, step: int) -> bool:
        if self._every_steps:
            return step // self._every_steps > self._saved_step // self._every_steps
        return time.monotonic() - self._saved_at >= max(CHECKPOINT_SECONDS, self._cost_seconds / MOST_SHARE)

    def _ask(self, control: TrainerControl) -> None:
        self._save_began = time.monotonic()
        control.should_save = True
