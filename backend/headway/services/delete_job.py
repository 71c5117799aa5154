"""Delete a job that is over, with its metrics and folder; its artifacts stay, and so does what made them."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import Engine, text

from headway.domain.states import TERMINAL, JobState
from headway.errors import ConflictError, NotFoundError
from headway.storage import artifacts as artifact_store
from headway.storage import jobs as job_store
from headway.storage.engine import transaction

_DELETE_METRICS = text("DELETE FROM training_metrics WHERE job = :key")
_DELETE_ARCHIVED = text("DELETE FROM training_metrics_archive WHERE job = :key")
_DELETE_NAMES = text("DELETE FROM job_metrics WHERE job = :key")
_DELETE_FAILED_ARTIFACTS = text("DELETE FROM artifacts WHERE job_id = :id AND state = 'failed'")
_DELETE = text("DELETE FROM jobs WHERE id = :id")
_NEEDED = text(
    "SELECT d.job_id FROM job_dependencies d JOIN jobs j ON j.id = d.job_id "
    "WHERE d.needs_job_id = :id AND j.state = 'waiting' LIMIT 1"
)


def delete_job(engine: Engine, data_dir: Path, job_id: str) -> None:
    """Delete it. Raises NotFoundError, ConflictError while it is not over, is waited for, or its artifact lives."""
    with transaction(engine) as connection:
        row = job_store.get_job(connection, job_id)
        if row is None:
            raise NotFoundError(f"there is no job {job_id}")
        if JobState(row["state"]) not in TERMINAL:
            raise ConflictError(f"job {job_id} is {row['state']}: cancel it before you delete it")
        waiter = connection.scalar(_NEEDED, {"id": job_id})
        if waiter:
            raise ConflictError(f"job {waiter} waits for job {job_id}: cancel that one or retry this one")
        if any(artifact["state"] == "ready" for artifact in artifact_store.artifacts_of_jobs(connection, [job_id])):
            raise ConflictError(f"job {job_id} made an artifact that is kept: its lineage is kept with it")
        for statement in (_DELETE_METRICS, _DELETE_ARCHIVED, _DELETE_NAMES):
            connection.execute(statement, {"key": row["key"]})
        connection.execute(_DELETE_FAILED_ARTIFACTS, {"id": job_id})
        connection.execute(_DELETE, {"id": job_id})
    shutil.rmtree(data_dir / "jobs" / job_id, ignore_errors=True)
