"""Sends files as an upload: announced with their sums, in parts, gone on with where the way broke off."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from headway.cli.client import Client
from headway.errors import ConflictError, FieldProblem, InvalidInputError, UnavailableError

Json = dict[str, Any]
#: Told the bytes that have arrived in all, and how many there are.
Tell = Callable[[int, int], None]

TRIES = 6
LONGEST_WAIT_SECONDS = 5.0
#: The server hashes what has arrived before it calls it an artifact.
CHECK_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent: the artifact's type, and the files by the path they have in it."""

    type: str
    files: Mapping[str, Path]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.stat().st_size for file in self.files.values())


def pack(sources: Sequence[Path], artifact_type: str, patterns: Sequence[str], field: str) -> tuple[Parcel, list[str]]:
    """The files named and those below the folders named, with what was left out: hidden, links, of no such name.

    Raises InvalidInputError for a path that is not there, and where nothing is left.
    """
    found: dict[str, Path] = {}
    left_out: list[str] = []
    for source in sources:
        if not source.exists():
            raise InvalidInputError(FieldProblem(field, f"there is no {source} here"))
        for path, file in _files(source):
            usable = not file.is_symlink() and any(fnmatch(file.name, pattern) for pattern in patterns)
            if usable:
                found[path] = file
            else:
                left_out.append(path)
    if not found:
        taken = ", ".join(patterns)
        raise InvalidInputError(FieldProblem(field, f"holds no file of a {artifact_type}: it takes {taken}"))
    return Parcel(artifact_type, found), left_out


def send(client: Client, parcel: Parcel, name: str | None, tell: Tell, on_begin: Callable[[str], None]) -> Json:
    """Send it and answer the artifact. `on_begin` gets the id, with which a later call can go on.

    Raises what the API answers; what breaks off on the way is tried again from where it stood.
    """
    listed = [
        {"path": path, "bytes": file.stat().st_size, "sha256": _sha256(file)} for path, file in parcel.files.items()
    ]
    begun = client.post("/uploads", {"type": parcel.type, "name": name, "files": listed})
    on_begin(begun["id"])
    return go_on(client, begun["id"], parcel.files, tell)


def go_on(client: Client, upload_id: str, files: Mapping[str, Path], tell: Tell) -> Json:
    """Send what is lacking of an upload; answers the artifact. Raises InvalidInputError for a file that is not here."""
    state = client.get(f"/uploads/{upload_id}")
    arrived = {file["path"]: file["received"] for file in state["files"]}
    for file in state["files"]:
        here = files.get(file["path"])
        if here is None or here.stat().st_size != file["bytes"]:
            raise InvalidInputError(FieldProblem(file["path"], "is not here as it was announced: begin another upload"))
    for path, received in _each_part(client, state, files):
        arrived[path] = received
        tell(sum(arrived.values()), state["bytes"])
    return _finish(client, upload_id)


def _each_part(client: Client, state: Json, files: Mapping[str, Path]) -> Any:
    """(path, bytes of it that have arrived) after each part."""
    for file in state["files"]:
        received, failures = file["received"], 0
        with files[file["path"]].open("rb") as opened:
            while received < file["bytes"]:
                opened.seek(received)
                query = {"path": file["path"], "offset": received}
                try:
                    part = client.put(f"/uploads/{state['id']}/file", opened.read(state["part_bytes"]), query)
                except (UnavailableError, ConflictError):
                    failures += 1
                    if failures == TRIES:
                        raise
                    time.sleep(min(0.2 * 2**failures, LONGEST_WAIT_SECONDS))
                    part = _arrived(client, state["id"], file)
                else:
                    failures = 0
                received = part["received"]
                yield file["path"], received


def _arrived(client: Client, upload_id: str, file: Json) -> Json:
    """How far it is; as far as it was known where nobody answers now."""
    try:
        files = client.get(f"/uploads/{upload_id}")["files"]
    except UnavailableError:
        return file
    return next(each for each in files if each["path"] == file["path"])


def _finish(client: Client, upload_id: str) -> Json:
    deadline = time.monotonic() + CHECK_SECONDS
    while True:
        try:
            return client.post(f"/uploads/{upload_id}/finish")
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def _files(source: Path) -> list[tuple[str, Path]]:
    if source.is_file():
        return [(source.name, source)]
    found: list[tuple[str, Path]] = []
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        paths = (Path(folder, file) for file in sorted(files) if not file.startswith("."))
        found += [(path.relative_to(source).as_posix(), path) for path in paths]
    return found


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
