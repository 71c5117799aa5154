"""Retry a job that is over: a new job with lineage; what waited for the old one waits for the new one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, text

from headway.domain.states import TERMINAL, JobState
from headway.errors import ConflictError, FieldProblem, InvalidInputError, NotFoundError
from headway.services.place_jobs import Draft, place_jobs
from headway.services.ports import Signals
from headway.services.submit_job import runnable_kind, wake_and_announce
from headway.services.views import JobView, job_view
from headway.storage import artifacts as artifact_store
from headway.storage import jobs as job_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

_REPOINT_NEEDS = text("UPDATE job_dependencies SET needs_job_id = :new WHERE needs_job_id = :old")
_TAKE_PLACE = text(
    "UPDATE jobs SET study_id = old.study_id, study_key = old.study_key, study_position = old.study_position "
    "FROM jobs old WHERE jobs.id = :new AND old.id = :old"
)
_LEAVE_STUDY = text("UPDATE jobs SET study_id = NULL, revision = revision + 1 WHERE id = :old")
_WAITERS = text("SELECT job_id FROM job_dependencies WHERE needs_job_id = :id")
_REWRITE_REFERENCES = text(
    "UPDATE jobs SET config = replace(config::text, :old, :new)::jsonb, revision = revision + 1 "
    "WHERE state = 'waiting' AND id IN (SELECT job_id FROM job_inputs WHERE artifact_id = :new_id)"
)


class RetryRequest(BaseModel):
    """What to change: a patch of the config, or the patch that the failure's advice gives."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] = Field(default_factory=dict)
    advised: bool = False


def retry_job(engine: Engine, signals: Signals, job_id: str, request: RetryRequest, *, owner: str = "") -> JobView:
    """Make the new job. Raises NotFoundError, ConflictError while the old one is not over, InvalidInputError."""
    with transaction(engine) as connection:
        old = job_store.get_job(connection, job_id)
        if old is None:
            raise NotFoundError(f"there is no job {job_id}")
        if JobState(old["state"]) not in TERMINAL:
            raise ConflictError(
                f"job {job_id} is {old['state']}: only a job that is over can be retried; cancel it first"
            )
        kind = runnable_kind(old["kind"], "kind")
        draft = Draft(
            kind=kind,
            config=kind.checked_config(old["config"] | _patch(old, request)),
            name=old["name"],
            tags=old["tags"],
            notes=old["notes"],
            depends_on=old["depends_on"],
            priority=old["priority"],
            time_limit_seconds=old["time_limit_seconds"],
            owner=owner,
            retry_of=job_id,
        )
        place_jobs(connection, [draft])
        rows = job_store.get_jobs(connection, _take_over(connection, old, draft.id))
    wake_and_announce(signals, rows)
    return job_view(next(row for row in rows if row["id"] == draft.id))


def _patch(old: Row, request: RetryRequest) -> dict[str, Any]:
    if not request.advised:
        return request.config
    error = job_view(old).error
    if error is None or error.advice is None or not error.advice.config_patch:
        raise InvalidInputError(FieldProblem("advised", "nothing is advised for this job: name a change in `config`"))
    return error.advice.config_patch | request.config


def _take_over(connection: Connection, old: Row, new: str) -> list[str]:
    """Put the new job in the old one's place: its study, its waiters, and their references. Answers what changed."""
    if old["study_id"]:
        connection.execute(_TAKE_PLACE, {"new": new, "old": old["id"]})
        connection.execute(_LEAVE_STUDY, {"old": old["id"]})
    if old["state"] != JobState.COMPLETED:
        connection.execute(_REPOINT_NEEDS, {"new": new, "old": old["id"]})
        made = {row["output"]: row["id"] for row in artifact_store.artifacts_of_jobs(connection, [new])}
        for row in artifact_store.artifacts_of_jobs(connection, [old["id"]]):
            artifact_store.repoint_inputs(connection, row["id"], made[row["output"]])
            references = {"old": f"artifact:{row['id']}", "new": f"artifact:{made[row['output']]}"}
            connection.execute(_REWRITE_REFERENCES, references | {"new_id": made[row["output"]]})
    return [new, old["id"], *connection.scalars(_WAITERS, {"id": new})]
