"""Histograms of what features reach, before it is known how far each goes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FINE_BINS = 64


class Histogram:
    """Counts of values of each group in FINE_BINS bins from 0 to a power of two that doubles when a value is above.

    Doubling merges bins by twos, so every count stays exact; between half and all of the bins are in use.
    """

    def __init__(self, groups: int) -> None:
        self._counts = np.zeros((groups, FINE_BINS), np.int64)
        self._exponents = np.full(groups, np.iinfo(np.int16).min // 2, np.int16)

    def add(self, groups: NDArray[np.int32], values: NDArray[np.float32], peaks: NDArray[np.float32]) -> None:
        """Count values > 0, [n]; `peaks` [groups] are the largest so far, these included."""
        self._widen(np.where(peaks > 0, np.frexp(peaks)[1], self._exponents).astype(np.int16))
        bins = (np.ldexp(values, -self._exponents[groups].astype(np.int32)) * FINE_BINS).astype(np.int64)
        flat = groups.astype(np.int64) * FINE_BINS + bins
        self._counts += np.bincount(flat, minlength=self._counts.size).reshape(self._counts.shape)

    def _widen(self, exponents: NDArray[np.int16]) -> None:
        grown = np.flatnonzero(exponents > self._exponents)
        shifts = np.minimum(exponents[grown] - self._exponents[grown], FINE_BINS.bit_length())
        merged = np.zeros((len(grown), FINE_BINS), np.int64)
        np.add.at(
            merged, (np.arange(len(grown))[:, None], np.arange(FINE_BINS) >> shifts[:, None]), self._counts[grown]
        )
        self._counts[grown], self._exponents[grown] = merged, exponents[grown]

    def relative(self, peaks: NDArray[np.float32], bins: int) -> NDArray[np.int64]:
        """Counts [groups, bins] in equal bins from 0 to each group's peak, exact to a half of a fine bin."""
        middles = (np.arange(FINE_BINS) + 0.5) / FINE_BINS
        share = np.ldexp(middles[None], self._exponents[:, None].astype(np.int32)) / np.maximum(peaks, 1e-30)[:, None]
        coarse = np.clip((share * bins).astype(np.int64), 0, bins - 1)
        out = np.zeros((len(peaks), bins), np.int64)
        np.add.at(out, (np.arange(len(peaks))[:, None], coarse), self._counts)
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, for a file."""
        return {"histogram": self._counts, "exponents": self._exponents}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take up what `arrays` gave."""
        self._counts, self._exponents = arrays["histogram"], arrays["exponents"]
