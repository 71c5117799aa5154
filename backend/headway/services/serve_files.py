"""What another host may fetch from this one: the files of artifacts and checkpoints, each with its checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.jobs.checkpoints import MANIFEST
from headway.services.locate_files import find_artifact, find_checkpoint
from headway.services.views import View
from headway.settings import Settings
from headway.storage import artifacts as artifact_store
from headway.storage import hosts as host_store
from headway.storage import journal
from headway.storage.engine import transaction
from headway.storage.rows import Row


class FileView(View):
    """A file, by its path in the folder."""

    path: str
    bytes: int
    sha256: str


class FilesView(View):
    """All files of an artifact or a checkpoint."""

    items: list[FileView]


def artifact_files(engine: Engine, settings: Settings, artifact_id: str) -> FilesView:
    """An artifact's files. Hashed when they are first asked for; from then on that is what every copy must be.

    Raises NotFoundError, with where it lies when that is another host.
    """
    row = _ready_artifact(engine, artifact_id)
    folder = _here(engine, find_artifact(settings, row), f"artifact {artifact_id}", row["host"])
    if row["files"] is None:
        found = hashes_of(folder)
        with transaction(engine) as connection:
            row["files"] = artifact_store.note_files(connection, artifact_id, found)
    return FilesView(items=[FileView(path=path, **entry) for path, entry in sorted(row["files"].items())])


def artifact_file(engine: Engine, settings: Settings, artifact_id: str, path: str) -> Path:
    """One of an artifact's files on this host. Raises NotFoundError, InvalidInputError."""
    row = _ready_artifact(engine, artifact_id)
    return _inside(_here(engine, find_artifact(settings, row), f"artifact {artifact_id}", row["host"]), path)


def checkpoint_files(engine: Engine, settings: Settings, checkpoint_id: str) -> FilesView:
    """A checkpoint's files, its manifest last. Raises NotFoundError, with where it lies when that is another host."""
    folder = _checkpoint_here(engine, settings, checkpoint_id)
    try:
        named: dict[str, Any] = json.loads((folder / MANIFEST).read_text())["files"]
        manifest = _hashed(folder / MANIFEST)
    except (OSError, ValueError, KeyError) as error:
        raise NotFoundError(f"checkpoint {checkpoint_id} is not whole any more: {error}") from None
    return FilesView(items=[FileView(path=path, **entry) for path, entry in [*named.items(), (MANIFEST, manifest)]])


def checkpoint_file(engine: Engine, settings: Settings, checkpoint_id: str, path: str) -> Path:
    """One of a checkpoint's files on this host. Raises NotFoundError, InvalidInputError."""
    return _inside(_checkpoint_here(engine, settings, checkpoint_id), path)


def hashes_of(folder: Path) -> dict[str, dict[str, Any]]:
    """{path: {bytes, sha256}} of every file in it; what leads out of it is left out."""
    root = folder.resolve()
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.resolve().is_relative_to(root))
    return {file.relative_to(folder).as_posix(): _hashed(file) for file in files}


def register_server(engine: Engine, settings: Settings) -> None:
    """Tell the other hosts where this API instance serves the files of its host. Raises UnavailableError."""
    if settings.advertised_url:
        with transaction(engine) as connection:
            host_store.see_file_server(connection, settings.host_name, settings.advertised_url)


def _ready_artifact(engine: Engine, artifact_id: str) -> Row:
    with transaction(engine) as connection:
        row = artifact_store.get_artifacts(connection, [artifact_id]).get(artifact_id)
    if row is None or row["state"] != "ready":
        raise NotFoundError(f"there is no artifact {artifact_id} that is ready")
    return row


def _checkpoint_here(engine: Engine, settings: Settings, checkpoint_id: str) -> Path:
    with transaction(engine) as connection:
        row = journal.get_checkpoint(connection, checkpoint_id)
    if row is None:
        raise NotFoundError(f"there is no checkpoint {checkpoint_id}")
    return _here(engine, find_checkpoint(settings, row), f"checkpoint {checkpoint_id}", row["host"])


def _here(engine: Engine, folder: Path | None, what: str, host: str | None) -> Path:
    if folder is not None:
        return folder
    with transaction(engine) as connection:
        urls = host_store.file_servers(connection, host or "")
    at = f": ask {' or '.join(urls)}" if urls else ", which serves no files now: run `headway api` there"
    raise NotFoundError(f"{what} lies on host {host}{at}")


def _inside(folder: Path, path: str) -> Path:
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise InvalidInputError(FieldProblem("path", "leads out of the folder: take one that /files lists"))
    if not file.is_file():
        raise NotFoundError(f"there is no file {path}: take one that /files lists")
    return file


def _hashed(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
