"""The files of artifacts and checkpoints, for other hosts and for pages: listed with checksums, each in any range."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from headway.api.route import Call, Route
from headway.services import serve_files
from headway.services.serve_files import FilesView

#: What a browser may show by itself; all else, a page of a downloaded model say, is only ever saved.
_SHOWN = {".jpg": "image/jpeg", ".json": "application/json", ".png": "image/png", ".webp": "image/webp"}
_SAVED = "application/octet-stream"
#: What is ready does not change, but may be deleted.
_CACHE = "private, max-age=3600"


class FileQuery(BaseModel):
    """Which file."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=4096, description="As the list of files names it.")


def of_artifact(call: Call, artifact_id: str) -> FilesView:
    """Files of an artifact."""
    return serve_files.artifact_files(call.api.runtime.engine, call.api.runtime.settings, artifact_id)


def of_checkpoint(call: Call, checkpoint_id: str) -> FilesView:
    """Files of a checkpoint."""
    return serve_files.checkpoint_files(call.api.runtime.engine, call.api.runtime.settings, checkpoint_id)


async def send_of_artifact(call: Call, artifact_id: str, query: FileQuery) -> web.StreamResponse:
    """A file of an artifact."""
    runtime = call.api.runtime
    find = partial(serve_files.artifact_file, runtime.engine, runtime.settings, artifact_id, query.path)
    return _sent(await call.api.pool.run(find))


async def send_of_checkpoint(call: Call, checkpoint_id: str, query: FileQuery) -> web.StreamResponse:
    """A file of a checkpoint."""
    runtime = call.api.runtime
    find = partial(serve_files.checkpoint_file, runtime.engine, runtime.settings, checkpoint_id, query.path)
    return _sent(await call.api.pool.run(find))


def _sent(file: Path) -> web.StreamResponse:
    kind = _SHOWN.get(file.suffix.lower())
    headers = {"Cache-Control": _CACHE, "X-Content-Type-Options": "nosniff", "Content-Type": kind or _SAVED}
    return web.FileResponse(file, headers=headers if kind else headers | {"Content-Disposition": "attachment"})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/artifacts/{artifact_id}/files",
        role="viewer",
        handler=of_artifact,
        summary="An artifact's files with their checksums, if it lies on this instance's host",
        answer=FilesView,
    ),
    Route(
        method="GET",
        path="/api/v1/artifacts/{artifact_id}/file",
        role="viewer",
        handler=send_of_artifact,
        summary="One of its files (takes Range)",
        query=FileQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/checkpoints/{checkpoint_id}/files",
        role="viewer",
        handler=of_checkpoint,
        summary="A checkpoint's files with their checksums, if it lies on this instance's host",
        answer=FilesView,
    ),
    Route(
        method="GET",
        path="/api/v1/checkpoints/{checkpoint_id}/file",
        role="viewer",
        handler=send_of_checkpoint,
        summary="One of its files (takes Range)",
        query=FileQuery,
    ),
)
