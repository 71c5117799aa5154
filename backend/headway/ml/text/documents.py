"""Reads documents out of a folder of text or JSON lines, a bounded piece at a time."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from headway.errors import FieldProblem, InvalidInputError

TEXT_SUFFIXES = (".txt", ".md", ".rst")
JSON_SUFFIXES = (".jsonl", ".jsonl.gz")
PIECE_CHARACTERS = 1 << 18


class Piece(NamedTuple):
    """A part of a document; `ends` with the last. `read_bytes` is how much of the file was read for it."""

    text: str
    ends: bool
    read_bytes: int


def text_files(folder: Path, *, mix_seed: int | None) -> list[Path]:
    """The files that hold text: sorted by path, or mixed by a hash of path and seed so that a part is a fair sample.

    Raises InvalidInputError when there are none.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name.endswith((*TEXT_SUFFIXES, *JSON_SUFFIXES)) and path.stem != "LICENSE"
    ]
    if not files:
        problem = f"no text found in it: it needs files ending in {', '.join((*TEXT_SUFFIXES, *JSON_SUFFIXES))}"
        raise InvalidInputError(FieldProblem("config.dataset", problem))
    if mix_seed is None:
        return files
    return sorted(files, key=lambda path: hashlib.sha1(f"{mix_seed}/{path.relative_to(folder)}".encode()).digest())


def read_pieces(path: Path, text_column: str) -> Iterator[Piece]:
    """The documents of one file: a text file is one, a JSON lines file has one a line in `text_column`.

    Raises InvalidInputError that names the line without that column.
    """
    if path.name.endswith(JSON_SUFFIXES):
        yield from _json_lines(path, text_column)
    else:
        yield from _whole_text(path)


def _whole_text(path: Path) -> Iterator[Piece]:
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(PIECE_CHARACTERS)
        while text:
            # to the end of the line, so that no word is cut
            text += file.readline()
            following = file.read(PIECE_CHARACTERS)
            yield Piece(text, not following, len(text.encode()))
            text = following


def _json_lines(path: Path, text_column: str) -> Iterator[Piece]:
    before = 0
    with path.open("rb") as raw:
        file = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        for number, line in enumerate(file, 1):
            try:
                text = json.loads(line)[text_column]
            except (ValueError, KeyError, TypeError):
                text = None
            if not isinstance(text, str):
                problem = f"line {number} of {path.name} has no text in {text_column!r}: name the column that holds it"
                raise InvalidInputError(FieldProblem("config.text_column", problem))
            read, before = raw.tell() - before, raw.tell()
            yield Piece(text, True, read)
