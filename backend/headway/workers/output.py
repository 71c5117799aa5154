"""Reads what a job's process prints, line by line, as log lines, and keeps its file within bounds.

The rule: of `output.log` the first HEAD_BYTES and the newest TAIL_BYTES stay on the disk; what lies between is given
back to the file system as a hole, so that no offset changes and the process, which only appends, notices nothing. What
fell out before it was drained (Postgres was away, or it came faster than it can be stored) is one line in the log that
says how much it was.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE_NAME = "output.log"
MOST_BYTES_A_DRAIN = 64 << 10
LONGEST_LINE = 8000
HEAD_BYTES = 1 << 20
TAIL_BYTES = 8 << 20
#: A hole grows by at least this much at once.
LEAST_HOLE_BYTES = 1 << 20
_KEEP_SIZE_AND_PUNCH_HOLE = 0x1 | 0x2


def read_output(folder: Path, offset: int, *, ended: bool = False) -> tuple[list[dict[str, Any]], int]:
    """Whole lines printed from `offset` on, and the offset after them; an unfinished last line counts once `ended`."""
    at = datetime.now(UTC)
    try:
        with (folder / FILE_NAME).open("rb") as file:
            begin, end, hole_follows = _data_from(file.fileno(), offset)
            file.seek(begin)
            data = file.read(min(MOST_BYTES_A_DRAIN, end - begin))
    except FileNotFoundError:
        return [], offset
    left_out = [_line(at, "warning", f"{begin - offset} bytes of output were left out here")] if begin > offset else []
    cut = ended or hole_follows or len(data) == MOST_BYTES_A_DRAIN
    whole = len(data) if cut else data.rfind(b"\n") + 1
    lines = [
        # Postgres text holds no NUL
        _line(at, "output", line.decode(errors="replace").replace("\0", "")[:LONGEST_LINE])
        for line in data[:whole].replace(b"\r", b"\n").split(b"\n")
        if line.strip()
    ]
    return left_out + lines, begin + whole


def bound_output(folder: Path, bounded_to: int) -> int:
    """Give back what the rule does not keep, from `bounded_to` (the last answer; at first 0) on; answers up to where.

    Where the file system knows no holes the file grows on.
    """
    with contextlib.suppress(OSError), (folder / FILE_NAME).open("r+b") as file:
        begin = max(bounded_to, HEAD_BYTES)
        end = (os.fstat(file.fileno()).st_size - TAIL_BYTES) // LEAST_HOLE_BYTES * LEAST_HOLE_BYTES
        if end > begin:
            _punch(file.fileno(), begin, end - begin)
            return end
    return bounded_to


def _line(at: datetime, level: str, text: str) -> dict[str, Any]:
    return {"at": at, "level": level, "text": text}


def _data_from(handle: int, offset: int) -> tuple[int, int, bool]:
    """Where data begins at the offset or after it, where it ends, and whether a hole is what follows."""
    size = os.fstat(handle).st_size
    try:
        begin = os.lseek(handle, offset, os.SEEK_DATA)
        end = os.lseek(handle, begin, os.SEEK_HOLE)
    except (OSError, AttributeError):  # nothing after it, or a system without holes
        return offset, max(offset, size), False
    return begin, end, end < size


def _punch(handle: int, begin: int, size: int) -> None:
    """Make a hole. Raises OSError where there are none."""
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is None:
        raise OSError(errno.EOPNOTSUPP, "this system makes no holes in files")
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if fallocate(handle, _KEEP_SIZE_AND_PUNCH_HOLE, begin, size):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
