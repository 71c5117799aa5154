"""The SAELens on-disk format: `cfg.json` beside `sae_weights.safetensors`, in and out.

A model trained on activations times `scale` is written so that it takes them unscaled. Every architecture commutes
with a positive factor once its biases and thresholds are divided by `scale`: the codes shrink by the factor that the
reconstruction must shrink by, and the decoder stays as it is. BatchTopK and Matryoshka become JumpReLU with their one
running threshold. A TopK skip transcoder has no counterpart in SAELens and is written under a name of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headway.ml.sae.batch_topk import BatchTopKObjective
from headway.ml.sae.gated import GatedObjective
from headway.ml.sae.jumprelu import LOG_THRESHOLD, JumpReluObjective
from headway.ml.sae.objective import Model, Objective
from headway.ml.sae.relu import ReluObjective
from headway.ml.sae.topk import SkipTranscoderObjective, TopKObjective
from headway.ml.sae.weights import Weights

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae_weights.safetensors"
TOPK_SKIP_TRANSCODER = "topk_skip_transcoder"
READ = ("topk", "standard", "jumprelu", "gated", "transcoder", "jumprelu_transcoder", "skip_transcoder")
_PLAIN = ("W_enc", "b_enc", "b_gate", "W_dec", "b_dec")


class SavedSae(NamedTuple):
    """An SAE as it lies on disk; it takes unscaled activations. `k` is 0 where it is not a TopK.

    `extra` holds what is beyond the four weights, in SAELens' names: `threshold`, `r_mag`, `b_mag`, `W_skip`.
    """

    weights: Weights
    k: int
    config: dict[str, Any]
    extra: dict[str, Tensor]

    @torch.no_grad()
    def encode(self, rows: Tensor) -> Tensor:
        """Codes [batch, d_sae] of rows [batch, d_in]."""
        weights = self.weights
        inputs = rows - weights.b_dec if self.config["apply_b_dec_to_input"] else rows
        product = inputs @ weights.enc.t()
        pre = product + weights.b_enc
        if "r_mag" in self.extra:
            magnitudes = (product * self.extra["r_mag"].exp() + self.extra["b_mag"]).relu()
            return magnitudes.mul_(pre > 0)
        if self.k:
            top = pre.topk(self.k, dim=-1)
            return torch.zeros_like(pre).scatter_(1, top.indices, top.values.relu_())
        codes = pre.relu()
        return codes.mul_(codes > self.extra["threshold"]) if "threshold" in self.extra else codes

    @torch.no_grad()
    def decode(self, codes: Tensor, rows: Tensor) -> Tensor:
        """What codes [batch, d_sae] of rows [batch, d_in] come to: [batch, d_out]."""
        out = torch.addmm(self.weights.b_dec, codes, self.weights.dec)
        return out.addmm_(rows, self.extra["W_skip"].t()) if "W_skip" in self.extra else out

    def reconstruct(self, rows: Tensor) -> Tensor:
        """What it makes of rows [batch, d_in]: [batch, d_out]."""
        return self.decode(self.encode(rows), rows)


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


def load_sae(folder: Path) -> SavedSae:
    """Read an SAE. Raises ValueError for one that cannot be read as it is meant, and OSError for missing files."""
    config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    _refuse_unknown(folder, config)
    tensors = load_file(folder / WEIGHTS_FILE)
    bias = tensors["b_gate"] if "b_gate" in tensors else tensors["b_enc"]
    weights = Weights(tensors["W_enc"].t().contiguous(), bias, tensors["W_dec"], tensors["b_dec"])
    extra = {name: tensor for name, tensor in tensors.items() if name not in _PLAIN}
    return SavedSae(weights, int(config.get("k") or 0), {"apply_b_dec_to_input": True} | config, extra)


def _refuse_unknown(folder: Path, config: Mapping[str, Any]) -> None:
    if config.get("architecture") not in (*READ, TOPK_SKIP_TRANSCODER):
        raise ValueError(f"{folder} holds a {config.get('architecture')!r} SAE; {', '.join(READ)} can be read")
    if config.get("normalize_activations") not in (None, "none"):
        raise ValueError(f"{folder} normalises activations by itself: fold it into the weights in SAELens, save again")
    if config.get("rescale_acts_by_decoder_norm"):
        raise ValueError(
            f"{folder} rescales codes by decoder norms: fold them in SAELens (fold_W_dec_norm), save again"
        )
