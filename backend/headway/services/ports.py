"""What services need from outside: waking a worker and telling the browsers. Both are hints; Postgres is the truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from headway.realtime.channels import Message


class Signals(Protocol):
    """Neither call blocks on Redis or raises; what is lost is sent again by `recover_jobs` or fetched by clients."""

    def wake(self, queue: str, job_id: str) -> None:
        """Send a worker the message "try to claim this job"."""
        ...

    def publish(self, messages: Iterable[Message]) -> None:
        """Push committed changes."""
        ...
