"""The reaper: jobs whose lease ran out go on, lost messages are sent again, silent workers struck off. Idempotent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from headway.domain.endings import Ending, Outcome, Patience
from headway.domain.failures import Failure, FailureClass
from headway.domain.states import JobState
from headway.services.announce import announce_workers
from headway.services.finish_attempt import settle_job
from headway.services.ports import Signals
from headway.services.submit_job import wake_and_announce
from headway.storage import hosts as host_store
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage import queue as queue_store
from headway.storage.engine import transaction
from headway.storage.rows import Row

#: A queued job with no message for this long is sent again, if its queue is empty.
MESSAGE_LOST_AFTER_SECONDS = 5.0

_LOST = Failure(FailureClass.WORKER_LOST, "its worker was lost: the lease on the job ran out")
_DIED = Failure(FailureClass.WORKER_LOST, "its worker died")


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
        changed += _settle_lost(connection, queue_store.expired(connection, lease_seconds), _LOST, patience)
        changed += job_store.get_jobs(connection, [id for id, _ in queue_store.queue_ready_waiters(connection)])
        for job_id in queue_store.paused_for_disk(connection, roomy_host) if roomy_host else ():
            row = job_store.move(connection, job_id, JobState.QUEUED, {"error": None}, sources=[JobState.PAUSED])
            if row is not None:
                changed.append(row)
        left = host_store.forget_workers(connection)
    wake_and_announce(signals, changed)
    announce_workers(signals, "left", left)
    return Recovered(len(changed), _send_again(engine, signals, empty_queues()))


def give_back(engine: Engine, signals: Signals, patience: Patience, owner: str) -> int:
    """Take in hand what a worker held that is dead for sure, without waiting for its leases; how many jobs moved."""
    with transaction(engine) as connection:
        changed = _settle_lost(connection, queue_store.held_by(connection, owner), _DIED, patience)
    wake_and_announce(signals, changed)
    return len(changed)


def _settle_lost(connection: Connection, job_ids: Sequence[str], why: Failure, patience: Patience) -> list[Row]:
    """Jobs that lost their worker, locked, go where their endings take them."""
    settled: list[Row] = []
    for row in job_store.get_jobs(connection, job_ids):
        progressed = any(c["attempt"] == row["attempt"] for c in journal.checkpoints_of(connection, row["id"]))
        ending = Ending(Outcome.LOST, why, progressed)
        moved = settle_job(connection, row["id"], ending, patience, attempt=row["attempt"])
        settled += [moved] if moved else []
    return settled


def _send_again(engine: Engine, signals: Signals, queues: Sequence[str]) -> int:
    if not queues:
        return 0
    with transaction(engine) as connection:
        unsent = queue_store.take_unsent(connection, queues, MESSAGE_LOST_AFTER_SECONDS)
    for job_id, queue in unsent:
        signals.wake(queue, job_id)
    return len(unsent)
