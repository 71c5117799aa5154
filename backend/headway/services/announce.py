"""Tells the browsers of committed changes: of a job, of the workers there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from headway.jobs.registry import all_kinds
from headway.realtime.channels import job_messages, worker_message
from headway.services.ports import Signals
from headway.services.views import job_json
from headway.storage.rows import Row


def announce(signals: Signals, row: Row) -> None:
    """Push the job of a row that was just committed."""
    kind = all_kinds().get(row["kind"])
    signals.publish(job_messages(job_json(row), kind.family if kind else None))


def announce_workers(signals: Signals, change: Literal["joined", "left"], workers: Iterable[Row]) -> None:
    """Push that workers (their `id` and `host`) came or went."""
    signals.publish(worker_message(each["id"], each["host"], change) for each in workers)
