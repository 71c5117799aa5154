"""What the one generic task does: a message means "try to claim", and the claim is a row in Postgres."""

from __future__ import annotations

import threading

import structlog

from headway.bootstrap import Runtime
from headway.errors import UnavailableError
from headway.services.claim_job import Claimant, claim_job, queues_to_claim
from headway.storage.rows import Row
from headway.workers.slots import Slots
from headway.workers.supervisor import Supervisor

log = structlog.get_logger(__name__)


class JobRunner:
    """Claims and supervises jobs in the threads of a worker, one thread a slot."""

    def __init__(self, runtime: Runtime, claimant: Claimant, slots: Slots) -> None:
        self._runtime = runtime
        self._claimant = claimant
        self._slots = slots
        self._shutting_down = threading.Event()

    def shut_down(self) -> None:
        """Claim nothing more; running jobs leave a checkpoint within their grace and are given back."""
        self._shutting_down.set()

    def run(self, queue: str) -> None:
        """Run what the queue holds, first come first served, while a slot is free.

        Whichever job's message came: one that lost its worker keeps its place before those that wait. Without a free
        slot the message is dropped: whoever holds the slots looks into the queue again after freeing one, and each
        worker's lookout every second, so that a job whose message came in between is not left behind.
        """
        while not self._shutting_down.is_set() and self._slots.take(queue):
            try:
                self._run_claimable(queue)
            except UnavailableError as error:
                log.warning("claim put off until Postgres is back", reason=str(error))
                return
            finally:
                self._slots.give_back(queue)
            if not self._any_queued(queue):
                return

    def _run_claimable(self, queue: str) -> None:
        row = self._claim(queue)
        while row is not None:
            Supervisor(self._runtime, self._claimant, row, self._shutting_down.is_set).run()
            row = self._claim(queue)

    def _claim(self, queue: str) -> Row | None:
        if self._shutting_down.is_set():
            return None
        return claim_job(self._runtime.engine, self._runtime.signals, self._claimant, queue, None)

    def _any_queued(self, queue: str) -> bool:
        try:
            return bool(queues_to_claim(self._runtime.engine, self._claimant, [queue]))
        except UnavailableError:
            return False
