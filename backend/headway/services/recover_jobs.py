"""The reaper: jobs whose lease ran out go on, queued jobs whose message was lost are sent again. Idempotent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.failures import Failure, FailureClass
from headway.domain.states import JobState
from headway.services.finish_attempt import settle_job
from headway.services.ports import Signals
from headway.services.submit_job import wake_and_announce
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage import queue as queue_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

#: A queued job with no message for this long is sent again, if its queue is empty.
MESSAGE_LOST_AFTER_SECONDS = 5.0

_LOST = Failure(FailureClass.WORKER_LOST, "its worker was lost: the lease on the job ran out")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one run of the reaper mended."""

    lost: int
    sent_again: int


def recover_jobs(
    engine: Engine,
    signals: Signals,
    patience: Patience,
    lease_seconds: float,
    empty_queues: Callable[[], Sequence[str]],
    roomy_host: str | None = None,
) -> Recovered:
    """Take expired leases and lost messages in hand.

    `empty_queues` names the queues that hold no message now: only their jobs are sent again, so that messages never
    pile up. `roomy_host` is a host whose disk has room again for the jobs that wait for it. Two reapers at once share
    the work, since each locks what it mends.
    """
    changed: list[Row] = []
    with transaction(engine) as connection:
        for job_id in queue_store.expired(connection, lease_seconds):
            row = job_store.get_job(connection, job_id)
            if row is None:
                continue
            progressed = any(c["attempt"] == row["attempt"] for c in journal.checkpoints_of(connection, job_id))
            settled = settle_job(
                connection, job_id, Ending(Outcome.LOST, _LOST, progressed), patience, attempt=row["attempt"]
            )
            if settled is not None:
                changed.append(settled)
        for job_id, _ in queue_store.queue_ready_waiters(connection):
            row = job_store.get_job(connection, job_id)
            if row is not None:
                changed.append(row)
        for job_id in queue_store.paused_for_disk(connection, roomy_host) if roomy_host else ():
            row = job_store.move(connection, job_id, JobState.QUEUED, {"error": None}, sources=[JobState.PAUSED])
            if row is not None:
                changed.append(row)
    wake_and_announce(signals, changed)
    return Recovered(len(changed), _send_again(engine, signals, empty_queues()))


def _send_again(engine: Engine, signals: Signals, queues: Sequence[str]) -> int:
    if not queues:
        return 0
    with transaction(engine) as connection:
        unsent = queue_store.take_unsent(connection, queues, MESSAGE_LOST_AFTER_SECONDS)
    for job_id, queue in unsent:
        signals.wake(queue, job_id)
    return len(unsent)
