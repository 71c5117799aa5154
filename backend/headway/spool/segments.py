"""The files of a spool: their names, and how the writer reserves one."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from pathlib import Path

from headway.spool.records import MAGIC, Header, pack_header

_ZEROS = bytes(1 << 16)
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL)


def segment_path(folder: Path, base: int) -> Path:
    """Where the segment that starts at offset `base` lies."""
    return folder / f"{base:020d}.seg"


def segment_bases(folder: Path) -> list[int]:
    """Base offsets of the segments in `folder`, rising; none for a folder that is not there."""
    return sorted(int(path.stem) for path in folder.glob("*.seg") if path.stem.isdecimal())


class Segment:
    """One segment in the writer's hands: a file whose blocks are all reserved, mapped into memory."""

    __slots__ = ("base", "map", "path", "size")

    def __init__(self, folder: Path, base: int, size: int) -> None:
        """Make and reserve the file. Raises OSError (no space, file exists), leaving nothing of its own."""
        self.path, self.base, self.size = segment_path(folder, base), base, size
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _reserve(descriptor, size)
            self.map = mmap.mmap(descriptor, size)
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def begin(self, first_sequence: int) -> None:
        """Write the header, its magic last: from then on a reader may follow into this segment."""
        header = pack_header(Header(self.base, first_sequence, self.size))
        self.map[len(MAGIC) : len(header)] = header[len(MAGIC) :]
        self.map[: len(MAGIC)] = MAGIC

    def remove(self) -> None:
        """Give back a segment that was reserved and not begun."""
        self.map.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def _reserve(descriptor: int, size: int) -> None:
    """Give the file real blocks: a store into a hole of a mapped file is a SIGBUS on a full disk."""
    if hasattr(os, "posix_fallocate"):
        try:
            return os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
    written = 0
    while written < size:  # macOS, and file systems without fallocate
        written += os.write(descriptor, _ZEROS[: size - written])
    return None
