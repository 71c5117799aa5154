"""The sparse path's gradients are those of dense autograd on the same formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.ml.sae.objective import StepResult
from headway.ml.sae.topk import TopKObjective, topk_step
from headway.ml.sae.weights import Weights, geometric_median, initial_weights


def dense_step(weights: Weights, rows: torch.Tensor, objective: TopKObjective, dead: torch.Tensor) -> StepResult:
    """The same loss written densely, straight from the paper, differentiated by autograd."""
    enc, b_enc, dec, b_dec = leaves = [tensor.clone().requires_grad_() for tensor in weights]
    pre = (rows - b_dec) @ enc.T + b_enc
    top = pre.topk(objective.k, dim=-1)
    codes = torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())
    out = codes @ dec + b_dec
    loss = (out - rows).pow(2).sum(-1).mean()
    aux_loss = torch.zeros_like(loss)
    if objective.aux_k and len(dead):
        residual = (rows - out).detach()
        pre_dead = pre[:, dead]
        top = pre_dead.topk(min(objective.aux_k, len(dead)), dim=-1)
        codes_dead = torch.zeros_like(pre_dead).scatter(1, top.indices, top.values.relu())
        scale = objective.aux_coefficient * min(1.0, len(dead) / objective.aux_k)
        aux_loss = scale * (codes_dead @ dec[dead] - residual).pow(2).sum(-1).mean()
    gradients = torch.autograd.grad(loss + aux_loss, leaves)
    fvu = (out - rows).pow(2).sum() / (rows - rows.mean(0)).pow(2).sum()
    fires = codes > 0
    return StepResult(loss, aux_loss, fvu, fires.any(0), fires.sum(), Weights(*gradients))


def problem(seed: int, batch: int, d_in: int, d_sae: int, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    rows = normal(batch, d_in) + 0.5
    return Weights(normal(d_sae, d_in), 0.1 * normal(d_sae), normal(d_sae, d_in), 0.1 * normal(d_in)), rows


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(2, 40),
    d_in=st.integers(2, 24),
    d_sae=st.integers(8, 64),
    k=st.integers(1, 8),
    aux_k=st.integers(0, 8),
    dead_count=st.integers(0, 20),
)
def test_sparse_gradients_equal_dense_autograd_in_float64(seed, batch, d_in, d_sae, k, aux_k, dead_count):
    weights, rows = problem(seed, batch, d_in, d_sae)
    dead = torch.randperm(d_sae, generator=torch.Generator().manual_seed(seed))[: min(dead_count, d_sae)]
    objective = TopKObjective(k, aux_k, aux_coefficient=0.5)
    ours, theirs = topk_step(weights, rows, objective, dead), dense_step(weights, rows, objective, dead)
    torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.aux_loss, theirs.aux_loss, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(ours.fvu, theirs.fvu, rtol=1e-9, atol=0)
    assert torch.equal(ours.fired, theirs.fired)
    assert ours.firings == theirs.firings
    for name, mine, reference in zip(Weights._fields, ours.gradients, theirs.gradients, strict=True):
        scale = reference.abs().max().item() or 1.0
        torch.testing.assert_close(mine, reference, rtol=0, atol=1e-9 * scale, msg=lambda m, n=name: f"{n}: {m}")


def test_float32_gradients_at_working_size_agree_with_dense_float64():
    weights, rows = problem(0, 512, 128, 1024, torch.float32)
    dead = torch.arange(0, 1024, 7)
    objective = TopKObjective(32, 64)
    ours = topk_step(weights, rows, objective, dead)
    exact = dense_step(Weights(*(t.double() for t in weights)), rows.double(), objective, dead)
    for mine, reference in zip(ours.gradients, exact.gradients, strict=True):
        assert (mine.double() - reference).abs().max() <= 1e-4 * reference.abs().max()


def test_encoding_in_blocks_changes_nothing(monkeypatch):
    weights, rows = problem(3, 50, 12, 40)
    whole = topk_step(weights, rows, TopKObjective(5, 4), torch.arange(10))
    monkeypatch.setattr("headway.ml.sae.sparse.ENCODE_BLOCK_ELEMENTS", 40 * 7)
    monkeypatch.setattr("headway.ml.sae.sparse.LEAST_BLOCK_ROWS", 1)
    blocks = topk_step(weights, rows, TopKObjective(5, 4), torch.arange(10))
    for mine, reference in zip(blocks.gradients, whole.gradients, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)


def test_bfloat16_encode_chooses_nearly_the_same_features():
    weights, rows = problem(1, 256, 64, 512, torch.float32)
    exact = topk_step(weights, rows, TopKObjective(16))
    rough = topk_step(weights, rows, TopKObjective(16, encode_dtype=torch.bfloat16))
    assert rough.loss.item() == pytest.approx(exact.loss.item(), rel=0.02)


def test_the_same_step_gives_the_same_bits():
    weights, rows = problem(2, 512, 64, 512, torch.float32)
    first, second = (topk_step(weights, rows, TopKObjective(16, 32), torch.arange(50)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.gradients, second.gradients, strict=True))


def test_initial_decoder_has_unit_rows_and_the_encoder_is_tied_to_it():
    weights = initial_weights(64, torch.randn(100, 16), seed=1)
    torch.testing.assert_close(weights.dec.norm(dim=1), torch.ones(64))
    assert torch.equal(weights.enc, weights.dec)


def test_geometric_median_is_not_moved_by_an_outlier():
    rows = torch.cat([torch.randn(200, 4), torch.full((3, 4), 1e4)])
    assert geometric_median(rows).norm() < 1
    assert rows.mean(0).norm() > 100
