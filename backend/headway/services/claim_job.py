"""Claim a job for a worker: a row in Postgres with an attempt and a lease is the only right to run it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from headway.jobs.registry import all_kinds
from headway.services.announce import announce
from headway.services.feed import Feed
from headway.services.ports import Signals
from headway.storage import journal
from headway.storage import queue as queue_store
from headway.storage.engine import transaction
from headway.storage.rows import Row


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: `owner` is random and new at each process start."""

    owner: str
    host: str
    lease_seconds: float


def claim_job(engine: Engine, signals: Signals, claimant: Claimant, queue: str, job_id: str | None) -> Row | None:
    """Claim this job, or the first of the queue; None when there is nothing to claim. Raises UnavailableError."""
    with transaction(engine) as connection:
        row = queue_store.claim(
            connection,
            queue=queue,
            job_id=job_id,
            owner=claimant.owner,
            host=claimant.host,
            lease_seconds=claimant.lease_seconds,
        )
        if row is None:
            return None
        journal.add_event(connection, row["id"], "job.running")
    announce(signals, row)
    return row


def new_feed(row: Row, claimant: Claimant) -> Feed:
    """The feed of the attempt that was just claimed."""
    kind = all_kinds().get(row["kind"])
    return Feed(
        job_id=row["id"],
        job_key=row["key"],
        attempt=row["attempt"],
        owner=claimant.owner,
        host=claimant.host,
        family=kind.family if kind else None,
        lease_seconds=claimant.lease_seconds,
    )
