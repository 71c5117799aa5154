"""SAEs from stored activations: watched, stopped, taken up bit for bit, exported."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from headway.jobs.context import JobContext
from headway.jobs.kinds.sae_train.plan import half_as_power_of_two
from headway.jobs.kinds.sae_train.run import _Training
from headway.ml.activations.forward import Forward
from headway.ml.activations.manifest import Manifest
from headway.ml.activations.writer import HookWriter
from headway.ml.sae.firing import DECADES, FiringDensity
from headway.ml.sae.saelens import load_sae
from headway.spool.control import Control
from headway.spool.records import EventKind
from tests.kind_runs import Example, Ran, run_kind
from tests.tiny_models import some_text, tiny_llama

D_IN, ROWS = 16, 4096
CONFIG = {
    "d_sae": 64,
    "k": 4,
    "batch_rows": 128,
    "epochs": 2,
    "eval_rows": 512,
    "checkpoint_every_steps": 10,
    "dead_after_rows": 1000,
    "lr": 0.003,
    "warmup_steps": 5,
}
STEPS = 2 * ((ROWS - 512) // 128)
TRAINED = ("loss", "fvu", "l0", "dead_fraction", "grad_norm", "lr", "aux_loss")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "activations")


def example(folder: Path) -> Example:
    """Two small layers, two epochs."""
    return Example(CONFIG, {"activations": make_store(folder / "activations")})


def make_store(folder: Path) -> Path:
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(30, D_IN, generator=generator), dim=1)
    entries = []
    for layer in (1, 2):
        codes = torch.rand(ROWS, 30, generator=generator)
        rows = codes.mul_(codes > 0.9) @ directions * 5 + layer
        writer = HookWriter(folder, layer=layer, hook="resid_post", d_in=D_IN, dtype="bfloat16")
        writer.append(rows)
        entries.append(writer.finish(lambda _: None))
    manifest = Manifest(dtype="bfloat16", d_in=D_IN, rows=ROWS, model={"name": "m"}, tokens={}, hooks=entries)
    manifest.write(folder)
    return folder


def train(folder: Path, store: Path, *, resume: list[Path] | None = None, **config: object) -> Ran:
    return run_kind(folder, "sae.train", CONFIG | config, inputs={"activations": store}, resume_from=resume)


def test_one_layer_is_trained_evaluated_and_saved(tmp_path, store):
    ran = train(tmp_path / "job", store, layers=[1], epochs=6)
    assert ran.result["outcome"] == "completed"
    assert ran.phases == ["initializing", "training", "evaluating", "saving"]
    last = STEPS * 3
    assert set(ran.metrics["loss"]) == set(range(1, last + 1))
    assert ran.metrics["fvu"][last] < 0.5 * ran.metrics["fvu"][1]
    assert ran.metrics["eval/fvu"][last] < 0.5
    assert all(0 < value <= 4 for value in ran.metrics["l0"].values())
    assert ran.metrics["lr"][5] == pytest.approx(0.003 * 5 / 6)
    assert all(ran.metrics["rows_per_s"][step] > 0 for step in (1, last))
    sae = ran.artifacts["sae"]["saes"][0]
    assert sae["fvu"] == ran.metrics["eval/fvu"][last]
    saved = load_sae(ran.outputs["sae"] / str(sae["folder"]))
    assert saved.config["metadata"]["hook_name"] == "blocks.1.hook_resid_post"


def test_several_layers_are_trained_from_the_same_read(tmp_path, store):
    both, alone = train(tmp_path / "both", store), train(tmp_path / "alone", store, layers=[2])
    assert both.metrics["layer2/loss"] == alone.metrics["loss"]
    assert [sae["layer"] for sae in both.artifacts["sae"]["saes"]] == [1, 2]


def test_epochs_and_steps_are_counted(tmp_path, store):
    ran = train(tmp_path / "job", store, layers=[1])
    counters = [data["counters"] for data in ran.of(EventKind.COUNTERS) if data["phase"] == "training"]
    assert counters[-1][0] == {"unit": "epoch", "current": 2, "total": 2}
    assert [counter["unit"] for counter in counters[0]] == ["epoch", "step"]


def test_the_budget_of_rows_ends_the_training(tmp_path, store):
    ran = train(tmp_path / "job", store, layers=[1], max_rows=128 * 9 + 5)
    assert max(ran.metrics["loss"]) == 9
    assert ran.artifacts["sae"]["rows"] == 128 * 9


class _KilledError(Exception):
    """Stands for a SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("killed_at", [14, 28, 37])
