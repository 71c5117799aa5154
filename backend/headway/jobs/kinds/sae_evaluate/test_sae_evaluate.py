"""What SAEs make again and what the model's loss says of it, held against the same figures taken plainly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from headway.jobs.context import JobContext
from headway.jobs.kinds.sae_evaluate.run import RESULT_FILE
from headway.ml.features.prediction import FIGURES
from headway.ml.text.token_store import TokenStore
from headway.spool.records import EventKind
from tests.kind_runs import Example, Ran, run_kind
from tests.tiny_models import HIDDEN, some_text, tiny_bert, tiny_llama

RESID_1 = "blocks.1.hook_resid_post"


def write_sae(
    folder: Path, hook: str = RESID_1, *, exact: bool = False, d_sae: int = 2 * HIDDEN, out: str = ""
) -> None:
    """A ReLU SAE as SAELens writes it: random, or with a feature for either side of each dimension, which is exact."""
    torch.manual_seed(3)
    eye = torch.cat([torch.eye(HIDDEN), -torch.eye(HIDDEN)])
    enc, dec = (eye.t().contiguous(), eye) if exact else (torch.randn(HIDDEN, d_sae), torch.randn(d_sae, HIDDEN) / 9)
    folder.mkdir(parents=True)
    tensors = {"W_enc": enc, "b_enc": torch.zeros(d_sae), "W_dec": dec, "b_dec": torch.zeros(HIDDEN)}
    save_file(tensors, folder / "sae_weights.safetensors")
    metadata = {"hook_name": hook} | ({"hook_name_out": out} if out else {})
    config = {"architecture": "transcoder" if out else "standard", "d_in": HIDDEN, "d_sae": d_sae, "metadata": metadata}
    (folder / "cfg.json").write_text(json.dumps(config | {"apply_b_dec_to_input": False}))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return dict(example(tmp_path_factory.mktemp("example")).inputs)


def example(folder: Path) -> Example:
    """An exact SAE, a random one, and a transcoder between two places of a tiny decoder."""
    model = tiny_llama(folder / "model", head=True)
    places = {"dataset": some_text(folder / "text", 12), "model": model}
    tokens = run_kind(folder / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    write_sae(folder / "sae" / "exact", exact=True)
    write_sae(folder / "sae" / "random")
    write_sae(folder / "sae" / "through", "blocks.0.hook_resid_post", out=RESID_1)
    return Example({"batch_tokens": 256}, {"model": model, "tokens": tokens.outputs["tokens"], "sae": folder / "sae"})


def evaluate(tmp_path: Path, name: str, inputs, config=None, **more) -> Ran:
    config = {"batch_tokens": 64} | (config or {})
    metas = {"model": {"name": "tiny"}, "tokens": {"name": "words"}}
    return run_kind(tmp_path / name, "sae.evaluate", config, inputs=inputs, metas=metas, threads=1, **more)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, inputs) -> Ran:
    return evaluate(tmp_path_factory.mktemp("ran"), "job", inputs)


def by_name(ran: Ran) -> dict[str, dict]:
    assert ran.result["outcome"] == "completed", ran.result
    return {told["sae"]: told for told in ran.artifacts["evaluation"]["saes"]}


def test_an_exact_sae_recovers_everything(ran):
    assert ran.phases == ["loading", "reconstructing", "predicting", "saving"]
    exact = by_name(ran)["exact"]
    assert exact["fvu"] == pytest.approx(0, abs=1e-10)
    assert (exact["cosine"], exact["norm_ratio"]) == (pytest.approx(1), pytest.approx(1))
    assert exact["l0"] == pytest.approx(HIDDEN)
    for figure in ("ce_recovered", "kl_recovered", "ce_recovered_from_mean", "kl_recovered_from_mean"):
        assert exact[figure] == pytest.approx(1, abs=1e-4)


def rows_and_loss(inputs) -> tuple[torch.Tensor, dict[str, float]]:
    """The rows at block 1, and the loss as it is and with zeros there, one context at a time by plain means."""
    model = AutoModelForCausalLM.from_pretrained(str(inputs["model"]))
    tokens = TokenStore(inputs["tokens"])
    special = set(tokens.manifest.special_ids)
    rows: list[torch.Tensor] = []
    losses: dict[str, list[float]] = {"clean": [], "zero": []}
    for begin, end in zip(tokens.offsets, tokens.offsets[1:], strict=False):
        ids = tokens.tokens[begin:end].astype(np.int64)
        text = torch.tensor([token not in special for token in ids])
        for name, found in losses.items():

            def at_block(_module, _args, output, name=name, text=text):
                value = output[0] if isinstance(output, tuple) else output
                if name == "clean":
                    rows.append(value[0, text].detach())
                    return None
                return torch.where(text[None, :, None], torch.zeros_like(value), value)

            handle = model.model.layers[1].register_forward_hook(at_block)
            with torch.no_grad():
                logp = model(torch.from_numpy(ids)[None]).logits[0].log_softmax(-1)
            handle.remove()
            pairs = [place for place in range(len(ids) - 1) if text[place] and text[place + 1]]
            found += [-logp[place, ids[place + 1]].item() for place in pairs]
    return torch.cat(rows), {name: float(np.mean(found)) for name, found in losses.items()}


def test_figures_are_those_taken_plainly(ran, inputs):
    rows, losses = rows_and_loss(inputs)
    told = by_name(ran)["random"]
    assert told["ce_clean"] == pytest.approx(losses["clean"], rel=1e-5)
    assert told["ce_zero"] == pytest.approx(losses["zero"], rel=1e-5)
    tensors = load_file(inputs["sae"] / "random" / "sae_weights.safetensors")
    codes = (rows @ tensors["W_enc"]).relu()
    rebuilt = codes @ tensors["W_dec"]
    fvu = (rebuilt - rows).square().sum() / (rows - rows.mean(0)).square().sum()
    assert told["fvu"] == pytest.approx(fvu.item(), rel=1e-4)
    assert told["explained_variance"] == pytest.approx(1 - told["fvu"])
    assert told["l0"] == pytest.approx((codes > 0).sum(1).float().mean().item(), rel=1e-6)
    assert told["dense_fraction"] == pytest.approx(((codes > 0).float().mean(0) > 0.1).float().mean().item())


def test_the_file_holds_densities_and_the_metrics_each_sae(ran, inputs):
    result = json.loads((ran.outputs["evaluation"] / RESULT_FILE).read_text())
    for told in result["saes"]:
        densities = told["densities"]
        assert sum(densities["counts"]) + densities["never"] == told["d_sae"]
    named = {f"{name}/{figure}" for name in ("exact", "random", "through") for figure in ("fvu", *FIGURES)}
    assert named <= set(ran.metrics)
    recovered = ran.metrics["random/ce_recovered"]
    assert recovered[max(recovered)] == by_name(ran)["random"]["ce_recovered"]


def test_a_transcoder_is_measured_and_spliced_at_its_target(ran):
    through = by_name(ran)["through"]
    assert (through["layer"], through["hook"]) == (1, "resid_post")
    assert through["ce_zero"] == by_name(ran)["random"]["ce_zero"]
    assert through["ce_sae"] != by_name(ran)["random"]["ce_sae"]


def test_an_encoder_without_a_head_says_why_no_loss_is_measured(tmp_path):
    model = tiny_bert(tmp_path / "model")
    places = {"dataset": some_text(tmp_path / "text", 4), "model": model}
    tokens = run_kind(tmp_path / "tokenize", "dataset.tokenize", {"context_length": 16}, inputs=places)
    write_sae(tmp_path / "sae" / "exact", exact=True)
    ran = evaluate(tmp_path, "job", {"model": model, "tokens": tokens.outputs["tokens"], "sae": tmp_path / "sae"})
    assert ran.phases == ["loading", "reconstructing", "saving"]
    assert ran.artifacts["evaluation"]["no_predictions"] == "BertModel predicts no next token"
    assert by_name(ran)["exact"]["ce_recovered"] is None
    assert by_name(ran)["exact"]["fvu"] == pytest.approx(0, abs=1e-10)


def dying(at: int):
    calls = iter(range(1, at + 1))

    def should_stop(_job: JobContext) -> str:
        if next(calls) == at:
            raise RuntimeError("killed")
        return ""

    return should_stop


def test_a_run_killed_in_either_phase_comes_to_the_same_file(tmp_path, inputs, ran):
    whole = json.loads((ran.outputs["evaluation"] / RESULT_FILE).read_text())
    batches = len(ran.metrics["random/fvu"])
    config = {"checkpoint_every_seconds": 0}
    left: list[Path] = []
    for name, at in (("one", 4), ("two", batches)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(JobContext, "should_stop", dying(at))
            killed = evaluate(tmp_path, name, inputs, config, resume_from=left)
        assert killed.result["outcome"] == "failed"
        left = sorted((tmp_path / name / "checkpoints").glob("step-*"), reverse=True)
    again = evaluate(tmp_path, "three", inputs, config, resume_from=left)
    assert json.loads((again.outputs["evaluation"] / RESULT_FILE).read_text()) == whole
    counted = [data["counters"][0] for data in again.of(EventKind.COUNTERS) if data["phase"] == "predicting"]
    assert min(counter["current"] for counter in counted) > 0
