"""The files of a dataset that hold text, here or on a hub, and the documents in them, a bounded piece at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from headway.errors import FieldProblem, InvalidInputError
from headway.ml.hub.files import RECORD_FILE, is_about
from headway.ml.hub.remote import open_remote
from headway.ml.text.formats import PARQUET_SUFFIX, TEXT_SUFFIXES, is_json_lines
from headway.ml.text.readers import Piece, json_lines, parquet_rows, unpacked, whole_text
from headway.ml.text.splits import of_split


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of a dataset: its path in it, its size in bytes, and where it can be read (a path, or an address)."""

    name: str
    size: int
    place: str

    def open(self) -> BinaryIO:
        """Open it for reading and seeking. Raises OSError, and what `open_remote` does."""
        if self.place.startswith(("http://", "https://")):
            return cast("BinaryIO", open_remote(self.place, self.size))
        return Path(self.place).open("rb")


def text_files(folder: Path, *, mix_seed: int | None, split: str | None = None) -> list[TextFile]:
    """The files that hold text: sorted by path, or mixed by a hash of path and seed so that a part is a fair sample.

    Card and licence are not text. Raises InvalidInputError when there are none, or none of the `split`.
    """
    usable = [file for file in (*_here(folder), *_streamed(folder)) if _holds_text(file.name)]
    files = of_split(sorted(usable, key=lambda file: file.name), split, lambda file: file.name)
    if not files:
        problem = f"no text found in it: it needs files ending in {', '.join(TEXT_SUFFIXES)}"
        raise InvalidInputError(FieldProblem("config.dataset", problem))
    if mix_seed is None:
        return files
    return sorted(files, key=lambda file: hashlib.sha1(f"{mix_seed}/{file.name}".encode()).digest())


def read_pieces(file: TextFile, text_column: str, place: int = 0) -> Iterator[Piece]:
    """The documents of one file from a `place` on, which a piece before told; 0 is its beginning.

    A text file is one document, a JSON lines file has one a line, a parquet file one a row, in `text_column`. Raises
    InvalidInputError that names what is there instead of that column.
    """
    with file.open() as raw:
        if file.name.endswith(PARQUET_SUFFIX):
            yield from parquet_rows(raw, file.name, file.size, text_column, place)
            return
        stream = unpacked(raw, file.name, place)
        read = raw.tell() if place else 0
        lines = is_json_lines(file.name)
        found = json_lines(stream, file.name, text_column, place) if lines else whole_text(stream, place)
        for piece in found:
            now = raw.tell() if stream is not raw else piece.place
            yield piece._replace(read_bytes=now - read)
            read = now


def _here(folder: Path) -> list[TextFile]:
    return [
        TextFile(path.relative_to(folder).as_posix(), path.stat().st_size, str(path))
        for path in folder.rglob("*")
        if path.is_file()
    ]


def _streamed(folder: Path) -> list[TextFile]:
    record = folder / RECORD_FILE
    listed = json.loads(record.read_text()).get("streamed", {}) if record.is_file() else {}
    return [TextFile(name, told["bytes"], told["place"]) for name, told in listed.items()]


def _holds_text(name: str) -> bool:
    return name.endswith(TEXT_SUFFIXES) and not is_about(name)
