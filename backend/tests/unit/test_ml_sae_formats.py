"""SAEs that SAELens, sparsify and dictionary_learning wrote are read as they are meant; what cannot be is refused.

`sae_formats/` was written by those libraries: `backend/bench/sae_formats.py --keep backend/tests/unit/sae_formats`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from headway.ml.sae.architectures import OBJECTIVES, Figures
from headway.ml.sae.evaluate import evaluate
from headway.ml.sae.foreign import DICTIONARIES
from headway.ml.sae.saelens import READ, load_sae
from headway.ml.sae.schedule import Schedule
from headway.ml.sae.trainer import SaeTrainer, TrainerConfig

FIXTURES = Path(__file__).parent / "sae_formats"
WRITTEN = sorted(path.name for path in FIXTURES.iterdir())


@pytest.mark.parametrize("name", WRITTEN)
def test_what_another_library_wrote_makes_of_rows_what_it_made_of_them_there(name):
    answers, sae = load_file(FIXTURES / name / "answers.safetensors"), load_sae(FIXTURES / name)
    codes = sae.encode(answers["rows"])
    torch.testing.assert_close(codes, answers["codes"], rtol=0, atol=1e-5)
    torch.testing.assert_close(sae.decode(codes, answers["rows"]), answers["out"], rtol=0, atol=1e-5)
    assert (codes > 0).any()


def test_every_kind_that_can_be_read_is_among_what_was_written():
    architectures = {load_sae(FIXTURES / name).config["architecture"] for name in WRITTEN}
    assert architectures == set(READ)
    assert {f"dictionary_learning_{name}" for name in DICTIONARIES} <= set(WRITTEN)


def changed(folder: Path, name: str, **settings: object) -> Path:
    """A copy of a fixture with other settings."""
    shutil.copytree(FIXTURES / name, folder / name)
    file = folder / name / "cfg.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return folder / name


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        (
            "saelens_standard",
            {"normalize_activations": "layer_norm"},
            "normalises activations by 'layer_norm', for which",
        ),
        ("saelens_scaled", {"norm_scaling_factor": None}, "has no norm_scaling_factor: add it"),
        ("sparsify_topk", {"activation": "groupmax"}, "'groupmax'; only 'topk' can be read"),
    ],
)
def test_what_weights_cannot_stand_for_is_refused(tmp_path, name, settings, reason):
    with pytest.raises(ValueError, match=reason):
        load_sae(changed(tmp_path, name, **settings))


def test_a_dictionary_that_holds_code_is_not_loaded(tmp_path):
    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    (tmp_path / "config.json").write_text('{"trainer": {"dict_class": "AutoEncoder"}}')
    torch.save({"bias": Harmful()}, tmp_path / "ae.pt")
    with pytest.raises(ValueError, match="holds more than tensors"):
        load_sae(tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_class_of_dictionary_that_is_not_known_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"trainer": {"dict_class": "CrossCoder"}}')
    (tmp_path / "ae.pt").touch()
    with pytest.raises(ValueError, match="holds a 'CrossCoder'"):
        load_sae(tmp_path)


def test_how_often_features_fire_is_written_as_saelens_has_it(tmp_path):
    rows = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    objective = OBJECTIVES["topk"](Figures(4, 0, 0.0, 0.0, 0, 0.0, (), None))
    trainer = SaeTrainer.fresh(TrainerConfig(32, objective, Schedule(1e-3, 10), 1000), rows, seed=0)
    trainer.weights.b_enc[0] = -100.0
    figures = evaluate(trainer, [rows[:120], rows[120:]], tmp_path / "sae")
    sparsity = load_file(tmp_path / "sae" / "sparsity.safetensors")["sparsity"]
    assert sparsity[0] == pytest.approx(math.log10(1e-10))
    assert (10**sparsity).sum().item() == pytest.approx(figures.l0, rel=1e-4)
