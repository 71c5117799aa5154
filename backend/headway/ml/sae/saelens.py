"""The SAELens on-disk format: `cfg.json` beside `sae_weights.safetensors`, in and out; `load_sae` reads the others too.

A model trained on activations times `scale` is written so that it takes them unscaled. Every architecture commutes
with a positive factor once its biases and thresholds are divided by `scale`: the codes shrink by the factor that the
reconstruction must shrink by, and the decoder stays as it is. BatchTopK and Matryoshka become JumpReLU with their one
running threshold. A TopK skip transcoder has no counterpart in SAELens and is written under a name of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.ml.sae.batch_topk import BatchTopKObjective
from headway.ml.sae.foreign import DICTIONARY_LEARNING_FILE, SPARSIFY_FILE, load_dictionary_learning, load_sparsify
from headway.ml.sae.gated import GatedObjective
from headway.ml.sae.jumprelu import LOG_THRESHOLD, JumpReluObjective
from headway.ml.sae.objective import Model, Objective
from headway.ml.sae.relu import ReluObjective
from headway.ml.sae.saved import SavedSae
from headway.ml.sae.topk import SkipTranscoderObjective, TopKObjective
from headway.ml.sae.weights import Weights

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
SPARSITY_FILE = "sparsity.safetensors"
SPARSITY_FLOOR = 1e-10  # SAELens' own: a feature that never fired is at -10
TOPK_SKIP_TRANSCODER = "topk_skip_transcoder"
READ = ("topk", "standard", "jumprelu", "gated", "transcoder", "jumprelu_transcoder", "skip_transcoder")
_PLAIN = ("W_enc", "b_enc", "b_gate", "W_dec", "b_dec")


def save_sae(
    folder: Path,
    objective: Objective,
    model: Model,
    *,
    scale: float,
    metadata: Mapping[str, Any],
    target_scale: float | None = None,
) -> None:
    """Write a model trained on rows times `scale`; a transcoder's targets were multiplied by `target_scale`."""
    architecture, settings, extra = _described(objective, model, scale)
    d_sae, d_in = model.weights.enc.shape
    config: dict[str, Any] = {
        "architecture": architecture,
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
    }
    out_ratio = scale / (target_scale or scale)  # 1 but for transcoders: their codes go from one scale to the other
    tensors = _four(objective, model.weights, scale, out_ratio) | extra
    if "W_skip" in tensors:
        tensors["W_skip"] = tensors["W_skip"] * out_ratio
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(config | settings | {"metadata": dict(metadata)}, indent=1) + "\n")


def _four(objective: Objective, weights: Weights, scale: float, out_ratio: float) -> dict[str, Tensor]:
    return {
        "W_enc": weights.enc.t(),
        "b_gate" if isinstance(objective, GatedObjective) else "b_enc": weights.b_enc / scale,
        "W_dec": weights.dec * out_ratio,
        "b_dec": weights.b_dec * (out_ratio / scale),
    }


def _described(objective: Objective, model: Model, scale: float) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """SAELens' name, what its config says beside the common fields, and tensors beyond the four."""
    between: dict[str, Any] = {"apply_b_dec_to_input": False, "d_out": model.weights.dec.shape[1]}
    match objective:
        case TopKObjective():
            return "topk", {"k": objective.k, "rescale_acts_by_decoder_norm": False}, {}
        case BatchTopKObjective():
            threshold = model.running["threshold"].expand_as(model.weights.b_enc)
            return "jumprelu", {}, {"threshold": threshold / scale}
        case JumpReluObjective():
            threshold = model.extra[LOG_THRESHOLD].exp()
            return "jumprelu", {"apply_b_dec_to_input": False}, {"threshold": threshold / scale}
        case GatedObjective():
            return "gated", {}, {"r_mag": model.extra["r_mag"].clone(), "b_mag": model.extra["b_mag"] / scale}
        case ReluObjective(transcoder=True):
            return "transcoder", between, {}
        case ReluObjective():
            return "standard", {"apply_b_dec_to_input": objective.centred}, {}
        case SkipTranscoderObjective():
            return TOPK_SKIP_TRANSCODER, between | {"k": objective.topk.k}, {"W_skip": model.extra["skip"].clone()}
        case _:
            raise ValueError(f"{type(objective).__name__} has no form in SAELens' format")


def save_sparsity(folder: Path, firings: Tensor, rows: int) -> None:
    """Write how often each feature fired, [d_sae] in so many rows, as SAELens does: its logarithm to base 10."""
    folder.mkdir(parents=True, exist_ok=True)
    logarithms = (firings.cpu().float() / rows + SPARSITY_FLOOR).log10()
    save_file({"sparsity": logarithms}, folder / SPARSITY_FILE)


def load_sae(folder: Path) -> SavedSae:
    """Read an SAE that SAELens, sparsify, dictionary_learning or `save_sae` wrote.

    Raises ValueError for one that cannot be read as it is meant, and OSError for missing files.
    """
    for file, load in OTHERS.items():
        if (folder / file).exists():
            return load(folder)
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    if config.get("architecture") not in (*READ, TOPK_SKIP_TRANSCODER):
        raise ValueError(f"{folder} holds a {config.get('architecture')!r} SAE; {', '.join(READ)} can be read")
    found = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS_FILE).items()}
    tensors = _folded(folder, config, found)
    bias = tensors["b_gate"] if "b_gate" in tensors else tensors["b_enc"]
    weights = Weights(tensors["W_enc"].t().contiguous(), bias, tensors["W_dec"], tensors["b_dec"])
    extra = {name: tensor for name, tensor in tensors.items() if name not in _PLAIN}
    return SavedSae(weights, int(config.get("k") or 0), {"apply_b_dec_to_input": True} | config, extra)


def _folded(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what the config has to be done around them, which is then taken out of it.

    Codes are those that SAELens would give: they were scaled by the decoder's norms before the choice of the largest
    and are not scaled back, and were made of activations times a constant.
    """
    norms, scale = _decoder_norms(config, tensors["W_dec"]), _input_scale(folder, config)
    config["normalize_activations"], config["rescale_acts_by_decoder_norm"] = "none", False
    columns = {"W_enc": tensors["W_enc"] * (norms * scale), "W_dec": tensors["W_dec"] / (norms * scale).unsqueeze(1)}
    biases = {name: tensors[name] * norms for name in ("b_enc",) if name in tensors}
    return tensors | columns | biases | {"b_dec": tensors["b_dec"] / scale}


def _decoder_norms(config: Mapping[str, Any], dec: Tensor) -> Tensor:
    return dec.norm(dim=1) if config.get("rescale_acts_by_decoder_norm") else dec.new_ones(len(dec))


def _input_scale(folder: Path, config: Mapping[str, Any]) -> float:
    """What activations are multiplied by before they are encoded, and divided by after they are decoded."""
    match config.get("normalize_activations"):
        case None | "none":
            return 1.0
        case "expected_average_only_in" if config.get("norm_scaling_factor"):
            return float(config["norm_scaling_factor"])
        case "expected_average_only_in":
            lack = "its cfg.json has no norm_scaling_factor: add it, or fold it in SAELens"
            raise ValueError(f"{folder} takes activations times a constant, and {lack}")
        case other:
            lack = f"normalises activations by {other!r}, for which its weights cannot stand"
            raise ValueError(f"{folder} {lack}: choose one trained without, or fold it in SAELens where it can be")


#: A file that tells another library's format.
OTHERS = {SPARSIFY_FILE: load_sparsify, DICTIONARY_LEARNING_FILE: load_dictionary_learning}
