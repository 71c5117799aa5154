"""The binary format of the spool: segment headers, record kinds and how each is packed.

A spool is a folder of segments `<base offset as 20 digits>.seg`. A segment is a header of 64 bytes, then records back
to back. A record is

    head      u64: size u32 | type u8 << 32 | event kind u8 << 40 | layout id u16 << 48
    METRICS   step i64, time f64 (Unix seconds), n values f64
    EVENT     time f64, JSON object
    LAYOUT    JSON list of names
    SEAL      nothing: go on to the next segment
    sequence  u64: the number of the record over the whole spool, from 1

Sizes are multiples of 8 (JSON is padded with spaces). The sequence number is the last thing stored, so a record is
whole if and only if the number at its end is the one expected there; a checksum for each record would cost more than
the record. All numbers are in the machine's own byte order: a spool is read on the machine that writes it. A layout is
repeated before its first use in every segment, so a segment explains itself.
"""

from __future__ import annotations

import json
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from headway.errors import SpoolError

MAGIC = b"HWSPOOL1"
VERSION = 1
HEADER = Struct("8sI4xQQQ24x")  # magic, version, base offset, first sequence number, segment's size in bytes
SIZE_MASK = 0xFFFF_FFFF


class RecordType(IntEnum):
    """What a record holds."""

    METRICS = 1
    EVENT = 2
    LAYOUT = 3
    SEAL = 4


class EventKind(IntEnum):
    """What an event tells; the payload of each is a small JSON object."""

    PLAN = 1  # phases: [{name, title, weight|null, optional}]
    PHASE_STARTED = 2  # name
    PHASE_FINISHED = 3  # name, skipped?
    COUNTERS = 4  # phase, counters: [{unit, current, total|null}], outermost first
    LOG = 5  # level, text
    SAID = 6  # message
    CHECKPOINT = 7  # step, path (relative to the attempt's folder), bytes, best, metrics
    ARTIFACT = 8  # output, type, path, meta, bytes
    RESULT = 9  # outcome, error|null, step|null
    OVERHEAD = 10  # us_per_call, percent_of_step, calls


class Header(NamedTuple):
    """The start of a segment; offsets and sizes in bytes."""

    base: int
    first_sequence: int
    size: int


def pack_header(header: Header) -> bytes:
    """The 64 bytes that begin a segment."""
    return HEADER.pack(MAGIC, VERSION, *header)


def unpack_header(data: bytes, path: Path) -> Header | None:
    """The header of the segment at `path`, None while it is not begun. Raises SpoolError for another format."""
    if len(data) < HEADER.size or not any(data[: len(MAGIC)]):
        return None
    magic, version, *rest = HEADER.unpack(data)
    if magic != MAGIC:
        raise SpoolError(f"{path} is not a spool segment: move it out of the spool folder, or name the right folder")
    if version != VERSION:
        raise SpoolError(f"{path} has spool version {version}, not {VERSION}: drain it with the Headway that wrote it")
    return Header(*rest)


def pack_head(size: int, kind: RecordType, *, event: int = 0, layout: int = 0) -> int:
    """The first word of a record of `size` bytes in all."""
    return size | kind << 32 | event << 40 | layout << 48


WORD = Struct("Q")
EVENT = Struct("Qd")  # head, time; JSON follows
SEAL = Struct("QQ")  # head, sequence number
SEAL_HEAD = pack_head(SEAL.size, RecordType.SEAL)


def pack_layout(layout: int, names: tuple[str, ...]) -> bytes:
    """A LAYOUT record without its sequence number."""
    body = to_json(names)
    return WORD.pack(pack_head(len(body) + 16, RecordType.LAYOUT, layout=layout)) + body


def pack_event(kind: int, at: float, payload: dict[str, Any]) -> bytes:
    """An EVENT record without its sequence number. Raises TypeError for what JSON cannot hold."""
    body = to_json(payload)
    return EVENT.pack(pack_head(len(body) + 24, RecordType.EVENT, event=kind), at) + body


def to_json(data: Any) -> bytes:
    """Compact ASCII JSON, padded with spaces to a multiple of 8 bytes. Raises TypeError for what JSON cannot hold."""
    text = json.dumps(data, separators=(",", ":"))
    return text.encode("ascii").ljust(-(-len(text) // 8) * 8)
