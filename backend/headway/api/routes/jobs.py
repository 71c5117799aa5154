"""Jobs: submit, read, list, command, delete."""

from __future__ import annotations

from headway.api.idempotency import idempotency_key
from headway.api.route import Call, Route
from headway.services import control_job, delete_job, read_jobs, retry_job
from headway.services.read_jobs import JobPage, JobQuery
from headway.services.retry_job import RetryRequest
from headway.services.submit_job import JobRequest, submit_job
from headway.services.views import JobView


def submit(call: Call, body: JobRequest) -> JobView:
    """Submit a job, once for each Idempotency-Key."""
    runtime = call.api.runtime
    key = idempotency_key(call.request)
    return submit_job(runtime.engine, runtime.signals, body, owner=call.identity.name, idempotency_key=key)


def show(call: Call, job_id: str) -> JobView:
    """One job."""
    return read_jobs.get_job(call.api.runtime.engine, job_id)


def find(call: Call, query: JobQuery) -> JobPage:
    """Jobs, newest first."""
    return read_jobs.list_jobs(call.api.runtime.engine, query)


def cancel(call: Call, job_id: str) -> JobView:
    """Cancel a job."""
    return control_job.cancel_job(call.api.runtime.engine, call.api.runtime.signals, job_id)


def pause(call: Call, job_id: str) -> JobView:
    """Pause a job at its next checkpoint."""
    return control_job.pause_job(call.api.runtime.engine, call.api.runtime.signals, job_id)


def resume(call: Call, job_id: str) -> JobView:
    """Queue a paused job again."""
    return control_job.resume_job(call.api.runtime.engine, call.api.runtime.signals, job_id)


def retry(call: Call, job_id: str, body: RetryRequest) -> JobView:
    """A new job in a failed one's place."""
    runtime = call.api.runtime
    return retry_job.retry_job(runtime.engine, runtime.signals, job_id, body, owner=call.identity.name)


def delete(call: Call, job_id: str) -> None:
    """Delete a job that is over."""
    delete_job.delete_job(call.api.runtime.engine, call.api.runtime.settings.headway_data_dir, job_id)


_JOB = "/api/v1/jobs/{job_id}"
ROUTES = (
    Route(
        method="POST",
        path="/api/v1/jobs",
        role="operator",
        handler=submit,
        summary="Submit a job",
        body=JobRequest,
        answer=JobView,
        status=201,
    ),
    Route(
        method="GET",
        path="/api/v1/jobs",
        role="viewer",
        handler=find,
        summary="List jobs, newest first",
        query=JobQuery,
        answer=JobPage,
    ),
    Route(method="GET", path=_JOB, role="viewer", handler=show, summary="Read a job", answer=JobView),
    Route(method="DELETE", path=_JOB, role="operator", handler=delete, summary="Delete a job that is over", status=204),
    Route(
        method="POST",
        path=_JOB + "/cancel",
        role="operator",
        handler=cancel,
        summary="Cancel a job",
        answer=JobView,
    ),
    Route(
        method="POST",
        path=_JOB + "/pause",
        role="operator",
        handler=pause,
        summary="Pause a job that keeps checkpoints",
        answer=JobView,
    ),
    Route(
        method="POST",
        path=_JOB + "/resume",
        role="operator",
        handler=resume,
        summary="Resume a paused job",
        answer=JobView,
    ),
    Route(
        method="POST",
        path=_JOB + "/retry",
        role="operator",
        handler=retry,
        summary="Run a job again, with a patch of its config or with the advice of its error",
        body=RetryRequest,
        answer=JobView,
        status=201,
    ),
)
