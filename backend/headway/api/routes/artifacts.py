"""Artifacts: what jobs make and use."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from headway.api.route import Call, Route
from headway.errors import NotFoundError
from headway.services import read_artifacts
from headway.services.read_artifacts import ArtifactPage, ArtifactQuery, ArtifactView

#: What a browser may show by itself; all else, a page of a downloaded model say, is only ever saved.
_SHOWN = {".jpg": "image/jpeg", ".json": "application/json", ".png": "image/png", ".webp": "image/webp"}
#: What is ready does not change, but may be deleted.
_CACHE = "private, max-age=3600"


class FileQuery(BaseModel):
    """Which file of an artifact, by its path within."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=1024)


def find(call: Call, query: ArtifactQuery) -> ArtifactPage:
    """Artifacts, newest first."""
    return read_artifacts.list_artifacts(call.api.runtime.engine, query)


def show(call: Call, artifact_id: str) -> ArtifactView:
    """One artifact."""
    return read_artifacts.get_artifact(call.api.runtime.engine, artifact_id)


async def file(call: Call, artifact_id: str, query: FileQuery) -> web.StreamResponse:
    """One file of an artifact that is ready."""
    artifact = await call.api.pool.run(partial(show, call, artifact_id))
    settings = call.api.runtime.settings
    found = await asyncio.to_thread(_inside, artifact, query.path, settings.headway_data_dir / "artifacts")
    kind = _SHOWN.get(found.suffix.lower())
    headers = {
        "Cache-Control": _CACHE,
        "X-Content-Type-Options": "nosniff",
        "Content-Type": kind or "application/octet-stream",
    }
    return web.FileResponse(found, headers=headers if kind else headers | {"Content-Disposition": "attachment"})


def _inside(artifact: ArtifactView, path: str, root: Path) -> Path:
    """Where the file lies here. Raises NotFoundError for one that is not ready, elsewhere, or leads out of it."""
    if artifact.state != "ready" or not artifact.path:
        raise NotFoundError(f"artifact {artifact.id} is {artifact.state}: its files can be read once it is ready")
    folder = Path(artifact.path).resolve()
    missing = NotFoundError(f"artifact {artifact.id} has no file {path!r} on this host (it is of {artifact.host})")
    try:
        found = (folder / path).resolve()
        if found.is_relative_to(folder) and folder.is_relative_to(root.resolve()) and found.is_file():
            return found
    except (OSError, ValueError):
        raise missing from None
    raise missing


_ARTIFACTS = "/api/v1/artifacts"
ROUTES = (
    Route(
        method="GET",
        path=_ARTIFACTS,
        role="viewer",
        handler=find,
        summary="List artifacts, newest first",
        query=ArtifactQuery,
        answer=ArtifactPage,
    ),
    Route(
        method="GET",
        path=_ARTIFACTS + "/{artifact_id}",
        role="viewer",
        handler=show,
        summary="Read an artifact",
        answer=ArtifactView,
    ),
    Route(
        method="GET",
        path=_ARTIFACTS + "/{artifact_id}/file",
        role="viewer",
        handler=file,
        summary="Read one file of an artifact",
        query=FileQuery,
    ),
)
