"""What a token store holds, in figures and in samples a person can read."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from headway.ml.text.token_store import DocumentLengths, TokenStatistics, TokenStore

SAMPLES = 3
SAMPLE_TOKENS = 64
MOST_COMMON = 10
COUNTED_AT_ONCE = 1 << 22


class LengthTally(BaseModel):
    """Counts documents as their pieces come; can be kept and gone on with. Lengths are in tokens, marks left out."""

    documents: int = 0
    tokens: int = 0
    characters: int = 0
    shortest: int | None = None
    longest: int = 0
    by_power: list[int] = Field(default_factory=list[int])
    open_tokens: int = 0

    def add(self, tokens: int, characters: int, ends: bool) -> None:
        """Count a piece of a document, its last one if it `ends`."""
        self.tokens += tokens
        self.characters += characters
        self.open_tokens += tokens
        if ends:
            self._close(self.open_tokens)
            self.open_tokens = 0

    def lengths(self) -> DocumentLengths:
        """What the manifest says of them."""
        ended = self.tokens - self.open_tokens
        mean = ended / self.documents if self.documents else 0.0
        return DocumentLengths(
            mean=round(mean, 2), shortest=self.shortest or 0, longest=self.longest, by_power_of_two=self.by_power
        )

    def _close(self, length: int) -> None:
        self.documents += 1
        self.shortest = length if self.shortest is None else min(self.shortest, length)
        self.longest = max(self.longest, length)
        power = length.bit_length()
        self.by_power += [0] * (power + 1 - len(self.by_power))
        self.by_power[power] += 1


def statistics_of(store: TokenStore, tokenizer: Any, tally: LengthTally) -> TokenStatistics:
    """Count what the store holds, a bounded part at a time."""
    largest = max(int(store.tokens.max()), len(tokenizer), *store.manifest.special_ids)
    counts = np.zeros(largest + 1, dtype=np.int64)
    for start in range(0, len(store.tokens), COUNTED_AT_ONCE):
        counts += np.bincount(store.tokens[start : start + COUNTED_AT_ONCE], minlength=len(counts))
    marks = int(counts[store.manifest.special_ids].sum())
    total = max(1, store.manifest.tokens)
    unknown = {tokenizer.unk_token_id} - {None, *store.manifest.special_ids}
    common = np.argsort(-counts, kind="stable")[:MOST_COMMON]
    return TokenStatistics(
        documents=tally.lengths(),
        characters_per_token=round(tally.characters / max(1, tally.tokens), 3),
        distinct_tokens=int((counts > 0).sum()),
        marks_share=round(marks / total, 5),
        unknown_share=round(int(counts[list(unknown)].sum()) / total, 5),
        most_common=[(tokenizer.decode([int(token)]), int(counts[token])) for token in common if counts[token]],
    )


def samples_of(store: TokenStore, tokenizer: Any) -> list[str]:
    """The beginnings of contexts that lie evenly in the store, decoded with their marks."""
    count = min(SAMPLES, store.manifest.contexts)
    chosen = np.linspace(0, store.manifest.contexts, count, endpoint=False).astype(int)
    return [_decoded(store, tokenizer, context) for context in chosen.tolist()]


def _decoded(store: TokenStore, tokenizer: Any, context: int) -> str:
    start, end = store.offsets[context], store.offsets[context + 1]
    return tokenizer.decode(store.tokens[start : min(end, start + SAMPLE_TOKENS)].tolist())
