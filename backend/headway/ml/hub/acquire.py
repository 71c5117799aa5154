"""Brings a source's files into a folder: fetched into part files, verified, then renamed into place."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headway.ml.hub.card import card_of
from headway.ml.hub.errors import SourceError
from headway.ml.hub.files import RECORD_FILE, Choice, SourceFile, choose_files, is_about, verify_file
from headway.ml.hub.sources import Source

PART_SUFFIX = ".part"
SPARE_BYTES = 64 << 20


class Acquisition:
    """The files chosen from a source and their way into `folder`; what an earlier attempt left there is gone on with.

    What else lies in the folder, such as parts of a revision that was left, is removed. With `stream` only card and
    licence are brought; where the rest can be read is written down. `arrived_bytes` of `total_bytes` are there, from
    the start on. Raises SourceError when nothing usable is there, OSError when the disk has no room for it.
    """

    def __init__(self, source: Source, choice: Choice, folder: Path, *, stream: bool = False) -> None:
        chosen, self.left_out = choose_files(source.files(), choice)
        self.files = [file for file in chosen if not stream or is_about(file.path)]
        self._source, self._folder = source, folder
        self._record: dict[str, dict[str, Any]] = {}
        self._streamed = {
            file.path: {"bytes": file.size, "place": source.place(file)} for file in chosen if file not in self.files
        }
        self._sweep()
        self._arrived = {file.path: self._bytes_there(file) for file in self.files}
        self.arrived_bytes = sum(self._arrived.values())
        self._check_room()

    @property
    def total_bytes(self) -> int:
        """Size of all files chosen."""
        return sum(file.size for file in self.files)

    def fetch(self, file: SourceFile, heed: Callable[[], None]) -> None:
        """Bring one file into its part file; `heed` is called as bytes arrive and may raise to end it."""

        def on_bytes(there: int) -> None:
            self.arrived_bytes += there - self._arrived[file.path]
            self._arrived[file.path] = there
            heed()

        if not self._final(file).exists():
            part = self._part(file)
            part.parent.mkdir(parents=True, exist_ok=True)
            self._source.fetch(file, part, on_bytes)
        on_bytes(file.size)

    def verify(self, file: SourceFile, on_bytes: Callable[[int], None]) -> None:
        """Hash and check one file, then put it in its place; `on_bytes(n)` counts, and may raise to end it.

        One that is not right is fetched anew, once: it may have been damaged on its way, or begun by an attempt that
        the machine stopped. Raises WrongHashError or SourceError.
        """
        try:
            self._check(file, on_bytes)
        except SourceError:
            self.fetch(file, lambda: on_bytes(0))
            self._check(file, lambda _: on_bytes(0))

    def _check(self, file: SourceFile, on_bytes: Callable[[int], None]) -> None:
        part, final = self._part(file), self._final(file)
        arrived = part if part.exists() else final
        size = arrived.stat().st_size
        self._record[file.path] = {"bytes": size, "sha256": verify_file(arrived, file, on_bytes)}
        if arrived is part:
            _make_stay(part)
            part.rename(final)

    @property
    def revision(self) -> str | None:
        """The commit the files are of, where the source has such."""
        return self._source.describe().get("revision")

    def finish(self) -> dict[str, Any]:
        """Write `source.json`; answers what the artifact shall say of itself."""
        origin = self._source.describe()
        files = {"files": self._record} | ({"streamed": self._streamed} if self._streamed else {})
        (self._folder / RECORD_FILE).write_text(json.dumps(origin | files, indent=1) + "\n")
        told = {name: value for name, value in origin.items() if value is not None}
        return origin | card_of(self._folder) | told | {"files": len(self._record) + len(self._streamed)}

    def _sweep(self) -> None:
        kept = {path for file in self.files for path in (self._final(file), self._part(file))}
        for path in self._folder.rglob("*"):
            if path not in kept and not path.is_dir():
                path.unlink()

    def _check_room(self) -> None:
        needed = self.total_bytes - self.arrived_bytes + SPARE_BYTES
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            lack = f"{needed >> 20} MiB are needed and {free >> 20} MiB are free"
            raise OSError(errno.ENOSPC, f"No space left on device: {lack}; make room, or take fewer files by `include`")

    def _bytes_there(self, file: SourceFile) -> int:
        if self._final(file).exists():
            return file.size
        part = self._part(file)
        return min(part.stat().st_size, file.size) if part.exists() else 0

    def _final(self, file: SourceFile) -> Path:
        return self._folder / file.path

    def _part(self, file: SourceFile) -> Path:
        return self._folder / (file.path + PART_SUFFIX)


def _make_stay(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
