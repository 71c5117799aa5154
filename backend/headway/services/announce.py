"""Tells the browsers of a job's committed change."""

from __future__ import annotations

from headway.jobs.registry import all_kinds
from headway.realtime.channels import job_messages
from headway.services.ports import Signals
from headway.services.views import job_json
from headway.storage.rows import Row


def announce(signals: Signals, row: Row) -> None:
    """Push the job of a row that was just committed."""
    kind = all_kinds().get(row["kind"])
    signals.publish(job_messages(job_json(row), kind.family if kind else None))
