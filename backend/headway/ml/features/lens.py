"""What features write: their decoder rows through the model's unembedding, and beside each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headway.ml.activations.hooks import find_blocks
from headway.ml.models.load import block_count

#: What models call the norm between their last block and the head.
FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")


class Nearest(NamedTuple):
    """Of each row: the values that stand out most, in their order, and where they are; both [rows, most]."""

    values: Tensor
    indices: Tensor


def unembedding_of(model: Any) -> Tensor | None:
    """The matrix [vocab, d] that turns a direction of the residual stream into logits; None without a head.

    The final norm's weight is folded in, and the mean over the vocabulary is taken out: it moves all logits alike,
    which changes no probability. To be taken before the model is cut.
    """
    head = model.get_output_embeddings()
    if head is None:
        return None
    owner, _ = find_blocks(model, block_count(model))
    norm = next((found for name in FINAL_NORMS if isinstance(found := getattr(owner, name, None), nn.Module)), None)
    weight = head.weight.detach().float()
    scale = getattr(norm, "weight", None)
    folded = weight if scale is None else weight * scale.detach().float()
    return folded - folded.mean(0)


@torch.no_grad()
def logit_lens(dec: Tensor, unembedding: Tensor, most: int) -> tuple[Nearest, Nearest]:
    """The tokens that each of a few decoder rows [n, d] raises most, and those it lowers most.

    A logit is that of one unit of the feature's activation before the final norm divides by the stream's size
    (nostalgebraist 2020, "interpreting GPT: the logit lens", applied to decoder rows).
    """
    logits = dec @ unembedding.t()
    return Nearest(*logits.topk(most)), Nearest(*logits.topk(most, largest=False))


@torch.no_grad()
def nearest_rows(dec: Tensor, numbers: range, most: int) -> Nearest:
    """For each of the decoder rows `numbers` the `most` other rows of largest cosine."""
    chosen = F.normalize(dec[numbers.start : numbers.stop], dim=1)
    cosines = (chosen @ dec.t()).div_(dec.norm(dim=1).clamp_min(1e-12))
    at = torch.arange(len(chosen))
    cosines[at, numbers.start + at] = -torch.inf  # itself
    return Nearest(*cosines.topk(min(most, len(dec) - 1)))
