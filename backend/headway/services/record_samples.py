"""Store what was measured and, once it is committed, push it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from headway.realtime.channels import Message
from headway.services.emit_system import EMITTERS, HostSample
from headway.services.ports import Signals
from headway.storage import samples as store
from headway.storage.engine import transaction
from headway.storage.rows import Row


@dataclass(frozen=True, slots=True)
class Measured:
    """What one tick found: the host's gauges and what its GPUs said, unless another worker tells them; jobs' use."""

    uses: Sequence[Mapping[str, Any]]
    gauges: Mapping[str, float] | None = None
    gpu_report: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Measurer:
    """The worker that measures, and how long it may be silent before another one measures its host."""

    worker: str
    host: str
    lease_seconds: float


def claim_host(engine: Engine, measurer: Measurer) -> bool:
    """Whether this worker is the one that measures its host. Raises UnavailableError."""
    with transaction(engine) as connection:
        return store.claim_host(connection, measurer.host, measurer.worker, measurer.lease_seconds)


def release_host(engine: Engine, measurer: Measurer) -> None:
    """Let another worker measure the host at once. Raises UnavailableError."""
    with transaction(engine) as connection:
        store.release_host(connection, measurer.worker)


def running_jobs(engine: Engine, measurer: Measurer) -> list[Row]:
    """What this worker runs: {job_id, attempt, leader, gpus}. Raises UnavailableError."""
    with transaction(engine) as connection:
        return store.running_jobs(connection, measurer.worker)


def record_samples(engine: Engine, signals: Signals, measurer: Measurer, measured: Measured) -> bool:
    """Store a tick's findings; False when another worker measures this host now. Raises UnavailableError."""
    host: Row | None = None
    with transaction(engine) as connection:
        if measured.gauges is not None:
            host = store.add_host_sample(
                connection,
                measurer.host,
                measurer.worker,
                measurer.lease_seconds,
                measured.gauges,
                measured.gpu_report or {},
            )
        rows = [(use, store.add_job_sample(connection, measurer.worker, measurer.host, use)) for use in measured.uses]
    if host is not None:
        sample = HostSample(
            measurer.host, host["at"], measured.gauges or {}, measured.gpu_report or {}, alone=host["alone"]
        )
        for emit in EMITTERS:
            emit(signals, sample)
    signals.publish(_job_message(use["job_id"], row) for use, row in rows if row)
    return measured.gauges is None or host is not None


def roll_up(engine: Engine) -> None:
    """Make coarser samples of those that are over, and forget what is past its time. Raises UnavailableError."""
    with transaction(engine) as connection:
        store.roll_up(connection)
    with transaction(engine) as connection:
        store.merge_long_jobs(connection)


def _job_message(job_id: str, row: Row) -> Message:
    channel = f"jobs/{job_id}/resources"
    payload = {"channel": channel, "job_id": job_id, "revision": row["revision"], "used": row["used"]}
    return Message(channel, "job:resources", payload)
