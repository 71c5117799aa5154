"""The writing end of the spool: what a job's process calls for every step."""

from __future__ import annotations

import os
import struct
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any

from headway.errors import SpoolError
from headway.spool.layouts import Layouts, Names, Packer
from headway.spool.records import HEADER, SEAL, SEAL_HEAD, WORD, EventKind, pack_event
from headway.spool.segments import Segment, segment_bases, segment_path
from headway.spool.thinning import KEEP_ALL, no_room, rule_for

_UNKNOWN: Packer = (struct.pack_into, 0, 1 << 62)  # larger than any segment: leads to `_prepare`


class SpoolWriter:
    """Appends records to memory-mapped segments; what a returned call wrote survives SIGKILL.

    Any thread may call anything, but no signal handler may. `housekeep` is called about every 100 ms from a thread that
    may do I/O. At most `quota_bytes` lie on disk, and metrics are thinned by a stated rule (`thinning.RULES`) before
    that. A forked child finds it closed. Raises SpoolError for a folder that holds a spool already, or where not even
    the first segment can be reserved.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = 4 << 20, quota_bytes: int = 512 << 20) -> None:
        if segment_bytes < 4096 or segment_bytes % 4096:
            raise ValueError(f"segment_bytes is {segment_bytes}: give a multiple of 4096")
        if quota_bytes < 4 * segment_bytes:
            raise ValueError(f"quota_bytes is {quota_bytes}: give at least four segments, {4 * segment_bytes}")
        self.dropped = 0
        self._folder, self._quota = folder, quota_bytes
        self._segment = _first_segment(folder, segment_bytes)
        self._segment.begin(1)
        self._map = self._segment.map
        self._next: Segment | None = None
        self._segment_end = segment_bytes - SEAL.size
        self._event_room = segment_bytes // 8
        self._position, self._sequence, self._oldest = HEADER.size, 1, 0
        self._others = 0  # records that are no metrics
        self._lock, self._reserving = threading.Lock(), threading.Lock()
        self._layouts = Layouts(segment_bytes // 2)
        self._packers: dict[Names, Packer] = {}  # those whose LAYOUT record stands in the current segment
        self._find = self._packers.get
        self._usual: Names = ()  # those prepared last: a loop logs the same names over and over, and comparing them
        self._usual_packer = _UNKNOWN  # is cheaper than looking them up
        self._rule = self._announced = KEEP_ALL
        self._refused = ""  # why the last reservation failed
        self._calls = 0
        self._closed = False
        self._set_rule()
        _close_in_forked_children(self)

    def log(self, step: int, /, **metrics: float) -> None:
        """Append one record of scalars: floats or what has `__float__` (numpy scalars, bools, tensors of one element).

        About 1 µs, no I/O but for a burst that fills a segment before `housekeep` reserved the next. Never raises for a
        full disk or spool: `dropped` counts what the stated rule left out. Raises TypeError for a metric that is no
        number, ValueError for a bad name, more than 64 names, or more than 256 different sets of names; SpoolError
        after `close`.
        """
        names = tuple(metrics)
        with self._lock:
            pack, head, size = self._usual_packer if names == self._usual else self._find(names, _UNKNOWN)
            position = self._position
            end = position + size
            if end > self._metrics_end:
                packer = self._prepare(names)
                if packer is None:
                    self.dropped += 1
                    return
                pack, head, size = packer
                position = self._position
                end = position + size
            at = time()
            sequence = self._sequence
            # Moved on before the record is stored: an exception that a signal raises in between can then not give two
            # records one number.
            self._position = end
            self._sequence = sequence + 1
            try:
                pack(self._map, position, head, step, at, *metrics.values(), sequence)
            except struct.error:
                self._take_back(position, end)
                raise _refusal(step, metrics) from None

    @property
    def calls(self) -> int:
        """Calls of `log` that wrote a record; counted off its path, so it may be one behind."""
        return self._sequence - 1 - self._others

    def event(self, kind: EventKind, payload: dict[str, Any]) -> None:
        """Append one event, kept under every rule until the quota or the disk is truly used up.

        Raises TypeError for what JSON cannot hold, ValueError for an event over 1/8 of a segment (512 KiB), SpoolError
        after `close`.
        """
        record = pack_event(kind, time(), payload)
        if len(record) + WORD.size > self._event_room:
            raise ValueError(
                f"{kind.name} event of {len(record)} bytes: shorten it to {self._event_room - WORD.size} bytes"
            )
        with self._lock:
            self._check_open()
            if not self._place(record):
                self.dropped += 1

    def housekeep(self) -> None:
        """Reserve the next segment ahead, see what was drained, set the rule of thinning, say so when it changed."""
        self._reserve_ahead()
        self._look_for_drained()
        with self._lock:
            if not self._closed:
                self._set_rule()
                self._announce()

    def close(self) -> None:
        """Unmap; what was written stays for the reader. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._announce()
            with self._reserving:
                self._shut()
            if self._next is not None:
                self._next.remove()
            self._map.close()

    def _shut(self) -> None:
        self._closed = True
        self._metrics_end = 0  # sends every call to `_prepare`, which refuses

    # From here to _announce: called with the lock held.

    def _check_open(self) -> None:
        if self._closed:
            raise SpoolError("this spool is closed: log from the process that opened it, and before it closes")

    def _prepare(self, names: Names) -> Packer | None:
        """The packer of `names`, its layout and room for a record ensured; None when rule or disk say drop."""
        self._check_open()
        layout = self._layouts[names]
        every = self._rule.keep_one_of
        self._calls += 1
        if every == 0 or self._calls % every:
            return None
        # Asked with the definition even where that stands already: the next segment will need it.
        if not self._make_room(layout.room, spare=self._event_room):
            return None
        if names not in self._packers:
            self._append(layout.definition)
            self._packers[names] = layout.packer
            self._usual, self._usual_packer = names, layout.packer
        return layout.packer

    def _place(self, record: bytes) -> bool:
        """Append an event if there is room for it."""
        if not self._make_room(len(record) + WORD.size, spare=0):
            return False
        self._append(record)
        return True

    def _make_room(self, size: int, *, spare: int) -> bool:
        """Whether `size` bytes fit at the position, after going on to the next segment if need be.

        `spare` bytes are left at the end of the last segment that could be reserved: they are the events' when the disk
        is full.
        """
        if self._position + size <= self._segment_end - (0 if self._next else spare):
            return True
        self._reserve_ahead()
        following = self._next
        if following and self._position + size > self._segment_end:
            self._seal(following)
        self._set_rule()
        return following is not None

    def _set_rule(self) -> None:
        used = (self._segment.base + self._position - self._oldest) / self._quota
        self._rule = no_room(self._refused) if self._refused else rule_for(used)
        end = self._segment_end - (0 if self._next else self._event_room)
        self._metrics_end = end if self._rule.keep_one_of == 1 else 0  # 0 sends every call to `_prepare`, which thins

    def _append(self, record: bytes) -> None:
        """Store a record made beforehand; its number comes last, as in `log`."""
        position, sequence = self._position, self._sequence
        number_at = position + len(record)
        self._map[position:number_at] = record
        self._position = number_at + WORD.size
        self._sequence = sequence + 1
        self._others += 1
        WORD.pack_into(self._map, number_at, sequence)

    def _take_back(self, position: int, end: int) -> None:
        """Undo a record that was not finished; with zeros, lest its remains look like the start of another."""
        self._map[position:end] = bytes(end - position)
        self._position = position
        self._sequence -= 1

    def _seal(self, following: Segment) -> None:
        """Go on to the next segment, whose header stands before the seal that sends the reader there."""
        full, position, sequence = self._map, self._position, self._sequence
        following.begin(sequence + 1)
        self._packers.clear()
        self._usual_packer = _UNKNOWN
        self._segment, self._map, self._next = following, following.map, None
        self._position, self._sequence = HEADER.size, sequence + 1
        self._others += 1
        SEAL.pack_into(full, position, SEAL_HEAD, sequence)
        full.close()

    def _announce(self) -> None:
        """Say in the job's log that the rule has changed since it was last said."""
        if self._rule.text == self._announced.text:
            return
        text = f"{self._rule.text} ({self.dropped} dropped so far)"
        if self._place(pack_event(EventKind.LOG, time(), {"level": "warning", "text": text})):
            self._announced = self._rule

    # Called with or without the lock.

    def _reserve_ahead(self) -> None:
        with self._reserving:
            if self._next is None and not self._closed:
                self._look_for_drained()
                self._next = self._reserve(self._segment.base + self._segment.size)

    def _reserve(self, base: int) -> Segment | None:
        """The segment at `base`, or None and the reason in `_refused`."""
        if base + self._segment.size - self._oldest > self._quota:
            self._refused = f"{self._quota >> 10} KiB are waiting to be drained"
            return None
        try:
            segment = Segment(self._folder, base, self._segment.size)
        except OSError as error:
            self._refused = error.strerror or str(error)
            return None
        self._refused = ""
        return segment

    def _look_for_drained(self) -> None:
        """Segments that the reader removed no longer count against the quota."""
        oldest = self._oldest
        while oldest < self._segment.base and not segment_path(self._folder, oldest).exists():
            oldest += self._segment.size
        self._oldest = oldest


