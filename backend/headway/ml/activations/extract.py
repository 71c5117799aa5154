"""Runs a model over a token store and writes what its hooks see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.ml.activations.hooks import HookName, Tap
from headway.ml.activations.manifest import ROW_TOKENS_FILE, Manifest, StoredDtype
from headway.ml.activations.writer import HookWriter
from headway.ml.text.token_store import TokenStore


class Extraction:
    """One pass of `tap` over `tokens` into the store at `folder`: iterate `run`, then call `finish`."""

    def __init__(
        self, folder: Path, tokens: TokenStore, tap: Tap, layers: Sequence[int], hook: HookName, dtype: StoredDtype
    ) -> None:
        if tokens.manifest.tokens >= 2**32:
            raise ValueError("a token store of 2³² tokens or more does not fit one activation store: split it")
        self._folder, self._tokens, self._tap = folder, tokens, tap
        self._dtype: StoredDtype = dtype
        self._layers, self._hook = sorted(layers), hook
        self._writers: dict[int, HookWriter] = {}
        self._special = np.array(tokens.manifest.special_ids, dtype=np.int64)
        self._d_in = 0

    def run(self, batch_tokens: int, device: str = "cpu") -> Iterator[int]:
        """Go over all contexts; yields after each batch the number of tokens it took in."""
        with (self._folder / ROW_TOKENS_FILE).open("wb") as row_tokens:
            for contexts in self._tokens.batches(batch_tokens):
                ids, places = self._tokens.padded(contexts)
                wanted = (places >= 0) & ~np.isin(ids, self._special)
                self._forward(ids, places >= 0, wanted, device)
                row_tokens.write(places[wanted].astype(np.uint32).tobytes())
                yield int((places >= 0).sum())

    def _forward(self, ids: NDArray[np.int64], real: NDArray[np.bool_], wanted: NDArray[np.bool_], device: str) -> None:
        found = self._tap.forward(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(real.astype(np.int64)).to(device),
        )
        mask = torch.from_numpy(wanted).to(device)
        for layer, values in found.items():
            self._writer(layer, values.shape[-1]).append(values[mask])

    def _writer(self, layer: int, d_in: int) -> HookWriter:
        self._d_in = d_in
        if layer not in self._writers:
            self._writers[layer] = HookWriter(self._folder, layer=layer, hook=self._hook, d_in=d_in, dtype=self._dtype)
        return self._writers[layer]

    @property
    def bytes_written(self) -> int:
        """Size of the shards so far."""
        item = 2 if self._dtype == "bfloat16" else 4
        return sum(writer.rows for writer in self._writers.values()) * self._d_in * item

    def finish(self, model: dict[str, Any], tokens: dict[str, Any], on_bytes: Callable[[int], None]) -> Manifest:
        """Hash the shards (`on_bytes` counts) and write the manifest, which makes the store whole."""
        if not self._writers or not next(iter(self._writers.values())).rows:
            raise ValueError("the token store holds no text tokens: nothing was extracted")
        hooks = [self._writers[layer].finish(on_bytes) for layer in self._layers]
        rows = self._writers[self._layers[0]].rows
        manifest = Manifest(dtype=self._dtype, d_in=self._d_in, rows=rows, model=model, tokens=tokens, hooks=hooks)
        manifest.write(self._folder)
        return manifest
