"""Pairs of the real and the sampled: honest, the same when interrupted, refused where the text does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from headway.jobs.checkpoints import verify_checkpoint
from headway.jobs.context import JobContext
from headway.ml.preferences.pairs import PAIRS_FILE, read_pairs
from headway.spool.records import EventKind
from tests.kind_runs import Example, Ran, run_kind
from tests.tiny_models import some_text, tiny_llama

CONFIG = {
    "pairs": 12,
    "prompt_tokens": 6,
    "continuation_tokens": 5,
    "pairs_per_document": 2,
    "batch_size": 4,
    "checkpoint_every_seconds": 0,
}


def example(folder: Path) -> Example:
    """Twelve short pairs, from a tiny random model."""
    return Example(CONFIG, {"model": tiny_llama(folder / "model", head=True), "dataset": some_text(folder / "text")})


def make(folder: Path, inputs: dict[str, Path], **config: object) -> Ran:
    return run_kind(folder, "preferences.make", CONFIG | config, inputs=inputs)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return dict(example(tmp_path).inputs)


def test_prompt_and_chosen_are_the_text_and_rejected_is_not(tmp_path, inputs):
    ran = make(tmp_path / "job", inputs)
    assert ran.result["outcome"] == "completed"
    texts = [path.read_text() for path in inputs["dataset"].iterdir()]
    pairs = read_pairs(ran.outputs["preferences"])
    assert len(pairs) == ran.artifacts["preferences"]["pairs"] == 12
    for pair in pairs:
        assert any(pair.prompt + pair.chosen in text for text in texts)
        assert not any(text.startswith(pair.prompt + pair.rejected) for text in texts)


def test_both_sides_have_the_same_length_and_no_marks(tmp_path, inputs):
    tokenizer = AutoTokenizer.from_pretrained(inputs["model"])
    for pair in read_pairs(make(tmp_path / "job", inputs).outputs["preferences"]):
        sides = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (pair.chosen, pair.rejected)]
        assert [len(side) for side in sides] == [5, 5]
        assert not {*sides[0], *sides[1]} & set(tokenizer.all_special_ids)


def test_no_document_gives_more_than_its_share(tmp_path, inputs):
    long = some_text(tmp_path / "long", documents=2)
    for path in long.iterdir():
        path.write_text(path.read_text() * 20)
    ran = make(tmp_path / "job", inputs | {"dataset": long}, pairs=60, pairs_per_document=3)
    assert ran.artifacts["preferences"]["pairs"] == 6


def test_fewer_pairs_than_asked_for_are_told_with_their_true_total(tmp_path, inputs):
    ran = make(tmp_path / "job", inputs, pairs=1000)
    told = [data["counters"][0] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "sampling"]
    assert told[-1]["current"] == told[-1]["total"] < 1000


class _KilledError(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


def test_a_run_taken_up_samples_the_very_pairs_of_an_uninterrupted_one(tmp_path, inputs, monkeypatch):
    whole = make(tmp_path / "whole", inputs)
    checkpoint = JobContext.checkpoint

    def die(job, step, *rest, **more):
        kept = checkpoint(job, step, *rest, **more)
        if step == 8:
            raise _KilledError
        return kept

    monkeypatch.setattr(JobContext, "checkpoint", die)
    first = make(tmp_path / "first", inputs)
    monkeypatch.undo()
    assert first.result["outcome"] == "failed"
    with (first.outputs["preferences"] / PAIRS_FILE).open("ab") as file:
        file.write(b'{"torn')
    left = sorted((tmp_path / "first/checkpoints").glob("step-*"), reverse=True)
    assert verify_checkpoint(left[0]).step == 8
    second = run_kind(
        tmp_path / "second", "preferences.make", CONFIG, inputs=inputs, resume_from=left, outputs=tmp_path / "first/out"
    )
    assert second.result["outcome"] == "completed"
    files = [ran.outputs["preferences"] / PAIRS_FILE for ran in (whole, second)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert whole.artifacts == second.artifacts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt_tokens": 40, "continuation_tokens": 40}, "config.prompt_tokens: prompt and continuation take 81"),
        (
            {"prompt_tokens": 50, "continuation_tokens": 8},
            "config.dataset: fewer than two documents in it are 58 tokens",
        ),
        ({"pairs": 1}, "config.pairs: Input should be greater than or equal to 2"),
    ],
)
def test_what_does_not_fit_is_said_by_its_field(tmp_path, inputs, change, said):
    ran = make(tmp_path / "job", inputs, **change)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert said in ran.result["error"]["message"]


def test_a_model_without_its_head_is_refused(tmp_path, inputs):
    ran = make(tmp_path / "job", inputs | {"model": tiny_llama(tmp_path / "headless")})
    assert "config.model: it lacks lm_head.weight" in ran.result["error"]["message"]


def test_pairs_go_through_json_as_they_are(tmp_path, inputs):
    ran = make(tmp_path / "job", inputs)
    lines = (ran.outputs["preferences"] / PAIRS_FILE).read_text().splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"prompt", "chosen", "rejected"}] * 12
    assert torch.get_num_threads() == 2
