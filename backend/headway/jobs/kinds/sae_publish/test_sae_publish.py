"""SAEs go to a hub as SAELens loads them, with their figures, and are checked there; by huggingface_hub's client."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from headway.ml.sae.saelens import load_sae, save_sae
from headway.ml.sae.topk import TopKObjective
from tests.integration.hub_uploads import running_writable_hub
from tests.kind_runs import Example, Ran, run_kind

REPO = "someone/saes"
META = {"rows": 4096, "saes": [{"folder": "layer03.resid_post", "architecture": "topk", "layer": 3, "fvu": 0.25}]}


def example(folder: Path) -> Example:
    """A repository that is prepared and not uploaded."""
    rows = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    objective = TopKObjective(4)
    model = objective.initial(32, rows, rows, 0, "mean")
    place = folder / "sae" / "layer03.resid_post"
    save_sae(place, objective, model, scale=2.0, metadata={"model_name": "tiny/model"})
    return Example({"preview": True}, {"sae": folder / "sae"})


def publish(folder: Path, **config: object) -> Ran:
    """Upload the example."""
    given = example(folder / "example").inputs
    wanted = {"repo_id": REPO} | config
    return run_kind(folder / "job", "sae.publish", wanted, inputs=given, metas={"sae": META})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_writable_hub(tmp_path / "hub") as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", running.token)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield running


def test_what_was_uploaded_loads_again_and_the_card_has_its_figures(tmp_path, hub):
    ran = publish(tmp_path)
    assert ran.result["outcome"] == "completed", ran.result
    assert ran.phases == ["preparing", "uploading", "verifying"]
    assert ran.artifacts["repository"]["url"] == f"{hub.url}/{REPO}"
    assert (hub.private, hub.puts, hub.commits) == ({REPO: True}, 1, ["Sparse autoencoders trained with Headway"])
    there = hub.root / "models" / REPO
    rows = torch.randn(5, 8)
    ours = load_sae(tmp_path / "example" / "sae" / "layer03.resid_post")
    assert torch.equal(load_sae(there / "layer03.resid_post").encode(rows), ours.encode(rows))
    text = (there / "README.md").read_text()
    assert re.search(r"\| `layer03\.resid_post` \| topk \| 3 \| 0\.25 \|", text)
    assert "base_model: tiny/model" in text
    assert f'SAE.from_pretrained("{REPO}", "layer03.resid_post")' in text


def test_a_retry_sends_no_content_again(tmp_path, hub):
    publish(tmp_path / "first")
    assert publish(tmp_path / "second").result["outcome"] == "completed"
    assert hub.puts == 1


def test_a_token_that_may_not_write_is_refused_by_field(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    error = publish(tmp_path).result["error"]
    assert re.search(r"config\.repo_id: .*does not let this token write to someone/saes", error["message"])


def test_without_a_token_nothing_is_tried(tmp_path, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "set HF_TOKEN" in publish(tmp_path).result["error"]["message"]
    assert hub.private == {}


def test_what_the_hub_has_otherwise_than_it_was_sent_is_an_error(tmp_path, hub):
    hub.wrong_hashes.add("layer03.resid_post/sae_weights.safetensors")
    assert "has not what was sent: layer03.resid_post/sae_weights" in publish(tmp_path).result["error"]["message"]
