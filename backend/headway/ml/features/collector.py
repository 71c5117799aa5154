"""What is kept of all firings of one SAE, in memory that does not grow with the tokens.

Firings wait until there are enough of them and are then folded into the figures, for all features at once. When that
happens depends on the firings alone, so a run that is taken up again comes to the same bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.ml.features.firings import Firings
from headway.ml.features.histogram import Histogram
from headway.ml.features.ranking import first_of_groups, group_starts, largest_sums
from headway.ml.text.token_store import TokenStore

FOLD_FIRINGS = 1 << 21
TOKEN_SLOTS = 48
REACH = 16
"""Tokens of an example on either side of its peak."""


class Kept:
    """A few firings of each feature, those with the largest scores, each with the activations around it.

    `windows` [n, 2 · REACH + 1] are the feature's values at the places around, 0 where it does not fire.
    """

    def __init__(self, d_sae: int, most: int) -> None:
        self.firings = Firings.none()
        self.scores = np.empty(0)
        self.windows = np.empty((0, 2 * REACH + 1), np.float32)
        self._most = most
        self._bar = np.full(d_sae, -np.inf)

    def may_enter(self, features: NDArray[np.int32], scores: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether there would be a place for such a score."""
        return scores > self._bar[features]

    def take(self, new: Firings, scores: NDArray[Any], around: Firings) -> None:
        """Let new firings compete with those kept; windows come from `around`, sorted by feature and place."""
        old = len(self.scores)
        together, all_scores = Firings.joined(self.firings, new), np.concatenate([self.scores, scores])
        chosen = first_of_groups(together.features, all_scores, self._most)
        windows = np.empty((len(chosen), 2 * REACH + 1), np.float32)
        is_old = chosen < old
        windows[is_old] = self.windows[chosen[is_old]]
        windows[~is_old] = _windows(new.at(chosen[~is_old] - old), around)
        self.firings, self.scores, self.windows = together.at(chosen), all_scores[chosen], windows
        self._set_bar()

    def _set_bar(self) -> None:
        starts = group_starts(self.firings.features)
        full = np.diff(starts, append=len(self.scores)) == self._most
        last = starts[full] + self._most - 1
        self._bar[self.firings.features[last]] = self.scores[last]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, for a file."""
        return self.firings._asdict() | {"scores": self.scores, "windows": self.windows}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self.firings = Firings(*(arrays[name] for name in Firings._fields))
        self.scores, self.windows = arrays["scores"], arrays["windows"]
        self._set_bar()


class Collector:
    """The figures of every feature of one SAE over the tokens of one store.

    `counts`, `sums` and `peaks` [d_sae] are how often each fires, how much in all and at most; `top` are its strongest
    firings, one a context, and `sample` is drawn evenly from all its firings.
    """

    def __init__(self, d_sae: int, tokens: TokenStore, top: int, sample: int) -> None:
        self.d_sae = d_sae
        self.counts = np.zeros(d_sae, np.int64)
        self.sums = np.zeros(d_sae)
        self.peaks = np.zeros(d_sae, np.float32)
        self.histogram = Histogram(d_sae)
        self.top, self.sample = Kept(d_sae, top), Kept(d_sae, sample)
        self.token_groups, self.token_ids = np.empty(0, np.int64), np.empty(0, np.int64)
        self.token_sums = np.empty(0)
        self._tokens = tokens
        self._waiting: list[Firings] = []

    def add(self, firings: Firings) -> None:
        """Take in the firings of whole contexts."""
        self._waiting.append(firings)
        if sum(len(part.values) for part in self._waiting) >= FOLD_FIRINGS:
            self.fold()

    def fold(self) -> None:
        """Fold all that waits into the figures; to be called once at the end."""
        firings = Firings.joined(Firings.none(), *self._waiting)
        self._waiting = []
        if not len(firings.values):
            return
        firings = firings.at(np.argsort(_key(firings.features, firings.places)))
        starts = group_starts(firings.features)
        present = firings.features[starts]
        self.counts[present] += np.diff(starts, append=len(firings.values))
        self.sums[present] += np.add.reduceat(firings.values.astype(np.float64), starts)
        self.peaks[present] = np.maximum(self.peaks[present], np.maximum.reduceat(firings.values, starts))
        self.histogram.add(firings.features, firings.values, self.peaks)
        self._count_tokens(firings)
        self._keep_strongest(firings)
        self._keep_sample(firings)

    def _count_tokens(self, firings: Firings) -> None:
        self.token_groups, self.token_ids, self.token_sums = largest_sums(
            np.concatenate([self.token_groups, firings.features]),
            np.concatenate([self.token_ids, self._tokens.tokens[firings.places].astype(np.int64)]),
            np.concatenate([self.token_sums, firings.values.astype(np.float64)]),
            TOKEN_SLOTS,
        )

    def _keep_strongest(self, firings: Firings) -> None:
        strong = firings.at(self.top.may_enter(firings.features, firings.values))
        contexts = np.searchsorted(self._tokens.offsets, strong.places, side="right")
        of_context = first_of_groups(_key(strong.features, contexts), strong.values, 1)
        peaks = strong.at(of_context)
        self.top.take(peaks, peaks.values.astype(np.float64), firings)

    def _keep_sample(self, firings: Firings) -> None:
        scores = _evenly_scattered(_key(firings.features, firings.places))
        chosen = self.sample.may_enter(firings.features, scores)
        self.sample.take(firings.at(chosen), scores[chosen], firings)

    def save(self, path: Path) -> None:
        """Write all of it, what waits too, to one .npz file."""
        arrays = {name: getattr(self, name) for name in _PLAIN} | self.histogram.arrays()
        for name, part in self._parts().items():
            arrays |= {f"{name}.{key}": array for key, array in part.items()}
        np.savez(path, allow_pickle=False, **arrays)

    def load(self, path: Path) -> None:
        """Take up what `save` wrote."""
        with np.load(path) as file:
            arrays = dict(file)
        for name in _PLAIN:
            setattr(self, name, arrays[name])
        self.histogram.restore(arrays)
        parts = {name: _under(arrays, f"{name}.") for name in self._parts()}
        self.top.restore(parts["top"])
        self.sample.restore(parts["sample"])
        self._waiting = [Firings(**parts["waiting"])]

    def _parts(self) -> dict[str, dict[str, NDArray[Any]]]:
        waiting = Firings.joined(Firings.none(), *self._waiting)
        return {"top": self.top.arrays(), "sample": self.sample.arrays(), "waiting": waiting._asdict()}


_PLAIN = ("counts", "sums", "peaks", "token_groups", "token_ids", "token_sums")


def _under(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _key(features: NDArray[np.int32], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for both: features are below 2²³, places below 2⁴⁰."""
    return features.astype(np.int64) << 40 | places


def _windows(peaks: Firings, around: Firings) -> NDArray[np.float32]:
    """The feature's values at the places around each peak."""
    keys = _key(around.features, around.places)
    wanted = _key(peaks.features, peaks.places)[:, None] + np.arange(-REACH, REACH + 1)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, around.values[found], np.float32(0))


def _evenly_scattered(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) of each key, as if drawn (splitmix64): the largest of them are a sample without any state."""
    mixed = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64
