"""The end of an attempt: what became of it, what state its job goes to, what it made, who waited for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from headway.domain.endings import Decision, Ending, Outcome, Patience, Tries, decide
from headway.domain.failures import Failure, FailureClass, advise, classify_error
from headway.domain.progress import AttemptEnded, Snapshot, apply
from headway.domain.states import JobState
from headway.jobs.registry import all_kinds
from headway.services.feed import Feed
from headway.services.ports import Signals
from headway.services.progress_json import ended_progress
from headway.services.submit_job import wake_and_announce
from headway.services.typical_phases import keep_run
from headway.storage import artifacts as artifact_store
from headway.storage import attempts as attempt_store
from headway.storage import configurations as configuration_store
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage import queue as queue_store
from headway.storage.engine import transaction
from headway.storage.rows import Row


def ending_of_result(result: dict[str, Any], *, progressed: bool) -> Ending:
    """What a RESULT record says."""
    error = result.get("error")
    if not error:
        return Ending(Outcome(result["outcome"]), progressed=progressed)
    failure_class = classify_error(error.get("class"), error["type"], error["message"])
    message = f"{error['type'].rpartition('.')[2]}: {error['message']}"
    return Ending(Outcome.FAILED, Failure(failure_class, message, error.get("traceback", "")), progressed)


def finish_attempt(engine: Engine, signals: Signals, feed: Feed, ending: Ending, patience: Patience) -> Row | None:
    """Commit the end of an attempt that owns its job; None when a later attempt owns it.

    Raises UnavailableError with nothing changed: call it again then.
    """
    with transaction(engine) as connection:
        row = settle_job(connection, feed.job_id, ending, patience, attempt=feed.attempt, snapshot=feed.snapshot)
        changed = [row, *_queue_dependents(connection, row)] if row else []
        if row and row["state"] == JobState.COMPLETED:
            keep_run(connection, feed, row["kind"])
    wake_and_announce(signals, changed)
    return row


def settle_job(
    connection: Connection,
    job_id: str,
    ending: Ending,
    patience: Patience,
    *,
    attempt: int,
    snapshot: Snapshot | None = None,
) -> Row | None:
    """Move a held job to where its attempt's ending takes it; None when the attempt no longer holds it."""
    row = job_store.get_job(connection, job_id)
    while row is not None and row["attempt"] == attempt:
        source = JobState(row["state"])
        if source not in (JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING):
            return None
        checked = _checked(connection, job_id, ending)
        decision = decide(source, checked, _tries(row), patience)
        moved = job_store.move(
            connection,
            job_id,
            decision.target,
            _values(row, decision, snapshot),
            attempt=attempt,
            sources=[source],
            wait_seconds=decision.wait_seconds,
        )
        if moved is not None:
            _close(connection, job_id, attempt, checked, decision)
            return job_store.get_job(connection, job_id)
        # a cancel or pause came in between: decide again from the state it left
        row = job_store.get_job(connection, job_id)
    return None


def _checked(connection: Connection, job_id: str, ending: Ending) -> Ending:
    """Completed only counts when every declared output is there."""
    if ending.outcome is not Outcome.COMPLETED:
        return ending
    for artifact in artifact_store.artifacts_of_jobs(connection, [job_id]):
        if artifact["path"] is None or not Path(artifact["path"]).exists():
            why = f"it ended without making its output {artifact['output']!r}"
            return Ending(Outcome.FAILED, Failure(FailureClass.UNKNOWN, why))
    return ending


def _tries(row: Row) -> Tries:
    kind = all_kinds().get(row["kind"])
    return Tries(row["lost_attempts"], row["transient_failures"], kind is not None and kind.checkpoints)


def _values(row: Row, decision: Decision, snapshot: Snapshot | None) -> dict[str, Any]:
    # a job that waits for room or for its next try shows why, as one that failed does
    shown = decision.target in (JobState.FAILED, JobState.PAUSED) or decision.wait_seconds > 0
    failure = decision.failure if shown else None
    values: dict[str, Any] = {
        "lost_attempts": decision.lost_attempts,
        "transient_failures": decision.transient_failures,
        "error": _error_json(failure, row["config"]),
    }
    completed = decision.target is JobState.COMPLETED
    if snapshot is not None and (snapshot.phases or completed):
        ended = apply(snapshot, AttemptEnded(time.time(), completed, failure.message if failure else None))
        values |= {"progress": ended_progress(ended, row["progress"]), "percent_bp": ended.percent_bp}
    return values


def _error_json(failure: Failure | None, config: dict[str, Any]) -> dict[str, Any] | None:
    if failure is None:
        return None
    advice = advise(failure.failure_class, config)
    return {
        "class": failure.failure_class,
        "message": failure.message,
        "advice": {"text": advice.text, "config_patch": dict(advice.config_patch)} if advice else None,
    }


def _close(connection: Connection, job_id: str, attempt: int, ending: Ending, decision: Decision) -> None:
    failure = ending.failure
    error = (
        {"class": failure.failure_class, "message": failure.message, "traceback": failure.traceback}
        if failure
        else None
    )
    attempt_store.end_attempt(connection, job_id, attempt, ending.outcome, error)
    told = {"attempt": attempt, "outcome": ending.outcome, "reason": failure.message if failure else None}
    journal.add_event(connection, job_id, f"job.{decision.target}", json.dumps(told))
    if decision.target in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED):
        artifact_store.settle(connection, job_id, completed=decision.target is JobState.COMPLETED)
    if decision.target is JobState.COMPLETED:
        configuration_store.save_of_job(connection, job_id)


def _queue_dependents(connection: Connection, row: Row) -> list[Row]:
    if row["state"] != JobState.COMPLETED:
        return []
    queued = queue_store.queue_ready_waiters(connection, row["id"])
    return job_store.get_jobs(connection, [job_id for job_id, _ in queued])
