"""Begin an upload: what is to come is announced first, and refused before a byte is sent if it cannot be taken."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import ConflictError, FieldProblem, InvalidInputError, NoRoomError, TooLargeError
from headway.jobs.registry import upload_patterns
from headway.services.views import View
from headway.settings import Settings
from headway.storage import artifacts as artifact_store
from headway.storage import uploads as upload_store
from headway.storage.engine import transaction
from headway.storage.ids import new_id

MOST_FILES = 10_000
MOST_UNFINISHED = 100
MOST_NAME_BYTES = 255
#: Left free on the disk, so that an upload is not what stops the jobs and the database.
RESERVE_BYTES = 256 << 20
PART_BYTES = 8 << 20


class AnnouncedFile(BaseModel):
    """A file to come."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1024, description="Its name, with `/` where it lies in a folder.")
    bytes: int = Field(ge=0, le=1 << 50, description="Its size.")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="What it must hash to; not checked if left out."
    )


class UploadRequest(BaseModel):
    """What a client wants to send."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    type: str = Field(description="The type of the artifact: one that an input of a kind takes as an upload.")
    name: str | None = Field(
        None, min_length=1, max_length=200, description="How it is called; its first file if left out."
    )
    files: list[AnnouncedFile] = Field(min_length=1, max_length=MOST_FILES)


class ArrivingFile(View):
    """How far a file has arrived."""

    path: str
    bytes: int
    received: int


class UploadView(View):
    """An upload: `receiving` until it is finished, then the artifact of the same id is `ready`."""

    id: str
    type: str
    name: str
    state: str
    bytes: int
    received: int
    part_bytes: int
    files: list[ArrivingFile]


def begin_upload(engine: Engine, settings: Settings, request: UploadRequest, *, owner: str = "") -> UploadView:
    """Store what is to come. Nothing of it is on the disk yet.

    Raises InvalidInputError that names each wrong file, TooLargeError, NoRoomError, ConflictError when too many
    uploads are unfinished.
    """
    _check(request)
    size = sum(file.bytes for file in request.files)
    _check_room(settings, size)
    upload_id = new_id()
    name = request.name or PurePosixPath(request.files[0].path).parts[0]
    row: dict[str, Any] = {
        "id": upload_id,
        "type": request.type,
        "name": name,
        "output": upload_store.OUTPUT,
        "host": settings.host_name,
        "bytes": size,
        "meta": {"name": name, "uploaded_by": owner},
        "files": {file.path: {"bytes": file.bytes, "sha256": file.sha256} for file in request.files},
    }
    with transaction(engine) as connection:
        if upload_store.count_unfinished(connection) >= MOST_UNFINISHED:
            raise ConflictError(f"{MOST_UNFINISHED} uploads are unfinished: finish or delete one (artifacts, pending)")
        artifact_store.insert_artifacts(connection, [row])
    return upload_view(settings, row, {})


def upload_view(settings: Settings, row: Any, received: dict[str, int]) -> UploadView:
    """An unfinished upload, with the bytes of each file that are here."""
    files = [
        ArrivingFile(path=path, bytes=entry["bytes"], received=received.get(path, 0))
        for path, entry in sorted(row["files"].items())
    ]
    return UploadView(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        state="receiving",
        bytes=sum(file.bytes for file in files),
        received=sum(file.received for file in files),
        part_bytes=part_bytes(settings),
        files=files,
    )


def part_bytes(settings: Settings) -> int:
    """How much one request may carry: within what nginx and the API let through."""
    return min(PART_BYTES, settings.headway_max_body_mb << 20)


def _check(request: UploadRequest) -> None:
    patterns = upload_patterns()
    if request.type not in patterns:
        listed = ", ".join(sorted(patterns))
        raise InvalidInputError(
            FieldProblem("type", f"{request.type!r} is made by jobs; what can be uploaded: {listed}")
        )
    taken = ", ".join(sorted(patterns[request.type]))
    seen: set[str] = set()
    problems: list[FieldProblem] = []
    for number, file in enumerate(request.files):
        problem = _name_problem(file.path)
        if not problem and not any(fnmatch(PurePosixPath(file.path).name, each) for each in patterns[request.type]):
            problem = f"{file.path} is no file of a {request.type}: it takes {taken}"
        if not problem and file.path in seen:
            problem = f"{file.path} is named twice"
        if problem:
            problems.append(FieldProblem(f"files.{number}.path", problem))
        seen.add(file.path)
    folders = {parent.as_posix() for path in seen for parent in PurePosixPath(path).parents}
    problems += [FieldProblem("files", f"{path} is both a file and a folder") for path in sorted(seen & folders)]
    if problems:
        raise InvalidInputError(*problems)


def _name_problem(path: str) -> str | None:
    """Why a file cannot be called so, or None."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path:
        return "must be a plain path below the upload, as pictures/one.jpg"
    if not path.isprintable():
        return "must not hold control characters"
    if any(len(part.encode()) > MOST_NAME_BYTES for part in parts):
        return f"a name has at most {MOST_NAME_BYTES} bytes"
    return None


def _check_room(settings: Settings, size: int) -> None:
    most = settings.headway_max_upload_gb << 30
    if size > most:
        asked = f"{size:,} bytes are more than HEADWAY_MAX_UPLOAD_GB={settings.headway_max_upload_gb} allows"
        raise TooLargeError(f"{asked}: raise it, or name a path on the server instead")
    settings.headway_data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.headway_data_dir).free - RESERVE_BYTES
    if size > free:
        raise no_room(settings, f"{size:,} bytes are announced, {max(free, 0):,} are free")


def no_room(settings: Settings, why: str) -> NoRoomError:
    """The error for a full disk, with the mend."""
    return NoRoomError(f"the disk of {settings.host_name} has no room: {why}. Free some space there and send it again")
