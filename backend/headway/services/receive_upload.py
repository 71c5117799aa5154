"""Receive an upload: each file in parts that are gone on with where they broke off; whole, it becomes an artifact.

What has arrived lies in `<data>/uploads/<id>`; how much of a file is there is the file's own size, so nothing is told
twice. One request at a time writes to a file (a lock on it), whichever API instance of the host it reaches.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine

from headway.errors import (
    ConflictError,
    FieldProblem,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from headway.services.begin_upload import UploadView, no_room, upload_view
from headway.services.locate_files import copy_whole
from headway.services.read_artifacts import ArtifactView, get_artifact
from headway.services.serve_files import hashes_of
from headway.settings import Settings
from headway.storage import uploads as upload_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

IDLE_KEPT_SECONDS = 86_400.0
#: Hashing a large upload takes a thread for as long: the others are for those who ask.
CHECKED_AT_ONCE = 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_checking = threading.BoundedSemaphore(CHECKED_AT_ONCE)

log = structlog.get_logger(__name__)


class Part:
    """Bytes of one file as they come; what was written stays when they break off."""

    def __init__(self, engine: Engine, settings: Settings, upload_id: str, file: Path, whole: int) -> None:
        self._engine, self._settings, self._upload_id, self.whole = engine, settings, upload_id, whole
        with self._minding_the_disk():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise UnavailableError("another request is sending this file: ask how far it is, then go on") from None
        self.received = os.fstat(self._handle).st_size

    def write(self, piece: bytes) -> None:
        """Append. Raises TooLargeError beyond what was announced, NoRoomError, which ends the whole upload."""
        if self.received + len(piece) > self.whole:
            raise TooLargeError(f"{self.whole:,} bytes were announced of this file, and more came")
        with self._minding_the_disk():
            while piece:
                written = os.write(self._handle, piece)
                self.received += written
                piece = piece[written:]

    def settle(self) -> None:
        """Once the file is whole, see it to the disk. Raises NoRoomError."""
        if self.received == self.whole:
            with self._minding_the_disk():
                os.fsync(self._handle)

    def close(self) -> None:
        """Let the next request write."""
        os.close(self._handle)

    @contextmanager
    def _minding_the_disk(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            abandon_upload(self._engine, self._settings, self._upload_id)
            raise no_room(
                self._settings, "it ran full while the file arrived, and what had arrived is removed"
            ) from error


def read_upload(engine: Engine, settings: Settings, upload_id: str) -> UploadView:
    """How far it is. Raises NotFoundError, with the host it goes to when that is another one."""
    row = _upload(engine, settings, upload_id)
    if row["state"] == "ready":
        whole = {path: entry["bytes"] for path, entry in row["files"].items()}
        return upload_view(settings, row, whole).model_copy(update={"state": "ready"})
    return upload_view(settings, row, _received(_folder(settings, upload_id), row))


def open_part(engine: Engine, settings: Settings, upload_id: str, path: str, offset: int) -> Part:
    """Open a file of the upload to write from `offset` on, which must be where it has arrived.

    Raises NotFoundError, ConflictError with the offset to go on from, UnavailableError while another request sends it.
    """
    row = _upload(engine, settings, upload_id)
    if row["state"] == "ready":
        raise ConflictError("this upload is finished")
    entry = row["files"].get(path)
    if entry is None:
        raise NotFoundError(f"{path[:200]} was not announced: begin another upload for it")
    part = Part(engine, settings, upload_id, _folder(settings, upload_id) / path, entry["bytes"])
    if part.received != offset:
        part.close()
        raise ConflictError(f"{path} has arrived as far as byte {part.received}: go on with offset={part.received}")
    return part


def finish_upload(engine: Engine, settings: Settings, upload_id: str) -> ArtifactView:
    """Check the files and make them an artifact that jobs may use. Again, it answers the same.

    Raises ConflictError naming what has not arrived, InvalidInputError for a file that is not what was announced (it
    has to be sent again), UnavailableError while it is being checked: ask again, NoRoomError, NotFoundError.
    """
    row = _upload(engine, settings, upload_id)
    if row["state"] == "pending":
        with _checked_alone(_folder(settings, upload_id)) as folder:
            files = _verified(folder, row)
            _put_in_place(engine, settings, row, folder, files)
    return get_artifact(engine, upload_id)


def abandon_upload(engine: Engine, settings: Settings, upload_id: str) -> None:
    """Remove an unfinished upload with what arrived of it. Raises NotFoundError, ConflictError once it is finished."""
    row = _upload(engine, settings, upload_id)
    if row["state"] == "ready":
        raise ConflictError("this upload is finished: it is an artifact now")
    with transaction(engine) as connection:
        upload_store.forget(connection, upload_id)
    _remove(settings, upload_id)


def sweep_uploads(engine: Engine, settings: Settings) -> list[Path]:
    """Remove what nobody went on sending for a day; what was removed. Raises UnavailableError."""
    root = _folder(settings, "any").parent
    folders = [folder for folder in root.iterdir() if folder.is_dir()] if root.is_dir() else []
    with transaction(engine) as connection:
        ages = {
            row["id"]: row["age_seconds"] for row in upload_store.unfinished_of_host(connection, settings.host_name)
        }
        here = {folder.name: _idle_seconds(folder) for folder in folders}
        idle = {name for name in {*ages, *here} if min(ages.get(name, 1e9), here.get(name, 1e9)) > IDLE_KEPT_SECONDS}
        for upload_id in idle & ages.keys():
            upload_store.forget(connection, upload_id)
    for upload_id in idle:
        _remove(settings, upload_id)
    return [folder for folder in folders if folder.name in idle]


def _folder(settings: Settings, upload_id: str) -> Path:
    return settings.headway_data_dir / "uploads" / upload_id


def _remove(settings: Settings, upload_id: str) -> None:
    # a finish that was cut off may have moved it already
    for folder in (_folder(settings, upload_id), settings.headway_data_dir / "artifacts" / upload_id):
        shutil.rmtree(folder, ignore_errors=True)


def _upload(engine: Engine, settings: Settings, upload_id: str) -> Row:
    with transaction(engine) as connection:
        row = upload_store.get_upload(connection, upload_id)
    if row is None:
        raise NotFoundError(f"there is no upload {upload_id}: it was given up, or nothing came for a day; begin again")
    if row["state"] == "pending" and row["host"] != settings.host_name:
        raise NotFoundError(f"upload {upload_id} goes to host {row['host']}: send it to an API instance there")
    return row


def _received(folder: Path, row: Row) -> dict[str, int]:
    found = {path: folder / path for path in row["files"]}
    return {path: file.stat().st_size for path, file in found.items() if file.is_file()}


def _verified(folder: Path, row: Row) -> dict[str, dict[str, Any]]:
    """{path: {bytes, sha256}} of the files, which are those announced."""
    received = _received(folder, row)
    for path, entry in sorted(row["files"].items()):
        if received.get(path, 0) != entry["bytes"]:
            raise ConflictError(f"{path} has {received.get(path, 0)} of {entry['bytes']} bytes: send the rest first")
        if path not in received:  # there was nothing to send of it
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    found = hashes_of(folder)
    wrong = [path for path, entry in row["files"].items() if entry["sha256"] not in (None, found[path]["sha256"])]
    for path in wrong:
        (folder / path).unlink()
    if wrong:
        raise InvalidInputError(
            *(FieldProblem(path, "does not have the sha256 announced: it is removed, send it again") for path in wrong)
        )
    return found


def _put_in_place(engine: Engine, settings: Settings, row: Row, folder: Path, files: dict[str, Any]) -> None:
    target = settings.headway_data_dir / "artifacts" / row["id"]
    try:
        if settings.headway_shared_dir:
            copy_whole(folder, settings.headway_shared_dir / "artifacts" / row["id"])
    except (OSError, shutil.Error) as error:  # the other hosts can still pull it from here
        log.warning("not shared", artifact_id=row["id"], reason=str(error))
    if folder != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    with transaction(engine) as connection:
        upload_store.finish(connection, row["id"], str(target), files)


@contextmanager
def _checked_alone(folder: Path) -> Generator[Path]:
    """The folder, for one at a time; where a finish that was cut off left it, if it had moved it already."""
    place = folder if folder.exists() else folder.parents[1] / "artifacts" / folder.name
    if not _checking.acquire(blocking=False):
        raise UnavailableError("other uploads are being checked: ask again in a few seconds")
    try:
        handle = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield place
        finally:
            os.close(handle)
    except BlockingIOError:
        raise UnavailableError("this upload is being checked: ask again in a few seconds") from None
    except FileNotFoundError:
        raise ConflictError("nothing of this upload has arrived: send its files first") from None
    finally:
        _checking.release()


def _idle_seconds(folder: Path) -> float:
    """Seconds since anything arrived in it."""
    try:
        return time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:
        return 0.0
