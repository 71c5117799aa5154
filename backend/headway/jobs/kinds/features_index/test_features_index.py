"""Every feature's figures, examples and neighbours as they are when counted one by one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel

from headway.jobs.context import JobContext
from headway.jobs.feature_index import BANDS, FILE_NAME
from headway.ml.features import collector as collecting
from headway.ml.sae.saelens import load_sae
from headway.ml.text.token_store import TokenStore
from headway.spool.records import EventKind
from tests.kind_runs import Example, Ran, run_kind
from tests.tiny_models import HIDDEN, WORDS, some_text, tiny_bert, tiny_llama

D_SAE = 24
PLANTED = 5
WORD = "house"


def write_sae(
    folder: Path, layer: int = 0, hook: str = "resid_pre", seed: int = 0, planted: torch.Tensor | None = None
):
    """A random ReLU SAE as SAELens writes it; feature PLANTED fires where the row is `planted`, feature 0 never."""
    torch.manual_seed(seed)
    enc, dec = torch.randn(HIDDEN, D_SAE), torch.randn(D_SAE, HIDDEN)
    bias = torch.full((D_SAE,), -0.01)
    bias[0] = -1e6
    if planted is not None:
        enc[:, PLANTED] = planted / planted.square().sum()
        bias[PLANTED] = -0.9
    folder.mkdir(parents=True)
    save_file(
        {"W_enc": enc, "b_enc": bias, "W_dec": dec, "b_dec": torch.zeros(HIDDEN)}, folder / "sae_weights.safetensors"
    )
    config = {
        "architecture": "standard",
        "d_in": HIDDEN,
        "d_sae": D_SAE,
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "metadata": {"hook_name": f"blocks.{layer}.hook_{hook}"},
    }
    (folder / "cfg.json").write_text(json.dumps(config))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return dict(example(tmp_path_factory.mktemp("example")).inputs)


def example(folder: Path) -> Example:
    """Two SAEs of a tiny decoder; one feature of the first fires on one word alone."""
    model = tiny_llama(folder / "model", head=True)
    places = {"dataset": some_text(folder / "text"), "model": model}
    tokens = run_kind(folder / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    embedding = AutoModel.from_pretrained(str(model)).get_input_embeddings().weight.detach()
    write_sae(folder / "sae" / "first", planted=embedding[3 + WORDS.index(WORD)])
    write_sae(folder / "sae" / "second", layer=1, hook="resid_post", seed=1)
    return Example({}, {"model": model, "tokens": tokens.outputs["tokens"], "sae": folder / "sae"})


def rows(ran: Ran, statement: str, *values: object) -> list[dict]:
    with closing(sqlite3.connect(ran.outputs["index"] / FILE_NAME)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(statement, values)]


def index(tmp_path: Path, name: str, inputs, config=None, **more) -> Ran:
    metas = {"model": {"name": "tiny"}, "tokens": {"name": "words"}}
    return run_kind(tmp_path / name, "features.index", config or {}, inputs=inputs, metas=metas, threads=1, **more)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, inputs) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "FOLD_FIRINGS", 500)
        return index(tmp_path_factory.mktemp("ran"), "job", inputs, {"batch_tokens": 64})


def codes_of(inputs) -> tuple[TokenStore, np.ndarray, np.ndarray]:
    """The first SAE's codes of every text token, one row each, and the tokens' places."""
    tokens = TokenStore(inputs["tokens"])
    embedding = AutoModel.from_pretrained(str(inputs["model"])).get_input_embeddings().weight.detach()
    places = np.flatnonzero(~np.isin(tokens.tokens, tokens.manifest.special_ids))
    sae = load_sae(inputs["sae"] / "first")
    return tokens, sae.encode(embedding[tokens.tokens[places].astype(np.int64)]).numpy(), places


def test_a_feature_planted_on_one_token_lists_it_first_and_alone(ran, inputs):
    assert ran.result["outcome"] == "completed"
    assert ran.phases == ["loading", "indexing", "saving"]
    (feature,) = rows(ran, "SELECT * FROM features WHERE sae = 'first' AND feature = ?", PLANTED)
    assert json.loads(feature["top_tokens"]) == [[WORD, 1.0]]
    tokens = TokenStore(inputs["tokens"])
    places = np.flatnonzero(~np.isin(tokens.tokens, tokens.manifest.special_ids))
    share = (tokens.tokens[places] == 3 + WORDS.index(WORD)).mean()
    assert feature["density"] == pytest.approx(share)
    examples = rows(ran, "SELECT * FROM examples WHERE sae = 'first' AND feature = ?", PLANTED)
    assert {example["band"] for example in examples} == set(BANDS)
    for example in examples:
        assert json.loads(example["tokens"])[example["position"]] == WORD
        assert json.loads(example["activations"])[example["position"]] == round(example["activation"], 3)


def test_figures_are_those_of_the_dense_codes(ran, inputs):
    _, codes, _ = codes_of(inputs)
    found = rows(ran, "SELECT * FROM features WHERE sae = 'first' ORDER BY feature")
    fires = codes > 0
    np.testing.assert_allclose([row["density"] for row in found], fires.mean(0), rtol=1e-6)
    np.testing.assert_allclose([row["max"] for row in found], codes.max(0), rtol=1e-5)
    np.testing.assert_allclose([row["mean"] for row in found], codes.sum(0) / np.maximum(1, fires.sum(0)), rtol=1e-5)
    for row in found:
        assert sum(json.loads(row["histogram"])) == fires[:, row["feature"]].sum()
    (sae,) = rows(ran, "SELECT * FROM saes WHERE sae = 'first'")
    assert (sae["alive"], sae["dense"]) == (fires.any(0).sum(), (fires.mean(0) > 0.1).sum())
    assert (sae["layer"], sae["hook"], sae["tokens"]) == (0, "resid_pre", len(codes))


def test_examples_are_the_strongest_each_of_another_context_with_the_activations_around(ran, inputs):
    tokens, codes, places = codes_of(inputs)
    dense = np.zeros((len(tokens.tokens), D_SAE), np.float32)
    dense[places] = codes
    contexts = [dense[begin:end] for begin, end in zip(tokens.offsets, tokens.offsets[1:], strict=False)]
    for feature in range(1, D_SAE):
        best = sorted((context[:, feature].max() for context in contexts), reverse=True)[:12]
        found = rows(
            ran, "SELECT * FROM examples WHERE sae = 'first' AND feature = ? AND band = 'top' ORDER BY rank", feature
        )
        np.testing.assert_allclose([row["activation"] for row in found], [b for b in best if b > 0], rtol=1e-5)
        assert len({row["context"] for row in found}) == len(found)
        for row in found:
            window = contexts[row["context"]][:, feature]  # contexts of 16 tokens fit whole into a window
            np.testing.assert_allclose(json.loads(row["activations"]), window, atol=6e-4)


def test_quarters_fall_from_strong_to_weak(ran):
    of_band = "SELECT activation FROM examples WHERE sae = 'second' AND feature = ? AND band = ? ORDER BY rank"
    for feature in range(1, D_SAE):
        found = [row["activation"] for band in BANDS[1:] for row in rows(ran, of_band, feature, band)]
        assert found == sorted(found, reverse=True)


def test_neighbours_promoted_tokens_and_texts_are_told(ran, inputs):
    dec = torch.nn.functional.normalize(load_sae(inputs["sae"] / "first").weights.dec, dim=1)
    cosines = dec @ dec.t() - 2 * torch.eye(D_SAE)
    (row,) = rows(ran, "SELECT * FROM features WHERE sae = 'first' AND feature = 3")
    nearest = json.loads(row["neighbours"])
    assert nearest[0] == [int(cosines[3].argmax()), pytest.approx(float(cosines[3].max()), abs=1e-4)]
    assert json.loads(row["promoted"])[0][1] > 0 > json.loads(row["suppressed"])[0][1]
    hits = rows(ran, "SELECT feature FROM texts WHERE texts MATCH ? AND sae = 'first'", WORD)
    assert PLANTED in [hit["feature"] for hit in hits]
    meta = {row["key"]: json.loads(row["value"]) for row in rows(ran, "SELECT * FROM meta")}
    assert (meta["model"], meta["dataset"], meta["bands"]) == ("tiny", "words", list(BANDS))
    assert [told["sae"] for told in ran.artifacts["index"]["saes"]] == ["first", "second"]


def test_a_model_without_a_head_has_no_promoted_tokens(tmp_path):
    model = tiny_bert(tmp_path / "model")
    places = {"dataset": some_text(tmp_path / "text", 4), "model": model}
    tokens = run_kind(tmp_path / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    write_sae(tmp_path / "sae" / "one", layer=1, hook="resid_post")
    inputs = {"model": model, "tokens": tokens.outputs["tokens"], "sae": tmp_path / "sae"}
    ran = index(tmp_path, "job", inputs, {"max_tokens": 64})
    assert ran.result["outcome"] == "completed"
    assert {row["promoted"] for row in rows(ran, "SELECT promoted FROM features")} == {None}


@pytest.mark.parametrize(
    ("config", "hook", "message"),
    [
        ({"saes": ["third"]}, "resid_post", "config.saes: third is not in the artifact, which holds one"),
        ({}, "ln1", "config.sae: one cannot be used: its hook_name is 'blocks.9.hook_ln1'"),
        ({}, "resid_post", "config.sae: it does not belong to this model: layer 9 is not in the model"),
    ],
)
def test_saes_that_do_not_fit_are_refused_by_field(tmp_path, inputs, config, hook, message):
    write_sae(tmp_path / "sae" / "one", layer=9, hook=hook)
    ran = index(tmp_path, "job", {**inputs, "sae": tmp_path / "sae"}, config)
    assert ran.result["error"]["message"].startswith(message)


def dying(at: int):
    calls = iter(range(1, at + 1))

    def should_stop(_job: JobContext) -> str:
        if next(calls) == at:
            raise RuntimeError("killed")
        return ""

    return should_stop


def test_a_run_taken_up_again_writes_the_same_file(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(collecting, "FOLD_FIRINGS", 500)
    config = {"batch_tokens": 64, "checkpoint_every_seconds": 0}
    whole = index(tmp_path, "whole", inputs, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobContext, "should_stop", dying(7))
        assert index(tmp_path, "one", inputs, config).result["outcome"] == "failed"
    left = sorted((tmp_path / "one" / "checkpoints").glob("step-*"), reverse=True)
    again = index(tmp_path, "two", inputs, config, resume_from=left)
    assert again.result["outcome"] == "completed"
    counted = [data["counters"][0] for data in again.of(EventKind.COUNTERS) if data["phase"] == "indexing"]
    assert counted[1]["current"] >= 5 * 64
    for table in ("features", "examples", "saes", "texts", "meta"):
        assert rows(again, f"SELECT * FROM {table}") == rows(whole, f"SELECT * FROM {table}")
