"""Where pictures come from: a folder, or a zip that is read in place, so that nothing it names is ever written."""

from __future__ import annotations

import importlib.util
import os
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

from headway.errors import FieldProblem, InvalidInputError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class UnreadableError(Exception):
    """One file is no picture that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may hold: files, bytes of one file, bytes in all."""

    files: int
    file_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of a source by name, sorted; `refused` are those that are not even read, with the reason."""

    names: list[str]
    refused: dict[str, str] = field(default_factory=dict[str, str])
    others: int = 0


class Source(Protocol):
    """Pictures by name. `read` may be called by several threads at once."""

    name: str
    listing: Listing

    def read(self, name: str) -> bytes:
        """The bytes of one picture. Raises UnreadableError."""
        ...


class Folder:
    """All pictures below a folder; links are not followed, and what is hidden is left alone."""

    def __init__(self, root: Path, limits: Limits, field: str) -> None:
        self.name, self._root, self._limits = _storable(root.name), root, limits
        sizes: dict[str, int] = {}
        refused: dict[str, str] = {}
        others = 0
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(root).as_posix()
                if file.startswith(".") or not _is_picture(name):
                    others += 1
                elif reason := _file_refusal(path):
                    refused[_storable(name)] = reason
                else:
                    sizes[name] = path.stat().st_size
                _check_count(len(sizes) + len(refused), limits, field)
        _check_total(sum(sizes.values()), limits, field)
        self.listing = Listing(sorted(sizes), refused, others)

    def read(self, name: str) -> bytes:
        """The file's bytes. Raises UnreadableError."""
        try:
            handle = os.open(self._root / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as file:
                content = file.read(self._limits.file_bytes + 1)
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error
        return _bounded(content, self._limits)


class Zip:
    """The pictures in a zip. Names that lead out of it and links are refused; sizes are those that come out."""

    def __init__(self, path: Path, limits: Limits, field: str) -> None:
        self.name, self._limits = _storable(path.stem), limits
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise _problem(field, f"{path.name} cannot be read as a zip: {error}") from error
        members = [info for info in self._archive.infolist() if not info.is_dir()]
        pictures = [info for info in members if _is_picture(info.filename)]
        _check_count(len(pictures), limits, field)
        _check_total(sum(info.file_size for info in pictures), limits, field)
        refused = {info.filename: reason for info in pictures if (reason := _refusal(info))}
        self._members = {info.filename: info for info in pictures if info.filename not in refused}
        self.listing = Listing(sorted(self._members), refused, len(members) - len(pictures))

    def read(self, name: str) -> bytes:
        """The member's bytes; no more than the limit is unpacked, whatever its header says. Raises UnreadableError."""
        try:
            with self._archive.open(self._members[name]) as member:
                content = member.read(self._limits.file_bytes + 1)
        except (OSError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise UnreadableError(f"cannot be unpacked: {error}") from error
        return _bounded(content, self._limits)


def open_source(path: Path, limits: Limits, field: str) -> Source:
    """The source at a path. Raises InvalidInputError that names the field."""
    if not path.exists():
        raise _problem(field, f"there is no {path} on this host: name a folder or a zip that is")
    path = _lone_zip(path) or path
    if path.is_dir():
        found: Source = Folder(path, limits, field)
    elif path.suffix.lower() == ".zip":
        found = Zip(path, limits, field)
    else:
        raise _problem(field, f"{path.name} is neither a folder nor a .zip")
    if not found.listing.names:
        refused = f"; {len(found.listing.refused)} were refused" if found.listing.refused else ""
        raise _problem(field, f"there is no picture in {path} ({', '.join(sorted(SUFFIXES))}){refused}")
    return found


def _lone_zip(folder: Path) -> Path | None:
    """The zip that a folder holds and nothing else beside it, as an uploaded one does."""
    held = list(islice(folder.iterdir(), 2)) if folder.is_dir() else []
    return held[0] if len(held) == 1 and held[0].suffix.lower() == ".zip" and not held[0].is_symlink() else None


def example_path() -> Path:
    """The pictures that scikit-image brings; it is not imported for it."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _file_refusal(path: Path) -> str | None:
    """Why a file of a folder is not read, or None."""
    try:
        mode = path.lstat().st_mode
        str(path).encode()
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if stat.S_ISLNK(mode):
        return "is a link"
    return None if stat.S_ISREG(mode) else "is no regular file"


def _storable(name: str) -> str:
    """The name as databases and JSON can hold it."""
    return name.encode(errors="replace").decode()


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member of a zip is not read, or None."""
    name = PurePosixPath(info.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
        return "its name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.flag_bits & 1:
        return "is encrypted"
    return None


def _bounded(content: bytes, limits: Limits) -> bytes:
    if len(content) > limits.file_bytes:
        raise UnreadableError(f"has more than {limits.file_bytes >> 20} MB")
    return content


def _check_count(count: int, limits: Limits, field: str) -> None:
    if count > limits.files:
        raise _problem(field, f"more than {limits.files} pictures: raise most_pictures or choose a part of them")


def _check_total(size: int, limits: Limits, field: str) -> None:
    if size > limits.total_bytes:
        raise _problem(field, f"{size >> 30} GB of pictures: raise most_total_gb or choose a part of them")


def _problem(field: str, message: str) -> InvalidInputError:
    return InvalidInputError(FieldProblem(f"config.{field}", message))
