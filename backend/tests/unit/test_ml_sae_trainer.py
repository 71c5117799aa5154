"""A trainer learns, keeps its constraints, revives the dead, resumes bit for bit and exports what it is."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from headway.ml import rng
from headway.ml.sae.adam import Adam
from headway.ml.sae.architectures import RESAMPLED
from headway.ml.sae.batch_topk import BatchTopKObjective
from headway.ml.sae.evaluate import evaluate
from headway.ml.sae.gated import GatedObjective
from headway.ml.sae.jumprelu import JumpReluObjective
from headway.ml.sae.objective import Objective
from headway.ml.sae.relu import ReluObjective
from headway.ml.sae.saelens import load_sae, save_sae
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.topk import SkipTranscoderObjective, TopKObjective, encode
from headway.ml.sae.trainer import DivergedError, SaeTrainer, TrainerConfig

D_IN, D_SAE, K = 24, 64, 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small only wait for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows_of_few_directions(count: int, seed: int = 0) -> torch.Tensor:
    """Each row is a positive mix of 3 out of 40 fixed directions, off centre: what an SAE is made to find."""
    generator = torch.Generator().manual_seed(99)
    directions = torch.nn.functional.normalize(torch.randn(40, D_IN, generator=generator), dim=1)
    generator.manual_seed(seed)
    chosen = torch.rand(count, 40, generator=generator).topk(3).indices
    strengths = 2 + 3 * torch.rand(count, 3, generator=generator)
    return torch.zeros(count, 40).scatter_(1, chosen, strengths) @ directions + 1.0


def config(steps: int = 400, **changes: object) -> TrainerConfig:
    settings = {"aux_k": 16, "dead_after_rows": 5000, "lr": 3e-3} | changes
    return TrainerConfig(
        d_sae=D_SAE,
        objective=TopKObjective(K, int(settings["aux_k"])),
        schedule=Schedule(float(settings["lr"]), steps, warmup_steps=10),
        dead_after_rows=int(settings["dead_after_rows"]),
    )


def train(trainer: SaeTrainer, rows: torch.Tensor, first: int, last: int) -> list[tuple[float, ...]]:
    order = torch.Generator().manual_seed(5)
    batches = [torch.randint(len(rows), (256,), generator=order) for _ in range(last)]
    return [tuple(trainer.step(rows[batch])) for batch in batches[first:]]


def hold_down_half(trainer: SaeTrainer) -> None:
    """Half of the features just miss the top k for a while."""
    trainer.weights.b_enc[: D_SAE // 2] = -3.0


def test_it_finds_the_directions_and_keeps_the_decoder_on_the_sphere():
    rows = rows_of_few_directions(8192)
    trainer = SaeTrainer.fresh(config(), rows[:1024], seed=0)
    history = train(trainer, rows, 0, 400)
    found = evaluate(trainer, rows_of_few_directions(2048, seed=1).split(500))
    assert found.fvu < 0.1 < 0.4 < history[0][2]
    assert 2 < found.l0 <= K
    assert found.cosine > 0.97
    torch.testing.assert_close(trainer.weights.dec.norm(dim=1), torch.ones(D_SAE))


def test_a_run_taken_up_from_its_state_gives_the_same_bits(tmp_path):
    rows = rows_of_few_directions(4096)
    whole = SaeTrainer.fresh(config(60, dead_after_rows=500), rows[:512], seed=1)
    hold_down_half(whole)
    expected = train(whole, rows, 0, 60)
    halved = SaeTrainer.fresh(config(60, dead_after_rows=500), rows[:512], seed=1)
    hold_down_half(halved)
    first = train(halved, rows, 0, 25)
    halved.save(tmp_path / "state.safetensors")
    taken_up = SaeTrainer.load(config(60, dead_after_rows=500), tmp_path / "state.safetensors")
    second = train(taken_up, rows, 25, 60)
    assert first + second == expected
    assert all(torch.equal(a, b) for a, b in zip(taken_up.weights, whole.weights, strict=True))


@pytest.mark.parametrize("left_out", ["adam.enc.exp_avg_sq", "rows_since_fired", "step_number"])
def test_a_state_without_one_of_its_parts_would_differ(tmp_path, left_out):
    rows = rows_of_few_directions(4096)
    trainer = SaeTrainer.fresh(config(60, dead_after_rows=1500), rows[:512], seed=1)
    hold_down_half(trainer)
    train(trainer, rows, 0, 25)
    path = tmp_path / "state.safetensors"
    trainer.save(path)
    tensors = load_file(path)
    tensors[left_out] = torch.zeros_like(tensors[left_out])
    save_file(tensors, tmp_path / "poor.safetensors")
    expected = train(trainer, rows, 25, 60)
    assert train(SaeTrainer.load(trainer.config, tmp_path / "poor.safetensors"), rows, 25, 60) != expected


OBJECTIVES: dict[str, Objective] = {
    "topk": TopKObjective(K, 16),
    "batch_topk": BatchTopKObjective(K, 16),
    "matryoshka": BatchTopKObjective(K, 16, prefixes=(8, 24)),
    "relu": ReluObjective(0.5, 20),
    "relu_unit_norm": ReluObjective(0.5, 20, unit_decoder=True),
    "jumprelu": JumpReluObjective(0.3, 20, bandwidth=0.05, threshold=0.05),
    "gated": GatedObjective(0.5, 20),
    "transcoder": ReluObjective(0.5, 20, unit_decoder=True, transcoder=True),
    "skip_transcoder": SkipTranscoderObjective(TopKObjective(K, 16)),
}


def of_kind(name: str, steps: int = 60) -> TrainerConfig:
    """With everything on that has a state: warm-ups, dead features, resampling, averaged weights."""
    return TrainerConfig(
        d_sae=D_SAE,
        objective=OBJECTIVES[name],
        schedule=Schedule(3e-3, steps, warmup_steps=10),
        dead_after_rows=1500,
        resample_every_steps=15 if name in RESAMPLED else 0,
        resample_until_step=steps,
        ema_decay=0.9,
        seed=3,
    )


def train_pairs(trainer: SaeTrainer, rows: torch.Tensor, first: int, last: int) -> list[list[str]]:
    """Metrics in hex. A transcoder makes the rows' squares."""
    order = torch.Generator().manual_seed(5)
    batches = [rows[torch.randint(len(rows), (256,), generator=order)] for _ in range(last)][first:]
    found = [trainer.step(batch, targets_of(trainer, batch)) for batch in batches]
    return [[value.hex() for value in metrics if value is not None] for metrics in found]


