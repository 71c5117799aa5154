"""A real Lightning trainer on a tiny random model, told through its callback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from headway.jobs.adapters.lightning import JobCallback, resume_path
from headway.spool.records import EventKind
from tests.adapter_runs import Job, checkpoints, last_counts, make_job, snapshots, totals
from tests.kind_runs import Ran

pytestmark = pytest.mark.filterwarnings("ignore")


class Line(LightningModule):
    """Fits a line; logs its loss at every step, its mean at every epoch's end and that of the validation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("loss", loss)
        self.log("epoch_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self._loss(batch))

    def _loss(self, batch: Any) -> torch.Tensor:
        return self.line(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Endless(IterableDataset[list[torch.Tensor]]):
    """Rows without end and without a length."""

    def __iter__(self) -> Any:
        while True:
            yield [torch.ones(2)]


class Watch(Callback):
    """Samples the counters after all that moves them; calls something in the middle of the step after `step`."""

    def __init__(self, job: Job, step: int, call: Callable[[], None] | None) -> None:
        self._job, self._step, self._call = job, step, call

    def on_before_backward(self, trainer: Trainer, *_: Any) -> None:
        if self._call and trainer.global_step == self._step:
            self._call()

    def on_train_batch_end(self, *_: Any) -> None:
        self._job.sample()

    def on_validation_batch_end(self, *_: Any) -> None:
        self._job.sample()


def rows(number: int) -> DataLoader[Any]:
    """Batches of 4."""
    values = torch.rand(number, 2, generator=torch.Generator().manual_seed(number))
    return DataLoader(TensorDataset(values), batch_size=4)


def fit(
    job: Job,
    *callbacks: Callback,
    after: int = 0,
    call: Callable[[], None] | None = None,
    train: Any = None,
    validate: Any = None,
    **settings: Any,
) -> None:
    """Fit in the phase `training`; from the job's checkpoint if there is one."""
    torch.set_num_threads(1)
    trainer = Trainer(
        default_root_dir=job.folder / "trainer",
        callbacks=[*callbacks, JobCallback(job.context), Watch(job, after, call)],
        **{
            "max_epochs": 2,
            "log_every_n_steps": 1,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": bool(callbacks),
            "enable_progress_bar": False,
            "enable_model_summary": False,
        }
        | settings,
    )
    with job.context.phase("training"):
        trainer.fit(Line(), rows(20) if train is None else train, validate, ckpt_path=resume_path(job.context))


def steps_counted(ran: Ran) -> list[tuple[float, float]]:
    """Epochs and steps done, at each step of the training."""
    told = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "training"]
    return [(epoch["current"], step["current"]) for epoch, step, _ in (counts for counts in told if len(counts) == 3)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path / "job", "training", "evaluating")


def test_epochs_steps_and_examples_have_the_trainers_totals(job: Job) -> None:
    ran = job.run(lambda _: fit(job))
    assert totals(ran, "training") == {"epoch": 2, "step": 5, "example": 4}
    assert last_counts(ran, "training") == [("epoch", 2, 2)]
    assert steps_counted(ran)[-10:] == [divmod(step, 5) for step in range(1, 11)]
    assert sorted(ran.metrics["loss"]) == list(range(10))
    assert sorted(ran.metrics["epoch_loss"]) == [4, 9]
    assert "epoch" not in ran.metrics
    folded = snapshots(ran)
    assert [s.percent_bp for s in folded] == sorted(s.percent_bp for s in folded)
    assert folded[-2].phases[0].fraction == 1.0


def test_accumulated_batches_and_an_end_within_an_epoch_keep_the_products_exact(job: Job) -> None:
    ran = job.run(lambda _: fit(job, train=rows(22), accumulate_grad_batches=2, max_steps=5, max_epochs=10))
    counts = totals(ran, "training")
    assert counts["step"] == 3
    assert counts["epoch"] * counts["step"] == pytest.approx(5)
    assert counts["step"] * counts["example"] == pytest.approx(22)
    assert last_counts(ran, "training")[0][1:] == (pytest.approx(5 / 3), pytest.approx(5 / 3))


def test_dataset_without_length_counts_the_steps_alone(job: Job) -> None:
    ran = job.run(lambda _: fit(job, train=DataLoader(Endless(), batch_size=4), max_steps=4, max_epochs=-1))
    assert totals(ran, "training") == {"epoch": 1, "step": 4, "example": 4}
    assert last_counts(ran, "training") == [("epoch", 1, 1)]


@pytest.mark.parametrize(
    ("settings", "rounds", "steps"),
    [
        ({}, 2, [4, 9]),
        ({"val_check_interval": 2}, 4, [1, 3, 6, 8]),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, 3, [2, 5, 8]),
        ({"check_val_every_n_epoch": 2, "num_sanity_val_steps": 0}, 1, [9]),
    ],
)
def test_each_validation_is_a_round_of_its_own_phase(
    job: Job, settings: dict[str, Any], rounds: int, steps: list[int]
) -> None:
    ran = job.run(lambda _: fit(job, validate=rows(12), **settings))
    assert totals(ran, "evaluating") == {"round": rounds, "batch": 3}
    assert last_counts(ran, "evaluating") == [("round", rounds, rounds)]
    assert sorted(ran.metrics["val_loss"]) == steps
    finished = [data for data in ran.of(EventKind.PHASE_FINISHED) if data["name"] == "evaluating"]
    assert [bool(data.get("again")) for data in finished] == [True] * (rounds - 1) + [False]


