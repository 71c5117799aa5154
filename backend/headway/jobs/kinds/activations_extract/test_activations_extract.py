"""Chosen layers over all text tokens, in one pass, as shards that say what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headway.ml.activations.manifest import Manifest
from headway.ml.activations.reader import HookReader
from headway.ml.text.token_store import TokenStore
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
    assert ran.result["error"]["message"].startswith("config.model: it cannot be loaded")


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
