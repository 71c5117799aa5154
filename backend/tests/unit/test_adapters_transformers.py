"""A real `transformers.Trainer` on a tiny random model, told through its callback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

from headway.jobs.adapters.transformers import JobCallback
from headway.spool.records import EventKind
from tests.adapter_runs import Job, checkpoints, last_counts, make_job, snapshots, totals
from tests.kind_runs import Ran

VOCABULARY = 24


class Texts(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Rows of 8 random tokens, the same at each reading."""

    def __init__(self, rows: int) -> None:
        self._tokens = torch.randint(VOCABULARY, (rows, 8), generator=torch.Generator().manual_seed(rows))

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self._tokens[index], "labels": self._tokens[index]}


class Endless(torch.utils.data.IterableDataset[dict[str, torch.Tensor]]):
    """Rows without end and without a length."""

    def __iter__(self) -> Any:
        while True:
            yield from (Texts(4)[index] for index in range(4))


class Watch(TrainerCallback):
    """Samples the counters after all that moves them; calls something in the middle of the step after `step`."""

    def __init__(self, job: Job, step: int, call: Callable[[], None] | None) -> None:
        self._job, self._step, self._call = job, step, call

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._call and state.global_step == self._step:
            self._call()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._job.sample()

    on_substep_end = on_prediction_step = on_step_end


def tiny_model() -> LlamaForCausalLM:
    """Random, but the same each time."""
    torch.manual_seed(0)
    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=8, **small))


def train(
    job: Job,
    *,
    after: int = 0,
    call: Callable[[], None] | None = None,
    rows: Any = None,
    evaluation: Any = None,
    **arguments: Any,
) -> None:
    """Train in the phase `training`; from the job's checkpoint if there is one."""
    context = job.context
    torch.set_num_threads(1)
    settings: dict[str, Any] = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    trainer = Trainer(
        model=tiny_model(),
        args=TrainingArguments(output_dir=str(context.folder / "trainer"), **settings | arguments),
        train_dataset=rows or Texts(20),
        eval_dataset=evaluation,
        callbacks=[JobCallback(context), Watch(job, after, call)],
    )
    with context.phase("training"):
        trainer.train(resume_from_checkpoint=str(context.resume.path) if context.resume else None)


def steps_counted(ran: Ran) -> list[tuple[float, float]]:
    """Epochs and steps done, at each step of the training."""
    told = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "training"]
    return [(epoch["current"], step["current"]) for epoch, step, _ in (counts for counts in told if len(counts) == 3)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path / "job", "training", "evaluating")


def test_epochs_steps_and_examples_have_the_trainers_totals(job: Job) -> None:
    ran = job.run(lambda _: train(job))
    assert totals(ran, "training") == {"epoch": 2, "step": 5, "example": 4}
    assert last_counts(ran, "training") == [("epoch", 2, 2)]
    assert sorted(ran.metrics["loss"]) == list(range(1, 11))
    assert steps_counted(ran)[-10:] == [divmod(step, 5) for step in range(1, 11)]
    assert {"grad_norm", "learning_rate", "train_runtime"} <= set(ran.metrics)
    assert "epoch" not in ran.metrics
    folded = snapshots(ran)
    assert [s.percent_bp for s in folded] == sorted(s.percent_bp for s in folded)
    assert folded[-2].phases[0].fraction == 1.0


def test_accumulated_batches_and_an_end_within_an_epoch_keep_the_products_exact(job: Job) -> None:
    ran = job.run(lambda _: train(job, gradient_accumulation_steps=2, max_steps=5, rows=Texts(22)))
    counts = totals(ran, "training")
    assert counts["step"] == 3
    assert counts["epoch"] * counts["step"] == pytest.approx(5)
    assert counts["step"] * counts["example"] == pytest.approx(22)
    assert last_counts(ran, "training")[0][1:] == (pytest.approx(5 / 3), pytest.approx(5 / 3))


def test_dataset_without_length_counts_the_steps_alone(job: Job) -> None:
    ran = job.run(lambda _: train(job, rows=Endless(), max_steps=4))
    assert totals(ran, "training") == {"epoch": 1, "step": 4, "example": 4}
    assert last_counts(ran, "training") == [("epoch", 1, 1)]


