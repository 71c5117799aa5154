"""Packs documents into contexts of one length, with the marks the model was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Marks:
    """A tokenizer's conventions: what stands before and after a text, between two, and which ids are never text."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    separator: tuple[int, ...]
    pad_id: int
    special_ids: tuple[int, ...]


def marks_of(tokenizer: Any) -> Marks:
    """Read a transformers tokenizer's conventions off what it does to a word ([CLS] … [SEP], <s> …, or nothing)."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    marked = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(marked)) if marked[i : i + len(bare)] == bare)
    between = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    prefix, suffix = tuple(marked[:start]), tuple(marked[start + len(bare) :])
    separator = () if between is None else (between,)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (between or 0)
    # An unknown word is text, unless (GPT-2) the same token also marks.
    special = ({*tokenizer.all_special_ids} - {tokenizer.unk_token_id}) | {*prefix, *suffix, *separator}
    return Marks(prefix, suffix, separator, pad, tuple(sorted(special)))


def pack(pieces: Iterable[tuple[Sequence[int], bool]], marks: Marks, length: int) -> Iterator[list[int]]:
    """Contexts of exactly `length` tokens, the last one shorter: prefix, text, suffix.

    A piece is some tokens and whether their document ends with them. Each document is followed by the separator, and
    the next one begins in the same context; no context holds a separator alone. Raises ValueError when `length` leaves
    no room for text.
    """
    room = length - len(marks.prefix) - len(marks.suffix)
    if room < 1:
        raise ValueError(f"a context of {length} tokens has no room between its marks")
    buffer: list[int] = []
    for tokens, ends in pieces:
        buffer.extend(tokens)
        while len(buffer) >= room:
            yield [*marks.prefix, *buffer[:room], *marks.suffix]
            del buffer[:room]
        if ends and buffer and buffer[-1:] != list(marks.separator):
            buffer.extend(marks.separator)
    if buffer and buffer != list(marks.separator):
        yield [*marks.prefix, *buffer[:room], *marks.suffix]
