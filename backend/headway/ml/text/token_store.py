"""A token store: contexts of tokens, flat on disk and memory-mapped.

manifest.json   what they are
tokens.bin      uint32 [tokens], the contexts one after the other, without padding
offsets.bin     uint64 [contexts + 1], where each begins
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from headway.ml.growing import GrowingFile, Mark

MANIFEST_FILE, TOKENS_FILE, OFFSETS_FILE = "manifest.json", "tokens.bin", "offsets.bin"

Packing = Literal["packed", "document"]


class DocumentLengths(BaseModel):
    """How long the documents are, in tokens without marks; `by_power_of_two[n]` of them have 2^(n-1) to 2^n - 1."""

    model_config = ConfigDict(frozen=True)

    mean: float
    shortest: int
    longest: int
    by_power_of_two: list[int]


class TokenStatistics(BaseModel):
    """Figures of a token store. Shares are of all tokens; `most_common` are tokens as text, with their counts."""

    model_config = ConfigDict(frozen=True)

    documents: DocumentLengths
    characters_per_token: float
    distinct_tokens: int
    marks_share: float
    unknown_share: float
    most_common: list[tuple[str, int]]


class TokenManifest(BaseModel):
    """What a token store holds. `special_ids` are never text: separators, masks, padding, starts and ends.

    In a `packed` store documents follow one another in a context, otherwise each context is of one document.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    contexts: int
    tokens: int
    documents: int
    context_length: int
    vocab_size: int
    pad_id: int
    special_ids: list[int]
    tokenizer: str
    packing: Packing = "packed"
    samples: list[str] = []
    statistics: TokenStatistics | None = None


class TokenWriterState(BaseModel):
    """Where the writing of a token store stands."""

    contexts: int
    tokens: Mark
    offsets: Mark

    @property
    def bytes(self) -> int:
        """Size of what was written."""
        return self.tokens.bytes + self.offsets.bytes


class TokenWriter:
    """Appends contexts; `finish` writes the manifest last, so a store without one is not whole.

    With a `state`, the writer that left it is gone on with: its files are checked (`on_bytes` counts) and cut back.
    Raises DamagedError when they are not as they were written.
    """

    def __init__(
        self, folder: Path, state: TokenWriterState | None = None, on_bytes: Callable[[int], None] = lambda _: None
    ) -> None:
        self.contexts = state.contexts if state else 0
        self._folder = folder
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        self._tokens = GrowingFile(folder / TOKENS_FILE, state.tokens if state else None, on_bytes)
        self._offsets = GrowingFile(folder / OFFSETS_FILE, state.offsets if state else None, on_bytes)
        if state is None:
            self._offsets.write(np.uint64(0).tobytes())

    @property
    def tokens(self) -> int:
        """Tokens written."""
        return self._tokens.bytes // np.dtype(np.uint32).itemsize

    def append(self, context: Sequence[int]) -> None:
        """Add one context."""
        self._tokens.write(np.asarray(context, dtype=np.uint32).tobytes())
        self.contexts += 1
        self._offsets.write(np.uint64(self.tokens).tobytes())

    def state(self) -> TokenWriterState:
        """All that another process needs to go on."""
        return TokenWriterState(contexts=self.contexts, tokens=self._tokens.mark(), offsets=self._offsets.mark())

    def finish(self, manifest: TokenManifest) -> None:
        """Close the files and say what they are."""
        self._tokens.close()
        self._offsets.close()
        self.tell(manifest)

    def tell(self, manifest: TokenManifest) -> TokenManifest:
        """Say what the closed files are; at once or not at all."""
        partial = self._folder / f".{MANIFEST_FILE}"
        partial.write_text(manifest.model_dump_json(indent=1) + "\n")
        partial.rename(self._folder / MANIFEST_FILE)
        return manifest


class TokenStore:
    """Read access to a token store. Raises OSError when a file is missing."""

    def __init__(self, folder: Path) -> None:
        self.manifest = TokenManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
        self.tokens: NDArray[np.uint32] = np.memmap(folder / TOKENS_FILE, dtype=np.uint32, mode="r")
        self.offsets: NDArray[np.int64] = np.fromfile(folder / OFFSETS_FILE, dtype=np.uint64).astype(np.int64)

    def spread(self, most_tokens: int | None) -> NDArray[np.int64]:
        """Numbers of contexts that lie evenly in the store and hold at most so many tokens, one at least; None: all."""
        contexts = np.arange(self.manifest.contexts)
        if most_tokens is None or most_tokens >= self.manifest.tokens:
            return contexts
        count = max(1, most_tokens * len(contexts) // self.manifest.tokens)
        chosen = np.linspace(0, len(contexts), count, endpoint=False).astype(np.int64)
        within = np.cumsum(np.diff(self.offsets)[chosen]) <= most_tokens
        return chosen[: max(1, int(within.sum()))]

    def batches(self, max_tokens: int, among: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.int64]]:
        """Numbers of contexts (all, or those `among` them), in batches of like length that pad to `max_tokens` at most.

        Longest first: memory runs out at once or never.
        """
        among = np.arange(self.manifest.contexts) if among is None else among
        lengths = np.diff(self.offsets)[among]
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, max_tokens // int(lengths[order[start]]))
            yield among[order[start : start + size]]
            start += size

    def padded(self, contexts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids of the contexts [n, longest], padded, and each one's place in `tokens` (-1 where padded)."""
        starts, ends = self.offsets[contexts], self.offsets[contexts + 1]
        places = starts[:, None] + np.arange(int((ends - starts).max()))
        places = np.where(places < ends[:, None], places, -1)
        return np.where(places >= 0, self.tokens[places], self.manifest.pad_id).astype(np.int64), places
