"""A Celery worker of Headway: a pool of threads, one a slot, and Beat's ticks where it is asked to keep them."""

from __future__ import annotations

import gc
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import structlog
from celery import Celery
from celery.beat import EmbeddedService, Scheduler
from celery.signals import worker_ready, worker_shutting_down

from headway.bootstrap import RUN_JOB, Runtime, make_celery, open_runtime
from headway.domain.endings import Patience
from headway.errors import UnavailableError
from headway.logs import configure_logging
from headway.parent_death import end_with_parent
from headway.services.claim_job import Claimant
from headway.services.recover_jobs import recover_jobs
from headway.settings import QUEUES, Settings
from headway.storage.engine import transaction
from headway.storage.ids import new_id
from headway.storage.partitions import ensure_partitions
from headway.workers import maintenance, monitor
from headway.workers.courier import Courier
from headway.workers.devices import find_gpus, memory_mb
from headway.workers.lifeline import Lifeline
from headway.workers.lookout import Lookout
from headway.workers.presence import Presence
from headway.workers.run_job import JobRunner
from headway.workers.slots import Slots, slots_of

RECOVER_JOBS = "headway.recover_jobs"
MAKE_PARTITIONS = "headway.make_partitions"
PARTITIONS_INTERVAL_SECONDS = 3600.0
BEAT_MOST_SLEEP_SECONDS = 1
ROOM_TO_GO_ON_BYTES = 1 << 30

log = structlog.get_logger(__name__)


def serve(settings: Settings, queues: Sequence[str], beat: bool = False) -> None:
    """Work on these queues until SIGTERM; then running jobs leave a checkpoint and are given back."""
    end_with_parent()
    configure_logging(settings, service="worker")
    runtime = open_runtime(settings)
    app = make_celery(settings)
    gpus = find_gpus(settings)
    claimant = Claimant(new_id(), settings.host_name, settings.headway_lease_seconds, gpus, memory_mb())
    slots = slots_of(settings, queues, len(gpus))
    free = Slots(slots)
    runner = JobRunner(runtime, claimant, free)
    lifeline = Lifeline(settings.headway_data_dir, claimant.host, claimant.owner)
    lookout = Lookout(runtime, claimant, lifeline, free)
    register_tasks(app, runtime, runner)
    worker_shutting_down.connect(lambda **_: (lookout.close(), runner.shut_down()), weak=False)
    worker_ready.connect(lambda sender, **_: lookout.start(_in_pool(sender.pool, runner)), weak=False)
    with suppress(UnavailableError):  # while its slots are free; the lookout tries again
        lookout.give_back_of_dead()
    presence = Presence(runtime, claimant, slots)
    meter = monitor.Monitor(runtime, claimant)
    monitor.listen_for_ticks(app, meter)
    ticks = make_beat(app, settings) if beat else None
    courier = Courier(runtime) if beat else None
    worker_ready.connect(lambda **_: collect_from_now_on(), weak=False)
    if ticks:
        worker_ready.connect(lambda **_: ticks.start(), weak=False)
        # what was lost while no Beat ran is taken in hand now, not at the first tick
        worker_ready.connect(lambda **_: ask_to_recover(app), weak=False)
    log.info(
        "worker starts",
        queues=list(queues),
        slots=slots,
        gpus=[gpu.id for gpu in gpus],
        beat=beat,
        worker=claimant.owner,
    )
    try:
        signal.signal(signal.SIGTERM, _leave)
        app.Worker(
            pool="threads",
            concurrency=max(1, sum(slots.values())),
            queues=",".join(queues),
            hostname=f"{claimant.owner}@{claimant.host}",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel=settings.headway_log_level.upper(),
            redirect_stdouts=False,
        ).start()
    finally:
        lookout.close()
        if ticks:
            ticks.service.stop()
        if courier:
            courier.close()
        meter.close()
        presence.close()
        runtime.close()
        lifeline.close()


def _leave(*_: object) -> NoReturn:
    """SIGTERM before Celery's own handler stands: the others have been told that it came, and are told that it goes."""
    raise SystemExit(0)


def _in_pool(pool: Any, runner: JobRunner) -> Callable[[str], None]:
    """Run what a queue holds in Celery's pool, which a shutdown waits for."""
    return lambda queue: pool.apply_async(runner.run, (queue,), callback=lambda _: None)


def collect_from_now_on() -> None:
    """The collector runs from here on (the command line starts a worker without it), and passes over what stands."""
    gc.freeze()
    gc.enable()


def ask_to_recover(app: Celery) -> None:
    """Have lost jobs looked for now; without Redis, at Beat's first tick."""
    try:
        app.send_task(RECOVER_JOBS, queue="system", retry=False)
    except Exception as error:
        log.warning("jobs are recovered at Beat's first tick", error=str(error))


def register_tasks(app: Celery, runtime: Runtime, runner: JobRunner) -> None:
    """The one generic task, and the ticks of Beat; all are idempotent."""
    settings = runtime.settings

    def run_job(job_id: str, queue: str) -> None:
        runner.run(queue)

    def recover() -> None:
        recovered = recover_jobs(
            runtime.engine,
            runtime.signals,
            Patience(settings.headway_max_lost_attempts),
            settings.headway_lease_seconds,
            lambda: [queue for queue in QUEUES if not runtime.redis.llen(queue)],
            settings.host_name if has_room(settings.headway_data_dir) else None,
        )
        if recovered.lost or recovered.sent_again:
            log.info("jobs recovered", lost=recovered.lost, sent_again=recovered.sent_again)

    def make_partitions() -> None:
        with transaction(runtime.engine) as connection:
            ensure_partitions(connection, datetime.now(UTC))

    app.task(name=RUN_JOB)(run_job)
    app.task(name=RECOVER_JOBS)(recover)
    app.task(name=MAKE_PARTITIONS)(make_partitions)
    maintenance.register_maintenance(app, runtime)
    monitor.register_roll_up(app, runtime)


def has_room(data_dir: Path) -> bool:
    """Whether the disk of the data directory has room enough to go on."""
    return shutil.disk_usage(data_dir).free > ROOM_TO_GO_ON_BYTES


def make_beat(app: Celery, settings: Settings) -> Any:
    """Beat in a thread, its schedule in memory: every tick is idempotent, so nothing needs to be remembered."""
    recover_every = settings.headway_recover_interval_seconds
    app.conf.beat_schedule = {
        RECOVER_JOBS: {
            "task": RECOVER_JOBS,
            "schedule": recover_every,
            "options": {"queue": "system", "expires": recover_every},
        },
        MAKE_PARTITIONS: {
            "task": MAKE_PARTITIONS,
            "schedule": PARTITIONS_INTERVAL_SECONDS,
            "options": {"queue": "system", "expires": PARTITIONS_INTERVAL_SECONDS},
        },
        **maintenance.SCHEDULE,
        **monitor.beat_entries(settings.system_monitor_interval_seconds),
    }
    return EmbeddedService(app, thread=True, max_interval=BEAT_MOST_SLEEP_SECONDS, scheduler_cls=Scheduler)
