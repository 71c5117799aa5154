"""Read artifacts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import NotFoundError
from headway.services.paging import next_cursor, read_cursor
from headway.services.views import Moment, View
from headway.storage import artifacts as artifact_store
from headway.storage.engine import transaction


class ArtifactView(View):
    """What a job made, or will make."""

    id: str
    type: str
    name: str
    job_id: str | None
    output: str
    state: str
    bytes: int | None
    path: str | None
    host: str | None
    meta: dict[str, Any]
    created_at: Moment
    ready_at: Moment | None


class ArtifactPage(View):
    """A page of artifacts, newest first."""

    items: list[ArtifactView]
    next_cursor: str | None


class ArtifactQuery(BaseModel):
    """Filters of the list."""

    model_config = ConfigDict(extra="forbid")

    type: str | None = None
    state: Literal["pending", "ready", "failed"] | None = None
    q: str | None = Field(None, max_length=200)
    job_id: str | None = Field(None, max_length=128, description="Only what this job made, or will make.")
    made_from: str | None = Field(None, max_length=128, description="Only what jobs made that took this artifact.")
    cursor: str | None = None
    limit: int = Field(50, ge=1, le=500)


def get_artifact(engine: Engine, artifact_id: str) -> ArtifactView:
    """One artifact. Raises NotFoundError."""
    with transaction(engine) as connection:
        row = artifact_store.get_artifacts(connection, [artifact_id]).get(artifact_id)
    if row is None:
        raise NotFoundError(f"there is no artifact {artifact_id}")
    return ArtifactView(**row)


def list_artifacts(engine: Engine, query: ArtifactQuery) -> ArtifactPage:
    """Artifacts, newest first."""
    with transaction(engine) as connection:
        rows = artifact_store.list_artifacts(
            connection,
            artifact_type=query.type,
            state=query.state,
            q=query.q,
            job_id=query.job_id,
            made_from=query.made_from,
            before=read_cursor(query.cursor),
            limit=query.limit,
        )
    return ArtifactPage(items=[ArtifactView(**row) for row in rows], next_cursor=next_cursor(rows, query.limit))
