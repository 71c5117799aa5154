"""Studies: jobs tied by dependencies."""

from __future__ import annotations

from pydantic import BaseModel, Field

from headway.api.route import Call, Route
from headway.services import read_studies
from headway.services.read_studies import StudyPage
from headway.services.submit_study import StudyRequest, submit_study
from headway.services.views import StudyView


class StudyQuery(BaseModel):
    """Which part of the list."""

    cursor: str | None = None
    limit: int = Field(50, ge=1, le=200)


def submit(call: Call, body: StudyRequest) -> StudyView:
    """Submit a study whole, or nothing of it."""
    return submit_study(call.api.runtime.engine, call.api.runtime.signals, body, owner=call.identity.name)


def show(call: Call, study_id: str) -> StudyView:
    """One study with its jobs."""
    return read_studies.get_study(call.api.runtime.engine, study_id)


def find(call: Call, query: StudyQuery) -> StudyPage:
    """Studies, newest first."""
    return read_studies.list_studies(call.api.runtime.engine, query.cursor, query.limit)


_STUDIES = "/api/v1/studies"
ROUTES = (
    Route(
        method="POST",
        path=_STUDIES,
        role="operator",
        handler=submit,
        summary="Submit a study",
        body=StudyRequest,
        answer=StudyView,
        status=201,
    ),
    Route(
        method="GET",
        path=_STUDIES,
        role="viewer",
        handler=find,
        summary="List studies, newest first",
        query=StudyQuery,
        answer=StudyPage,
    ),
    Route(
        method="GET",
        path=_STUDIES + "/{study_id}",
        role="viewer",
        handler=show,
        summary="Read a study with its jobs",
        answer=StudyView,
    ),
)
