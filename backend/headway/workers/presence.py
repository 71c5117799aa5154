"""Tells Postgres that this worker lives and what its host has, from a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count

import structlog

from headway.bootstrap import Runtime
from headway.errors import UnavailableError
from headway.services.announce import announce_workers
from headway.services.claim_job import Claimant
from headway.services.sweep_host import sweep_host
from headway.storage import hosts as host_store
from headway.storage.engine import transaction
from headway.workers.devices import memory_mb

INTERVAL_SECONDS = 5.0
BEATS_BETWEEN_SWEEPS = 720

log = structlog.get_logger(__name__)


class Presence:
    """A heartbeat every INTERVAL_SECONDS until closed."""

    def __init__(self, runtime: Runtime, claimant: Claimant, slots: Mapping[str, int]) -> None:
        self._runtime = runtime
        self._claimant = claimant
        self._slots = slots
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headway-presence", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and take the worker out of the list."""
        self._closed.set()
        self._thread.join(timeout=INTERVAL_SECONDS)
        try:
            with transaction(self._runtime.engine) as connection:
                left = host_store.forget_workers(connection, ended=self._claimant.owner)
            announce_workers(self._runtime.signals, "left", left)
        except UnavailableError as error:
            log.warning("worker not taken out of the list", reason=str(error))

    def _run(self) -> None:
        for beat in count():
            try:
                self._tell()
                if beat % BEATS_BETWEEN_SWEEPS == 0:
                    self._sweep()
            except UnavailableError as error:
                log.warning("presence not told", reason=str(error))
            if self._closed.wait(INTERVAL_SECONDS):
                return

    def _sweep(self) -> None:
        if gone := sweep_host(self._runtime.engine, self._runtime.settings):
            log.info("swept", folders=[str(folder) for folder in gone])

    def _tell(self) -> None:
        with transaction(self._runtime.engine) as connection:
            joined = host_store.see(
                connection,
                worker_id=self._claimant.owner,
                host=self._claimant.host,
                pid=os.getpid(),
                slots=self._slots,
                gpus=[asdict(gpu) for gpu in self._claimant.gpus],
                cpus=os.cpu_count() or 1,
                memory_mb=memory_mb(),
            )
        if joined:
            me = {"id": self._claimant.owner, "host": self._claimant.host}
            announce_workers(self._runtime.signals, "joined", [me])
