"""Activation stores, the orders in which they are read, and the truncated forward that fills them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModel,
    BertConfig,
    BloomConfig,
    DistilBertConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    ModernBertConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from headway.domain.failures import FailureClass, classify_error
from headway.ml.activations import forward as forwarding
from headway.ml.activations import writer as writing
from headway.ml.activations.buffering import ContextOrder
from headway.ml.activations.extract import Extraction, check_room
from headway.ml.activations.forward import Forward, rows_of_contexts
from headway.ml.activations.hooks import SITES, Tap, UnknownHookError
from headway.ml.activations.loading import load_forward
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.places import Place
from headway.ml.activations.reader import HookReader, RowOrder
from headway.ml.activations.sources import StreamedRows
from headway.ml.models.tokenizer import load_tokenizer
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


SIZES = {"vocab_size": 40, "hidden_size": HIDDEN, "num_hidden_layers": 3, "num_attention_heads": 2}
INNER = {"intermediate_size": 32, "max_position_embeddings": 64}
MODELS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(vocab_size=40, n_embd=HIDDEN, n_layer=3, n_head=2, bos_token_id=0, eos_token_id=0),
    "llama": LlamaConfig(**SIZES, **INNER, num_key_value_heads=1),
    "neox": GPTNeoXConfig(**SIZES, **INNER, use_parallel_residual=False),
    "neox parallel": GPTNeoXConfig(**SIZES, **INNER),
    "gemma2": Gemma2Config(**SIZES, **INNER, num_key_value_heads=1, head_dim=8),
    "opt": OPTConfig(**SIZES, ffn_dim=32, word_embed_proj_dim=HIDDEN),
    "bloom": BloomConfig(vocab_size=40, hidden_size=HIDDEN, n_layer=3, n_head=2),
    "bert": BertConfig(**SIZES, **INNER),
    "distilbert": DistilBertConfig(vocab_size=40, dim=HIDDEN, n_layers=3, n_heads=2, hidden_dim=32),
    "modernbert": ModernBertConfig(**SIZES, **INNER, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1),
}
POST_NORM = ("bert", "distilbert")
NORMED_PARTS = ("gemma2",)


def random_model(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModel.from_config(MODELS[name], attn_implementation="eager").eval()


@pytest.mark.parametrize("name", MODELS)
def test_a_tap_sees_what_the_whole_model_computes_at_every_place(name):
    ids = torch.randint(4, 20, (3, 11))
    with torch.inference_mode():
        states = random_model(name)(input_ids=ids, output_hidden_states=True).hidden_states
    hooks = [hook for hook in SITES if (name, hook) != ("neox parallel", "resid_mid")]
    model = random_model(name)
    found = Tap(model, [Place(layer, hook) for layer in (0, 1) for hook in hooks], 3).forward(input_ids=ids)
    assert all(values.shape == (3, 11, HIDDEN) for values in found.values())
    for layer in (0, 1):
        at = {hook: found[Place(layer, hook)] for hook in hooks}
        torch.testing.assert_close(at["resid_pre"], states[layer])
        torch.testing.assert_close(at["resid_post"], states[layer + 1])
        if "resid_mid" in hooks and name not in NORMED_PARTS:
            torch.testing.assert_close(at["resid_mid"], at["resid_pre"] + at["attn_out"])
        if name not in (*POST_NORM, *NORMED_PARTS):
            torch.testing.assert_close(at["resid_post"], at["resid_pre"] + at["attn_out"] + at["mlp_out"])
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in random_model(name).parameters())


@pytest.mark.parametrize("hook", ["attn_out", "resid_mid"])
def test_the_forward_ends_at_the_deepest_place(hook):
    model = random_model("llama")
    tap = Tap(model, [Place(0, "resid_post"), Place(1, hook)], 3)
    model.layers[1].mlp.register_forward_hook(lambda *_: pytest.fail("the forward went on"))
    assert list(tap.forward(input_ids=torch.arange(5)[None])) == [(0, "resid_post"), (1, hook)]


def test_what_a_model_does_not_have_is_named():
    model = random_model("neox parallel")
    with pytest.raises(ValueError, match="layer 3 is not in the model: it has layers 0 to 2"):
        Tap(model, [Place(1, "resid_pre"), Place(3, "resid_pre")], 3)
    with pytest.raises(UnknownHookError, match="GPTNeoXLayer has no resid_mid; it has resid_pre, resid_post"):
        Tap(model, [Place(1, "resid_mid")], 3)


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
    place = Place(1, "resid_post")
    forward = load_forward(model, tokens, [place], "cpu", reduced=False, hook_field="").forward
    extraction = Extraction(out, forward, [place], "float32")
    assert len(list(extraction.run(batch_tokens))) == extraction.batches_done
    assert extraction.tokens_done == tokens.manifest.tokens
    manifest = extraction.finish({}, {}, lambda _: None)
    assert manifest.d_in == HIDDEN
    assert manifest.rows == rows_of_contexts(tokens).sum()
    rows = HookReader(out, manifest, manifest.entry(1)).gather(np.arange(manifest.rows))
    return rows, np.fromfile(out / "row_tokens.bin", dtype=np.uint32)


def test_rows_of_contexts_are_counted_in_pieces_as_in_one(tmp_path, monkeypatch):
    contexts = [[1, 5, 6, 2], [7], [1, 1], [8, 9, 2, 9, 9]]
    tokens = store_tokens(tmp_path / "tokens", contexts, 0, [1, 2])
    for at_once in (1, 4, 100):
        monkeypatch.setattr(forwarding, "COUNTED_AT_ONCE", at_once)
        assert rows_of_contexts(tokens).tolist() == [2, 1, 0, 4]


class OfMemory:
    """A tap that has memory for so many contexts at once, and remembers what it was asked for."""

    def __init__(self, most: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        self.most, self.error, self.asked = most, error, []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[Place, torch.Tensor]:
        self.asked.append(len(input_ids))
        if len(input_ids) > self.most:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        return {Place(0, "resid_pre"): input_ids[..., None].float().expand(-1, -1, 2)}


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_run_again_in_parts_and_so_are_those_after_it(tmp_path, error):
    contexts = [[number + 10] * (1 + number % 3) for number in range(12)]
    tokens = store_tokens(tmp_path / "tokens", contexts, 0, [10, 14])
    whole = Forward(tokens, OfMemory(100))
    small = Forward(tokens, OfMemory(3, error))
    for batch in (np.arange(6), np.arange(6, 12)):
        wanted, found = whole.run(batch), small.run(batch)
        assert found.tokens == wanted.tokens
        assert found.of_tokens.tolist() == wanted.of_tokens.tolist()
        assert torch.equal(found.by_place[Place(0, "resid_pre")], wanted.by_place[Place(0, "resid_pre")])
    assert small._tap.asked == [6, 3, 3, 3, 3]


def test_a_context_that_does_not_fit_alone_is_an_error_and_so_is_any_other(tmp_path):
    tokens = store_tokens(tmp_path / "tokens", [[5, 6], [7, 8]], 0, [])
    with pytest.raises(torch.OutOfMemoryError):
        Forward(tokens, OfMemory(0)).run(np.arange(2))
    broken = OfMemory(0, lambda _: RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        Forward(tokens, broken).run(np.arange(2))
    assert broken.asked == [2]


def test_a_disk_without_room_is_said_before_the_start_with_the_figures(tmp_path):
    check_room(tmp_path, 1)
    with pytest.raises(OSError, match=r"the activations need 1099511627776 MiB and \d+ MiB are free") as raised:
        check_room(tmp_path, 1 << 60)
    assert classify_error(None, "OSError", str(raised.value)) is FailureClass.DISK_FULL


@settings(max_examples=60, deadline=None)
@given(
    rows_of=st.lists(st.integers(0, 9), min_size=4, max_size=60),
    batch=st.integers(1, 6),
    per_buffer=st.integers(1, 4),
    held_out=st.integers(0, 8),
    epoch=st.integers(0, 3),
)
def test_buffers_take_each_row_of_an_epoch_once(rows_of, batch, per_buffer, held_out, epoch):
    counts = np.array(rows_of)
    order = ContextOrder(counts, batch, batch * per_buffer, seed=1, held_out_rows=held_out)
    kept = {(int(c), row) for c in order.held_out_part.contexts for row in range(counts[c])}
    assert len(kept) >= min(held_out, counts.sum())
    taken: list[tuple[int, int]] = []
    for buffer in range(-(-order.batches_per_epoch // per_buffer)):
        part = order.part(epoch, buffer)
        contexts = np.sort(part.contexts)
        rows = [(int(c), row) for c in contexts for row in range(counts[c])]
        chosen = [row for row, keep in zip(rows, part.keep(contexts), strict=True) if keep]
        assert len(chosen) == part.rows == len(order.shuffle(epoch, buffer))
        taken += chosen
    assert len(taken) == len(set(taken)) == order.batches_per_epoch * batch
    assert not kept & set(taken)


def test_streamed_rows_are_those_of_a_store_in_another_order(tmp_path):
    # ids that bfloat16 holds exactly
    contexts = [list(range(6 * number + 1, 6 * number + 2 + number % 5)) for number in range(40)]
    tokens = store_tokens(tmp_path / "tokens", contexts, 0, [])
    place = Place(0, "resid_pre")
    order = ContextOrder(rows_of_contexts(tokens), 6, 24, seed=0, held_out_rows=10)

    def source(state: dict | None = None) -> StreamedRows:
        forward = Forward(tokens, OfMemory(2))
        return StreamedRows(forward, 2, order, [place], 16, "cpu", list, state)

    streamed = source()
    first, second = ([rows[place] for rows in streamed.epoch(number, 0)] for number in (0, 1))
    held_out = [streamed.read_held_out(indices, [place])[place] for indices in streamed.held_out()]
    scale = streamed.scale(place)
    ids = sorted((torch.cat([*first, *held_out])[:, 0] / scale).round().int().tolist())
    every = sorted(token for context in contexts for token in context)
    assert len(ids) > len(every) - 6
    assert set(ids) <= set(every)
    assert len(set(ids)) == len(ids)
    assert not torch.equal(torch.cat(first), torch.cat(second))
    again = source(streamed.state())
    assert all(torch.equal(rows[place], wanted) for rows, wanted in zip(again.epoch(0, 5), first[5:], strict=True))
