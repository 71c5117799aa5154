"""Brings a source's files into a folder: fetched into part files, verified, then renamed into place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headway.ml.hub.files import SourceFile, SourceType, choose_files, verify_file
from headway.ml.hub.sources import Source

PART_SUFFIX = ".part"
RECORD_FILE = "source.json"
SPARE_BYTES = 64 << 20


class Acquisition:
    """The files chosen from a source and their way into `folder`; what an earlier attempt left there is gone on with.

    Raises SourceError when nothing usable is there, OSError when the disk has no room for it.
    """

    def __init__(self, source: Source, source_type: SourceType, include: Sequence[str], folder: Path) -> None:
        self.files, self.left_out = choose_files(source.files(), source_type, include)
        self._source, self._folder = source, folder
        self._record: dict[str, dict[str, Any]] = {}
        self._check_room()

    @property
    def total_bytes(self) -> int:
        """Size of all files chosen."""
        return sum(file.size for file in self.files)

    def fetch(self, file: SourceFile, on_bytes: Callable[[int], None]) -> None:
        """Bring one file into its part file; `on_bytes(bytes so far)` may raise to end it."""
        if self._final(file).exists():
            on_bytes(file.size)
            return
        part = self._part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        self._source.fetch(file, part, on_bytes)

    def verify(self, file: SourceFile, on_bytes: Callable[[int], None]) -> None:
        """Hash and check one file, then put it in its place. Raises WrongHashError or SourceError."""
        part, final = self._part(file), self._final(file)
        arrived = part if part.exists() else final
        size = arrived.stat().st_size
        self._record[file.path] = {"bytes": size, "sha256": verify_file(arrived, file, on_bytes)}
        if arrived is part:
            part.rename(final)

    def finish(self) -> dict[str, Any]:
        """Write `source.json`; answers what the artifact shall say of itself."""
        origin = self._source.describe()
        (self._folder / RECORD_FILE).write_text(json.dumps(origin | {"files": self._record}, indent=1) + "\n")
        return origin | {"files": len(self._record)}

    def _check_room(self) -> None:
        missing = [file for file in self.files if not self._final(file).exists()]
        needed = sum(file.size for file in missing) + SPARE_BYTES
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(28, f"No space left on device: {needed >> 20} MiB are needed and {free >> 20} MiB are free")

    def _final(self, file: SourceFile) -> Path:
        return self._folder / file.path

    def _part(self, file: SourceFile) -> Path:
        return self._folder / (file.path + PART_SUFFIX)