def _first_segment(folder: Path, size: int) -> Segment:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if segment_bases(folder):
            raise FileExistsError
        return Segment(folder, 0, size)
    except FileExistsError:
        raise SpoolError(
            f"{folder} holds the spool of another writer: an attempt has one writer and a fresh folder"
        ) from None
    except OSError as error:
        raise SpoolError(
            f"cannot reserve {size >> 10} KiB for the spool in {folder} ({error.strerror}): free some disk"
        ) from error


def _close_in_forked_children(writer: SpoolWriter) -> None:
    """A child (a data loader's worker, say) shares the pages but not the position: it would overwrite its parent."""
    reference = weakref.ref(writer)

    def shut() -> None:
        if inherited := reference():
            inherited._lock = inherited._reserving = threading.Lock()  # theirs may be held by a thread that is not here
            inherited._shut()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=shut)


def _refusal(step: int, metrics: Mapping[str, Any]) -> TypeError:
    """The error that names what struct would not take."""
    for name, value in metrics.items():
        if not _packs("d", value):
            return TypeError(
                f"metric {name!r} is {type(value).__name__}, not a number: pass a float or a tensor of one element"
            )
    return TypeError(f"step is {step!r}: pass an integer that fits 64 bits")


def _packs(code: str, value: Any) -> bool:
    try:
        struct.pack(code, value)
    except struct.error:
        return False
    return True
