"""Runs a model over a token store and writes what its hooks see."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headway.ml.activations.forward import Forward
from headway.ml.activations.manifest import FILE_NAME, ROW_TOKENS_FILE, Manifest
from headway.ml.activations.places import Place, StoredDtype
from headway.ml.activations.writer import HookState, HookWriter
from headway.ml.growing import GrowingFile, Mark

SPARE_BYTES = 64 << 20


class ExtractionState(BaseModel):
    """Where an extraction stands: the batches done, in how many parts each, the tokens they took in, and what was
    written of them."""

    batches: int
    parts: int
    tokens: int
    row_tokens: Mark
    hooks: list[HookState]

    @property
    def bytes(self) -> int:
        """Size of what was written."""
        return self.row_tokens.bytes + sum(hook.bytes for hook in self.hooks)


class Extraction:
    """One pass of `forward` over its tokens into the store at `folder`: iterate `run`, then call `finish`.

    With a `state`, the pass that left it is gone on with: what was written is checked (`on_bytes` counts) and cut back
    to it. Raises DamagedError when it is not there as it was written.
    """

    def __init__(
        self,
        folder: Path,
        forward: Forward,
        places: Sequence[Place],
        dtype: StoredDtype,
        *,
        state: ExtractionState | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        if forward.tokens.manifest.tokens >= 2**32:
            raise ValueError("a token store of 2³² tokens or more does not fit one activation store: split it")
        self._folder, self._forward, self._places = folder, forward, places
        self._dtype: StoredDtype = dtype
        self.batches_done = state.batches if state else 0
        self.tokens_done = state.tokens if state else 0
        forward.parts = state.parts if state else forward.parts
        (folder / FILE_NAME).unlink(missing_ok=True)
        self._row_tokens = GrowingFile(folder / ROW_TOKENS_FILE, state.row_tokens if state else None, on_bytes)
        self._writers = {
            Place(one.layer, one.hook): HookWriter.at_state(folder, one, dtype=dtype, on_bytes=on_bytes)
            for one in (state.hooks if state else [])
        }

    def run(self, batch_tokens: int) -> Iterator[None]:
        """Go over the contexts that are left; yields after each batch."""
        for contexts in islice(self._forward.tokens.batches(batch_tokens), self.batches_done, None):
            rows = self._forward.run(contexts)
            for place, values in rows.by_place.items():
                self._writer(place, values.shape[-1]).append(values)
            self._row_tokens.write(rows.of_tokens.tobytes())
            self.batches_done += 1
            self.tokens_done += rows.tokens
            yield

    def state(self) -> ExtractionState:
        """All that another process needs to go on after the last batch."""
        return ExtractionState(
            batches=self.batches_done,
            parts=self._forward.parts,
            tokens=self.tokens_done,
            row_tokens=self._row_tokens.mark(),
            hooks=[writer.state() for writer in self._writers.values()],
        )

    def _writer(self, place: Place, d_in: int) -> HookWriter:
        if place not in self._writers:
            self._writers[place] = HookWriter(
                self._folder, layer=place.layer, hook=place.hook, d_in=d_in, dtype=self._dtype
            )
        return self._writers[place]

    @property
    def bytes_written(self) -> int:
        """Size of the shards so far."""
        return sum(writer.bytes for writer in self._writers.values())

    def finish(self, model: dict[str, Any], tokens: dict[str, Any], on_bytes: Callable[[int], None]) -> Manifest:
        """Close the shards (`on_bytes` counts) and write the manifest, which makes the store whole."""
        if not self._writers or not next(iter(self._writers.values())).rows:
            raise ValueError("the token store holds no text tokens: nothing was extracted")
        self._row_tokens.close()
        hooks = [self._writers[place].finish(on_bytes) for place in self._places]
        first = self._writers[self._places[0]]
        manifest = Manifest(
            dtype=self._dtype, d_in=first.d_in, rows=first.rows, model=model, tokens=tokens, hooks=hooks
        )
        manifest.write(self._folder)
        return manifest


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raises OSError (no space left), with the figures, when the disk of `folder` has not so much room and a little."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        lack = f"the activations need {needed_bytes >> 20} MiB and {free >> 20} MiB are free"
        raise OSError(errno.ENOSPC, f"{lack}: make room, or take fewer tokens, layers or hooks, or store bfloat16")
