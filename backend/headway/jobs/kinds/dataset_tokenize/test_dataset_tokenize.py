"""Text becomes packed contexts that read back as the text it was."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.jobs.context import JobContext
from headway.ml.models.tokenizer import load_tokenizer
from headway.ml.text.token_store import TokenStore
from headway.spool.records import EventKind
from tests.integration.hub_fixture import Fault, Hub, running_hub
from tests.kind_runs import Example, Ran, order_kind, run_kind
from tests.tiny_models import some_text, tiny_bert, tiny_llama

FILES = ("tokens.bin", "offsets.bin", "manifest.json")


def example(folder: Path) -> Example:
    """A little text for a tiny encoder."""
    places = {"dataset": some_text(folder / "text"), "model": tiny_bert(folder / "model")}
    return Example({"context_length": 16, "processes": 1}, places)


@pytest.fixture(params=[tiny_bert, tiny_llama])
def model(request, tmp_path):
    return request.param(tmp_path / "model")


def tokenize(tmp_path, model, text, **changes):
    config = {"context_length": 16, "processes": 1, **changes}
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
    meta = ran.artifacts["tokens"]
    assert meta["contexts"] == len(lengths)
    figures = meta["statistics"]
    sizes = [20 + number for number in range(30)]
    assert figures["documents"] == {
        "mean": 34.5,
        "shortest": 20,
        "longest": 49,
        "by_power_of_two": [sum(size.bit_length() == power for size in sizes) for power in range(7)],
    }
    assert figures["distinct_tokens"] == len(set(store.tokens.tolist()))
    assert sum(count for _, count in figures["most_common"]) <= meta["tokens"]
    assert figures["unknown_share"] == 0
    assert len(meta["samples"]) == 3
    assert meta["samples"][0].split()[1] == words[0]


def test_a_context_may_hold_one_document_alone(tmp_path, model):
    text = some_text(tmp_path / "text")
    ran = tokenize(tmp_path, model, text, packing="document", mix_files=False)
    store, tokenizer = TokenStore(ran.outputs["tokens"]), load_tokenizer(model)
    marks = len(tokenizer("a")["input_ids"]) - 1
    assert ran.artifacts["tokens"]["packing"] == "document"
    assert len(np.diff(store.offsets)) == sum(-(-(20 + number) // (16 - marks)) for number in range(30))
    first = [store.tokens[start:end].tolist() for start, end in zip(store.offsets, store.offsets[1:], strict=False)][:2]
    kept = [token for context in first for token in context if token not in store.manifest.special_ids]
    assert tokenizer.convert_ids_to_tokens(kept) == (text / "000.txt").read_text().split()[: len(kept)]


def test_only_the_split_asked_for_is_read(tmp_path, model):
    text = tmp_path / "text"
    for split, count in (("train", 3), ("test", 5)):
        some_text(text / split, documents=count)
    ran = tokenize(tmp_path, model, text, split="test")
    assert ran.artifacts["tokens"]["documents"] == 5


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


def test_the_same_text_gives_the_same_bytes_by_one_process_or_two(tmp_path, model):
    text = some_text(tmp_path / "text")
    runs = [
        run_kind(
            tmp_path / name,
            "dataset.tokenize",
            {"seed": 4, "context_length": 16, "processes": processes},
            inputs={"dataset": text, "model": model},
        )
        for name, processes in (("a", 1), ("b", 2))
    ]
    assert contents(runs[0]) == contents(runs[1])
    assert runs[0].artifacts == runs[1].artifacts


def contents(ran: Ran) -> dict[str, bytes]:
    """The files of the token store."""
    return {name: (ran.outputs["tokens"] / name).read_bytes() for name in FILES}


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
    texts = [json.loads(line)["text"] for line in lines.splitlines()]
    pq.write_table(pa.table({"text": texts}), folder / "c.parquet", row_group_size=5)
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
        config = {"context_length": 16, "checkpoint_every_seconds": 0, "processes": 1, **config}
        out = tmp_path / ("out" if die_at or after else name)
        return run_kind(tmp_path / name, "dataset.tokenize", config, inputs=inputs, outputs=out, resume_from=left)


@pytest.mark.parametrize("config", [{"packing": "document"}, {"mix_files": False}, {"max_tokens": 500}])
def test_a_run_taken_up_again_and_again_leaves_the_same_bytes(tmp_path, model, config):
    inputs = {"dataset": mixed_text(tmp_path / "text"), "model": model}
    whole = attempt(tmp_path, "whole", inputs, **config)
    assert attempt(tmp_path, "one", inputs, die_at=5, **config).result["outcome"] == "failed"
    assert attempt(tmp_path, "two", inputs, after="one", die_at=9, **config).result["outcome"] == "failed"
    last = attempt(tmp_path, "three", inputs, after="two", **config)
    assert last.result["outcome"] == "completed"
    assert last.artifacts == whole.artifacts
    assert contents(last) == contents(whole)


def test_bytes_of_packed_lines_are_counted_as_they_lie_on_the_disk(tmp_path, model):
    text = mixed_text(tmp_path / "text")
    ran = tokenize(tmp_path, model, text)
    counters = [data["counters"][0] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "tokenizing"]
    assert counters[-1]["total"] == sum(path.stat().st_size for path in text.iterdir())
    assert counters[-1]["current"] == pytest.approx(counters[-1]["total"], abs=16)


WORDS_OF_A_LONG_DOCUMENT = 90_000  # more than one batch of characters


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a dataset of two files: long documents in JSON lines, and a parquet file of two row groups."""
    long = " ".join(["the", "cat", "sat", "on", "a", "mat"] * (WORDS_OF_A_LONG_DOCUMENT // 6))
    texts = [f"{word} {long}" for word in ["cat", "dog", "house", "rain", "owl"]]
    table = pa.table({"text": ["the dog ran", "a cat sat", None, "one old hat"], "more": ["x" * 50] * 4})
    pq.write_table(table, tmp_path / "parquet", row_group_size=2)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    with running_hub(tmp_path / "hub") as hub:
        files = {"a.jsonl": lines.encode(), "b.parquet": (tmp_path / "parquet").read_bytes()}
        hub.add("datasets", "someone/texts", files)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub


def fetched(tmp_path: Path, *, stream: bool) -> Path:
    config = {"source": "someone/texts", "stream": stream}
    ran = run_kind(tmp_path / f"fetched-{stream}", "dataset.download", config)
    assert ran.result["outcome"] == "completed"
    return ran.outputs["dataset"]


def test_a_streamed_dataset_killed_with_two_processes_ends_in_the_same_bytes(hub, tmp_path):
    model = tiny_llama(tmp_path / "model")
    config = {"context_length": 64, "mix_files": False, "checkpoint_every_seconds": 0}
    here, streamed = ({"model": model, "dataset": fetched(tmp_path, stream=stream)} for stream in (False, True))
    assert [path.name for path in streamed["dataset"].iterdir()] == ["source.json"]
    whole = run_kind(tmp_path / "whole", "dataset.tokenize", {**config, "processes": 1}, inputs=here)

    hub.ranges.clear()
    hub.faults["b.parquet"] = [Fault("stall", 10)]
    job, out = tmp_path / "killed", tmp_path / "out"
    order_kind(job, "dataset.tokenize", {**config, "processes": 2}, inputs=streamed, outputs=out)
    process = subprocess.Popen([sys.executable, "-m", "headway.jobs.process", str(job)], env=os.environ.copy())
    try:
        wait_for(lambda: hub.starts("b.parquet") and list(job.glob("checkpoints/step-*")))
        beside = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert len(beside) >= 2
    assert not psutil.wait_procs(beside, timeout=30)[1], "processes outlived their job"

    left = sorted(job.glob("checkpoints/step-*"), reverse=True)
    last = run_kind(
        tmp_path / "last",
        "dataset.tokenize",
        {**config, "processes": 2},
        inputs=streamed,
        outputs=out,
        resume_from=left,
    )
    assert last.result["outcome"] == "completed", last.result
    assert contents(last) == contents(whole)
    assert last.artifacts == whole.artifacts
    starts = hub.starts("a.jsonl")
    assert starts[0] == 0 < starts[1], "the second attempt reads on where the first one was"


def wait_for(reached: Callable[[], object], seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def test_tokens_that_were_damaged_are_made_again(tmp_path, model):
    inputs = {"dataset": mixed_text(tmp_path / "text"), "model": model}
    whole = attempt(tmp_path, "whole", inputs)
    attempt(tmp_path, "one", inputs, die_at=9)
    (tmp_path / "out/tokens/tokens.bin").write_bytes(b"")
    again = attempt(tmp_path, "two", inputs, after="one")
    assert "everything is tokenized again" in str(again.of(EventKind.LOG))
    assert again.artifacts == whole.artifacts
