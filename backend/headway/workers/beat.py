"""`headway beat`: the periodic tasks' clock as a process of its own, for hosts whose workers keep none."""

from __future__ import annotations

import signal
import threading

import structlog

from headway.bootstrap import make_celery, open_runtime
from headway.logs import configure_logging
from headway.settings import Settings
from headway.workers.app import ask_to_recover, make_beat
from headway.workers.courier import Courier

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Send every tick to the workers of the queue `system` until SIGTERM or SIGINT, and deliver webhooks."""
    configure_logging(settings, service="beat")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runtime = open_runtime(settings)
    app = make_celery(settings)
    courier, ticks = Courier(runtime), make_beat(app, settings)
    try:
        ask_to_recover(app)
        ticks.start()
        log.info("beat starts")
        stop.wait()
    finally:
        ticks.service.stop()
        courier.close()
        runtime.close()
