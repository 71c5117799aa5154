"""SAEs that sparsify and dictionary_learning wrote, read as SAELens would name their parts.

sparsify            cfg.json, sae.safetensors: TopK autoencoders and transcoders, with or without a linear skip
dictionary_learning config.json, ae.pt: every class its trainers make; only tensors are unpickled, never code
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from headway.ml.sae.saved import SavedSae
from headway.ml.sae.weights import Weights

SPARSIFY_FILE, DICTIONARY_LEARNING_FILE = "sae.safetensors", "ae.pt"
Tensors = Mapping[str, Tensor]


def load_sparsify(folder: Path) -> SavedSae:
    """Read a sparse coder of sparsify. Raises ValueError for another activation than TopK, OSError for lost files."""
    config: dict[str, Any] = json.loads((folder / "cfg.json").read_text())
    if (activation := config.get("activation", "topk")) != "topk":
        raise ValueError(f"{folder} is a sparse coder with the activation {activation!r}; only 'topk' can be read")
    tensors = _floats(load_file(folder / SPARSIFY_FILE))
    weights = Weights(tensors["encoder.weight"], tensors["encoder.bias"], tensors["W_dec"], tensors["b_dec"])
    extra = {"W_skip": tensors["W_skip"]} if "W_skip" in tensors else {}
    about = _about("topk", weights, centred=not config.get("transcode", False))
    return SavedSae(weights, int(config["k"]), about, extra)


def load_dictionary_learning(folder: Path) -> SavedSae:
    """Read a dictionary of dictionary_learning. Raises ValueError for a class that is not known or a file that holds
    more than tensors, OSError for missing files."""
    name = json.loads((folder / "config.json").read_text())["trainer"]["dict_class"]
    if name not in DICTIONARIES:
        raise ValueError(f"{folder} holds a {name!r}; {', '.join(DICTIONARIES)} can be read")
    try:
        tensors = torch.load(folder / DICTIONARY_LEARNING_FILE, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{folder / DICTIONARY_LEARNING_FILE} holds more than tensors: it is not loaded") from error
    return DICTIONARIES[name](_floats(tensors))


def _floats(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.float().contiguous() for name, tensor in tensors.items()}


def _about(architecture: str, weights: Weights, *, centred: bool) -> dict[str, Any]:
    d_sae, d_in = weights.enc.shape
    return {"architecture": architecture, "d_in": d_in, "d_sae": d_sae, "apply_b_dec_to_input": centred}


def _layers(tensors: Tensors, b_enc: str, b_dec: str) -> Weights:
    """Of two linear layers, whose decoder lies [d_in, d_sae]."""
    return Weights(
        tensors["encoder.weight"], tensors[b_enc], tensors["decoder.weight"].t().contiguous(), tensors[b_dec]
    )


def _matrices(tensors: Tensors) -> Weights:
    return Weights(tensors["W_enc"].t().contiguous(), *(tensors[name] for name in ("b_enc", "W_dec", "b_dec")))


def _standard(b_dec: str, *, centred: bool) -> Callable[[Tensors], SavedSae]:
    def read(tensors: Tensors) -> SavedSae:
        weights = _layers(tensors, "encoder.bias", b_dec)
        return SavedSae(weights, 0, _about("standard", weights, centred=centred), {})

    return read


def _gated(tensors: Tensors) -> SavedSae:
    weights = _layers(tensors, "gate_bias", "decoder_bias")
    extra = {"r_mag": tensors["r_mag"], "b_mag": tensors["mag_bias"]}
    return SavedSae(weights, 0, _about("gated", weights, centred=True), extra)


def _topk(tensors: Tensors) -> SavedSae:
    weights = _layers(tensors, "encoder.bias", "b_dec")
    return SavedSae(weights, int(tensors["k"]), _about("topk", weights, centred=True), {})


def _above_threshold(weights: Weights, threshold: Tensor, *, centred: bool) -> SavedSae:
    extra = {"threshold": threshold.expand_as(weights.b_enc).contiguous()}
    return SavedSae(weights, 0, _about("jumprelu", weights, centred=centred), extra)


#: Its classes, as its `config.json` names them.
DICTIONARIES: Mapping[str, Callable[[Tensors], SavedSae]] = {
    "AutoEncoder": _standard("bias", centred=True),
    "AutoEncoderNew": _standard("decoder.bias", centred=False),
    "GatedAutoEncoder": _gated,
    "JumpReluAutoEncoder": lambda found: _above_threshold(_matrices(found), found["threshold"], centred=False),
    "AutoEncoderTopK": _topk,
    "BatchTopKSAE": lambda found: _above_threshold(
        _layers(found, "encoder.bias", "b_dec"), found["threshold"], centred=True
    ),
    "MatryoshkaBatchTopKSAE": lambda found: _above_threshold(_matrices(found), found["threshold"], centred=True),
}
