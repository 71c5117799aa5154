"""The SAELens on-disk format: `cfg.json` beside `sae_weights.safetensors`, in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file

from headway.ml.sae.weights import Weights

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"


class SavedSae(NamedTuple):
    """An SAE as it lies on disk; its weights take unscaled activations."""

    weights: Weights
    k: int
    config: dict[str, Any]


def save_sae(folder: Path, weights: Weights, *, k: int, scale: float, metadata: Mapping[str, Any]) -> None:
    """Write a TopK SAE trained on activations times `scale` so that it takes them unscaled.

    TopK and ReLU commute with a positive factor, so dividing both biases by `scale` is exact: the codes shrink by the
    factor that the reconstruction must shrink by, and the decoder keeps its unit rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    d_sae, d_in = weights.enc.shape
    tensors = {
        "W_enc": weights.enc.t().contiguous(),
        "b_enc": weights.b_enc / scale,
        "W_dec": weights.dec.contiguous(),
        "b_dec": weights.b_dec / scale,
    }
    save_file(tensors, folder / WEIGHTS_FILE)
    config = {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "k": k,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "rescale_acts_by_decoder_norm": False,
        "reshape_activations": "none",
        "metadata": dict(metadata),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1) + "\n")


def load_sae(folder: Path) -> SavedSae:
    """Read a TopK SAE. Raises ValueError for another architecture and OSError for missing files."""
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    if config.get("architecture") != "topk":
        raise ValueError(f"{folder} holds a {config.get('architecture')!r} SAE; only topk can be read")
    tensors = load_file(folder / WEIGHTS_FILE)
    weights = Weights(tensors["W_enc"].t().contiguous(), tensors["b_enc"], tensors["W_dec"], tensors["b_dec"])
    return SavedSae(weights, int(config["k"]), config)
