"""Activation stores, the orders in which they are read, and the truncated forward that fills them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel

from headway.ml.activations import writer as writing
from headway.ml.activations.extract import Extraction
from headway.ml.activations.hooks import Tap
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.reader import HookReader, RowOrder
from headway.ml.models.load import block_count, load_model, load_tokenizer
from headway.ml.text.packing import marks_of
from headway.ml.text.token_store import TokenStore
from tests.tiny_models import HIDDEN, store_tokens, tiny_bert, tiny_llama

ROWS, D_IN = 100, 6


def write_store(folder: Path, rows: torch.Tensor, dtype: writing.StoredDtype) -> Manifest:
    writer = writing.HookWriter(folder, layer=2, hook="resid_post", d_in=rows.shape[1], dtype=dtype)
    for part in rows.split(7):
        writer.append(part)
    entry = writer.finish(lambda _: None)
    manifest = Manifest(dtype=dtype, d_in=rows.shape[1], rows=len(rows), model={}, tokens={}, hooks=[entry])
    manifest.write(folder)
    return Manifest.read(folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows_per_shard", [1000, 13])
def test_rows_are_read_back_in_any_order(tmp_path, monkeypatch, dtype, rows_per_shard):
    torch_dtype = writing.TORCH_DTYPES[dtype]
    monkeypatch.setattr(writing, "SHARD_BYTES", rows_per_shard * D_IN * torch_dtype.itemsize)
    rows = torch.randn(ROWS, D_IN).to(torch_dtype)
    manifest = write_store(tmp_path, rows, dtype)
    assert len(manifest.hooks[0].shards) == -(-ROWS // rows_per_shard)
    order = np.random.default_rng(0).permutation(ROWS)
    read = HookReader(tmp_path, manifest, manifest.entry(2)).gather(order, scale=2.0)
    assert torch.equal(read, rows[torch.from_numpy(order)].float() * 2)


def test_manifest_tells_the_truth_about_the_shards(tmp_path):
    rows = torch.randn(ROWS, D_IN) * 3 + 1
    entry = write_store(tmp_path, rows, "float32").hooks[0]
    content = (tmp_path / entry.shards[0].file).read_bytes()
    assert content == rows.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == entry.shards[0].sha256
    statistics = entry.statistics
    assert statistics.mean_norm == pytest.approx(rows.norm(dim=1).mean().item(), rel=1e-6)
    assert statistics.total_variance == pytest.approx(rows.var(0, correction=0).sum().item(), rel=1e-5)
    assert statistics.mean == pytest.approx(rows.mean(0).tolist(), rel=1e-5)


def test_a_shard_cut_short_is_refused(tmp_path):
    manifest = write_store(tmp_path, torch.randn(ROWS, D_IN), "float32")
    shard = tmp_path / manifest.hooks[0].shards[0].file
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(ValueError, match="extract it again"):
        HookReader(tmp_path, manifest, manifest.entry(2))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(10, 400),
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    held_out=st.integers(0, 9),
    epoch=st.integers(0, 5),
    data=st.data(),
)
def test_an_epoch_is_an_exact_shuffle_that_can_be_entered_anywhere(rows, batch, seed, held_out, epoch, data):
    order = RowOrder(rows, batch, seed, held_out)
    batches = list(order.epoch(epoch))
    taken = np.concatenate([order.held_out(), *batches])
    assert len(batches) == order.batches_per_epoch
    assert len(set(taken.tolist())) == len(taken)
    assert rows - len(taken) < batch
    start = data.draw(st.integers(0, len(batches)))
    rest = list(order.epoch(epoch, start))
    assert all(np.array_equal(a, b) for a, b in zip(rest, batches[start:], strict=True))


def test_epochs_differ_and_the_held_out_rows_stay():
    order = RowOrder(1000, 10, seed=3, held_out_rows=50)
    first, second = (np.concatenate(list(order.epoch(number))) for number in (0, 1))
    assert not np.array_equal(first, second)
    assert set(first) == set(second)


@pytest.mark.parametrize("make", [tiny_bert, tiny_llama])
@pytest.mark.parametrize("hook", ["resid_post", "resid_pre"])
def test_a_tap_sees_what_the_whole_model_computes(tmp_path, make, hook):
    folder = make(tmp_path / "model", layers=4)
    ids = torch.randint(4, 20, (3, 11))
    whole = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = whole(input_ids=ids, output_hidden_states=True).hidden_states
    model = load_model(folder)
    found = Tap(model, [0, 2], hook, block_count(model)).forward(input_ids=ids)
    shift = 1 if hook == "resid_post" else 0
    assert sorted(found) == [0, 2]
    for layer, values in found.items():
        torch.testing.assert_close(values, states[layer + shift])
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in whole.parameters())


def test_a_layer_the_model_does_not_have_is_named(tmp_path):
    model = load_model(tiny_bert(tmp_path / "model", layers=3))
    with pytest.raises(ValueError, match="layer 3 is not in the model: it has layers 0 to 2"):
        Tap(model, [1, 3], "resid_post", 3)


@pytest.mark.parametrize("make", [tiny_bert, tiny_llama])
def test_only_text_tokens_become_rows_whatever_the_batches(tmp_path, make):
    folder = make(tmp_path / "model")
    tokenizer = load_tokenizer(folder)
    marks = marks_of(tokenizer)
    texts = ["the cat sat", "on a mat and saw how one dog ran", "by", "to its own house in rain"]
    contexts = [tokenizer(text)["input_ids"] for text in texts]
    tokens = store_tokens(tmp_path / "tokens", contexts, marks.pad_id, list(marks.special_ids))
    model = AutoModel.from_pretrained(folder).eval()

    stores = [extract(folder, tokens, tmp_path / f"out{size}", size) for size in (8, 1000)]
    rows, places = stores[0]
    assert len(rows) == sum(len(text.split()) for text in texts)
    for row, place in zip(rows, places, strict=True):
        context = int(np.searchsorted(tokens.offsets, place, side="right")) - 1
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([contexts[context]]), output_hidden_states=True).hidden_states
        torch.testing.assert_close(row, states[2][0, int(place) - tokens.offsets[context]], rtol=1e-4, atol=1e-5)
    assert set(stores[1][1].tolist()) == set(places.tolist())


def extract(model: Path, tokens: TokenStore, out: Path, batch_tokens: int) -> tuple[torch.Tensor, np.ndarray]:
    out.mkdir()
    loaded = load_model(model)
    extraction = Extraction(
        out, tokens, Tap(loaded, [1], "resid_post", block_count(loaded)), [1], "resid_post", "float32"
    )
    assert len(list(extraction.run(batch_tokens))) == extraction.batches_done
    assert extraction.tokens_done == tokens.manifest.tokens
    manifest = extraction.finish({}, {}, lambda _: None)
    assert manifest.d_in == HIDDEN
    rows = HookReader(out, manifest, manifest.entry(1)).gather(np.arange(manifest.rows))
    return rows, np.fromfile(out / "row_tokens.bin", dtype=np.uint32)
