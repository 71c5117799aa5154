"""Files that only grow, and that another process can go on with: hashed as they grow, cut back to where a mark says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from headway.errors import HeadwayError

READ_BYTES = 1 << 20
CountBytes = Callable[[int], None]


class DamagedError(HeadwayError):
    """What an earlier attempt wrote is not there any more as it wrote it: it has to be made again."""

    title = "Damaged output"


class Mark(BaseModel):
    """How long a file was, and the hash of what it held."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    sha256: str


class GrowingFile:
    """A file made anew at `path`, or the one there cut back to `mark`, to go on from there.

    `on_bytes(n)` counts what is checked. Nothing is buffered, so a writer that was given up changes nothing later.
    Raises DamagedError when the file does not hold what the mark says.
    """

    def __init__(self, path: Path, mark: Mark | None = None, on_bytes: CountBytes = lambda _: None) -> None:
        self.bytes = 0
        self._path = path
        self._hash = hashlib.sha256()
        if mark is None:
            self._file = FileIO(path, "wb")
        else:
            self._file = _opened(path)
            self._return_to(mark, on_bytes)

    def write(self, content: bytes | memoryview) -> None:
        """Append."""
        left = memoryview(content).cast("B")
        self._hash.update(left)
        self.bytes += len(left)
        while left:
            left = left[self._file.write(left) :]

    def mark(self) -> Mark:
        """What the file holds now, after making sure that it stays even if the machine stops."""
        os.fsync(self._file.fileno())
        return Mark(bytes=self.bytes, sha256=self._hash.hexdigest())

    def close(self) -> Mark:
        """Make it stay, and close it."""
        mark = self.mark()
        self._file.close()
        return mark

    def _return_to(self, mark: Mark, on_bytes: CountBytes) -> None:
        while self.bytes < mark.bytes and (block := self._file.read(min(READ_BYTES, mark.bytes - self.bytes))):
            self._hash.update(block)
            self.bytes += len(block)
            on_bytes(len(block))
        if (self.bytes, self._hash.hexdigest()) != (mark.bytes, mark.sha256):
            self._file.close()
            raise DamagedError(f"{self._path.name} does not hold the {mark.bytes} bytes that were written to it")
        self._file.truncate(mark.bytes)


def _opened(path: Path) -> FileIO:
    try:
        return FileIO(path, "rb+")
    except OSError as error:
        raise DamagedError(f"{path.name} cannot be gone on with: {error}") from error
