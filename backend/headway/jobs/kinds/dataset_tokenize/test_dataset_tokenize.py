"""Text becomes packed contexts that read back as the text it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from headway.jobs.context import JobContext
from headway.ml.models.load import load_tokenizer
from headway.ml.text.token_store import TokenStore
from headway.spool.records import EventKind
from tests.kind_runs import Example, run_kind
from tests.tiny_models import some_text, tiny_bert, tiny_llama


def example(folder: Path) -> Example:
    """A little text for a tiny encoder."""
    places = {"dataset": some_text(folder / "text"), "model": tiny_bert(folder / "model")}
    return Example({"context_length": 16}, places)


@pytest.fixture(params=[tiny_bert, tiny_llama])
def model(request, tmp_path):
    return request.param(tmp_path / "model")


def tokenize(tmp_path, model, text, **changes):
    config = {"context_length": 16, **changes}
    return run_kind(tmp_path / "job", "dataset.tokenize", config, inputs={"dataset": text, "model": model})


def test_every_word_is_there_in_full_contexts(tmp_path, model):
    text = some_text(tmp_path / "text")
    ran = tokenize(tmp_path, model, text, mix_files=False)
    assert ran.result["outcome"] == "completed"
    store, tokenizer = TokenStore(ran.outputs["tokens"]), load_tokenizer(model)
    words = " ".join(path.read_text() for path in sorted(text.glob("*.txt"))).split()
    kept = [token for token in store.tokens.tolist() if token not in store.manifest.special_ids]
    assert tokenizer.convert_ids_to_tokens(kept) == words
    lengths = np.diff(store.offsets)
    assert set(lengths[:-1]) == {16}
    assert store.manifest.documents == 30
    assert ran.artifacts["tokens"]["contexts"] == len(lengths)


def test_it_stops_at_the_budget_and_counts_by_it(tmp_path, model):
    ran = tokenize(tmp_path, model, some_text(tmp_path / "text"), max_tokens=100)
    assert TokenStore(ran.outputs["tokens"]).manifest.tokens == 96
    counters = [data["counters"][0] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "tokenizing"]
    assert counters[-1]["unit"] == "token"
    assert counters[-1]["total"] == 100


def test_a_context_longer_than_the_model_takes_is_refused_by_field(tmp_path, model):
    ran = tokenize(tmp_path, model, some_text(tmp_path / "text"), context_length=65)
    assert ran.result["error"]["message"].startswith("config.context_length: the model takes at most 64 tokens")


def test_a_dataset_without_text_is_refused_by_field(tmp_path, model):
    (tmp_path / "text").mkdir()
    assert tokenize(tmp_path, model, tmp_path / "text").result["error"]["message"].startswith("config.dataset: ")


def test_the_same_text_gives_the_same_bytes(tmp_path, model):
    text = some_text(tmp_path / "text")
    runs = [
        run_kind(
            tmp_path / name,
            "dataset.tokenize",
            {"seed": 4, "context_length": 16},
            inputs={"dataset": text, "model": model},
        )
        for name in ("a", "b")
    ]
    first, second = ((ran.outputs["tokens"] / "tokens.bin").read_bytes() for ran in runs)
    assert first == second


def test_a_cancelled_run_declares_nothing(tmp_path, model):
    inputs = {"dataset": some_text(tmp_path / "text"), "model": model}
    config = {"context_length": 16}
    ran = run_kind(
        tmp_path / "job", "dataset.tokenize", config, inputs=inputs, prepare=lambda control: control.cancel()
    )
    assert ran.result["outcome"] == "cancelled"
    assert not ran.artifacts


def mixed_text(folder: Path) -> Path:
    """Text files, and JSON lines plain and packed."""
    some_text(folder, documents=12)
    lines = "".join(json.dumps({"text": path.read_text()}) + "\n" for path in sorted(folder.glob("*.txt")))
    (folder / "a.jsonl").write_text(lines)
    with gzip.open(folder / "b.jsonl.gz", "wt") as file:
        file.write(lines)
    return folder


def attempt(tmp_path: Path, name: str, inputs, *, die_at: int | None = None, after: str | None = None, **config):
    """A run called `name` into one folder; it dies when it asks to stop the `die_at`th time."""
    calls = iter(range(1, 10_000))

    def should_stop(_job: JobContext) -> str:
        if next(calls) == die_at:
            raise RuntimeError("killed")
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobContext, "should_stop", should_stop)
        left = sorted((tmp_path / after / "checkpoints").glob("step-*"), reverse=True) if after else None
        config = {"context_length": 16, "checkpoint_every_seconds": 0, **config}
        out = tmp_path / ("out" if die_at or after else name)
        return run_kind(tmp_path / name, "dataset.tokenize", config, inputs=inputs, outputs=out, resume_from=left)


@pytest.mark.parametrize("config", [{}, {"mix_files": False}, {"max_tokens": 500}])
def test_a_run_taken_up_again_and_again_leaves_the_same_bytes(tmp_path, model, config):
    inputs = {"dataset": mixed_text(tmp_path / "text"), "model": model}
    whole = attempt(tmp_path, "whole", inputs, **config)
    assert attempt(tmp_path, "one", inputs, die_at=5, **config).result["outcome"] == "failed"
    assert attempt(tmp_path, "two", inputs, after="one", die_at=9, **config).result["outcome"] == "failed"
    last = attempt(tmp_path, "three", inputs, after="two", **config)
    assert last.result["outcome"] == "completed"
    assert last.artifacts == whole.artifacts
    for name in ("tokens.bin", "offsets.bin", "manifest.json"):
        assert (last.outputs["tokens"] / name).read_bytes() == (whole.outputs["tokens"] / name).read_bytes()


def test_bytes_of_packed_lines_are_counted_as_they_lie_on_the_disk(tmp_path, model):
    text = mixed_text(tmp_path / "text")
    ran = tokenize(tmp_path, model, text)
    counters = [data["counters"][0] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "tokenizing"]
    assert counters[-1]["total"] == sum(path.stat().st_size for path in text.iterdir())
    assert counters[-1]["current"] == pytest.approx(counters[-1]["total"], abs=16)


def test_tokens_that_were_damaged_are_made_again(tmp_path, model):
    inputs = {"dataset": mixed_text(tmp_path / "text"), "model": model}
    whole = attempt(tmp_path, "whole", inputs)
    attempt(tmp_path, "one", inputs, die_at=9)
    (tmp_path / "out/tokens/tokens.bin").write_bytes(b"")
    again = attempt(tmp_path, "two", inputs, after="one")
    assert "everything is tokenized again" in str(again.of(EventKind.LOG))
    assert again.artifacts == whole.artifacts
