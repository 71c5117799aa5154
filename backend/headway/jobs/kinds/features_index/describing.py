"""Turns what was collected of an SAE into the rows of the file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headway.jobs.feature_index import HISTOGRAM_BINS, QUANTILES, TOP, ExampleRow, FeatureRow, SaeRow
from headway.ml.features.collector import REACH, Collector, Kept
from headway.ml.features.lens import Nearest, logit_lens, nearest_rows
from headway.ml.features.quality import DENSE
from headway.ml.features.saes import PlacedSae
from headway.ml.text.token_store import TokenStore

LISTED = 10
"""Tokens and neighbours that are listed of a feature."""

TextOf = Callable[[int], str]


class TokenTexts:
    """Tokens as a reader sees them, by id."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        """One token's text; leading spaces are kept."""
        if token not in self._known:
            self._known[token] = self._tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return self._known[token]


class Described:
    """One SAE's rows. `position` is its place among the SAEs, `rows` the number of text tokens it was run on."""

    def __init__(
        self,
        sae: PlacedSae,
        position: int,
        collected: Collector,
        tokens: TokenStore,
        text_of: TextOf,
        unembedding: Tensor | None,
        rows: int,
    ) -> None:
        self.position, self.d_sae = position, sae.d_sae
        self._sae, self._collected, self._tokens, self._text_of, self._rows = sae, collected, tokens, text_of, rows
        self._dec = sae.sae.weights.dec.cpu()
        # Only rows of the stream's width can be read as logits, and what an MLP reads has passed a norm of its own.
        readable = unembedding is not None and self._dec.shape[1] == unembedding.shape[1]
        self._unembedding = unembedding if readable and sae.target.hook != "mlp_in" else None
        self._density = collected.counts / max(1, rows)
        self._mean = collected.sums / np.maximum(1, collected.counts)
        self._histogram = collected.histogram.relative(collected.peaks, HISTOGRAM_BINS)
        self._token_starts = np.searchsorted(collected.token_groups, np.arange(sae.d_sae + 1))

    def sae_row(self) -> SaeRow:
        """The SAE itself."""
        return SaeRow(
            sae=self._sae.name,
            position=self.position,
            layer=self._sae.source.layer,
            hook=self._sae.source.hook,
            architecture=self._sae.architecture,
            d_in=self._sae.sae.weights.enc.shape[1],
            d_sae=self.d_sae,
            alive=int((self._collected.counts > 0).sum()),
            dense=int((self._density > DENSE).sum()),
            tokens=self._rows,
            summary=dict(self._sae.summary),
        )

    def features(self, numbers: range) -> list[FeatureRow]:
        """The rows of some features that follow each other."""
        rows = self._dec[numbers.start : numbers.stop]
        near = _listed(nearest_rows(self._dec, numbers, LISTED))
        raised, lowered = [None] * len(numbers), [None] * len(numbers)
        if self._unembedding is not None:
            raised, lowered = (self._worded(found) for found in logit_lens(rows, self._unembedding, LISTED))
        return [
            FeatureRow(
                sae=self._sae.name,
                feature=number,
                density=float(self._density[number]),
                max=float(self._collected.peaks[number]),
                mean=float(self._mean[number]),
                top_tokens=self._top_tokens(number),
                promoted=raised[at],
                suppressed=lowered[at],
                neighbours=near[at],
                histogram=self._histogram[number].tolist(),
            )
            for at, number in enumerate(numbers)
        ]

    def examples(self, number: int) -> list[ExampleRow]:
        """One feature's examples: the strongest, then those of each quarter of the activations at which it fires."""
        strongest = _of_feature(self._collected.top, number)
        sampled = _of_feature(self._collected.sample, number)
        falling = sampled[np.argsort(-self._collected.sample.firings.values[sampled], kind="stable")]
        found = [self._example(self._collected.top, at, TOP, rank) for rank, at in enumerate(strongest)]
        for band, quarter in zip(QUANTILES, np.array_split(falling, len(QUANTILES)), strict=True):
            found += [self._example(self._collected.sample, at, band, rank) for rank, at in enumerate(quarter)]
        return found

    def _example(self, kept: Kept, at: int, band: str, rank: int) -> ExampleRow:
        place = int(kept.firings.places[at])
        context = int(np.searchsorted(self._tokens.offsets, place, side="right")) - 1
        begin, end = (int(each) for each in self._tokens.offsets[context : context + 2])
        first, last = max(begin, place - REACH), min(end, place + REACH + 1)
        window = kept.windows[at][first - place + REACH : last - place + REACH]
        return ExampleRow(
            sae=self._sae.name,
            feature=int(kept.firings.features[at]),
            band=band,
            rank=rank,
            document=None,
            context=context,
            position=place - first,
            activation=float(kept.firings.values[at]),
            tokens=[self._text_of(token) for token in self._tokens.tokens[first:last].tolist()],
            activations=[round(value, 3) for value in window.tolist()],
        )

    def _top_tokens(self, number: int) -> list[tuple[str, float]]:
        of_feature = slice(self._token_starts[number], self._token_starts[number + 1])
        ids, sums = self._collected.token_ids[of_feature][:LISTED], self._collected.token_sums[of_feature][:LISTED]
        shares = (sums / max(self._collected.sums[number], 1e-30)).round(4)
        return [(self._text_of(token), share) for token, share in zip(ids.tolist(), shares.tolist(), strict=True)]

    def _worded(self, found: Nearest) -> list[list[tuple[str, float]]]:
        return [[(self._text_of(token), logit) for token, logit in row] for row in _listed(found)]


def _listed(found: Nearest) -> list[list[tuple[int, float]]]:
    """For each row its (index, value) pairs."""
    indices: list[list[int]] = found.indices.numpy().tolist()
    values: list[list[float]] = found.values.numpy().tolist()
    return [
        [(index, round(value, 4)) for index, value in zip(*row, strict=True)]
        for row in zip(indices, values, strict=True)
    ]


def _of_feature(kept: Kept, number: int) -> NDArray[np.int64]:
    first, end = (int(np.searchsorted(kept.firings.features, each)) for each in (number, number + 1))
    return np.arange(first, end, dtype=np.int64)
