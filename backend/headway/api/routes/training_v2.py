"""The second version of the training API, for clients written against it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from headway.api.idempotency import idempotency_key
from headway.api.route import Call, Route
from headway.api.views import TrainingProgressView, training_progress_view
from headway.domain.states import JobState
from headway.services.read_jobs import get_job
from headway.services.submit_job import JobRequest, submit_job

DEFAULT_KIND = "strategy.optimize"


class TrainingRequest(BaseModel):
    """What to start."""

    kind: str = Field(DEFAULT_KIND, description="A kind of `GET /api/v1/kinds`.")
    config: dict[str, Any]


class TrainingStartedView(BaseModel):
    """The job that was queued."""

    job_id: str
    status: JobState


def start(call: Call, body: TrainingRequest) -> TrainingStartedView:
    """Queue a job, once for each Idempotency-Key."""
    runtime = call.api.runtime
    request = JobRequest.model_validate({"kind": body.kind, "config": body.config})
    key = idempotency_key(call.request)
    job = submit_job(runtime.engine, runtime.signals, request, owner=call.identity.name, idempotency_key=key)
    return TrainingStartedView(job_id=job.id, status=job.state)


def progress(call: Call, job_id: str) -> TrainingProgressView:
    """Where a job stands."""
    return training_progress_view(get_job(call.api.runtime.engine, job_id))


ROUTES = (
    Route(
        method="POST",
        path="/api/v2/training/start",
        role="operator",
        handler=start,
        summary="Start a training",
        body=TrainingRequest,
        answer=TrainingStartedView,
        status=202,
    ),
    Route(
        method="GET",
        path="/api/v2/training/jobs/{job_id}/progress",
        role="viewer",
        handler=progress,
        summary="Where a training stands",
        answer=TrainingProgressView,
    ),
)
