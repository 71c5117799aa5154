"""Steps of the kinds whose codes may all be above 0: by five matrix products, or by entries where few are.

At the start of a training half of the codes are above 0, later some dozens of thousands. So each block of rows goes its
own way, told by a sample of its rows:

- dense: beside the five products as few passes over [block, d_sae] as there can be, a few rows at a time, which are
  still in the cache for the next pass. Biases and prices are what the products are added to.
- by entries, where few pre-activations are above the activation's floor: after the encode and one comparison all is
  gathers and segment sums, as for the TopK kinds.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from headway.ml.sae.objective import StepResult
from headway.ml.sae.places import places
from headway.ml.sae.sparse import (
    Entries,
    rows_in_block,
    value_gradients,
    variance_unexplained,
    weight_gradients,
)
from headway.ml.sae.weights import Weights

# Larger than the sparse path's: each block's products are added to whole weight gradients, which costs a pass of them.
DENSE_BLOCK_ELEMENTS = 3 << 20
CACHED_ELEMENTS = 3 << 17
SAMPLE_ROWS = 64
# Above this share of entries the products are quicker than the gathers.
SPARSE_SHARE = 0.07


class Codes(NamedTuple):
    """What all codes of a step come to, by feature [d_sae]: their sums, and how many are above 0."""

    sums: Tensor
    firings: Tensor


class Activation(Protocol):
    """What lies between encoder and decoder, for one step. Sums of its own are kept from call to call."""

    @property
    def price(self) -> Tensor:
        """What a unit of each code adds to the loss, [d_sae]."""
        ...

    @property
    def floor(self) -> Tensor:
        """A pre-activation that is not above it has code 0 and moves nothing, [d_sae]."""
        ...

    def forward(self, pre: Tensor) -> Tensor | None:
        """Turn pre-activations [rows, d_sae] into codes (>= 0), in place. Answers what `backward` will want."""
        ...

    def backward(self, codes: Tensor, d_codes: Tensor, kept: Tensor | None) -> None:
        """Turn the codes' gradient into that of the pre-activations, in place."""
        ...

    def forward_some(self, pre: Tensor, features: Tensor) -> Tensor:
        """Codes of single pre-activations [n] of these features."""
        ...

    def backward_some(self, pre: Tensor, features: Tensor, d_codes: Tensor) -> Tensor:
        """The gradient of the same."""
        ...

    def finish(self, codes: Codes, weights: Weights, gradients: Weights) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty and gradients of extra parameters, after the last block; may add to the gradients."""
        ...


@torch.no_grad()
def dense_step(weights: Weights, inputs: Tensor, goal: Tensor, activation: Activation) -> StepResult:
    """Mean over rows of ‖decoded - goal‖² and the activation's penalty, with their gradients.

    `inputs` [batch, d_in] is what the encoder sees, `goal` [batch, d_out] what shall come out before `b_dec`, whose
    gradient here is the decoder's alone. `aux_loss` is 0.
    """
    sums = _Sums(weights, activation, len(inputs))
    block = rows_in_block(len(weights.enc), DENSE_BLOCK_ELEMENTS)
    for part, wanted in zip(inputs.split(block), goal.split(block), strict=True):
        sums.add(torch.addmm(weights.b_enc, part, weights.enc.t()), part, wanted)
    codes = Codes(sums.codes, sums.firings.long())
    penalty, extra = activation.finish(codes, weights, sums.gradients)
    loss, fvu = sums.squared / len(inputs), variance_unexplained(sums.squared, goal)
    fired, firings = codes.firings > 0, codes.firings.sum()
    return StepResult(loss, torch.zeros_like(loss), fvu, fired, firings, sums.gradients, penalty, extra)


class _Sums:
    """Errors, codes, firings and gradients, block by block."""

    def __init__(self, weights: Weights, activation: Activation, batch: int) -> None:
        self._weights, self._activation, self._batch = weights, activation, batch
        self.gradients = Weights(*(torch.zeros_like(tensor) for tensor in weights))
        self.codes = torch.zeros_like(weights.b_enc)
        # Counts in float32 would stop at 2^24 firings of a feature.
        self.firings = torch.zeros_like(weights.b_enc, dtype=torch.float64)
        self.squared = weights.b_dec.new_zeros(())

    def add(self, pre: Tensor, inputs: Tensor, goal: Tensor) -> None:
        """One block: `pre` [block, d_sae], which is overwritten."""
        (self._add_entries if self._has_few(pre) else self._add_all)(pre, inputs, goal)

    def _has_few(self, pre: Tensor) -> bool:
        """Graphics processors are left to what they do best."""
        sample = pre[:SAMPLE_ROWS] > self._activation.floor
        return not pre.is_cuda and sample.count_nonzero().item() <= SPARSE_SHARE * sample.numel()

    def _add_all(self, pre: Tensor, inputs: Tensor, goal: Tensor) -> None:
        dec, gradients, activation = self._weights.dec, self.gradients, self._activation
        kept = [activation.forward(part) for part in _cached(pre)]
        codes = pre
        upstream = self._upstream(torch.addmm(goal, codes, dec, beta=-1))
        gradients.dec.addmm_(codes.t(), upstream)
        d_codes = torch.addmm(activation.price, upstream, dec.t())
        for part, d_part, near in zip(_cached(codes), _cached(d_codes), kept, strict=True):
            activation.backward(part, d_part, near)
            self._count(part)
            _add_column_sums(gradients.b_enc, d_part)
        gradients.enc.addmm_(d_codes.t(), inputs)

    def _count(self, codes: Tensor) -> None:
        """Take codes into the sums; they are overwritten."""
        _add_column_sums(self.codes, codes)
        firings = torch.zeros_like(self.codes)
        _add_column_sums(firings, codes.sign_())
        self.firings.add_(firings)

    def _add_entries(self, pre: Tensor, inputs: Tensor, goal: Tensor) -> None:
        dec, gradients, activation = self._weights.dec, self.gradients, self._activation
        found = places(pre > activation.floor)
        rows = found.div(pre.shape[1], rounding_mode="floor")
        features, at = found - rows * pre.shape[1], pre.flatten()[found]
        entries = Entries.of_rows(rows, features, activation.forward_some(at, features), len(inputs))
        self.codes.index_add_(0, features, entries.values)
        self.firings.add_(entries.firings(len(dec)))
        upstream = self._upstream(entries.decode(dec).sub_(goal))
        d_codes = value_gradients(upstream, dec, entries).add_(activation.price[features])
        d_pre = activation.backward_some(at, features, d_codes)
        by_feature = weight_gradients(inputs, upstream, entries, d_pre, len(dec))
        for sums, part in zip((gradients.enc, gradients.b_enc, gradients.dec), by_feature, strict=True):
            sums.add_(part)

    def _upstream(self, error: Tensor) -> Tensor:
        """What errors [block, d_out] send back; they are overwritten."""
        self.squared.add_(error.square().sum())
        upstream = error.mul_(2 / self._batch)
        self.gradients.b_dec.add_(upstream.sum(0))
        return upstream


def _cached(matrix: Tensor) -> tuple[Tensor, ...]:
    """A few rows at a time."""
    return matrix.split(max(1, CACHED_ELEMENTS // matrix.shape[1]))


def _add_column_sums(sums: Tensor, matrix: Tensor) -> None:
    """By a product with ones, which takes a third of the time of `sum(0)`."""
    sums.addmv_(matrix.t(), matrix.new_ones(len(matrix)))


@torch.no_grad()
def dense_codes(weights: Weights, inputs: Tensor, activation: Activation) -> Tensor:
    """Codes [batch, d_sae] of all inputs at once."""
    codes = torch.addmm(weights.b_enc, inputs, weights.enc.t())
    for part in _cached(codes):
        activation.forward(part)
    return codes
