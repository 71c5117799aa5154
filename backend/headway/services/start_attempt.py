"""The start of an attempt: which process runs it, where it goes on, and what earlier attempts on this host left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from headway.domain.series import BEGAN_ANEW
from headway.errors import FencedError
from headway.jobs.checkpoints import KEEP_NEWEST
from headway.jobs.order import JobOrder
from headway.services.announce import announce
from headway.services.feed import Feed
from headway.services.locate_files import attempt_folder, checkpoint_folder
from headway.services.ports import Signals
from headway.storage import attempts as attempt_store
from headway.storage import jobs as job_store
from headway.storage import journal
from headway.storage.engine import transaction
from headway.storage.rows import Row


def begin_attempt(engine: Engine, signals: Signals, feed: Feed, environment: dict[str, Any], order: JobOrder) -> None:
    """Store where the attempt goes on, before its process starts. Raises FencedError, UnavailableError.

    A worker that dies in between leaves an attempt that never began, which takes no step from those before it.
    """
    resumed_from = BEGAN_ANEW if order.resume_step is None else order.resume_step
    with transaction(engine) as connection:
        attempt_store.begin(connection, feed.job_id, feed.attempt, resumed_from)
        row = job_store.update_owned(
            connection,
            feed.job_id,
            feed.attempt,
            feed.owner,
            {"environment": environment},
            lease_seconds=feed.lease_seconds,
        )
    if row is None:
        raise FencedError(f"attempt {feed.attempt} no longer owns the job")
    announce(signals, row)


def drop_superseded(engine: Engine, data_dir: Path, host: str, row: Row, order: JobOrder) -> None:
    """Keep of earlier attempts on this host only the two checkpoints one would go on from, and the best.

    So what a job holds does not grow with its attempts; also what does not verify goes. Raises UnavailableError.
    """
    kept = {Path(path) for path in order.resume_from[:KEEP_NEWEST]}
    with transaction(engine) as connection:
        earlier = [each for each in journal.checkpoints_of(connection, row["id"]) if each["attempt"] < row["attempt"]]
        left = [each for each in earlier if each["host"] == host]
        best = [each["id"] for each in left if each["best"]][:1]
        unkept = [each for each in earlier if checkpoint_folder(data_dir, each) not in kept]
        superseded = [each for each in unkept if each["host"] == host and each["id"] not in best]
        for each in superseded:
            journal.drop_checkpoints(connection, row["id"], each["attempt"], [each["path"]])
    # of another host's only the copy goes that was pulled here
    for each in [*superseded, *(each for each in unkept if each["host"] != host)]:
        shutil.rmtree(checkpoint_folder(data_dir, each), ignore_errors=True)


def note_process(engine: Engine, feed: Feed, process_group: int) -> None:
    """Store which process group runs the attempt. Raises UnavailableError."""
    with transaction(engine) as connection:
        attempt_store.note_process(connection, feed.job_id, feed.attempt, process_group)


def earlier_attempts(engine: Engine, data_dir: Path, row: Row, host: str) -> list[tuple[Path, Row]]:
    """Attempts before this one that ran on this host, with their folders, if those are still there."""
    with transaction(engine) as connection:
        attempts = attempt_store.attempts_of(connection, row["id"])
    found = [(attempt_folder(data_dir, row["id"], attempt["number"]), attempt) for attempt in attempts]
    return [
        (folder, attempt)
        for folder, attempt in found
        if attempt["number"] < row["attempt"] and attempt["host"] == host and folder.is_dir()
    ]


def hold(engine: Engine, feed: Feed) -> str:
    """Prolong the lease while nothing is drained yet; the job's state. Raises FencedError, UnavailableError."""
    with transaction(engine) as connection:
        state = job_store.renew_lease(connection, feed.job_id, feed.attempt, feed.owner, feed.lease_seconds)
    if state is None:
        raise FencedError(f"attempt {feed.attempt} no longer owns the job")
    return state


def seconds_run_before(engine: Engine, row: Row) -> float:
    """Seconds that earlier attempts of the job ran."""
    with transaction(engine) as connection:
        return attempt_store.seconds_run(connection, row["id"], row["attempt"])
