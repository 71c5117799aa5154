"""The thread that tells webhooks: fills the outbox, and delivers what is due without one receiver holding up others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from headway.bootstrap import Runtime
from headway.errors import UnavailableError
from headway.services.tell_webhooks import Manner, claim_deliveries, deliver, fill_outbox
from headway.storage.rows import Row

TICK_SECONDS = 1.0
DELIVERIES_AT_ONCE = 4

log = structlog.get_logger(__name__)


class Courier:
    """Runs from the start until `close()`; at most one delivery at once to each webhook."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._engine = runtime.engine
        self._manner = Manner(settings.webhook_networks, settings.headway_webhook_retry_seconds)
        self._busy: set[str] = set()
        self._wake = threading.Event()
        self._closing = False
        self._pool = ThreadPoolExecutor(DELIVERIES_AT_ONCE, thread_name_prefix="headway-webhook")
        self._thread = threading.Thread(target=self._run, name="headway-courier", daemon=True)
        self._thread.start()

    def close(self, timeout: float = 3.0) -> None:
        """Begin nothing more; what is under way and not settled is delivered again later."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._closing:
            try:
                fill_outbox(self._engine)
                self._deliver_due()
            except UnavailableError:
                log.warning("webhooks wait: Postgres is away")
            except Exception:
                log.exception("webhooks were not told")
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()

    def _deliver_due(self) -> None:
        free = DELIVERIES_AT_ONCE - len(self._busy)
        if free <= 0:
            return
        for delivery in claim_deliveries(self._engine, sorted(self._busy), free):
            self._busy.add(delivery["webhook_id"])
            self._pool.submit(deliver, self._engine, delivery, self._manner).add_done_callback(self._done(delivery))

    def _done(self, delivery: Row) -> Callable[[Future[None]], None]:
        def done(future: Future[None]) -> None:
            if not future.cancelled() and (error := future.exception()):
                log.warning("a delivery was not settled and comes again", delivery=delivery["id"], error=str(error))
            self._busy.discard(delivery["webhook_id"])
            self._wake.set()

        return done
