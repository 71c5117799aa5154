"""The monitor of a worker: Beat's tick, broadcast to every worker, wakes it; it measures, stores and pushes.

The tick does not go through Celery's pool, where it would wait behind jobs: the consumer's loop takes it and wakes a
thread of its own. Ticks that came while that thread was busy or the process was stopped are one, and one that is older
than the interval is none. On a host with several workers one measures the host (a lease on the host's row); each
measures the jobs it runs itself.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import structlog
from celery import Celery, bootsteps
from kombu.common import Broadcast
from kombu.entity import Exchange
from kombu.messaging import Consumer

from headway.bootstrap import Runtime
from headway.errors import UnavailableError
from headway.monitor.gauges import measure
from headway.monitor.gpus import GpuReport, GpuWatch
from headway.monitor.jobs import JobMeter, RunningJob
from headway.monitor.reading import Reader
from headway.services import record_samples as samples
from headway.services.claim_job import Claimant

MONITOR = "monitor_system_metrics"
ROLL_UP = "headway.roll_up_samples"
ROLL_UP_INTERVAL_SECONDS = 60.0
LEASE_INTERVALS = 5
LEAST_LEASE_SECONDS = 10.0
CLOSE_SECONDS = 3.0
#: Two Beats may tick: a tick this much of an interval after the one before is the same.
SAME_TICK = 0.5

_EXCHANGE = Exchange(MONITOR, type="fanout", durable=False)

log = structlog.get_logger(__name__)


class Monitor:
    """Measures at each `wake()`, in a thread of its own, until closed."""

    def __init__(self, runtime: Runtime, claimant: Claimant) -> None:
        self._runtime = runtime
        self._interval = runtime.settings.system_monitor_interval_seconds
        lease = max(LEAST_LEASE_SECONDS, LEASE_INTERVALS * self._interval)
        self._measurer = samples.Measurer(claimant.owner, claimant.host, lease)
        self._reader = Reader(runtime.settings.headway_data_dir)
        self._gpus = GpuWatch()
        self._jobs = JobMeter()
        self._is_mine = False
        self._ask_at = self._ticked_at = 0.0
        self._woken = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="headway-monitor", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A tick came; returns at once."""
        self._woken.set()

    def tick(self) -> None:
        """Measure, store, push. Raises UnavailableError."""
        engine = self._runtime.engine
        jobs = [RunningJob(**row) for row in samples.running_jobs(engine, self._measurer)]
        mine = self._measures_host()
        gpus = self._gpus.read() if mine or jobs else GpuReport("unknown")
        uses = [asdict(use) for use in self._jobs.measure(jobs, gpus.gpus)]
        gauges = measure(self._reader.read(gpus)) if mine else None
        if gauges is None and not uses:
            return
        measured = samples.Measured(uses, gauges, _report(gpus))
        self._is_mine = samples.record_samples(engine, self._runtime.signals, self._measurer, measured) and mine

    def close(self) -> None:
        """Stop, and let another worker measure the host."""
        self._closing = True
        self._woken.set()
        self._thread.join(CLOSE_SECONDS)
        if self._is_mine:
            try:
                samples.release_host(self._runtime.engine, self._measurer)
            except UnavailableError as error:
                log.warning("another worker measures this host once the lease is over", reason=str(error))

    def _run(self) -> None:
        while True:
            self._woken.wait()
            self._woken.clear()
            if self._closing:
                return
            now = time.monotonic()
            if now - self._ticked_at < SAME_TICK * self._interval:
                continue
            self._ticked_at = now
            try:
                self.tick()
            except UnavailableError as error:
                log.warning("not measured: Postgres is away", reason=str(error))
            except Exception:
                log.exception("not measured")

    def _measures_host(self) -> bool:
        """Whether this worker is the one; another one's lease is asked for again only after a while."""
        now = time.monotonic()
        if not self._is_mine and now >= self._ask_at:
            self._ask_at = now + self._measurer.lease_seconds / 2
            self._is_mine = samples.claim_host(self._runtime.engine, self._measurer)
        return self._is_mine


def _report(gpus: GpuReport) -> dict[str, Any]:
    """What gauges cannot hold."""
    told = ("index", "name", "uuid", "throttle_reasons", "processes")
    return {
        "state": gpus.state,
        "reason": gpus.reason,
        "gpus": [{name: value for name, value in asdict(gpu).items() if name in told} for gpu in gpus.gpus],
    }


def beat_entries(interval_seconds: float) -> dict[str, dict[str, Any]]:
    """Beat's rows: the tick to every worker, and the roll-up of what they store."""
    return {
        MONITOR: {
            "task": MONITOR,
            "schedule": interval_seconds,
            # declared by the sender too: kombu's Redis transport takes an unknown exchange for a plain queue
            "options": {
                "exchange": MONITOR,
                "exchange_type": "fanout",
                "routing_key": "",
                "declare": [_EXCHANGE],
                "expires": interval_seconds,
                "retry": False,
            },
        },
        ROLL_UP: {
            "task": ROLL_UP,
            "schedule": ROLL_UP_INTERVAL_SECONDS,
            "options": {"queue": "system", "expires": ROLL_UP_INTERVAL_SECONDS},
        },
    }


def register_roll_up(app: Celery, runtime: Runtime) -> None:
    """The roll-up as a task of the queue `system`; idempotent."""

    def roll_up() -> None:
        samples.roll_up(runtime.engine)

    app.task(name=ROLL_UP)(roll_up)


def listen_for_ticks(app: Celery, monitor: Monitor) -> None:
    """Have the worker's loop take ticks beside its tasks and wake the monitor."""

    class Ticks(bootsteps.ConsumerStep):
        def get_consumers(self, channel: Any) -> list[Consumer]:
            queue = Broadcast(exchange=_EXCHANGE)
            return [Consumer(channel, queues=[queue], on_message=self._on_tick, no_ack=True)]

        def _on_tick(self, message: Any) -> None:
            if not _is_expired(message.headers.get("expires")):
                monitor.wake()

    steps: Any = app.steps
    steps["consumer"].add(Ticks)


def _is_expired(expires: str | None) -> bool:
    return expires is not None and datetime.fromisoformat(expires) < datetime.now(UTC)
