"""What every download does, whatever it brings: resolve a source, fetch its files, verify them, all of it watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from headway.ml.hub.acquire import Acquisition
from headway.ml.hub.files import Choice
from headway.ml.hub.sources import resolve

STATE_FILE = "state.json"
T = TypeVar("T")


class Count(Protocol):
    """A counter that is moved by hand."""

    current: float

    def advance(self, by: float = 1) -> None:
        """Count `by` more as done."""
        ...


class Watcher(Protocol):
    """The part of a job that watches a transfer."""

    def say(self, message: str) -> None:
        """Tell what is being done."""
        ...

    def expect(self, name: str, *, unit: str, total: float, start: float = 0) -> None:
        """Tell the size of a phase to come, and what of it is done."""
        ...

    def track(self, iterable: Iterable[T], *, unit: str) -> Iterator[T]:
        """Count items."""
        ...

    def count(self, *, unit: str, total: float | None = None, start: float = 0) -> AbstractContextManager[Count]:
        """Count by hand."""
        ...


class Heed(Protocol):
    """Called often with the MiB that are there and what saves the state; leaves a checkpoint when due or when it is
    the `last` of its kind, may raise to end."""

    def __call__(self, step: int, save: Callable[[Path], None], *, last: bool = False) -> None: ...


class Transfer:
    """The way of a source's files into `folder`; they lie there, so a checkpoint only holds their commit.

    `checkpoint` is the folder of the one to go on from: what is left is then of the same commit, wherever its branch is
    now. Raises SourceError, SourceNetworkError, and OSError when the disk has no room.
    """

    def __init__(
        self,
        watcher: Watcher,
        heed: Heed,
        *,
        source: str,
        revision: str,
        choice: Choice,
        folder: Path,
        checkpoint: Path | None,
        stream: bool = False,
    ) -> None:
        watcher.say(f"Asking {source} what it holds")
        pinned = json.loads((checkpoint / STATE_FILE).read_text())["revision"] if checkpoint else None
        found = resolve(source, choice.type, pinned or revision)
        self._acquisition = acquisition = Acquisition(found, choice, folder, stream=stream)
        self._watcher, self._tell = watcher, heed
        if acquisition.revision and not pinned:
            self._heed(last=True)  # from now on every attempt is of this commit
        watcher.expect("downloading", unit="byte", total=acquisition.total_bytes, start=acquisition.arrived_bytes)
        watcher.expect("verifying", unit="byte", total=acquisition.total_bytes)
        watcher.say(f"{len(acquisition.files)} files are wanted, {len(acquisition.left_out)} left out")

    def fetch(self) -> None:
        """Bring all files, counting the bytes that are there and the files that are whole."""
        acquisition, watcher = self._acquisition, self._watcher
        with watcher.count(unit="byte", total=acquisition.total_bytes, start=acquisition.arrived_bytes) as size:

            def heed() -> None:
                size.current = acquisition.arrived_bytes
                self._heed()

            for file in watcher.track(acquisition.files, unit="file"):
                watcher.say(file.path)
                acquisition.fetch(file, heed)

    def verify(self) -> dict[str, object]:
        """Check all files and put them in their places; answers what the artifact says of itself."""
        with self._watcher.count(unit="byte", total=self._acquisition.total_bytes) as size:

            def on_bytes(count: int) -> None:
                size.advance(count)
                self._heed()

            verified = 0
            for file in self._watcher.track(self._acquisition.files, unit="file"):
                self._acquisition.verify(file, on_bytes)
                verified += file.size  # a source that extracts text leaves fewer bytes than it read
                size.current = verified
        return self._acquisition.finish()

    def _heed(self, *, last: bool = False) -> None:
        self._tell(self._acquisition.arrived_bytes >> 20, self._save, last=last)

    def _save(self, folder: Path) -> None:
        state = {"revision": self._acquisition.revision, "bytes": self._acquisition.arrived_bytes}
        (folder / STATE_FILE).write_text(json.dumps(state))
