"""The sparse path: gradients of codes with few active entries, without a dense [batch, d_sae] backward pass.

Only k of d_sae features take part in a row, so beside the dense encode everything is gathers and segment sums: decode
is an embedding bag, the values' gradients are sampled dot products, and one sort of the active entries turns both
weight gradients into sums over contiguous segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from headway.ml.sae.weights import Weights

# The dense pre-activations held at once: few enough to stay in memory that the allocator reuses (a step is a tenth
# faster than with one block of 50 MB), yet enough rows for a good matrix product however wide the dictionary is.
ENCODE_BLOCK_ELEMENTS = 2 << 20
LEAST_BLOCK_ROWS = 256


class Entries(NamedTuple):
    """Active codes in the order of their rows: row, feature and value (>= 0) [n], where each row starts [batch]."""

    rows: Tensor
    features: Tensor
    values: Tensor
    starts: Tensor

    @classmethod
    def of_rows(cls, rows: Tensor, features: Tensor, values: Tensor, batch: int) -> Entries:
        """Entries whose `rows` rise already."""
        return cls(rows, features, values, _starts(rows, batch))

    def within(self, first: int, end: int) -> Entries:
        """Those of the features from `first` to before `end`, counted from `first`."""
        chosen = ((self.features >= first) & (self.features < end)).nonzero().squeeze(1)
        features = self.features[chosen] - first
        return Entries.of_rows(self.rows[chosen], features, self.values[chosen], len(self.starts))

    def decode(self, dec: Tensor) -> Tensor:
        """Σ value · dec[feature] of each row, [batch, d_out]."""
        return F.embedding_bag(self.features, dec, self.starts, mode="sum", per_sample_weights=self.values)

    def fired(self, d_sae: int) -> tuple[Tensor, Tensor]:
        """Whether each feature is above 0 anywhere, [d_sae], and how often one is in all."""
        firings = self.firings(d_sae)
        return firings > 0, firings.sum()

    def firings(self, d_sae: int) -> Tensor:
        """How often each feature is above 0, [d_sae]."""
        return torch.bincount(self.features[self.values > 0], minlength=d_sae)


class Sparse(NamedTuple):
    """What the squared errors of nested dictionaries come to: their errors x̂ - y [batch, d_out], and gradients.

    The gradient of `b_dec` is the decoder's alone: what reaches it through the encoder's input is not in it.
    """

    errors: list[Tensor]
    gradients: Weights


def pre_activations(enc: Tensor, b_enc: Tensor, inputs: Tensor, dtype: torch.dtype | None) -> Iterator[Tensor]:
    """inputs @ encᵀ + b_enc in blocks of rows; the product in `dtype` where it is one that pays."""
    enc = enc.to(dtype) if dtype and is_fast(dtype, enc.device) else enc
    for part in inputs.split(rows_in_block(len(enc), ENCODE_BLOCK_ELEMENTS)):
        if enc.dtype == part.dtype:
            yield torch.addmm(b_enc, part, enc.t())
        else:
            yield (part.to(enc.dtype) @ enc.t()).to(part.dtype).add_(b_enc)


def rows_in_block(d_sae: int, elements: int) -> int:
    """How many rows of codes make a block of about `elements`."""
    return max(LEAST_BLOCK_ROWS, elements // d_sae)


def is_fast(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products in `dtype` are quicker there: processors without bfloat16 emulate it, far slower."""
    return dtype != torch.bfloat16 or device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def sparse_gradients(
    weights: Weights, inputs: Tensor, goal: Tensor, entries: Entries, prefixes: Sequence[int]
) -> Sparse:
    """Of the sum over prefixes m of the mean over rows of ‖(first m features decoded) - goal‖².

    `inputs` [batch, d_in] is what was encoded, `goal` [batch, d_out] what shall come out before `b_dec`. `prefixes`
    rise and end with d_sae; a single one is the plain autoencoder.
    """
    groups = list(zip([0, *prefixes], prefixes, strict=False))
    parts = [entries] if len(groups) == 1 else [entries.within(*group) for group in groups]
    errors: list[Tensor] = []
    total = -goal
    for part, (first, end) in zip(parts, groups, strict=True):
        total = part.decode(weights.dec[first:end]).add_(total)
        errors.append(total)
    gradients = Weights(*(torch.empty_like(tensor) for tensor in weights))
    upstream = torch.zeros_like(goal)
    for part, (first, end), error in zip(reversed(parts), reversed(groups), reversed(errors), strict=True):
        upstream.add_(error, alpha=2 / len(inputs))
        _group_gradients(gradients, weights.dec[first:end], inputs, upstream, part, first, end)
    gradients.b_dec.copy_(upstream.sum(0))
    return Sparse(errors, gradients)


def _group_gradients(
    gradients: Weights, dec: Tensor, inputs: Tensor, upstream: Tensor, entries: Entries, first: int, end: int
) -> None:
    per_value = value_gradients(upstream, dec, entries).mul_(entries.values > 0)
    found = weight_gradients(inputs, upstream, entries, per_value, end - first)
    gradients.dec[first:end], gradients.enc[first:end], gradients.b_enc[first:end] = found.dec, found.enc, found.b_enc


def value_gradients(upstream: Tensor, dec: Tensor, entries: Entries) -> Tensor:
    """The gradient of each value, [n], from what the decoded rows get, [batch, d_out]."""
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(
        upstream, dec, entries.features, entries.starts, entries.rows, 0
    )


class ByFeature(NamedTuple):
    """Gradients of all weights that features have: [d_sae, d_in], [d_sae], [d_sae, d_out]."""

    enc: Tensor
    b_enc: Tensor
    dec: Tensor


def weight_gradients(inputs: Tensor, upstream: Tensor, entries: Entries, per_value: Tensor, d_sae: int) -> ByFeature:
    """From what was encoded, what the decoded rows get and what each pre-activation gets, `per_value` [n]."""
    # Stable, so that equal inputs give equal sums bit for bit on every run.
    features, order = entries.features.sort(stable=True)
    rows, starts = entries.rows[order], _starts(features, d_sae)
    per_value = per_value[order]
    return ByFeature(
        _segment_sums(inputs, rows, starts, per_value),
        per_value.new_zeros(d_sae).index_add_(0, features, per_value),
        _segment_sums(upstream, rows, starts, entries.values[order]),
    )


def _segment_sums(vectors: Tensor, rows: Tensor, starts: Tensor, factors: Tensor) -> Tensor:
    return F.embedding_bag(rows, vectors, starts, mode="sum", per_sample_weights=factors)


def _starts(sorted_numbers: Tensor, count: int) -> Tensor:
    """Where each of the numbers 0 to `count` - 1 starts in a rising list."""
    ends = torch.bincount(sorted_numbers, minlength=count).cumsum(0)
    return torch.cat([ends.new_zeros(1), ends[:-1]])


def variance_unexplained(squared: Tensor, goal: Tensor) -> Tensor:
    """Σ squared errors over the goal's own spread about its mean."""
    return squared / (goal.square().sum() - len(goal) * goal.mean(0).square().sum())
