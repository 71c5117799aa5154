"""Artifacts: what jobs make and use."""

from __future__ import annotations

from headway.api.route import Call, Route
from headway.services import delete_artifact, read_artifacts
from headway.services.read_artifacts import ArtifactPage, ArtifactQuery, ArtifactView


def find(call: Call, query: ArtifactQuery) -> ArtifactPage:
    """Artifacts, newest first."""
    return read_artifacts.list_artifacts(call.api.runtime.engine, query)


def show(call: Call, artifact_id: str) -> ArtifactView:
    """One artifact."""
    return read_artifacts.get_artifact(call.api.runtime.engine, artifact_id)


def delete(call: Call, artifact_id: str) -> None:
    """Delete one, with its files."""
    delete_artifact.delete_artifact(call.api.runtime.engine, call.api.runtime.settings, artifact_id)


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
        method="DELETE",
        path=_ARTIFACTS + "/{artifact_id}",
        role="operator",
        handler=delete,
        summary="Delete an artifact that nothing refers to, with its files",
        status=204,
    ),
)
