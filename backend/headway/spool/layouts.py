"""Sets of metric names that are logged together, each with the way to pack its records."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from headway.spool.records import RecordType, pack_head, pack_layout

MAX_LAYOUTS = 256
MAX_NAMES = 64
_NAME = re.compile(r"[A-Za-z0-9_./@:-]{1,120}")

Names = tuple[str, ...]
Packer = tuple[Callable[..., None], int, int]  # pack_into, head, size in bytes


class Layout(NamedTuple):
    """How to pack a metrics record, and the LAYOUT record (less its number) that explains it."""

    packer: Packer
    definition: bytes

    @property
    def room(self) -> int:
        """Bytes that the LAYOUT record and one metrics record take."""
        return len(self.definition) + 8 + self.packer[2]


class Layouts(dict[Names, Layout]):
    """All layouts of a spool; asking for a new one makes it. Raises ValueError for names the spool does not take."""

    def __init__(self, max_room: int) -> None:
        super().__init__()
        self._max_room = max_room

    def __missing__(self, names: Names) -> Layout:
        check_names(names)
        if len(self) == MAX_LAYOUTS:
            raise ValueError(
                f"more than {MAX_LAYOUTS} different sets of metric names: log the same names at every step"
            )
        layout = _make_layout(len(self), names)
        if layout.room > self._max_room:
            raise ValueError(
                f"{len(names)} metrics with names so long fill half a segment: shorten them, or raise segment_bytes"
            )
        self[names] = layout
        return layout


def metrics_struct(width: int) -> Struct:
    """A METRICS record: head, step, time, `width` values, sequence number."""
    return Struct(f"Qqd{width}dQ")


def check_names(names: Names) -> None:
    """Raises ValueError for a metric name, or a number of names, that the spool does not take."""
    if not 1 <= len(names) <= MAX_NAMES:
        raise ValueError(f"{len(names)} metrics in one call: give 1 to {MAX_NAMES}, and the rest in another call")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"metric name {name!r}: use 1 to 120 characters of letters, digits and _ . / @ : -")


def _make_layout(number: int, names: Names) -> Layout:
    record = metrics_struct(len(names))
    head = pack_head(record.size, RecordType.METRICS, layout=number)
    return Layout((record.pack_into, head, record.size), pack_layout(number, names))
