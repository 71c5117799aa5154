"""Looks each second for work that no message will bring: jobs of dead workers of this host, and jobs left waiting.

A message that came while every slot was taken is dropped, and Redis may lose any; whoever has a free slot looks itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from headway.bootstrap import Runtime
from headway.domain.endings import Patience
from headway.errors import UnavailableError
from headway.services.announce import announce_workers
from headway.services.claim_job import Claimant, queues_to_claim
from headway.services.recover_jobs import give_back
from headway.storage import hosts as host_store
from headway.storage.engine import transaction
from headway.workers.lifeline import Lifeline
from headway.workers.slots import Slots

INTERVAL_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Lookout:
    """Looks from `start` to `close`; `give_back_of_dead` may be called before, so that the slots are still free."""

    def __init__(self, runtime: Runtime, claimant: Claimant, lifeline: Lifeline, slots: Slots) -> None:
        self._runtime = runtime
        self._claimant = claimant
        self._lifeline = lifeline
        self._slots = slots
        self._closed = threading.Event()

    def start(self, run_queued: Callable[[str], None]) -> None:
        """Look from now on; `run_queued(queue)` is called for each free slot of a queue that holds a job."""
        threading.Thread(target=self._run, args=[run_queued], name="headway-lookout", daemon=True).start()

    def close(self) -> None:
        """Look no more; returns at once."""
        self._closed.set()

    def give_back_of_dead(self) -> None:
        """Give back what dead workers of this host ran. Raises UnavailableError."""
        for owner in self._lifeline.dead():
            patience = Patience(self._runtime.settings.headway_max_lost_attempts)
            count = give_back(self._runtime.engine, self._runtime.signals, patience, owner)
            with transaction(self._runtime.engine) as connection:
                left = host_store.forget_workers(connection, ended=owner)
            announce_workers(self._runtime.signals, "left", left)
            self._lifeline.bury(owner)
            log.info("a worker of this host died", worker=owner, jobs_given_back=count)

    def _run(self, run_queued: Callable[[str], None]) -> None:
        while True:
            try:
                self.give_back_of_dead()
                for queue in self._queues_with_work():
                    for _ in range(self._slots.free(queue)):
                        run_queued(queue)
            except UnavailableError as error:
                log.warning("did not look for work", reason=str(error))
            if self._closed.wait(INTERVAL_SECONDS):
                return

    def _queues_with_work(self) -> Sequence[str]:
        free = self._slots.free_queues()
        if not free or self._closed.is_set():
            return ()
        return queues_to_claim(self._runtime.engine, self._claimant, free)
