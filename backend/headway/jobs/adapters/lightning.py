"""A Lightning trainer as a job: `Trainer(..., callbacks=[JobCallback(job)])`, of `lightning` or `pytorch_lightning`."""

# pyright: standard
# Lightning's hooks take outputs and batches of any type.

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or find_spec("lightning"):
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.loggers.logger import Logger
else:  # the same library under its older name
    from pytorch_lightning import Callback, LightningModule, Trainer
    from pytorch_lightning.callbacks import ModelCheckpoint
    from pytorch_lightning.loggers.logger import Logger

from headway.jobs.adapters.counting import EvaluationRounds, Size, TrainingCounters, keep_checkpoint, known, log_numbers
from headway.jobs.context import JobContext

CHECKPOINT = "lightning.ckpt"


def resume_path(job: JobContext) -> Path | None:
    """What to give `trainer.fit(ckpt_path=...)`: the checkpoint this attempt goes on from, None at a fresh start."""
    return job.resume.path / CHECKPOINT if job.resume else None


class JobCallback(Callback):
    """Counts epochs, steps and examples in the phase that the kind runs `trainer.fit()` in; logs what is logged.

    A step is an optimizer's, of `accumulate_grad_batches` batches. A validation is a round of `evaluation_phase`, which
    the kind must declare. Whenever a ModelCheckpoint saves, so does the job: go on with
    `trainer.fit(ckpt_path=resume_path(job))`. Asked to pause, it saves after the batch, makes a validation that
    is due, and ends; asked to cancel, it ends: `fit` raises JobStopped. (`trainer.should_stop` would wait for
    `min_epochs`.)
    """

    def __init__(self, job: JobContext, *, evaluation_phase: str = "evaluating") -> None:
        self._job, self._phase = job, evaluation_phase
        self._counters: TrainingCounters | None = None
        self._rounds: EvaluationRounds | None = None
        self._leaving, self._kept_step = False, 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to what is logged. Not earlier: a ModelCheckpoint takes its folder from the first logger."""
        if not any(isinstance(logger, _JobLogger) for logger in trainer.loggers):
            trainer.loggers = [*trainer.loggers, _JobLogger(self._job, partial(self._keep, trainer))]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the counters where the trainer stands: at the start, or where its checkpoint was taken."""
        size = _size(trainer)
        self._whole_epochs = known(trainer.num_training_batches) is not None
        # at the begin of an epoch it still says how many batches the one before had
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        done = progress.processed % trainer.num_training_batches
        position = trainer.current_epoch + done / trainer.num_training_batches
        rounds_done = _rounds(trainer, position) or 0
        self._rounds = EvaluationRounds(self._job, self._phase, _rounds(trainer, size.epochs), rounds_done)
        step = int(done) // trainer.accumulate_grad_batches
        self._counters = TrainingCounters(self._job, size, trainer.current_epoch, step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Nothing of the next batch is begun once the job ends."""
        self._leave()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch; leave a checkpoint when the job is asked to pause."""
        last = self._whole_epochs and trainer.is_last_batch
        self._count(trainer, batch_idx + 1, last)
        reason = self._job.should_stop()
        if reason == "pause" and last:
            return  # the epoch's metrics come first
        if reason == "pause":
            self._keep(trainer)
        self._leaving = bool(reason)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Enter a round of evaluation; one that is due is made before a pause, since nothing would make it later."""
        if self._job.should_stop() == "cancel":
            self._job.stop()
        if self._rounds and not trainer.sanity_checking:
            self._rounds.begin(known(sum(trainer.num_val_batches)))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the batch."""
        if self._rounds and not trainer.sanity_checking:
            self._rounds.advance()
            if self._job.should_stop() == "cancel":
                self._job.stop()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the round."""
        if self._rounds and not trainer.sanity_checking:
            self._rounds.end()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch that is left early ends here."""
        self._leave()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the counters."""
        if self._counters:
            self._counters.close()
        self._counters = self._rounds = None

    def _keep(self, trainer: Trainer) -> None:
        """Save a checkpoint of the job, once a step."""
        if trainer.global_step != self._kept_step:
            self._kept_step = trainer.global_step
            keep_checkpoint(self._job, self._kept_step, lambda folder: trainer.save_checkpoint(folder / CHECKPOINT))

    def _leave(self) -> None:
        if self._leaving:
            self._job.stop()

    def _count(self, trainer: Trainer, batches: int, last: bool) -> None:
        if not self._counters:
            return
        if not self._whole_epochs:
            self._counters.move(0, trainer.global_step)
        elif last:
            self._counters.move(trainer.current_epoch + 1, 0)
        else:
            step, accumulated = divmod(batches, trainer.accumulate_grad_batches)
            self._counters.move(trainer.current_epoch, step, accumulated / trainer.accumulate_grad_batches)


class _JobLogger(Logger):
    """Lightning's way to hand out metrics with their steps; also told of each checkpoint."""

    def __init__(self, job: JobContext, keep: Callable[[], None]) -> None:
        super().__init__()
        self._job, self._keep = job, keep

    @property
    def name(self) -> str:
        return "headway"

    @property
    def version(self) -> str:
        return self._job.job_id

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The job's config holds them."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log what has a step; the epoch is a counter."""
        if step is not None:
            log_numbers(self._job, step, {name: value for name, value in metrics.items() if name != "epoch"})

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """A ModelCheckpoint has saved; one that keeps weights alone cannot be gone on from, so the whole is saved."""
        self._keep()


def _size(trainer: Trainer) -> Size:
    """All totals that the trainer knows; a step is of `accumulate_grad_batches` batches."""
    batches = known(trainer.num_training_batches)
    per_epoch = math.ceil(batches / trainer.accumulate_grad_batches) if batches else None
    return Size.of(
        steps=known(trainer.estimated_stepping_batches),
        steps_per_epoch=per_epoch,
        epochs=known(trainer.max_epochs),
        examples_per_step=_examples_per_step(trainer, batches, per_epoch),
    )


def _examples_per_step(trainer: Trainer, batches: float | None, steps_per_epoch: int | None) -> float | None:
    """The mean over an epoch where it has an end; None where the loader tells no size of a batch."""
    loader: Any = trainer.train_dataloader
    size = getattr(loader, "batch_size", None)
    if not size:
        return None
    try:
        examples = len(loader.dataset)
    except TypeError:  # a dataset without a length
        examples = math.inf
    if batches and steps_per_epoch:
        return min(examples, batches * size * trainer.world_size) / steps_per_epoch
    return size * trainer.accumulate_grad_batches * trainer.world_size


def _rounds(trainer: Trainer, epochs: float | None) -> int | None:
    """How many validations so many epochs make; None where the clock decides or nothing is known."""
    every, batches = trainer.val_check_batch, known(trainer.num_training_batches)
    if not trainer.enable_validation or epochs is None or not batches or not every:
        return None
    if trainer.check_val_every_n_epoch is None:
        return round(epochs * batches) // int(every)
    whole = int(epochs)
    rounds = whole // trainer.check_val_every_n_epoch * max(1, int(batches // every))
    if (whole + 1) % trainer.check_val_every_n_epoch == 0:
        rounds += int(round((epochs - whole) * batches) // every)
    return rounds
