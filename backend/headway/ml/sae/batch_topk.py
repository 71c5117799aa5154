"""BatchTopK and Matryoshka: k features a row on average, chosen over the whole batch.

Bussmann, Leask & Nanda 2024, "BatchTopK sparse autoencoders": TopK's loss, but z keeps the k·batch largest of all
pre-activations in the batch. Outside of training a feature fires above a threshold, the running mean of the least
value that was kept.

Bussmann, Nabeshima, Karvonen & Nanda 2025, "Learning multi-level features with Matryoshka sparse autoencoders": the
same codes, and the sum of the squared errors of nested dictionaries, each of the first m features:

    loss = Σ_m mean over rows of ‖z_{:m} W_dec,:m + b_dec - x‖² + AuxK

The k·batch largest are found without sorting them all: a sample of rows gives a bound that lies safely below, one
pass takes what is above it, and only those (half as many again as are wanted) are searched for the exact threshold.
A histogram over all codes would be a second pass, and its threshold right to a bin only. Where the sample misled and
too few lie above its bound, the pass is taken again from 0: slower, and as exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headway.ml.sae.auxk import AuxK, add_aux
from headway.ml.sae.objective import Model, Reconstruction, StepResult
from headway.ml.sae.sparse import Entries, pre_activations, sparse_gradients, variance_unexplained
from headway.ml.sae.topk import Chosen
from headway.ml.sae.weights import BiasInit, Weights, initial_weights

THRESHOLD_RATE = 0.01
SAMPLE_ROWS = 64
SAMPLE_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class BatchTopKObjective:
    """`prefixes` are the sizes of the inner dictionaries, rising, without the whole; none is plain BatchTopK."""

    k: int
    aux_k: int = 0
    aux_coefficient: float = 1 / 32
    encode_dtype: torch.dtype | None = None
    prefixes: tuple[int, ...] = ()
    unit_decoder: bool = True
    beta1: float = 0.9

    def initial(self, d_sae: int, rows: Tensor, targets: Tensor, seed: int, bias: BiasInit) -> Model:
        """As TopK; the threshold is 0 until the first step sets it."""
        return Model(initial_weights(d_sae, rows, seed, bias), running={"threshold": rows.new_zeros(())})

    @torch.no_grad()
    def step(self, model: Model, rows: Tensor, targets: Tensor, dead: Tensor, step_number: int) -> StepResult:
        """The sparse path for every prefix, AuxK on what the whole dictionary leaves over."""
        weights, d_sae = model.weights, len(model.weights.enc)
        aux = AuxK(self.aux_k, self.aux_coefficient)
        revive = aux.chooses(dead)
        centred = rows - weights.b_dec
        entries, pre = choose(weights, centred, self, revive)
        errors, gradients = sparse_gradients(weights, centred, centred, entries, [*self.prefixes, d_sae])
        losses = [error.square().sum() / len(rows) for error in errors]
        aux_loss = torch.zeros_like(losses[-1])
        if revive is not None and pre is not None:
            aux_loss = add_aux(gradients, weights, centred, errors[-1], revive, pre, aux)
        gradients.b_dec.sub_(gradients.b_enc @ weights.enc)
        return StepResult(
            losses[-1],
            aux_loss,
            variance_unexplained(losses[-1] * len(rows), centred),
            *entries.fired(d_sae),
            gradients,
            penalty=torch.stack(losses[:-1]).sum() if self.prefixes else None,
            running={"threshold": _moved(model.running["threshold"], entries.values)},
        )

    @torch.no_grad()
    def reconstruct(self, model: Model, rows: Tensor) -> Reconstruction:
        """Features fire above the running threshold, whatever else is in the batch."""
        weights = model.weights
        entries = _above(weights, rows - weights.b_dec, self, model.running["threshold"], None).entries
        return Reconstruction(entries.decode(weights.dec).add_(weights.b_dec), entries.firings(len(weights.enc)))


def _moved(threshold: Tensor, values: Tensor) -> Tensor:
    """The running mean of the least value kept; the first step's own where there is none yet."""
    if not len(values):
        return threshold
    return torch.where(threshold > 0, threshold.lerp(values.min(), THRESHOLD_RATE), values.min())


def choose(weights: Weights, inputs: Tensor, objective: BatchTopKObjective, dead: Tensor | None = None) -> Chosen:
    """The k·batch largest positive codes of inputs [batch, d_in]; all of several that are equal to the least."""
    wanted = objective.k * len(inputs)
    chosen = _above(weights, inputs, objective, _sampled_bound(weights, inputs, objective), dead)
    if len(chosen.entries.values) < wanted:
        chosen = _above(weights, inputs, objective, inputs.new_zeros(()), dead)
    entries = chosen.entries
    surplus = len(entries.values) - wanted
    if surplus <= 0:
        return chosen
    kept = (entries.values >= entries.values.kthvalue(surplus + 1).values).nonzero().squeeze(1)
    found = (entries.rows[kept], entries.features[kept], entries.values[kept])
    return Chosen(Entries.of_rows(*found, len(inputs)), chosen.dead)


def _sampled_bound(weights: Weights, inputs: Tensor, objective: BatchTopKObjective) -> Tensor:
    """A value that about half as many codes again as are wanted lie above; at least 0."""
    sample = inputs[:: max(1, len(inputs) // SAMPLE_ROWS)]
    pre = torch.cat(list(pre_activations(weights.enc, weights.b_enc, sample, objective.encode_dtype))).flatten()
    rank = len(pre) - int(SAMPLE_MARGIN * objective.k * len(sample))
    return pre.kthvalue(rank).values.clamp_min_(0) if rank > 0 else pre.new_zeros(())


def _above(
    weights: Weights, inputs: Tensor, objective: BatchTopKObjective, bound: Tensor, dead: Tensor | None
) -> Chosen:
    """Every code above `bound` (>= 0)."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    gathered: list[Tensor] = []
    first = 0
    for pre in pre_activations(weights.enc, weights.b_enc, inputs, objective.encode_dtype):
        places = (pre > bound).flatten().nonzero().squeeze(1)
        rows = places.div(pre.shape[1], rounding_mode="floor")
        found.append((rows + first, places - rows * pre.shape[1], pre.flatten()[places]))
        first += len(pre)
        if dead is not None:
            gathered.append(pre.index_select(1, dead))
    rows, features, values = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Chosen(Entries.of_rows(rows, features, values, len(inputs)), torch.cat(gathered) if gathered else None)
