"""Which split of a dataset a file is of, by its path: the hub's own conventions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from headway.errors import FieldProblem, InvalidInputError

T = TypeVar("T")

#: Words in a path -> the split they mean, as on the hub; the first that matches wins.
_WORDS: tuple[tuple[str, str], ...] = (
    ("train|training", "train"),
    ("validation|valid|val|dev", "validation"),
    ("test|testing|eval|evaluation", "test"),
)
#: `data/<split>-00000-of-00005.parquet`: any word may name a split where files are numbered.
_NUMBERED = re.compile(r"(?:^|/)([\w.]+)-\d{5}-of-\d{5}\.")


def split_of(path: str) -> str | None:
    """The split that a path names, from its last part to its first; None where it names none."""
    if named := _NUMBERED.search(path):
        return _known(named[1]) or named[1]
    return next((split for part in reversed(path.split("/")) if (split := _known(part))), None)


def of_split(items: Sequence[T], split: str | None, path_of: Callable[[T], str]) -> list[T]:
    """The items of a split; all of them without one. Raises InvalidInputError that names the splits there are."""
    if split is None:
        return list(items)
    wanted = _known(split) or split
    chosen = [item for item in items if split_of(path_of(item)) == wanted]
    if items and not chosen:
        there = sorted({name for item in items if (name := split_of(path_of(item)))})
        mend = f"it has {', '.join(there)}" if there else "its files name none, leave it empty"
        raise InvalidInputError(FieldProblem("config.split", f"there is no split {split!r}: {mend}"))
    return chosen


def _known(text: str) -> str | None:
    return next((split for words, split in _WORDS if re.search(rf"(?<![a-z])(?:{words})(?![a-z])", text.lower())), None)
