"""Read jobs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.domain.states import JobState
from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.services.paging import next_cursor, read_cursor
from headway.services.views import JobView, View, job_view
from headway.storage import jobs as job_store
from headway.storage.engine import reading, transaction


class JobQuery(BaseModel):
    """Filters of the list; `state` and `kind` take several values, comma separated."""

    model_config = ConfigDict(extra="forbid")

    state: str | None = None
    kind: str | None = None
    tag: str | None = None
    q: str | None = Field(None, max_length=200)
    cursor: str | None = None
    limit: int = Field(50, ge=1, le=500)


class JobPage(View):
    """A page of jobs, newest first."""

    items: list[JobView]
    next_cursor: str | None


def get_job(engine: Engine, job_id: str) -> JobView:
    """One job. Raises NotFoundError."""
    with reading(engine) as connection:
        row = job_store.get_job(connection, job_id)
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return job_view(row)


def list_jobs(engine: Engine, query: JobQuery) -> JobPage:
    """Jobs, newest first. Raises InvalidInputError for a state or cursor that does not exist."""
    states = _split(query.state)
    for state in states or ():
        if state not in list(JobState):
            known = ", ".join(JobState)
            raise InvalidInputError(FieldProblem("state", f"there is no state {state!r}; there are: {known}"))
    wanted = job_store.JobFilter(states, _split(query.kind), query.tag, query.q, read_cursor(query.cursor), query.limit)
    with transaction(engine) as connection:
        rows = job_store.list_jobs(connection, wanted)
    return JobPage(items=[job_view(row) for row in rows], next_cursor=next_cursor(rows, query.limit))


def _split(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None
