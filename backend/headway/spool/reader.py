"""The reading end of the spool: what a supervisor drains, while the writer writes or after it has gone."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from headway.errors import SpoolError
from headway.spool.records import EVENT, HEADER, SEAL_HEAD, SIZE_MASK, EventKind, RecordType, unpack_header
from headway.spool.segments import segment_bases, segment_path

Names = tuple[str, ...]


@dataclass(slots=True)
class MetricRows:
    """The rows of one set of names, oldest first; `values` is row-major (steps x names), times are Unix seconds."""

    names: Names
    steps: list[int] = field(default_factory=list[int])
    times: list[float] = field(default_factory=list[float])
    values: list[float] = field(default_factory=list[float])


class Event(NamedTuple):
    """One event; `at` in Unix seconds, `offset` is where its record starts."""

    kind: EventKind
    at: float
    data: dict[str, Any]
    offset: int


@dataclass(slots=True)
class Batch:
    """What one `read` found. Reading on (or later, in another process) starts at `end_offset`.

    `records` counts metrics records and events. `torn`: what follows `end_offset` is no whole record; from a writer
    that lives it is being written, from one that was killed it never will be.
    """

    metrics: list[MetricRows]
    events: list[Event]
    end_offset: int
    torn: bool
    records: int


class _Scan(NamedTuple):
    places: dict[int, list[int]]  # head -> the words at which records with that head start
    end: int  # word after the last whole record
    sequence: int  # number of the next record
    sealed: bool
    torn: bool

    def of(self, kind: RecordType) -> Iterator[tuple[int, list[int]]]:
        """The heads of one kind of record, each with its places."""
        return ((head, places) for head, places in self.places.items() if head >> 32 & 0xFF == kind)


class SpoolReader:
    """Reads the records of the spool in `folder` from `offset` on, each exactly once and in order.

    A folder that is not there yet gives empty batches. `read` raises SpoolError for a file that is no segment of this
    version, and for an offset that the spool never gave or whose segment was discarded.
    """

    def __init__(self, folder: Path, offset: int = 0) -> None:
        self._folder = folder
        self._offset = offset
        self._segment: _Segment | None = None

    def read(self, max_bytes: int = 1 << 20) -> Batch:
        """The next records, of about `max_bytes`; `records` is 0 only when nothing more is there for now."""
        gathered = _Gathered()
        stop = self._offset + max_bytes
        torn = False
        while segment := self._open():
            before = self._offset
            torn = self._read_segment(segment, gathered, max(stop, before + 1))
            if self._offset == before or (gathered.records and self._offset >= stop):
                break
        return Batch(list(gathered.rows.values()), gathered.events, self._offset, torn, gathered.records)

    def discard_through(self, offset: int) -> None:
        """Remove the segments that end at or before `offset`, never the one being written. For after the commit."""
        for base, following in pairwise(segment_bases(self._folder)):
            if following <= offset:
                segment_path(self._folder, base).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmap the segment being read."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _read_segment(self, segment: _Segment, gathered: _Gathered, stop: int) -> bool:
        """Read on in a segment, and leave it at its seal; whether it ended at a torn record."""
        scan = segment.advance(stop - segment.base)
        gathered.take(segment, scan)
        self._offset = segment.base + scan.end * 8
        if scan.sealed:
            self._offset = segment.base + segment.size
            self.close()
        return scan.torn

    def _open(self) -> _Segment | None:
        """The segment of the offset; None while the writer has not begun it."""
        if self._segment is None:
            bases = segment_bases(self._folder)
            base = max((base for base in bases if base <= self._offset), default=None)
            if base is not None:
                self._segment = _Segment.open(segment_path(self._folder, base), self._offset - base)
            elif bases:
                raise SpoolError(
                    f"offset {self._offset} of {self._folder} was discarded: read on from the offset committed last"
                )
        return self._segment


class _Segment:
    """A mapped segment and how far it was read; positions in words of 8 bytes."""

    def __init__(self, path: Path, data: mmap.mmap, base: int, first_sequence: int, size: int) -> None:
        self.path, self.base, self.size = path, base, size
        self._map = data
        self.bytes = memoryview(data)[: min(size, len(data)) & ~7]
        self.words = self.bytes.cast("Q")
        self.integers = self.bytes.cast("q")
        self.doubles = self.bytes.cast("d")
        self.layouts: dict[int, Names] = {}
        self._word, self._sequence = HEADER.size // 8, first_sequence

    @classmethod
    def open(cls, path: Path, position: int) -> _Segment | None:
        """The segment, read up to `position` (bytes from its start); None while its writer has not begun it."""
        with path.open("rb") as file:
            header = unpack_header(file.read(HEADER.size), path)
            if header is None:
                return None
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        segment = cls(path, data, *header)
        segment._skip_to(position)
        return segment

    def advance(self, stop: int) -> _Scan:
        """Find the whole records up to byte `stop` or just after, learn their layouts, and stand behind them.

        Only finds: decoding is a second pass. A processor with weak ordering (ARM) may show the number at a record's
        end before the values that were stored ahead of it; by the time all ends are found and decoding begins, those
        stores have long drained.
        """
        scan = _scan(self.words, self._word, stop / 8, self._sequence)
        self._word, self._sequence = scan.end, scan.sequence
        for head, places in scan.of(RecordType.LAYOUT):
            for word in places:
                self.layouts[head >> 48] = tuple(self.json(word + 1, word + (head & SIZE_MASK) // 8 - 1))
        return scan

    def json(self, first: int, last: int) -> Any:
        """The JSON in words `first` to before `last`."""
        return json.loads(bytes(self.bytes[first * 8 : last * 8]))

    def close(self) -> None:
        for view in (self.words, self.integers, self.doubles, self.bytes):
            view.release()
        self._map.close()

    def _skip_to(self, position: int) -> None:
        """Read past what was read before, for its layouts and the number of records."""
        if position <= HEADER.size:
            return
        self.advance(position)
        if self._word * 8 != position:
            raise SpoolError(
                f"{self.path.name} has no record at byte {position}: read on from an offset that a batch gave"
            )


def _scan(words: memoryview[int], index: int, stop: float, sequence: int) -> _Scan:
    """Walk whole records from word `index` until one starts at or after `stop`, is a seal, or is not whole."""
    places: dict[int, list[int]] = {}
    sealed, torn = False, False
    limit = len(words)
    while index < stop and index < limit:
        head = words[index]
        end = index + ((head & SIZE_MASK) >> 3)
        if end < index + 2 or end > limit or words[end - 1] != sequence:
            torn = head != 0
            break
        try:
            places[head].append(index)
        except KeyError:
            places[head] = [index]
            sealed = head == SEAL_HEAD
        index = end
        sequence += 1
        if sealed:
            break
    return _Scan(places, index, sequence, sealed, torn)


class _Gathered:
    """What a batch collects, metrics by layout."""

    def __init__(self) -> None:
        self.rows: dict[int, MetricRows] = {}
        self.events: list[Event] = []
        self.records = 0

    def take(self, segment: _Segment, scan: _Scan) -> None:
        """The second pass: decode what was found."""
        for head, places in scan.of(RecordType.METRICS):
            self.records += len(places)
            self._take_metrics(segment, head >> 48, places)
        words = sorted(word for _, places in scan.of(RecordType.EVENT) for word in places)
        self.records += len(words)
        self.events += [_event(segment, word) for word in words]

    def _take_metrics(self, segment: _Segment, layout: int, places: list[int]) -> None:
        """One column after the other, in C: the same places in a view that begins where the column does."""
        rows = self.rows.get(layout) or self.rows.setdefault(layout, MetricRows(segment.layouts[layout]))
        width = len(rows.names)
        rows.steps += map(segment.integers[1:].__getitem__, places)
        rows.times += map(segment.doubles[2:].__getitem__, places)
        values = [0.0] * (len(places) * width)
        for column in range(width):
            values[column::width] = map(segment.doubles[3 + column :].__getitem__, places)
        rows.values += values


def _event(segment: _Segment, word: int) -> Event:
    head, at = EVENT.unpack_from(segment.bytes, word * 8)
    data = segment.json(word + 2, word + (head & SIZE_MASK) // 8 - 1)
    return Event(EventKind(head >> 40 & 0xFF), at, data, segment.base + word * 8)
