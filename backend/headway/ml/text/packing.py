"""Packs documents into contexts of one length, with the marks the model was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.ml.text.token_store import Packing


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


class Packer:
    """Makes contexts of exactly `length` tokens, the last one shorter: prefix, text, suffix.

    Each document is followed by the separator, and the next one begins in the same context; no context holds a
    separator alone. `rest` are the tokens that wait for the next context: all there is to keep between two pieces.
    Raises ValueError when `length` leaves no room for text.
    """

    def __init__(self, marks: Marks, length: int, rest: Sequence[int] = ()) -> None:
        self.rest = list(rest)
        self._marks = marks
        self._room = length - len(marks.prefix) - len(marks.suffix)
        if self._room < 1:
            raise ValueError(f"a context of {length} tokens has no room between its marks")

    def add(self, tokens: Sequence[int], ends: bool) -> list[list[int]]:
        """The contexts that a piece fills; `ends` says whether its document ends with it."""
        contexts = self._full_contexts(tokens)
        if ends and self.rest and self.rest[-1:] != list(self._marks.separator):
            self.rest.extend(self._marks.separator)
        return contexts

    def last(self) -> list[list[int]]:
        """The shorter context at the end of all text, if there is text for one."""
        if not self.rest or self.rest == list(self._marks.separator):
            return []
        return [self._context(self.rest[: self._room])]

    def _full_contexts(self, tokens: Sequence[int]) -> list[list[int]]:
        self.rest.extend(tokens)
        full = len(self.rest) - len(self.rest) % self._room
        contexts = [self._context(self.rest[start : start + self._room]) for start in range(0, full, self._room)]
        del self.rest[:full]
        return contexts

    def _context(self, text: list[int]) -> list[int]:
        return [*self._marks.prefix, *text, *self._marks.suffix]


class DocumentPacker(Packer):
    """Makes contexts of one document each: of `length` tokens as often as it fills them, then a shorter one."""

    def add(self, tokens: Sequence[int], ends: bool) -> list[list[int]]:
        """The contexts that a piece fills, and the shorter one at the end of its document."""
        contexts = self._full_contexts(tokens)
        if ends:
            contexts += self.last()
            self.rest.clear()
        return contexts


PACKERS: dict[Packing, type[Packer]] = {"packed": Packer, "document": DocumentPacker}
