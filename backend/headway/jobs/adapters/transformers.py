"""Hugging Face's Trainer as a job: `Trainer(..., callbacks=[JobCallback(job)])`."""

# pyright: standard
# transformers' callbacks take whatever the trainer passes.

from __future__ import annotations

import math
import shutil
from collections.abc import Sized
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from headway.jobs.adapters.counting import EvaluationRounds, Size, TrainingCounters, keep_checkpoint, log_numbers
from headway.jobs.context import JobContext


class JobCallback(TrainerCallback):
    """Counts epochs, steps and examples in the phase that the kind runs `trainer.train()` in; logs what is logged.

    An evaluation during the training is a round of `evaluation_phase`, which the kind must declare (`evaluation_sets`
    of them each time, where `eval_dataset` is a dictionary of so many). Every checkpoint that the trainer saves is
    copied into one of the job: go on with `trainer.train(resume_from_checkpoint=...)` at `job.resume.path`. Asked to
    pause, the trainer makes an evaluation that is due, saves and ends after its step; asked to cancel, it ends after
    the batch. Either way `train` raises JobStopped.
    """

    def __init__(self, job: JobContext, *, evaluation_phase: str = "evaluating", evaluation_sets: int = 1) -> None:
        self._job, self._phase, self._sets = job, evaluation_phase, evaluation_sets
        self._counters: TrainingCounters | None = None
        self._rounds: EvaluationRounds | None = None
        self._evaluating = False
        self._stopping = ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the counters where the trainer stands: at the start, or where its checkpoint was taken."""
        self._close()
        size = _size(args, state, kwargs.get("train_dataloader"))
        self._steps_per_epoch = int(size.steps_per_epoch or 1)
        self._share, self._accumulated, self._stopping = 1 / args.gradient_accumulation_steps, 0, ""
        epoch, step = divmod(state.global_step, self._steps_per_epoch)
        rounds, done = (
            self._sets * _evaluations(args, state, self._steps_per_epoch, at)
            for at in (state.max_steps, state.global_step)
        )
        self._rounds = EvaluationRounds(self._job, self._phase, rounds + self._sets * args.eval_on_start, done)
        self._counters = TrainingCounters(self._job, size, epoch, step)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One batch of several that make a step; a cancel need not wait for the others."""
        self._accumulated += 1
        self._move(state)
        if self._job.should_stop() == "cancel":
            self._job.stop()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the step; end here when the job is asked to; before a pause what is due is done."""
        self._accumulated = 0
        self._move(state)
        self._stopping = self._job.should_stop()
        if self._stopping:
            control.should_training_stop = True
            control.should_save = self._stopping == "pause"
            control.should_evaluate &= self._stopping == "pause"

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An epoch left early has no end; one that is paused after is evaluated, and saved with what that gave."""
        if self._stopping:
            paused_after = self._stopping == "pause" and state.global_step % self._steps_per_epoch == 0
            control.should_evaluate = control.should_save = control.should_evaluate and paused_after

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One batch of an evaluation, whose begin the trainer does not tell."""
        if self._rounds is None:
            return
        if self._job.should_stop() == "cancel":
            self._job.stop()
        if self._evaluating:
            self._rounds.advance()
        else:
            self._evaluating = True
            loader = kwargs.get("eval_dataloader")
            self._rounds.begin(_length(loader), done=1)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """An evaluation is over."""
        if self._rounds and self._evaluating:
            self._evaluating = False
            self._rounds.end()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Metrics at the trainer's step; the epoch is a counter."""
        logs: dict[str, Any] = kwargs.get("logs") or {}
        log_numbers(self._job, state.global_step, {name: value for name, value in logs.items() if name != "epoch"})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Make the trainer's newest checkpoint one of the job."""
        saved = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        if saved.is_dir():
            best = Path(state.best_model_checkpoint or "").name == saved.name

            def save(folder: Path) -> None:
                shutil.copytree(saved, folder, dirs_exist_ok=True)

            keep_checkpoint(self._job, state.global_step, save, best=best)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the counters; a training that was asked to stop must not count as completed."""
        self._close()
        if self._stopping:
            self._job.stop()

    def _move(self, state: TrainerState) -> None:
        if self._counters:
            epoch, step = divmod(state.global_step, self._steps_per_epoch)
            self._counters.move(epoch, step, self._accumulated * self._share)

    def _close(self) -> None:
        if self._counters:
            self._counters.close()
        self._counters = self._rounds = None
        self._evaluating = False


def _size(args: TrainingArguments, state: TrainerState, loader: Any) -> Size:
    """All totals; the trainer knows the steps, and the loader the length of an epoch where its dataset has one."""
    batches = _length(loader)
    per_epoch = math.ceil(batches / args.gradient_accumulation_steps) if batches else None
    at_once = (state.train_batch_size or args.train_batch_size) * args.gradient_accumulation_steps * args.world_size
    examples = _length(getattr(loader, "dataset", None))
    mean = min(examples / per_epoch, at_once) if examples and per_epoch else at_once
    return Size.of(steps=state.max_steps, steps_per_epoch=per_epoch, epochs=None, examples_per_step=mean)


def _length(sized: Any) -> int | None:
    try:
        return len(sized) if isinstance(sized, Sized) else None
    except TypeError:  # a loader of an endless dataset has the method, not the length
        return None


def _evaluations(args: TrainingArguments, state: TrainerState, steps_per_epoch: int, step: int) -> int:
    """How many evaluations of one set the trainer's own rules make up to a step, less the one at each start."""
    at_end = step == state.max_steps
    if args.eval_strategy == "epoch":
        epochs = step / steps_per_epoch
        return _multiples(math.ceil(epochs) if at_end else int(epochs), 1, args.eval_delay)
    if args.eval_strategy == "steps":
        last = at_end and step % state.eval_steps != 0 and args.eval_delay <= step
        return _multiples(step, state.eval_steps, args.eval_delay) + last
    return 0


def _multiples(reached: int, every: float, delay: float) -> int:
    """Multiples of `every` from `delay` up to `reached`."""
    first = max(1, math.ceil(delay / every))
    return max(0, int(reached // every) - first + 1)