def targets_of(trainer: SaeTrainer, rows: torch.Tensor) -> torch.Tensor | None:
    objective = trainer.config.objective
    between = isinstance(objective, SkipTranscoderObjective) or getattr(objective, "transcoder", False)
    return rows.square() - rows if between else None


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_architecture_is_taken_up_bit_for_bit(tmp_path, name):
    rows = rows_of_few_directions(4096)

    def fresh() -> SaeTrainer:
        trainer = SaeTrainer.fresh(of_kind(name), rows[:512], seed=1)
        hold_down_half(trainer)
        return trainer

    whole, halved = fresh(), fresh()
    expected = train_pairs(whole, rows, 0, 60)
    first = train_pairs(halved, rows, 0, 25)
    halved.save(tmp_path / "state.safetensors")
    taken_up = SaeTrainer.load(of_kind(name), tmp_path / "state.safetensors")
    assert first + train_pairs(taken_up, rows, 25, 60) == expected
    for mine, theirs in ((taken_up.model, whole.model), (taken_up.best, whole.best)):
        assert list(mine.learned()) == list(theirs.learned())
        assert all(torch.equal(mine.learned()[key], theirs.learned()[key]) for key in theirs.learned())
        assert all(torch.equal(mine.running[key], theirs.running[key]) for key in theirs.running)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_architecture_learns_and_is_exported_as_it_is(tmp_path, name):
    raw, scale, target_scale = rows_of_few_directions(4096), 0.37, 0.23
    trainer = SaeTrainer.fresh(of_kind(name, 300), raw[:512] * scale, seed=1)
    targets = targets_of(trainer, raw)
    goal = raw * scale if targets is None else targets * target_scale
    order = torch.Generator().manual_seed(5)
    history: list[float] = []
    for _ in range(300):
        batch = torch.randint(len(raw), (256,), generator=order)
        history.append(trainer.step(raw[batch] * scale, goal[batch]).fvu)
    assert sum(history[-20:]) / 20 < min(0.9, 0.6 * history[0])
    out = None if targets is None else target_scale
    save_sae(tmp_path, trainer.config.objective, trainer.best, scale=scale, target_scale=out, metadata={})
    rebuilt = load_sae(tmp_path).reconstruct(raw)
    ours = trainer.reconstruct(raw * scale)[0] / (out or scale)
    # A code that lies on its threshold may fall on either side of it when it is scaled: all rows but a few are equal.
    distances = (rebuilt - ours).abs().max(1).values / ours.abs().max()
    assert (distances > 1e-5).sum() <= 4


