"""Each text once, whatever happens meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kind_runs import Example, run_kind


def lines(folder: Path, name: str, *texts: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def example(folder: Path) -> Example:
    """Two files, with equal documents in one and across both."""
    lines(folder / "text", "a.jsonl", "the cat sat", "a dog ran", "The  cat\nsat", "x")
    lines(folder / "text", "b.jsonl", "a dog ran", "a bird flew", "  ")
    return Example({"min_characters": 2}, {"dataset": folder / "text"})


def kept(folder: Path) -> list[str]:
    return [json.loads(line)["text"] for line in (folder / "text.jsonl").read_text().splitlines()]


def test_the_first_of_equal_documents_is_kept_and_short_ones_are_dropped(tmp_path: Path) -> None:
    given = example(tmp_path)
    ran = run_kind(tmp_path / "job", "dataset.dedupe", given.config, inputs=given.inputs)
    assert kept(ran.outputs["dataset"]) == ["the cat sat", "a dog ran", "a bird flew"]
    assert ran.metrics == {"kept": {7: 3}, "duplicate_fraction": {7: 2 / 7}}


def test_case_and_white_space_can_tell_documents_apart(tmp_path: Path) -> None:
    given = example(tmp_path)
    config = given.config | {"ignore_case_and_space": False}
    ran = run_kind(tmp_path / "job", "dataset.dedupe", config, inputs=given.inputs)
    assert kept(ran.outputs["dataset"]) == ["the cat sat", "a dog ran", "The  cat\nsat", "a bird flew"]


def test_half_of_a_surrogate_pair_is_written_as_a_question_mark(tmp_path: Path) -> None:
    lines(tmp_path / "text", "a.jsonl", "odd \ud800 one")
    ran = run_kind(tmp_path / "job", "dataset.dedupe", {}, inputs={"dataset": tmp_path / "text"})
    assert kept(ran.outputs["dataset"]) == ["odd ? one"]


def test_a_dataset_of_which_nothing_would_be_left_is_refused(tmp_path: Path) -> None:
    given = example(tmp_path)
    ran = run_kind(tmp_path / "job", "dataset.dedupe", {"min_characters": 100}, inputs=given.inputs)
    assert "config.min_characters: no document is that long" in ran.result["error"]["message"]
    lines(tmp_path / "nothing", "a.jsonl", "", "  ")
    ran = run_kind(tmp_path / "other", "dataset.dedupe", {}, inputs={"dataset": tmp_path / "nothing"})
    assert "config.dataset: all documents in it are empty" in ran.result["error"]["message"]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    given = example(tmp_path)
    ran = run_kind(tmp_path / "job", "dataset.dedupe", {"text_column": "body"}, inputs=given.inputs)
    assert "config.text_column" in ran.result["error"]["message"]
