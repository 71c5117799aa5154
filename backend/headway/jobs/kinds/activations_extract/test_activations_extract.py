"""Chosen layers over all text tokens, in one pass, as shards that say what they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headway.jobs.context import JobContext
from headway.jobs.forecast import Forecast
from headway.jobs.kinds.activations_extract.config import ActivationsExtractConfig
from headway.jobs.kinds.activations_extract.forecast import forecast
from headway.ml.activations import writer as writing
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.reader import HookReader
from headway.ml.models.load import described
from headway.ml.text.token_store import TokenStore
from headway.spool.records import EventKind
from tests.kind_runs import Example, run_kind
from tests.tiny_models import HIDDEN, some_text, tiny_bert


@pytest.fixture
def inputs(tmp_path):
    return example(tmp_path).inputs


def example(folder: Path) -> Example:
    """A tiny encoder over a little text."""
    model = tiny_bert(folder / "model")
    places = {"dataset": some_text(folder / "text"), "model": model}
    tokens = run_kind(folder / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    return Example({"layers": [1]}, {"model": model, "tokens": tokens.outputs["tokens"]})


def test_several_layers_are_stored_row_for_row(tmp_path, inputs):
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [2, 0]}, inputs=inputs)
    assert ran.result["outcome"] == "completed"
    assert ran.phases == ["loading", "extracting", "saving"]
    folder = ran.outputs["activations"]
    manifest, tokens = Manifest.read(folder), TokenStore(inputs["tokens"])
    text_tokens = int((~np.isin(tokens.tokens, tokens.manifest.special_ids)).sum())
    assert (manifest.rows, manifest.d_in, manifest.dtype) == (text_tokens, HIDDEN, "bfloat16")
    assert [entry.layer for entry in manifest.hooks] == [0, 2]
    for entry in manifest.hooks:
        assert HookReader(folder, manifest, entry).gather(np.arange(text_tokens)).isfinite().all()
    assert ran.artifacts["activations"]["layers"] == [0, 2]


def test_several_places_of_a_block_are_taken_in_one_pass(tmp_path, inputs):
    config = {"layers": [1], "hooks": ["mlp_in", "resid_mid", "mlp_out"], "compute_dtype": "bfloat16"}
    ran = run_kind(tmp_path / "job", "activations.extract", config, inputs=inputs)
    names = [entry.name for entry in Manifest.read(ran.outputs["activations"]).hooks]
    assert names == ["layer01.mlp_in", "layer01.mlp_out", "layer01.resid_mid"]
    assert ran.artifacts["activations"]["hooks"] == ["mlp_in", "mlp_out", "resid_mid"]


def test_the_forecast_bounds_what_is_written(tmp_path, inputs):
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [0, 1]}, inputs=inputs)
    config = ActivationsExtractConfig(model="artifact:mmmmmmmmmmmm", tokens="artifact:tttttttttttt", layers=[0, 1])
    tokens = TokenStore(inputs["tokens"]).manifest
    said = forecast(config, {"model": described(inputs["model"]), "tokens": {"tokens": tokens.tokens}})
    written = sum(path.stat().st_size for path in ran.outputs["activations"].rglob("*.bin"))
    assert said.disk_bytes is not None
    assert written <= said.disk_bytes < 1.3 * written
    assert forecast(config, {"tokens": {"tokens": 5}}) == Forecast()


def test_a_disk_without_room_ends_it_before_the_first_batch(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=60 << 20))
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [1]}, inputs=inputs)
    assert "the activations need 0 MiB and 60 MiB are free: make room" in ran.result["error"]["message"]
    assert ran.phases == []


def test_a_layer_that_is_not_there_is_refused_by_field(tmp_path, inputs):
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [7]}, inputs=inputs)
    assert ran.result["error"]["message"] == "config.layers: layer 7 is not in the model: it has layers 0 to 2"


def test_tokens_of_another_model_are_refused_by_field(tmp_path, inputs):
    tokens = np.fromfile(inputs["tokens"] / "tokens.bin", dtype=np.uint32)
    tokens[5] = 9999
    tokens.tofile(inputs["tokens"] / "tokens.bin")
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [0]}, inputs=inputs)
    assert ran.result["error"]["message"].startswith("config.tokens: they hold ids the model has no embedding for")


def test_weights_that_are_pickled_are_never_loaded(tmp_path, inputs):
    (inputs["model"] / "model.safetensors").rename(inputs["model"] / "pytorch_model.bin")
    ran = run_kind(tmp_path / "job", "activations.extract", {"layers": [0]}, inputs=inputs)
    assert ran.result["error"]["message"].startswith("config.model: its weights are pickled (pytorch_model.bin)")


def test_a_second_attempt_leaves_no_trace_of_the_first(tmp_path, inputs):
    out = tmp_path / "out"
    first = run_kind(tmp_path / "one", "activations.extract", {"layers": [0, 1]}, inputs=inputs, outputs=out)
    second = run_kind(tmp_path / "two", "activations.extract", {"layers": [1]}, inputs=inputs, outputs=out)
    assert first.outputs == second.outputs
    assert [path.name for path in out.rglob("layer*")] == ["layer01.resid_post"]


def test_a_cancelled_run_declares_nothing(tmp_path, inputs):
    config = {"layers": [0], "batch_tokens": 64}
    ran = run_kind(
        tmp_path / "job", "activations.extract", config, inputs=inputs, prepare=lambda control: control.cancel()
    )
    assert ran.result["outcome"] == "cancelled"
    assert not ran.artifacts


SMALL = {"layers": [0, 2], "batch_tokens": 64, "checkpoint_every_seconds": 0}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def extract(tmp_path: Path, name: str, inputs, *, after: str | None = None, die_at: int | None = None):
    """A run called `name`; `after` names the one it goes on from; it dies when it asks to stop the `die_at`th time."""
    with pytest.MonkeyPatch.context() as patch:
        if die_at:
            patch.setattr(JobContext, "should_stop", dying(die_at))
        left = sorted((tmp_path / after / "checkpoints").glob("step-*"), reverse=True) if after else None
        out = tmp_path / "out" if after or die_at else None
        return run_kind(
            tmp_path / name, "activations.extract", SMALL, inputs=inputs, metas={"model": {"name": "m"}},
            outputs=out, resume_from=left,
        )  # fmt: skip


def dying(at: int):
    calls = iter(range(1, at + 1))

    def should_stop(_job: JobContext) -> str:
        if next(calls) == at:
            raise RuntimeError("killed")
        return ""

    return should_stop


@pytest.mark.parametrize("rows_per_shard", [10_000, 100])
def test_a_run_taken_up_again_and_again_leaves_the_same_bytes(tmp_path, inputs, monkeypatch, rows_per_shard):
    monkeypatch.setattr(writing, "SHARD_BYTES", rows_per_shard * HIDDEN * 2)
    whole = contents(extract(tmp_path, "whole", inputs).outputs["activations"])
    assert len(whole) > (10 if rows_per_shard == 100 else 3)
    assert extract(tmp_path, "one", inputs, die_at=4).result["outcome"] == "failed"
    assert extract(tmp_path, "two", inputs, after="one", die_at=9).result["outcome"] == "failed"
    last = extract(tmp_path, "three", inputs, after="two")
    assert last.result["outcome"] == "completed"
    assert contents(last.outputs["activations"]) == whole


def test_progress_of_a_resumed_run_starts_where_the_checkpoint_stood(tmp_path, inputs):
    killed = extract(tmp_path, "one", inputs, die_at=9)
    reached = [data["counters"][0] for data in killed.of(EventKind.COUNTERS) if data["phase"] == "extracting"][-1]
    again = extract(tmp_path, "two", inputs, after="one")
    counted = [data["counters"][0] for data in again.of(EventKind.COUNTERS) if data["phase"] == "extracting"]
    assert counted[0] == {"unit": "token", "current": 0, "total": reached["total"]}  # its size, told ahead
    assert counted[1]["current"] >= reached["current"] - 64
    assert counted[-1]["current"] == reached["total"]


def test_shards_that_were_damaged_are_made_again(tmp_path, inputs):
    whole = contents(extract(tmp_path, "whole", inputs).outputs["activations"])
    extract(tmp_path, "one", inputs, die_at=9)
    shard = next((tmp_path / "out").rglob("shard-*.bin"))
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    again = extract(tmp_path, "two", inputs, after="one")
    assert again.result["outcome"] == "completed"
    assert "everything is extracted again" in str(again.of(EventKind.LOG))
    assert contents(again.outputs["activations"]) == whole


def test_a_pause_keeps_what_was_done(tmp_path, inputs):
    paused = run_kind(
        tmp_path / "job", "activations.extract", SMALL, inputs=inputs, prepare=lambda control: control.pause()
    )
    assert paused.result["outcome"] == "paused"
    assert [data["step"] for data in paused.of(EventKind.CHECKPOINT)] == [1]
