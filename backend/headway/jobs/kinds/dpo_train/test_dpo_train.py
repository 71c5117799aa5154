"""Tuning to preferences with the real libraries on a tiny model: it learns, stops, and goes on where it was."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from headway.domain.failures import FailureClass, advise, classify_error
from headway.jobs.context import JobContext
from headway.jobs.kinds.dpo_train import KIND
from headway.jobs.kinds.dpo_train.trainer import CountingTrainer
from headway.jobs.registry import get_kind
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.installation import wait_until
from tests.kind_runs import Example, Ran, read_back, run_kind
from tests.tiny_models import WORDS, tiny_llama

PAIRS = 40
CONFIG = {
    "epochs": 2,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 0.01,
    "lora_rank": 4,
    "max_length": 32,
    "eval_fraction": 0.2,
    "samples": 2,
    "sample_tokens": 4,
    "checkpoint_every_steps": 2,
}
STEPS_PER_EPOCH = 4
STEPS = 2 * STEPS_PER_EPOCH
TRAINED = {"loss", "accuracy", "rewards/chosen", "rewards/rejected", "rewards/margins", "grad_norm", "lr"}


def example(folder: Path) -> Example:
    """32 pairs to train on and 8 held out, two epochs of four steps."""
    return Example(CONFIG, {"model": tiny_llama(folder / "model", head=True), "preferences": pairs(folder / "pairs")})


def pairs(folder: Path, count: int = PAIRS) -> Path:
    """Chosen are words in the order of the list, rejected are the same the other way round."""
    folder.mkdir()
    lines = []
    for number in range(count):
        words = [WORDS[(number + place) % len(WORDS)] for place in range(4 + number % 5)]
        sides = {"chosen": " " + " ".join([*words[3:], "cat"]), "rejected": " " + " ".join(["dog", *words[:2:-1]])}
        lines.append(json.dumps({"prompt": " ".join(words[:3])} | sides))
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return dict(example(tmp_path).inputs)


def tune(folder: Path, inputs: dict[str, Path], *, resume: list[Path] | None = None, **config: object) -> Ran:
    return run_kind(folder, "dpo.train", CONFIG | config, inputs=inputs, resume_from=resume)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*"), reverse=True)


def test_the_margin_rises_on_pairs_held_out(tmp_path, inputs):
    ran = tune(tmp_path / "job", inputs)
    assert ran.result["outcome"] == "completed", ran.result
    assert ran.phases.count("evaluating") == 2
    margins = ran.metrics["eval/rewards/margins"]
    assert sorted(margins) == [STEPS_PER_EPOCH, STEPS]
    assert 0.05 < margins[STEPS_PER_EPOCH] < margins[STEPS]
    assert ran.metrics["eval/accuracy"][STEPS] >= 0.75
    assert all(set(ran.metrics[name]) == set(range(1, STEPS + 1)) for name in TRAINED | {"examples_per_s"})
    assert ran.metrics["loss"][1] == pytest.approx(math.log(2), abs=1e-3), "at the first step it is the reference"


def test_epochs_steps_and_examples_are_counted(tmp_path, inputs):
    ran = tune(tmp_path / "job", inputs)
    told = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "training"]
    assert {(counter["unit"], counter["total"]) for counters in told for counter in counters} == {
        ("epoch", 2), ("step", STEPS_PER_EPOCH), ("example", 8),
    }  # fmt: skip
    assert told[-1] == [{"unit": "epoch", "current": 2, "total": 2}]


def test_what_is_saved_is_a_model_with_the_adapter_and_the_samples_beside_it(tmp_path, inputs):
    ran = tune(tmp_path / "job", inputs)
    folder, meta = ran.outputs["policy"], ran.artifacts["policy"]
    _, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert (folder / "adapter/adapter_model.safetensors").is_file()
    assert json.loads((folder / "samples.json").read_text()) == meta["samples"]
    assert [set(sample) for sample in meta["samples"]] == [{"prompt", "chosen", "rejected", "before", "after"}] * 2
    assert any(sample["before"] != sample["after"] for sample in meta["samples"])
    assert meta["evaluation"]["rewards/margins"] == ran.metrics["eval/rewards/margins"][STEPS]
    assert not (folder / ".cache").exists()
    assert sum("before:" in data["text"] for data in ran.of(EventKind.LOG)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"lora_rank": 0, "samples": 0},
        pytest.param({"loss": "ipo"}, marks=pytest.mark.chaos),
        pytest.param({"gradient_checkpointing": True}, marks=pytest.mark.chaos),
    ],
)
def test_other_ways_of_tuning_complete(tmp_path, inputs, change):
    ran = tune(tmp_path / "job", inputs, epochs=1, **change)
    assert ran.result["outcome"] == "completed", ran.result
    assert ran.metrics["eval/rewards/margins"][STEPS_PER_EPOCH] > 0


def test_without_held_out_pairs_the_evaluation_is_left_out(tmp_path, inputs):
    ran = tune(tmp_path / "job", inputs, epochs=1, eval_fraction=0)
    assert ran.result["outcome"] == "completed", ran.result
    assert ran.phases == ["initializing", "training", "saving"]
    assert not any(name.startswith("eval/") for name in ran.metrics)


class _KilledError(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


@pytest.mark.parametrize(
    ("killed_at", "resumed_from", "change"),
    [
        (4, 2, {}),
        pytest.param(7, 6, {}, marks=pytest.mark.chaos),
        pytest.param(6, 4, {"checkpoint_every_steps": 4}, marks=pytest.mark.chaos),
        pytest.param(7, 6, {"lora_rank": 0}, marks=pytest.mark.chaos),
    ],
)
def test_a_run_taken_up_logs_the_same_bits_as_an_uninterrupted_one(
    tmp_path, inputs, monkeypatch, killed_at, resumed_from, change
):
    whole = tune(tmp_path / "whole", inputs, **change)
    calls = 0
    heed = JobContext.should_stop

    def die(job: JobContext) -> str:
        nonlocal calls
        calls += sys._getframe(1).f_code.co_name == "on_step_end"
        if calls == killed_at:
            raise _KilledError
        return heed(job)

    monkeypatch.setattr(JobContext, "should_stop", die)
    first = tune(tmp_path / "first", inputs, **change)
    monkeypatch.undo()
    assert first.result["outcome"] == "failed"
    second = tune(tmp_path / "second", inputs, resume=checkpoints(tmp_path / "first"), **change)
    assert second.result["outcome"] == "completed", second.result
    assert min(second.metrics["loss"]) == resumed_from + 1
    for name in set(whole.metrics) - {"examples_per_s"}:
        joined = {step: value for step, value in first.metrics.get(name, {}).items() if step <= resumed_from}
        joined |= second.metrics[name]
        assert {s: v.hex() for s, v in joined.items()} == {s: v.hex() for s, v in whole.metrics[name].items()}, name
    weights = [ran.outputs["policy"] / "model.safetensors" for ran in (whole, second)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_reference_is_computed_once_and_found_again_by_another_process(tmp_path, inputs, monkeypatch):
    run_kind(tmp_path / "paused", "dpo.train", CONFIG, inputs=inputs, prepare=Control.pause)
    assert (tmp_path / "paused/out/policy/.cache").is_dir()
    asked: list[int] = []
    compute = CountingTrainer.compute_ref_log_probs
    monkeypatch.setattr(CountingTrainer, "compute_ref_log_probs", lambda *given: asked.append(1) or compute(*given))
    again = run_kind(
        tmp_path / "again", "dpo.train", CONFIG, inputs=inputs,
        resume_from=checkpoints(tmp_path / "paused"), outputs=tmp_path / "paused/out",
    )  # fmt: skip
    assert again.result["outcome"] == "completed", again.result
    assert asked == []


def test_killed_in_the_midst_of_training_its_process_goes_on_from_its_checkpoint(tmp_path, inputs):
    """The real process under SIGKILL; what it had computed of the reference is found again by the next one."""
    order = run_kind(tmp_path / "order", "dpo.train", CONFIG | {"epochs": 1}, inputs=inputs).folder / "job.json"
    folder = tmp_path / "job"
    folder.mkdir()
    given = json.loads(order.read_text())
    given["config"] |= {"epochs": 500}
    given["outputs"] = {"policy": str(folder / "out/policy")}
    (folder / "job.json").write_text(json.dumps(given))
    Control.create(folder / "control")
    process = subprocess.Popen([sys.executable, "-m", "headway.jobs.process", str(folder)], start_new_session=True)
    try:
        wait_until(lambda: len(checkpoints(folder)) >= 2, timeout=300, what="two checkpoints")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    left = checkpoints(folder)
    step = int(left[0].name.removeprefix("step-"))
    epochs = step // STEPS_PER_EPOCH + 1
    again = run_kind(
        tmp_path / "again", "dpo.train", CONFIG | {"epochs": 500}, inputs=inputs, resume_from=left,
        outputs=folder / "out", prepare=Control.pause,
    )  # fmt: skip
    assert again.result["outcome"] == "paused", (again.result, epochs)
    assert sorted(again.metrics["loss"]) == [step + 1]
    reference = [data["counters"] for data in again.of(EventKind.COUNTERS) if data["phase"] == "initializing"]
    assert all(counters[0]["current"] == 0 for counters in reference), "nothing of the reference is computed again"
    assert read_back(Ran({}, folder, {})).metrics["loss"][step] > 0


def test_pause_leaves_a_checkpoint_of_this_very_step(tmp_path, inputs):
    ran = run_kind(tmp_path / "job", "dpo.train", CONFIG, inputs=inputs, prepare=Control.pause)
    assert ran.result["outcome"] == "paused"
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [1]


def test_cancel_ends_it_before_the_reference_is_whole(tmp_path, inputs):
    ran = run_kind(tmp_path / "job", "dpo.train", CONFIG, inputs=inputs, prepare=Control.cancel)
    assert ran.result["outcome"] == "cancelled"
    assert not ran.metrics
    assert not ran.artifacts


def test_a_loss_that_is_not_finite_fails_as_diverged_with_the_step(tmp_path, inputs):
    model = AutoModelForCausalLM.from_pretrained(inputs["model"])
    model.lm_head.weight.data[5] = math.nan
    model.save_pretrained(inputs["model"])
    ran = tune(tmp_path / "job", inputs)
    error = ran.result["error"]
    assert classify_error(error["class"], error["type"], error["message"]) is FailureClass.DIVERGED, ran.result
    assert "at step " in error["message"]
    assert advise(FailureClass.DIVERGED, {"learning_rate": 0.3}).config_patch == {"learning_rate": pytest.approx(0.1)}


def test_advice_for_lack_of_memory_keeps_the_pairs_of_a_step(tmp_path):
    config = KIND.checked_config(dict.fromkeys(("model", "preferences"), "artifact:aaaaaaaaaaaa") | CONFIG)
    patch = advise(FailureClass.OOM, config.model_dump(mode="json")).config_patch
    assert patch == {"batch_size": 2, "gradient_accumulation_steps": 4}
    assert get_kind("dpo.train").checked_config(config.model_dump(mode="json") | patch)


GOOD = '{"prompt": "the cat", "chosen": " sat", "rejected": " ran"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 of pairs.jsonl: not JSON"),
        ("[1]", "line 2 of pairs.jsonl: not an object"),
        ('{"prompt": "a", "chosen": "b"}', "line 2 of pairs.jsonl: 'rejected' is missing"),
        ('{"prompt": "a", "chosen": "b", "rejected": 3}', "line 2 of pairs.jsonl: 'rejected' must be a text"),
        ('{"prompt": "", "chosen": "b", "rejected": "c"}', "line 2 of pairs.jsonl: 'prompt' must be a text"),
        (
            '{"prompt": "a", "chosen": "b", "rejected": "b"}',
            "line 2 of pairs.jsonl: 'chosen' and 'rejected' are the same",
        ),
        (json.dumps({"prompt": "the " * 40, "chosen": "b", "rejected": "c"}), "the prompt of line 2 of pairs.jsonl"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, inputs, line, said):
    (inputs["preferences"] / "pairs.jsonl").write_text(f"{GOOD}\n{line}\n\n{GOOD}\n")
    ran = tune(tmp_path / "job", inputs)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert said in ran.result["error"]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eval_fraction": 0.9}, "config.eval_fraction: it leaves none of 1 pairs"),
        ({"batch_size": 0}, "config.batch_size: Input should be greater than or equal to 1"),
    ],
)
def test_what_does_not_fit_is_said_by_its_field(tmp_path, inputs, change, said):
    (inputs["preferences"] / "pairs.jsonl").write_text(GOOD)
    assert said in tune(tmp_path / "job", inputs, **change).result["error"]["message"]


def test_a_folder_without_pairs_and_a_model_without_head_are_refused(tmp_path, inputs):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no pairs in it" in tune(tmp_path / "a", inputs | {"preferences": empty}).result["error"]["message"]
    headless = inputs | {"model": tiny_llama(tmp_path / "headless")}
    assert "config.model: it lacks lm_head.weight" in tune(tmp_path / "b", headless).result["error"]["message"]
