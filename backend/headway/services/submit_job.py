"""Submit one job."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, text

from headway.errors import ConflictError, FieldProblem, InvalidInputError
from headway.jobs.kind import Kind
from headway.jobs.registry import get_kind
from headway.services.announce import announce
from headway.services.place_jobs import Draft, place_jobs
from headway.services.ports import Signals
from headway.services.views import JobView, job_view
from headway.storage import jobs as job_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

Tag = Annotated[str, Field(min_length=1, max_length=64)]

# one submission of a key at a time: the second waits, then finds the first one's job
_LOCK_KEY = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_BY_KEY = text("SELECT id FROM jobs WHERE idempotency_key = :key")


class JobRequest(BaseModel):
    """What a client asks for: a kind with its config, and how to run it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: str
    config: dict[str, Any] = Field(default_factory=dict)
    name: str | None = Field(None, min_length=1, max_length=200)
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    notes: str = Field("", max_length=20_000)
    depends_on: list[str] = Field(default_factory=list, max_length=200)
    priority: int = Field(0, ge=-100, le=100)
    time_limit_seconds: float | None = Field(None, gt=0, le=366 * 86_400)


def submit_job(
    engine: Engine, signals: Signals, request: JobRequest, *, owner: str = "", idempotency_key: str | None = None
) -> JobView:
    """Store the job and wake a worker. The same idempotency key answers the job it made before.

    Raises InvalidInputError naming the fields, ConflictError when the key was used for something else.
    """
    kind = runnable_kind(request.kind, "kind")
    draft = Draft(
        kind=kind,
        config=kind.checked_config(request.config),
        name=request.name,
        tags=request.tags,
        notes=request.notes,
        depends_on=request.depends_on,
        priority=request.priority,
        time_limit_seconds=request.time_limit_seconds,
        owner=owner,
        idempotency_key=idempotency_key,
    )
    with transaction(engine) as connection:
        before = _made_before(connection, idempotency_key) if idempotency_key else None
        if before is None:
            place_jobs(connection, [draft])
        row = job_store.get_job(connection, before or draft.id)
    assert row is not None  # stored or found in this transaction
    if before is None:
        wake_and_announce(signals, [row])
    elif (row["kind"], row["name"]) != (kind.name, request.name or row["name"]):
        raise ConflictError(f"the Idempotency-Key was used for job {row['id']}, another one: send a new key")
    return job_view(row)


def runnable_kind(name: str, field: str) -> Kind:
    """The kind, if it can run here. Raises InvalidInputError at `field`."""
    try:
        kind = get_kind(name)
    except InvalidInputError as error:
        raise InvalidInputError(FieldProblem(field, error.problems[0].message)) from None
    if kind.unavailable_reason:
        raise InvalidInputError(FieldProblem(field, f"{name} {kind.unavailable_reason}"))
    return kind


def wake_and_announce(signals: Signals, rows: list[Row]) -> None:
    """After the commit: a message for each queued job, and the news for the browsers."""
    for row in rows:
        if row["state"] == "queued":
            signals.wake(row["queue"], row["id"])
        announce(signals, row)


def _made_before(connection: Connection, key: str) -> str | None:
    connection.execute(_LOCK_KEY, {"key": key})
    return connection.scalar(_BY_KEY, {"key": key})
