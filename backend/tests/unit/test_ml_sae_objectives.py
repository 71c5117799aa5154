"""Every architecture's loss and gradients are those of a few lines written from its paper, by autograd in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headway.ml.sae.batch_topk import BatchTopKObjective, choose
from headway.ml.sae.gated import GatedObjective
from headway.ml.sae.jumprelu import JumpReluObjective
from headway.ml.sae.objective import Model, Objective
from headway.ml.sae.relu import ReluObjective
from headway.ml.sae.topk import SkipTranscoderObjective, TopKObjective
from headway.ml.sae.weights import Weights

D_IN, D_SAE, BATCH, K, AUX_K, DEAD = 12, 40, 50, 3, 8, 10
Leaves = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small only wait for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def model(objective: Objective) -> Model:
    """Every tensor random, also those that start at 0."""
    rows = normal(0, 30, D_IN)
    made = objective.initial(D_SAE, rows, rows, 0, "mean")
    weights = Weights(normal(1, D_SAE, D_IN), 0.3 * normal(2, D_SAE), normal(3, D_SAE, D_IN), 0.3 * normal(4, D_IN))
    extra = {name: tensor + 0.3 * normal(5, *tensor.shape) for name, tensor in made.extra.items()}
    return Model(weights, extra, made.running)


def squares(error: Tensor) -> Tensor:
    return error.pow(2).sum(-1).mean()


def keep_top(pre: Tensor, k: int) -> Tensor:
    top = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())


def aux(pre: Tensor, dead: Tensor, dec: Tensor, residual: Tensor) -> Tensor:
    codes = keep_top(pre[:, dead], AUX_K)
    return 0.5 * squares(codes @ dec[dead] - residual.detach())


def topk(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    pre = (x - p["b_dec"]) @ p["enc"].T + p["b_enc"]
    out = keep_top(pre, K) @ p["dec"] + p["b_dec"]
    return squares(out - x), aux(pre, dead, p["dec"], x - out)


def batch_topk(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    pre = (x - p["b_dec"]) @ p["enc"].T + p["b_enc"]
    codes = keep_top(pre.reshape(1, -1), K * len(x)).view_as(pre)
    out = codes @ p["dec"] + p["b_dec"]
    return squares(out - x), aux(pre, dead, p["dec"], x - out)


def matryoshka(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    pre = (x - p["b_dec"]) @ p["enc"].T + p["b_enc"]
    codes = keep_top(pre.reshape(1, -1), K * len(x)).view_as(pre)
    outs = [codes[:, :m] @ p["dec"][:m] + p["b_dec"] for m in (5, 17, D_SAE)]
    return squares(outs[-1] - x), squares(outs[0] - x) + squares(outs[1] - x) + aux(pre, dead, p["dec"], x - outs[-1])


def relu_of_april_2024(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    codes = (x @ p["enc"].T + p["b_enc"]).relu()
    return squares(codes @ p["dec"] + p["b_dec"] - x), 0.7 * (codes * p["dec"].norm(dim=1)).sum(-1).mean()


def relu_of_2023(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    codes = ((x - p["b_dec"]) @ p["enc"].T + p["b_enc"]).relu()
    return squares(codes @ p["dec"] + p["b_dec"] - x), 0.7 * codes.sum(-1).mean()


class Jump(torch.autograd.Function):
    """`weighted` pre (or 1) where pre is above the threshold, with the paper's pseudo-derivative."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float, weighted: bool) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        ctx.bandwidth, ctx.weighted = bandwidth, weighted
        return (pre > threshold) * (pre if weighted else torch.ones_like(pre))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:
        pre, threshold = ctx.saved_tensors
        kernel = (((pre - threshold) / ctx.bandwidth).abs() < 0.5).to(pre.dtype)
        height = threshold if ctx.weighted else 1.0
        d_pre = (pre > threshold) * upstream[0] * float(ctx.weighted)
        return d_pre, (-height / ctx.bandwidth * kernel * upstream[0]).sum(0), None, None


