"""Find a saved configuration again: a job with the same config and seed, over the very same prices."""

from __future__ import annotations

from sqlalchemy import Engine

from headway.services.ports import Signals
from headway.services.read_configurations import get_configuration
from headway.services.submit_job import JobRequest, submit_job
from headway.services.views import JobView

TAG = "re-run"


def rerun_configuration(
    engine: Engine, signals: Signals, configuration_id: str, *, owner: str = "", idempotency_key: str | None = None
) -> JobView:
    """Submit the job; it fails if the prices have changed since. Raises NotFoundError, InvalidInputError."""
    saved = get_configuration(engine, configuration_id)
    config = saved.config | {"data_sha256": saved.results["data_sha256"]}
    asked = {"kind": saved.kind, "config": config, "tags": [TAG], "notes": f"of configuration {saved.id}"}
    request = JobRequest.model_validate(asked | {"name": f"Re-run of {saved.name}"[:200]})
    return submit_job(engine, signals, request, owner=owner, idempotency_key=idempotency_key)
