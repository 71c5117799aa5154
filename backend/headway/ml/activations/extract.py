"""Runs a model over a token store and writes what its hooks see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel

from headway.ml.activations.hooks import HookName, Tap
from headway.ml.activations.manifest import FILE_NAME, ROW_TOKENS_FILE, Manifest, StoredDtype
from headway.ml.activations.writer import HookState, HookWriter
from headway.ml.growing import GrowingFile, Mark
from headway.ml.text.token_store import TokenStore


class ExtractionState(BaseModel):
    """Where an extraction stands: the batches done, the tokens they took in, and what was written of them."""

    batches: int
    tokens: int
    row_tokens: Mark
    hooks: list[HookState]

    @property
    def bytes(self) -> int:
        """Size of what was written."""
        return self.row_tokens.bytes + sum(hook.bytes for hook in self.hooks)


class Extraction:
    """One pass of `tap` over `tokens` into the store at `folder`: iterate `run`, then call `finish`.

    With a `state`, the pass that left it is gone on with: what was written is checked (`on_bytes` counts) and cut back
    to it. Raises DamagedError when it is not there as it was written.
    """

    def __init__(
        self,
        folder: Path,
        tokens: TokenStore,
        tap: Tap,
        layers: Sequence[int],
        hook: HookName,
        dtype: StoredDtype,
        *,
        state: ExtractionState | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        if tokens.manifest.tokens >= 2**32:
            raise ValueError("a token store of 2³² tokens or more does not fit one activation store: split it")
        self._folder, self._tokens, self._tap = folder, tokens, tap
        self._dtype: StoredDtype = dtype
        self._layers, self._hook = sorted(layers), hook
        self._special = np.array(tokens.manifest.special_ids, dtype=np.int64)
        self.batches_done = state.batches if state else 0
        self.tokens_done = state.tokens if state else 0
        (folder / FILE_NAME).unlink(missing_ok=True)
        self._row_tokens = GrowingFile(folder / ROW_TOKENS_FILE, state.row_tokens if state else None, on_bytes)
        self._writers = {
            one.layer: HookWriter.at_state(folder, one, hook=hook, dtype=dtype, on_bytes=on_bytes)
            for one in (state.hooks if state else [])
        }

    def run(self, batch_tokens: int, device: str = "cpu") -> Iterator[None]:
        """Go over the contexts that are left; yields after each batch."""
        for contexts in islice(self._tokens.batches(batch_tokens), self.batches_done, None):
            ids, places = self._tokens.padded(contexts)
            wanted = (places >= 0) & ~np.isin(ids, self._special)
            self._forward(ids, places >= 0, wanted, device)
            self._row_tokens.write(places[wanted].astype(np.uint32).tobytes())
            self.batches_done += 1
            self.tokens_done += int((places >= 0).sum())
            yield

    def state(self) -> ExtractionState:
        """All that another process needs to go on after the last batch."""
        hooks = [writer.state() for writer in self._writers.values()]
        return ExtractionState(
            batches=self.batches_done, tokens=self.tokens_done, row_tokens=self._row_tokens.mark(), hooks=hooks
        )

    def _forward(self, ids: NDArray[np.int64], real: NDArray[np.bool_], wanted: NDArray[np.bool_], device: str) -> None:
        found = self._tap.forward(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(real.astype(np.int64)).to(device),
        )
        mask = torch.from_numpy(wanted).to(device)
        for layer, values in found.items():
            self._writer(layer, values.shape[-1]).append(values[mask])

    def _writer(self, layer: int, d_in: int) -> HookWriter:
        if layer not in self._writers:
            self._writers[layer] = HookWriter(self._folder, layer=layer, hook=self._hook, d_in=d_in, dtype=self._dtype)
        return self._writers[layer]

    @property
    def bytes_written(self) -> int:
        """Size of the shards so far."""
        return sum(writer.bytes for writer in self._writers.values())

    def finish(self, model: dict[str, Any], tokens: dict[str, Any], on_bytes: Callable[[int], None]) -> Manifest:
        """Close the shards (`on_bytes` counts) and write the manifest, which makes the store whole."""
        if not self._writers or not next(iter(self._writers.values())).rows:
            raise ValueError("the token store holds no text tokens: nothing was extracted")
        self._row_tokens.close()
        hooks = [self._writers[layer].finish(on_bytes) for layer in self._layers]
        first = self._writers[self._layers[0]]
        manifest = Manifest(
            dtype=self._dtype, d_in=first.d_in, rows=first.rows, model=model, tokens=tokens, hooks=hooks
        )
        manifest.write(self._folder)
        return manifest
