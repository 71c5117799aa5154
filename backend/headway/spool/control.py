"""The flags that a supervisor raises for its job process: 64 mapped bytes, read without a system call."""

from __future__ import annotations

import mmap
from pathlib import Path

from headway.errors import SpoolError

_SIZE = 64
_CANCEL, _PAUSE = 0, 1


class Control:
    """Cancel and pause, shared by two processes through the attempt's file `control`. A flag once raised stays."""

    __slots__ = ("_map",)

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    @classmethod
    def create(cls, path: Path) -> Control:
        """Make the file, both flags down, before the process starts. Raises OSError (FileExistsError among them)."""
        with path.open("xb") as file:
            file.write(bytes(_SIZE))
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Control:
        """Map what `create` made. Raises SpoolError when there is none."""
        try:
            return cls(path)
        except (OSError, ValueError) as error:
            raise SpoolError(
                f"no control file at {path} ({error}): the supervisor makes it before it starts the process"
            ) from error

    def cancel(self) -> None:
        """Ask the job to end."""
        self._map[_CANCEL] = 1

    def pause(self) -> None:
        """Ask the job to leave a checkpoint and end."""
        self._map[_PAUSE] = 1

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to end."""
        return self._map[_CANCEL] != 0

    @property
    def paused(self) -> bool:
        """Whether the job was asked to pause."""
        return self._map[_PAUSE] != 0

    def close(self) -> None:
        """Unmap the file; the flags stay on disk."""
        self._map.close()