def test_a_run_taken_up_logs_the_same_bits_as_an_uninterrupted_one(tmp_path, store, monkeypatch, killed_at):
    whole = train(tmp_path / "whole", store, dead_after_rows=300)
    die_at(monkeypatch, killed_at)
    first = train(tmp_path / "first", store, dead_after_rows=300)
    monkeypatch.undo()
    assert first.result["outcome"] == "failed"
    checkpoints = sorted((tmp_path / "first/checkpoints").glob("step-*"), reverse=True)
    second = train(tmp_path / "second", store, resume=checkpoints, dead_after_rows=300)
    resumed_from = killed_at - killed_at % 10
    assert min(second.metrics["layer1/loss"]) == resumed_from + 1
    for layer in (1, 2):
        for name in (f"layer{layer}/{metric}" for metric in TRAINED):
            joined = {step: value for step, value in first.metrics[name].items() if step <= resumed_from}
            joined |= second.metrics[name]
            assert {s: v.hex() for s, v in joined.items()} == {s: v.hex() for s, v in whole.metrics[name].items()}
    for path in whole.outputs["sae"].rglob("*.safetensors"):
        assert path.read_bytes() == (second.outputs["sae"] / path.relative_to(whole.outputs["sae"])).read_bytes()


SEVERAL: list[dict[str, object]] = [
    {"architecture": "batch_topk"},
    {"architecture": "matryoshka", "k": 6, "name": "nested"},
    {"architecture": "relu_unit_norm", "coefficient": 0.5, "expansion": 3},
    {"architecture": "jumprelu", "coefficient": 0.2, "lr": 0.002},
    {"architecture": "topk", "seed": 7},
]


def test_several_saes_share_a_read_and_each_is_what_it_would_be_alone(tmp_path, store):
    ran = train(tmp_path / "several", store, layers=[1], saes=SEVERAL)
    alone = train(tmp_path / "alone", store, layers=[1], architecture="matryoshka", k=6)
    assert ran.result["outcome"] == "completed"
    assert ran.metrics["nested/loss"] == alone.metrics["loss"]
    assert ran.metrics["nested/penalty"] == alone.metrics["penalty"]
    assert "topk5/penalty" not in ran.metrics
    saes = ran.artifacts["sae"]["saes"]
    names = [f"layer01.resid_post.{n}" for n in ("batch_topk1", "nested", "relu_unit_norm3", "jumprelu4", "topk5")]
    assert [sae["folder"] for sae in saes] == names
    assert [sae["architecture"] for sae in saes] == [spec["architecture"] for spec in SEVERAL]
    assert [sae["d_sae"] for sae in saes] == [64, 64, 48, 64, 64]
    assert (saes[1]["k"], saes[2]["coefficient"], saes[3]["lr"], saes[4]["seed"]) == (6, 0.5, 0.002, 7)
    saved = [load_sae(ran.outputs["sae"] / name).config["architecture"] for name in names]
    assert saved == ["jumprelu", "jumprelu", "standard", "jumprelu", "topk"]


def test_several_saes_are_taken_up_bit_for_bit(tmp_path, store, monkeypatch):
    config = {"saes": SEVERAL, "dead_after_rows": 300, "ema_decay": 0.9, "patience_steps": 1000}
    whole = train(tmp_path / "whole", store, **config)
    die_at(monkeypatch, 27)
    first = train(tmp_path / "first", store, **config)
    monkeypatch.undo()
    checkpoints = sorted((tmp_path / "first/checkpoints").glob("step-*"), reverse=True)
    second = train(tmp_path / "second", store, resume=checkpoints, **config)
    for name in (name for name in whole.metrics if not name.endswith("rows_per_s")):
        joined = {step: value for step, value in first.metrics.get(name, {}).items() if step <= 20}
        joined |= second.metrics[name]
        assert {s: v.hex() for s, v in joined.items()} == {s: v.hex() for s, v in whole.metrics[name].items()}, name


STREAM = {"layers": [0, 2], "buffer_rows": 512, "batch_tokens": 128, "batch_rows": 64, "eval_rows": 100, "d_sae": 40}


def stream(folder: Path, inputs: dict[str, Path], resume: list[Path] | None = None, **config: object) -> Ran:
    return run_kind(folder, "sae.train", CONFIG | STREAM | config, inputs=inputs, resume_from=resume)


