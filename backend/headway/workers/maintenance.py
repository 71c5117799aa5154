"""Beat's slow tasks: the daily archive of metrics and the monthly clean-up. Idempotent, so two Beats do no harm."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Celery
from celery.schedules import crontab

from headway.bootstrap import Runtime
from headway.services.archive_metrics import ARCHIVE_TASK, archive_metrics
from headway.services.clean_up import CLEAN_UP_TASK, clean_up, retention_of

_EXPIRES_SECONDS = 12 * 3600
#: When they run (UTC), for Celery's `beat_schedule`.
SCHEDULE: dict[str, dict[str, Any]] = {
    name: {"task": name, "schedule": schedule, "options": {"queue": "system", "expires": _EXPIRES_SECONDS}}
    for name, schedule in {
        ARCHIVE_TASK: crontab(hour=2, minute=0),
        # monthly; what the first run leaves because Postgres is away, the later ones of the day take
        CLEAN_UP_TASK: crontab(day_of_month=1, hour="3,9,15,21", minute=0),
    }.items()
}

log = structlog.get_logger(__name__)


def register_maintenance(app: Celery, runtime: Runtime) -> None:
    """Add the tasks that SCHEDULE names."""
    settings = runtime.settings

    def archive() -> None:
        done = archive_metrics(
            runtime.engine, settings.training_metric_archive_days, settings.training_metric_keep_days
        )
        log.info("metrics archived", weeks=len(done.archived), dropped=len(done.dropped), put_off=done.put_off)

    def clean() -> None:
        log.info("cleaned up", **clean_up(runtime.engine, settings.headway_data_dir, retention_of(settings)))

    for name, work in ((ARCHIVE_TASK, archive), (CLEAN_UP_TASK, clean)):
        app.task(name=name)(work)
