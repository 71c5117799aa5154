"""Claim a job for a worker: a row in Postgres with an attempt and a lease is the only right to run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from headway.domain.devices import Gpu, Wanted, claimable
from headway.jobs.registry import all_kinds
from headway.services.announce import announce
from headway.services.feed import Feed
from headway.services.ports import Signals
from headway.storage import devices as device_store
from headway.storage import journal
from headway.storage import queue as queue_store
from headway.storage.engine import transaction
from headway.storage.rows import Row


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: `owner` is random and new at each process start. `gpus` are those it may give to its jobs."""

    owner: str
    host: str
    lease_seconds: float
    gpus: tuple[Gpu, ...] = ()
    memory_mb: int | None = None


def claim_job(engine: Engine, signals: Signals, claimant: Claimant, queue: str, job_id: str | None) -> Row | None:
    """Claim this job, or the first of the queue that fits here now, with its GPUs (`gpus` of the row).

    None when there is nothing to claim. Raises UnavailableError.
    """
    with transaction(engine) as connection:
        row = (_claim_with_gpus if claimant.gpus else _claim)(connection, claimant, queue, job_id)
        if row is None:
            return None
        journal.add_event(connection, row["id"], "job.running")
    announce(signals, row)
    return row


def queues_to_claim(engine: Engine, claimant: Claimant, queues: Sequence[str]) -> list[str]:
    """Those of the queues that hold a job which this claimant could take now. Raises UnavailableError."""
    with transaction(engine) as connection:
        found = queue_store.queues_with_work(connection, queues, len(claimant.gpus), claimant.memory_mb)
        return [queue for queue in found if not claimant.gpus or _line(connection, claimant, queue, None)]


def _claim(connection: Connection, claimant: Claimant, queue: str, job_id: str | None) -> Row | None:
    row = queue_store.claim(
        connection,
        queue=queue,
        job_id=job_id,
        owner=claimant.owner,
        host=claimant.host,
        lease_seconds=claimant.lease_seconds,
        gpus_there=len(claimant.gpus),
        memory_mb=claimant.memory_mb,
    )
    return row and row | {"gpus": []}


def _claim_with_gpus(connection: Connection, claimant: Claimant, queue: str, job_id: str | None) -> Row | None:
    device_store.lock_host(connection, claimant.host)
    for wanted in _line(connection, claimant, queue, job_id):
        row = _claim(connection, claimant, queue, wanted.job_id)
        if row is not None:
            return row | {"gpus": _lease(connection, claimant, row, wanted)}
    return None


def _line(connection: Connection, claimant: Claimant, queue: str, job_id: str | None) -> list[Wanted]:
    """The jobs that could be claimed now, in the order of their turn."""
    held = device_store.held(connection, claimant.host)
    taken = [held[gpu.id] for gpu in claimant.gpus if gpu.id in held]
    free = len(claimant.gpus) - len(taken)
    line = queue_store.line(connection, queue, job_id, len(claimant.gpus), claimant.memory_mb)
    return list(claimable(line, free, free + sum(shared for _, shared in taken)))


def _lease(connection: Connection, claimant: Claimant, row: Row, wanted: Wanted) -> list[dict[str, Any]]:
    """Give the job the GPUs that the fewest jobs have."""
    held = device_store.held(connection, claimant.host)
    open_gpus = [gpu for gpu in claimant.gpus if gpu.id not in held or (wanted.shares and held[gpu.id][1])]
    open_gpus.sort(key=lambda gpu: held.get(gpu.id, (0, True))[0])
    gpus = [asdict(gpu) for gpu in open_gpus[: wanted.gpus]]
    if gpus:
        device_store.lease(connection, claimant.host, row["id"], row["attempt"], gpus, shared=wanted.shares)
    return gpus


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
