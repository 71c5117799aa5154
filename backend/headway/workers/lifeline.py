"""A worker's life as the kernel knows it: a file it holds locked from its start to its end, whatever ends it.

A lock that can be taken is a proof that no clock gives: a worker that is stopped, slow or cut off still holds its own.
So what a dead worker ran is given back at once by any other of its host; the lease is for hosts that are gone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Lifeline:
    """The lock of the worker `owner` among those of its `host`, in the data directory they share."""

    def __init__(self, data_dir: Path, host: str, owner: str) -> None:
        self._folder = data_dir / "workers" / host
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / owner
        # locked before it has its name, so that nobody finds it unlocked in between
        unnamed = self._folder / f".{owner}"
        self._held = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        unnamed.rename(self._path)

    def close(self) -> None:
        """The worker ends in order and holds no job any more."""
        self._path.unlink(missing_ok=True)
        os.close(self._held)

    def dead(self) -> list[str]:
        """The other workers of this host that are no more."""
        others = (path for path in self._folder.iterdir() if path != self._path and not path.name.startswith("."))
        return [path.name for path in others if _lock_is_free(path)]

    def bury(self, owner: str) -> None:
        """Forget a dead worker whose jobs are given back."""
        (self._folder / owner).unlink(missing_ok=True)


def _lock_is_free(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # buried by another just now
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