def jumprelu(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    pre, threshold = (x @ p["enc"].T + p["b_enc"]).relu(), p["log_threshold"].exp()
    bandwidth = 0.3 * math.sqrt(D_IN)
    codes, fires = Jump.apply(pre, threshold, bandwidth, True), Jump.apply(pre, threshold, bandwidth, False)
    return squares(codes @ p["dec"] + p["b_dec"] - x), 0.7 * fires.sum(-1).mean()


def gated(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    centred = x - p["b_dec"]
    gate = centred @ p["enc"].T + p["b_enc"]
    magnitude = (centred @ (p["r_mag"].exp()[:, None] * p["enc"]).T + p["b_mag"]).relu()
    out = ((gate > 0) * magnitude) @ p["dec"] + p["b_dec"]
    frozen = gate.relu() @ p["dec"].detach() + p["b_dec"].detach()
    return squares(out - x), 0.7 * gate.relu().sum(-1).mean() + squares(frozen - x)


def transcoder(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    codes = (x @ p["enc"].T + p["b_enc"]).relu()
    return squares(codes @ p["dec"] + p["b_dec"] - y), 0.7 * codes.sum(-1).mean()


def skip_transcoder(p: Leaves, x: Tensor, y: Tensor, dead: Tensor) -> tuple[Tensor, Tensor]:
    pre = x @ p["enc"].T + p["b_enc"]
    out = keep_top(pre, K) @ p["dec"] + x @ p["skip"].T + p["b_dec"]
    return squares(out - y), aux(pre, dead, p["dec"], y - out)


Reference = Callable[[Leaves, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
CASES: dict[str, tuple[Objective, Reference]] = {
    "topk": (TopKObjective(K, AUX_K, 0.5), topk),
    "batch_topk": (BatchTopKObjective(K, AUX_K, 0.5), batch_topk),
    "matryoshka": (BatchTopKObjective(K, AUX_K, 0.5, prefixes=(5, 17)), matryoshka),
    "relu, free decoder": (ReluObjective(0.7), relu_of_april_2024),
    "relu, unit decoder": (ReluObjective(0.7, unit_decoder=True), relu_of_2023),
    "jumprelu": (JumpReluObjective(0.7, bandwidth=0.3, threshold=0.2), jumprelu),
    "gated": (GatedObjective(0.7), gated),
    "transcoder": (ReluObjective(0.7, unit_decoder=True, transcoder=True), transcoder),
    "skip_transcoder": (SkipTranscoderObjective(TopKObjective(K, AUX_K, 0.5)), skip_transcoder),
}


@pytest.mark.parametrize("way", ["dense", "by entries"])
@pytest.mark.parametrize("block_rows", [7, 1000])
@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients_are_those_of_the_paper(name, block_rows, way, monkeypatch):
    monkeypatch.setattr("headway.ml.sae.dense.SPARSE_SHARE", float(way == "by entries"))
    monkeypatch.setattr("headway.ml.sae.dense.CACHED_ELEMENTS", 3 * D_SAE)
    monkeypatch.setattr("headway.ml.sae.sparse.ENCODE_BLOCK_ELEMENTS", 1)
    monkeypatch.setattr("headway.ml.sae.dense.DENSE_BLOCK_ELEMENTS", 1)
    monkeypatch.setattr("headway.ml.sae.sparse.LEAST_BLOCK_ROWS", block_rows)
    objective, reference = CASES[name]
    ours, rows = model(objective), normal(6, BATCH, D_IN) + 0.4
    targets = normal(7, BATCH, D_IN) - 0.2 if "transcoder" in name else rows
    dead = torch.randperm(D_SAE, generator=torch.Generator().manual_seed(8))[:DEAD]
    leaves = {key: value.clone().requires_grad_() for key, value in ours.learned().items()}
    loss, rest = reference(leaves, rows, targets, dead)
    expected = torch.autograd.grad(loss + rest, list(leaves.values()))
    result = objective.step(ours, rows, targets, dead, step_number=10)
    torch.testing.assert_close(result.loss, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(result.aux_loss + (result.penalty or 0), rest, rtol=1e-12, atol=0)
    spread = (targets - targets.mean(0)).pow(2).sum()
    torch.testing.assert_close(result.fvu, loss * BATCH / spread, rtol=1e-10, atol=0)
    assert list(result.by_name()) == list(leaves)
    for key, mine, theirs in zip(leaves, result.by_name().values(), expected, strict=True):
        scale = theirs.abs().max().item()
        assert scale > 0, key
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10 * scale, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", ["relu, free decoder", "jumprelu"])
def test_a_step_in_which_nothing_fires_moves_no_encoder(name):
    objective, rows = CASES[name][0], normal(6, BATCH, D_IN)
    silent = model(objective)
    silent.weights.b_enc.fill_(-1e6)
    if silent.extra:
        silent.extra["log_threshold"].fill_(0.5)  # 0 is far from the threshold
    result = objective.step(silent, rows, rows, torch.empty(0, dtype=torch.int64), step_number=10)
    assert result.firings == 0
    assert not result.fired.any()
    assert not result.gradients.enc.any()
    torch.testing.assert_close(result.loss, squares(rows - silent.weights.b_dec))


@pytest.mark.parametrize("name", ["relu, free decoder", "relu, unit decoder", "jumprelu", "gated", "transcoder"])
def test_the_price_of_firing_rises_with_the_warm_up(name):
    objective = CASES[name][0]
    ramped = type(objective)(
        **{field: getattr(objective, field) for field in objective.__slots__} | {"warmup_steps": 8}
    )
    rows, dead = normal(6, BATCH, D_IN), torch.empty(0, dtype=torch.int64)
    free, half, whole = (ramped.step(model(objective), rows, rows, dead, step).penalty for step in (0, 4, 8))
    assert all(penalty is not None for penalty in (free, half, whole))
    torch.testing.assert_close(half - free, (whole - free) / 2)
    assert torch.equal(whole, objective.step(model(objective), rows, rows, dead, 0).penalty)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 200),
    k=st.integers(1, 12),
    shift=st.sampled_from([-5.0, -1.0, 0.0, 3.0]),
)
def test_batch_topk_keeps_exactly_the_largest_of_the_batch(seed, batch, k, shift):
    weights = Weights(
        normal(seed, 20, 6), torch.full((20,), shift, dtype=torch.float64), normal(1, 20, 6), normal(2, 6)
    )
    # Rows of very different length: a sample of them says little about the others.
    inputs = normal(seed + 1, batch, 6) * torch.linspace(0.1, 9, batch, dtype=torch.float64).square().unsqueeze(1)
    entries = choose(weights, inputs, BatchTopKObjective(k)).entries
    codes = torch.zeros(batch, 20, dtype=torch.float64)
    codes[entries.rows, entries.features] = entries.values
    pre = torch.addmm(weights.b_enc, inputs, weights.enc.T)
    assert torch.equal(codes, keep_top(pre.reshape(1, -1), min(k * batch, pre.numel())).view_as(pre))
