"""Reads documents out of open files, a bounded piece at a time, from any place that a piece before told."""

from __future__ import annotations

import codecs
import gzip
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from headway.errors import FieldProblem, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

PIECE_BYTES = 1 << 18
LONGEST_LINE_BYTES = 64 << 20
BATCH_ROWS = 256
PARQUET_BUFFER_BYTES = 4 << 20
NAMED_COLUMNS = 12


class Piece(NamedTuple):
    """A part of a document; `ends` with the last.

    `place` is where reading goes on after it (a byte of the unpacked text, or a row), `read_bytes` how much of the file
    was read for it. `file` is its file's number, for who reads several.
    """

    text: str
    ends: bool
    place: int
    read_bytes: int = 0
    file: int = 0


def unpacked(raw: BinaryIO, name: str, place: int) -> BinaryIO:
    """The file, or what is packed in it (.gz, .zst), at byte `place` of the text."""
    if name.endswith(".gz"):
        stream: BinaryIO = cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    elif name.endswith(".zst"):
        import pyarrow as pa

        stream = cast("BinaryIO", io.BufferedReader(cast("Any", pa.CompressedInputStream(raw, "zstd"))))
    else:
        raw.seek(place)
        return raw
    while place:  # packed text can only be read through
        skipped = len(stream.read(min(place, PIECE_BYTES)))
        if not skipped:
            break
        place -= skipped
    return stream


def whole_text(stream: BinaryIO, place: int) -> Iterator[Piece]:
    """One document, in pieces that end with a line where lines are not longer than a piece; UTF-8, errors replaced."""
    block = _block(stream)
    while block:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(block)
        cut = decoder.getstate()[0]  # a character that only the next block ends
        following = _block(stream, cut)
        ends = len(following) == len(cut)
        if ends:
            text += decoder.decode(b"", final=True)
        place += len(block) if ends else len(block) - len(cut)
        yield Piece(text.replace("\r\n", "\n"), ends, place)
        block = b"" if ends else following


def json_lines(stream: BinaryIO, name: str, column: str, place: int) -> Iterator[Piece]:
    """A document a line, in `column`; null is an empty one. Raises InvalidInputError that names the line's columns."""
    while line := stream.readline(LONGEST_LINE_BYTES):
        start, place = place, place + len(line)
        if not line.isspace():
            yield Piece(_text_of_line(line, name, column, start), True, place)


def parquet_rows(raw: BinaryIO, name: str, size: int, column: str, place: int) -> Iterator[Piece]:
    """A document a row, in `column`; null is an empty one. Only that column is read, and no row group before `place`.

    Raises InvalidInputError that names the columns of text, or says that the file is damaged.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(raw, buffer_size=PARQUET_BUFFER_BYTES, pre_buffer=False)
        _check_column(file.schema_arrow, name, column)
        rows, row = file.metadata.num_rows, 0
        for group in range(file.num_row_groups):
            length = file.metadata.row_group(group).num_rows
            if row + length <= place:
                row += length
                continue
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False):
                for text in batch.column(0).to_pylist():
                    row += 1
                    if row > place:
                        yield Piece(text or "", True, row, size * row // rows - size * (row - 1) // rows)
    except pa.ArrowInvalid as error:
        raise InvalidInputError(FieldProblem("config.dataset", f"{name} cannot be read: {error}")) from error


def _block(stream: BinaryIO, before: bytes = b"") -> bytes:
    """`before` and what follows it, to the end of the line so that no word is cut: the same wherever reading began."""
    following = stream.read(PIECE_BYTES - len(before))
    return before + following + stream.readline(PIECE_BYTES) if following else before


def _text_of_line(line: bytes, name: str, column: str, start: int) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    text = row.get(column, 0) if isinstance(row, dict) else 0
    if text is None or isinstance(text, str):
        return text or ""
    there = f"its columns are {_named(list(row))}" if isinstance(row, dict) else "it is no JSON object"
    raise _no_text(f"the line at byte {start} of {name}", column, there)


def _check_column(schema: pa.Schema, name: str, column: str) -> None:
    import pyarrow.types as types

    texts = [field.name for field in schema if types.is_string(field.type) or types.is_large_string(field.type)]
    if column not in texts:
        others = [f"{field.name} ({field.type})" for field in schema if field.name not in texts]
        there = f"its columns of text are {_named(texts) or 'none'}"
        raise _no_text(name, column, there + (f", the others {_named(others)}" if others else ""))


def _named(columns: list[str]) -> str:
    return ", ".join(columns[:NAMED_COLUMNS]) + (", ..." if len(columns) > NAMED_COLUMNS else "")


def _no_text(where: str, column: str, there: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem("config.text_column", f"{where} has no text in {column!r}: {there}"))