@pytest.fixture
def model_and_tokens(tmp_path: Path) -> dict[str, Path]:
    model = tiny_llama(tmp_path / "model")
    places = {"dataset": some_text(tmp_path / "text", documents=60), "model": model}
    tokens = run_kind(tmp_path / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    return {"model": model, "tokens": tokens.outputs["tokens"]}


@pytest.mark.parametrize("killed_at", [9, 13, 37])
def test_a_streamed_training_taken_up_logs_the_same_bits(tmp_path, model_and_tokens, monkeypatch, killed_at):
    whole = stream(tmp_path / "whole", model_and_tokens, checkpoint_every_steps=5)
    assert whole.result["outcome"] == "completed"
    assert max(whole.metrics["layer0/loss"]) > 2 * (512 // 64)
    monkeypatch.setattr(_Training, "_one_step", dying(_Training._one_step, killed_at))
    first = stream(tmp_path / "first", model_and_tokens, checkpoint_every_steps=5)
    monkeypatch.undo()
    left = sorted((tmp_path / "first/checkpoints").glob("step-*"), reverse=True)
    second = stream(tmp_path / "second", model_and_tokens, resume=left, checkpoint_every_steps=5)
    for name in (name for name in whole.metrics if not name.endswith("rows_per_s")):
        done = killed_at - 1 - (killed_at - 1) % 5
        joined = {step: value for step, value in first.metrics.get(name, {}).items() if step <= done}
        assert joined | second.metrics[name] == whole.metrics[name], name
    for path in whole.outputs["sae"].rglob("*.safetensors"):
        assert path.read_bytes() == (second.outputs["sae"] / path.relative_to(whole.outputs["sae"])).read_bytes()


def dying(step, at: int):
    """A step that is the run's last breath when it is called for the `at`-th time."""
    calls = 0

    def one_step(training: _Training, rows: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise _KilledError
        step(training, rows)

    return one_step


def test_a_streamed_transcoder_reads_both_its_places(tmp_path, model_and_tokens):
    config = {"architecture": "transcoder", "hook": "mlp_in", "target_hook": "mlp_out", "layers": [1], "max_rows": 640}
    ran = stream(tmp_path / "job", model_and_tokens, **config)
    assert ran.result["outcome"] == "completed"
    assert ran.artifacts["sae"]["saes"][0]["target"] == "layer01.mlp_out"


def test_a_pause_while_the_buffer_fills_keeps_the_last_step(tmp_path, model_and_tokens, monkeypatch):
    flags: list[Control] = []
    fill = Forward.run

    def pausing(forward: Forward, contexts: object) -> object:
        asked = getattr(pausing, "asked", 0) + 1
        pausing.asked = asked  # type: ignore[attr-defined]
        if asked == 8:
            flags[0].pause()
        return fill(forward, contexts)

    monkeypatch.setattr(Forward, "run", pausing)
    config = CONFIG | STREAM | {"checkpoint_every_steps": 1000}
    ran = run_kind(tmp_path / "job", "sae.train", config, inputs=model_and_tokens, prepare=flags.append)
    assert ran.result["outcome"] == "paused"
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [8]


def test_a_checkpoint_says_what_the_features_do(tmp_path, store):
    ran = train(tmp_path / "job", store)
    last = ran.of(EventKind.CHECKPOINT)[-1]["metrics"]
    for layer in ("layer1/", "layer2/"):
        by_decade = {name: count for name, count in last.items() if name.startswith(f"{layer}density/")}
        assert list(by_decade) == [f"{layer}density/{decade}" for decade in DECADES]
        assert sum(by_decade.values()) == 64
        assert 0 < last[f"{layer}alive"] <= 64
        assert last[f"{layer}loss"] == pytest.approx(ran.metrics[f"{layer}loss"][STEPS])


def test_firing_densities_are_counted_by_decade():
    density = FiringDensity(5)
    density.counts = torch.tensor([0.0, 1.0, 1e3, 0.999e5, 1e6])
    density.rows = torch.tensor(1e6)
    counts = [density.figures()[f"density/{decade}"] for decade in DECADES]
    assert counts == [1, 0, 1, 0, 0, 1, 1, 1]
    assert density.figures()["dense_fraction"] == pytest.approx(1 / 5)


@pytest.mark.parametrize("architecture", ["transcoder", "skip_transcoder"])
def test_a_transcoder_makes_the_next_layer(tmp_path, store, architecture):
    ran = train(tmp_path / "job", store, layers=[1], architecture=architecture, target_layers_on=1, lr=1e-5)
    assert ran.result["outcome"] == "completed"
    assert ran.artifacts["sae"]["saes"][0]["target"] == "layer02.resid_post"
    saved = load_sae(ran.outputs["sae"] / "layer01.resid_post")
    assert saved.config["metadata"]["hook_name_out"] == "blocks.2.hook_resid_post"
    rows, targets = (torch.tensor(entry.statistics.mean) for entry in Manifest.read(store).hooks)
    assert (saved.weights.b_dec - targets).norm() < 0.5 * (saved.weights.b_dec - rows).norm()


def test_patience_ends_a_training_that_gets_no_better(tmp_path, store):
    ran = train(tmp_path / "job", store, layers=[1], epochs=20, lr=1e-9, patience_steps=30)
    assert ran.result["outcome"] == "completed"
    assert 30 <= max(ran.metrics["loss"]) < STEPS
    assert "eval/fvu" in ran.metrics


def die_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """End the run when it asks for the `call`-th time whether it shall stop."""
    calls = 0
    heed = JobContext.should_stop

    def die(job: JobContext) -> str:
        nonlocal calls
        calls += 1
        if calls == call:
            raise _KilledError
        return heed(job)

    monkeypatch.setattr(JobContext, "should_stop", die)


def test_pause_leaves_a_checkpoint_of_this_very_step(tmp_path, store):
    ran = run_kind(
        tmp_path / "job", "sae.train", CONFIG, inputs={"activations": store}, prepare=lambda control: control.pause()
    )
    assert ran.result["outcome"] == "paused"
    assert [data["step"] for data in ran.of(EventKind.CHECKPOINT)] == [1]
    resumed = train(tmp_path / "again", store, resume=[tmp_path / "job/checkpoints/step-000000000001"])
    assert resumed.result["outcome"] == "completed"
    assert min(resumed.metrics["layer1/loss"]) == 2


def test_cancel_ends_it_without_an_artifact(tmp_path, store):
    ran = run_kind(
        tmp_path / "job", "sae.train", CONFIG, inputs={"activations": store}, prepare=lambda control: control.cancel()
    )
    assert ran.result["outcome"] == "cancelled"
    assert not ran.artifacts


def test_without_held_out_rows_the_evaluation_is_left_out(tmp_path, store):
    ran = train(tmp_path / "job", store, layers=[1], eval_rows=0)
    assert ran.result["outcome"] == "completed"
    assert ran.phases == ["initializing", "training", "saving"]
    assert math.isfinite(ran.artifacts["sae"]["saes"][0]["fvu"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": [1, 9]}, "config.layers: layers [9] are not in the activations, which hold [1, 2]"),
        ({"k": 65}, "config.k: more than the 64 features there are"),
        ({"batch_rows": 4000}, "config.batch_rows: only 3584 rows are left to train on"),
        ({"eval_rows": 4096}, "config.eval_rows: there are only 4096 rows"),
        ({"max_rows": 5}, "config.max_rows: less than one batch"),
        ({"saes": [{"k": 65}]}, "config.k: more than the 64 features there are"),
        ({"saes": [{"name": "a"}, {"name": "a"}]}, "config.saes: two of them have the same name"),
        ({"hook": "mlp_out"}, "config.hook: 'mlp_out' is not in the activations, which hold ['resid_post']"),
        ({"architecture": "transcoder"}, "config.target_hook: ['layer01.resid_post', 'layer02.resid_post'] have no"),
        ({"model": "artifact:mmmmmmmmmmmm"}, "config.tokens: give activations, or a model with tokens, not both"),
        ({"architecture": "wavelet"}, "config.architecture: Input should be 'topk'"),
        ({"k": -1}, "config.k: Input should be greater than or equal to 1"),
        ({"no_such_field": 1}, "config.no_such_field: Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_said_by_its_field(tmp_path, store, change, said):
    ran = train(tmp_path / "job", store, **change)
    assert ran.result["error"]["class"] == "VALIDATION"
    assert said in ran.result["error"]["message"]


def test_values_that_are_not_finite_fail_as_diverged_with_the_step(tmp_path, store):
    path = next((store / "layer01.resid_post").iterdir())
    content = bytearray(path.read_bytes())
    content[1000:1002] = b"\xc0\x7f"  # NaN in bfloat16
    path.write_bytes(content)
    ran = train(tmp_path / "job", store, layers=[1])
    assert ran.result["error"]["type"].endswith("DivergedError")
    assert "step " in ran.result["error"]["message"]


def test_k_aux_is_the_power_of_two_nearest_to_half_of_d_in():
    assert [half_as_power_of_two(d_in) for d_in in (2, 16, 384, 512, 576, 768, 4096)] == [
        1,
        8,
        256,
        256,
        256,
        512,
        2048,
    ]