def test_resampling_starts_dead_features_from_rows_that_are_badly_explained():
    rows = rows_of_few_directions(2048)
    changes = {"resample_every_steps": 15, "resample_until_step": 15, "dead_after_rows": 2000}
    trainer = SaeTrainer.fresh(dataclasses.replace(of_kind("relu_unit_norm"), **changes), rows[:512], seed=1)
    trainer.weights.b_enc[: D_SAE // 2] = -30.0
    train_pairs(trainer, rows, 0, 14)
    assert (trainer.rows_since_fired[: D_SAE // 2] >= 2000).all()
    train_pairs(trainer, rows, 14, 15)
    assert (trainer.weights.b_enc[: D_SAE // 2] == 0).all()
    torch.testing.assert_close(trainer.weights.dec.norm(dim=1), torch.ones(D_SAE))
    train_pairs(trainer, rows, 15, 25)
    assert (trainer.rows_since_fired[: D_SAE // 2] < 2000).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_architecture_stops_at_values_that_are_not_finite(name):
    rows = rows_of_few_directions(512)
    trainer = SaeTrainer.fresh(of_kind(name), rows, seed=0)
    trainer.step(rows, targets_of(trainer, rows))
    before = {key: value.clone() for key, value in trainer.model.learned().items()}
    rows[3, 3] = float("inf")
    with pytest.raises(DivergedError, match=r"step 2: .*Lower `lr`"):
        trainer.step(rows, targets_of(trainer, rows))
    assert all(torch.equal(value, before[key]) for key, value in trainer.model.learned().items())


def test_auxk_brings_dead_features_back():
    rows = rows_of_few_directions(8192)

    def dead_after(aux_k: int) -> float:
        trainer = SaeTrainer.fresh(config(aux_k=aux_k, dead_after_rows=2000), rows[:512], seed=0)
        hold_down_half(trainer)
        return train(trainer, rows, 0, 400)[-1][4]

    assert dead_after(0) > 0.25
    assert dead_after(16) < 0.15


def test_a_loss_that_is_not_finite_says_at_which_step():
    rows = rows_of_few_directions(512)
    trainer = SaeTrainer.fresh(config(), rows, seed=0)
    trainer.step(rows)
    rows[3, 3] = float("nan")
    with pytest.raises(DivergedError, match=r"step 2: .*Lower `lr`"):
        trainer.step(rows)


def test_the_exported_sae_takes_unscaled_rows(tmp_path):
    raw, scale = rows_of_few_directions(2048), 0.37
    trainer = SaeTrainer.fresh(config(100), raw[:512] * scale, seed=0)
    train(trainer, raw * scale, 0, 100)
    save_sae(tmp_path, trainer.config.objective, trainer.best, scale=scale, metadata={"model_name": "m"})
    saved = load_sae(tmp_path)
    assert (saved.k, saved.config["d_sae"], saved.config["architecture"]) == (K, D_SAE, "topk")
    rebuilt = encode(saved.weights, raw - saved.weights.b_dec, TopKObjective(K)).entries.decode(saved.weights.dec)
    torch.testing.assert_close(rebuilt + saved.weights.b_dec, trainer.reconstruct(raw * scale)[0] / scale)


def test_the_export_has_the_names_and_shapes_of_saelens(tmp_path):
    trainer = SaeTrainer.fresh(config(), rows_of_few_directions(512), seed=0)
    save_sae(tmp_path, trainer.config.objective, trainer.best, scale=1.0, metadata={})
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(tmp_path / "sae_weights.safetensors").items()}
    assert shapes == {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, D_IN), "b_enc": (D_SAE,), "b_dec": (D_IN,)}


def test_another_architecture_is_refused_by_name(tmp_path):
    (tmp_path / "cfg.json").write_text('{"architecture": "temporal"}')
    with pytest.raises(ValueError, match="temporal"):
        load_sae(tmp_path)


@given(st.integers(1, 500), st.integers(0, 600), st.floats(0, 1))
def test_the_rate_rises_then_falls_and_never_leaves_its_bounds(total, warmup, decay):
    schedule = Schedule(0.01, total, warmup, decay)
    rates = [schedule.at(step) for step in range(total)]
    assert all(0 < rate <= 0.01 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_generators_go_on_where_they_were():
    rng.seed_all(7)
    state = rng.capture()

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.normal()), torch.randn(1).item()

    first = [draw() for _ in range(3)]
    rng.restore(state)
    assert [draw() for _ in range(3)] == first


def test_the_fused_adam_gives_the_bits_of_torch_optim():
    generator = torch.Generator().manual_seed(3)
    ours = [torch.randn(40, 7, generator=generator), torch.randn(5, generator=generator)]
    theirs = [torch.nn.Parameter(tensor.clone()) for tensor in ours]
    adam, reference = Adam(ours), torch.optim.Adam(theirs, fused=True)
    for step in range(5):
        gradients = [torch.randn(tensor.shape, generator=generator) for tensor in ours]
        adam.step(gradients, lr=1e-3 / (step + 1))
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        reference.param_groups[0]["lr"] = 1e-3 / (step + 1)
        reference.step()
    for mine, parameter in zip(ours, theirs, strict=True):
        assert torch.equal(mine, parameter.data)


def test_a_training_step_does_not_import_the_compiler():
    code = (
        "import sys, torch; from tests.unit.test_ml_sae_trainer import *; rows = rows_of_few_directions(512); "
        "train(SaeTrainer.fresh(config(3), rows, seed=0), rows, 0, 3); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], timeout=300).returncode == 0