def test_validation_needs_a_declared_phase_and_says_so_before_training(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", "training")
    with pytest.raises(ValueError, match="'evaluating' is not declared"):
        job.run(lambda _: fit(job, validate=rows(4)))


def test_paused_training_resumes_with_the_same_totals_and_no_step_lost_or_done_twice(tmp_path: Path) -> None:
    uninterrupted = make_job(tmp_path / "whole", "training")
    whole = uninterrupted.run(lambda _: fit(uninterrupted))
    first = make_job(tmp_path / "first", "training")
    paused = first.run(lambda _: fit(first, after=6, call=first.control.pause, min_epochs=2))
    assert paused.result["outcome"] == "pause"
    assert [data["step"] for data in paused.of(EventKind.CHECKPOINT)] == [7]
    second = make_job(tmp_path / "second", "training", resume_from=checkpoints(paused))
    resumed = second.run(lambda _: fit(second))
    assert totals(resumed, "training") == totals(whole, "training")
    assert min(steps_counted(resumed)) >= (1, 2), "it goes on in the second epoch, at the step that was kept"
    assert sorted(paused.metrics["loss"]) + sorted(resumed.metrics["loss"]) == list(range(10))
    assert last_counts(resumed, "training") == [("epoch", 2, 2)]


def test_resumed_training_goes_on_counting_its_validations(tmp_path: Path) -> None:
    first = make_job(tmp_path / "first", "training", "evaluating")
    paused = first.run(lambda _: fit(first, after=6, call=first.control.pause, validate=rows(4), val_check_interval=2))
    second = make_job(tmp_path / "second", "training", "evaluating", resume_from=checkpoints(paused))
    resumed = second.run(lambda _: fit(second, validate=rows(4), val_check_interval=2))
    assert totals(paused, "evaluating")["round"] == totals(resumed, "evaluating")["round"] == 4
    assert last_counts(paused, "evaluating") == [("round", 3, 4)], "the one due at the step is made"
    assert last_counts(resumed, "evaluating") == [("round", 4, 4)]
    assert sorted(paused.metrics["val_loss"]) + sorted(resumed.metrics["val_loss"]) == [1, 3, 6, 8]


def test_cancelled_training_ends_after_the_step_without_validation_or_checkpoint(job: Job) -> None:
    ran = job.run(lambda _: fit(job, after=4, call=job.control.cancel, validate=rows(4)))
    assert ran.result["outcome"] == "cancel"
    assert max(ran.metrics["loss"]) == 4
    assert "val_loss" not in ran.metrics
    assert checkpoints(ran) == []


def test_pause_at_the_end_of_an_epoch_waits_for_its_validation_and_acts_after_the_next_step(job: Job) -> None:
    ran = job.run(lambda _: fit(job, after=4, call=job.control.pause, validate=rows(4)))
    assert sorted(ran.metrics["val_loss"]) == [4]
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [6]


def test_whenever_a_model_checkpoint_saves_so_does_the_job_and_its_folder_stays_where_it_was(job: Job) -> None:
    ran = job.run(lambda _: fit(job, ModelCheckpoint(every_n_train_steps=3, save_top_k=-1)))
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [3, 6, 9]
    assert len(list((job.folder / "trainer" / "checkpoints").glob("*.ckpt"))) == 3
    assert [data["message"] for data in ran.of(EventKind.SAID)][-1] == "Checkpoint saved at step 9"