@pytest.mark.parametrize(
    ("strategy", "rounds", "steps"),
    [
        ({"eval_strategy": "epoch"}, 2, [5, 10]),
        ({"eval_strategy": "steps", "eval_steps": 4}, 3, [4, 8, 10]),
        ({"eval_strategy": "steps", "eval_steps": 4, "eval_delay": 5, "eval_on_start": True}, 3, [0, 8, 10]),
    ],
)
def test_each_evaluation_is_a_round_of_its_own_phase(
    job: Job, strategy: dict[str, Any], rounds: int, steps: list[int]
) -> None:
    ran = job.run(lambda _: train(job, evaluation=Texts(12), per_device_eval_batch_size=4, **strategy))
    assert totals(ran, "evaluating") == {"round": rounds, "batch": 3}
    assert last_counts(ran, "evaluating") == [("round", rounds, rounds)]
    assert sorted(ran.metrics["eval_loss"]) == steps
    finished = [data for data in ran.of(EventKind.PHASE_FINISHED) if data["name"] == "evaluating"]
    assert [bool(data.get("again")) for data in finished] == [True] * (rounds - 1) + [False]
    first = ran.events.index((EventKind.PHASE_STARTED, {"name": "evaluating"}))
    assert any(event is EventKind.COUNTERS and data["phase"] == "evaluating" for event, data in ran.events[:first]), (
        "the number of rounds is told ahead"
    )


def test_evaluation_needs_a_declared_phase_and_says_so_before_training(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", "training")
    with pytest.raises(ValueError, match="'evaluating' is not declared"):
        job.run(lambda _: train(job, evaluation=Texts(4), eval_strategy="epoch"))


def test_paused_training_resumes_with_the_same_totals_and_losses(tmp_path: Path) -> None:
    uninterrupted = make_job(tmp_path / "whole", "training")
    whole = uninterrupted.run(lambda _: train(uninterrupted))
    first = make_job(tmp_path / "first", "training")
    paused = first.run(lambda _: train(first, after=6, call=first.control.pause))
    assert paused.result["outcome"] == "pause"
    assert [data["step"] for data in paused.of(EventKind.CHECKPOINT)] == [7]
    assert [data["message"] for data in paused.of(EventKind.SAID)] == ["Checkpoint saved at step 7"]
    second = make_job(tmp_path / "second", "training", resume_from=checkpoints(paused))
    resumed = second.run(lambda _: train(second))
    assert totals(resumed, "training") == totals(whole, "training")
    assert sorted(resumed.metrics["loss"]) == [8, 9, 10]
    assert paused.metrics["loss"] | resumed.metrics["loss"] == whole.metrics["loss"]
    assert min(steps_counted(resumed)) >= (1, 2), "it goes on in the second epoch, at the step that was kept"


@pytest.mark.parametrize("strategy", [{"eval_strategy": "epoch"}, {"eval_strategy": "steps", "eval_steps": 5}])
def test_evaluation_that_is_due_is_made_before_a_pause_and_not_again(tmp_path: Path, strategy: dict[str, Any]) -> None:
    first = make_job(tmp_path / "first", "training", "evaluating")
    paused = first.run(lambda _: train(first, after=4, call=first.control.pause, evaluation=Texts(4), **strategy))
    assert sorted(paused.metrics["eval_loss"]) == [5]
    assert last_counts(paused, "evaluating") == [("round", 1, 2)]
    second = make_job(tmp_path / "second", "training", "evaluating", resume_from=checkpoints(paused))
    resumed = second.run(lambda _: train(second, evaluation=Texts(4), **strategy))
    assert sorted(resumed.metrics["eval_loss"]) == [10]
    assert last_counts(resumed, "evaluating") == [("round", 2, 2)]


def test_cancelled_training_ends_after_the_step_without_evaluation_or_checkpoint(job: Job) -> None:
    arguments: dict[str, Any] = {"eval_strategy": "epoch", "save_strategy": "epoch", "evaluation": Texts(4)}
    ran = job.run(lambda _: train(job, after=4, call=job.control.cancel, **arguments))
    assert ran.result["outcome"] == "cancel"
    assert max(ran.metrics["loss"]) == 5
    assert "eval_loss" not in ran.metrics
    assert checkpoints(ran) == []


def test_a_cancel_does_not_wait_for_all_batches_of_a_step(job: Job) -> None:
    ran = job.run(lambda _: train(job, call=job.control.cancel, gradient_accumulation_steps=5))
    assert ran.result["outcome"] == "cancel"
    assert "loss" not in ran.metrics


def test_checkpoints_of_the_trainer_become_the_jobs_and_the_best_is_marked(job: Job) -> None:
    ran = job.run(
        lambda _: train(
            job,
            evaluation=Texts(4),
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            metric_for_best_model="eval_loss",
            load_best_model_at_end=True,
        )
    )
    told = ran.of(EventKind.CHECKPOINT)
    assert [data["step"] for data in told] == [5, 10]
    best = min(ran.metrics["eval_loss"], key=lambda step: ran.metrics["eval_loss"][step])
    assert next(data["best"] for data in told if data["step"] == best)
    assert {"model.safetensors", "trainer_state.json"} <= {path.name for path in checkpoints(ran)[0].iterdir()}
