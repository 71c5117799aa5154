"""Submit a study: jobs tied by `depends_on` and by references `job:<key>/<output>`, stored together or not at all."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from headway.errors import FieldProblem, InvalidInputError
from headway.services.place_jobs import Draft, place_jobs
from headway.services.ports import Signals
from headway.services.submit_job import runnable_kind, wake_and_announce
from headway.services.views import StudyView, study_view
from headway.storage import jobs as job_store
from headway.storage import studies as study_store
from headway.storage.engine import transaction
from headway.storage.ids import new_id


class StudyJobRequest(BaseModel):
    """One job of a study; `key` is its name within the study."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    key: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    kind: str
    config: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(None, min_length=1, max_length=200)
    depends_on: list[str] = Field(default_factory=list, max_length=200)
    priority: int = Field(0, ge=-100, le=100)
    time_limit_seconds: float | None = Field(None, gt=0, le=366 * 86_400)


class StudyRequest(BaseModel):
    """What a client asks for."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(min_length=1, max_length=200)
    jobs: list[StudyJobRequest] = Field(min_length=1, max_length=200)


def submit_study(engine: Engine, signals: Signals, request: StudyRequest, *, owner: str = "") -> StudyView:
    """Store all jobs of the study. Raises InvalidInputError naming every wrong field (`jobs.2.config.k`)."""
    drafts = _drafts(request, owner)
    study_id = new_id()
    with transaction(engine) as connection:
        study_store.insert_study(connection, study_id, request.name)
        place_jobs(connection, drafts, study_id=study_id)
        study = study_store.get_study(connection, study_id)
        rows = job_store.jobs_of_studies(connection, [study_id])
    assert study is not None  # stored in this transaction
    wake_and_announce(signals, list(rows))
    return study_view(study, rows)


def _drafts(request: StudyRequest, owner: str) -> list[Draft]:
    problems = [
        FieldProblem("jobs", f"the key {key!r} is used {count} times: give each job its own")
        for key, count in Counter(job.key for job in request.jobs).items()
        if count > 1
    ]
    drafts: list[Draft] = []
    for number, job in enumerate(request.jobs):
        try:
            drafts.append(_draft(job, f"jobs.{number}", owner))
        except InvalidInputError as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInputError(*problems)
    return drafts


def _draft(job: StudyJobRequest, where: str, owner: str) -> Draft:
    kind = runnable_kind(job.kind, f"{where}.kind")
    return Draft(
        kind=kind,
        config=kind.checked_config(job.config, prefix=f"{where}.config"),
        where=where,
        key=job.key,
        name=job.name or job.key,
        depends_on=job.depends_on,
        priority=job.priority,
        time_limit_seconds=job.time_limit_seconds,
        owner=owner,
    )
