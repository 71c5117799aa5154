"""Move old weeks of metrics to the archive, drop those past their time, and bring archived ones back.

Each week is one short transaction: a run may be killed anywhere, two may run at once, the next finds what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Engine, text
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from headway.errors import FieldProblem, InvalidInputError, NotFoundError
from headway.services.maintenance import noted
from headway.storage import archive, attempts, jobs
from headway.storage.archive import StoredWeek, WeekBusyError
from headway.storage.engine import transaction

ARCHIVE_TASK = "archive_training_metrics"
#: How long a run tries to get at a week that is in use before it leaves the rest to the next run.
PATIENCE_SECONDS = 60.0
_NOW = text("SELECT now()")


@dataclass(frozen=True, slots=True)
class Archived:
    """What a run did, by first days of weeks. `put_off`: one was in use all the time; the rest is for the next run."""

    archived: Sequence[date]
    dropped: Sequence[date]
    put_off: bool


def archive_metrics(
    engine: Engine, archive_days: int, keep_days: int, patience_seconds: float = PATIENCE_SECONDS
) -> Archived:
    """Archive every week wholly older than `archive_days`; drop archived ones older than `keep_days` (0: none).

    Weeks that are held stay where they are. Raises UnavailableError when Postgres is away.
    """
    archived: list[datetime] = []
    dropped: list[datetime] = []
    put_off = False
    with noted(engine, ARCHIVE_TASK) as counts:
        try:
            for week in _due(engine, archive_days, archived=False):
                archived += [week] if _patiently(engine, patience_seconds, archive.archive_week, week) else []
            for week in _due(engine, keep_days, archived=True) if keep_days else ():
                dropped += [week] if _patiently(engine, patience_seconds, archive.drop_week, week) else []
        except WeekBusyError:
            put_off = True
        counts |= {"weeks_archived": len(archived), "weeks_dropped": len(dropped), "runs_put_off": int(put_off)}
    return Archived([week.date() for week in archived], [week.date() for week in dropped], put_off)


def restore_metrics(engine: Engine, first: date, last: date, until: date) -> list[date]:
    """Bring the weeks of these days back and hold them until a day (00:00 UTC); answers the weeks that are held now.

    Raises InvalidInputError for days in the wrong order or a hold that is over already, NotFoundError where no week
    is stored, WeekBusyError where one is in use.
    """
    problems = [FieldProblem("last", f"is before {first}: name the first day first")] if last < first else []
    if until <= datetime.now(UTC).date():
        problems.append(FieldProblem("until", f"{until} is not in the future: the weeks would be archived at once"))
    if problems:
        raise InvalidInputError(*problems)
    begin, end = _midnight(first), _midnight(last) + timedelta(days=1)
    with transaction(engine) as connection:
        weeks = [week for week in archive.stored_weeks(connection) if week.start < end and week.end > begin]
    if not weeks:
        raise NotFoundError(f"no metrics are stored of {first} to {last}: `headway metrics stats` shows what there is")
    for week in weeks:
        _patiently(engine, PATIENCE_SECONDS, archive.restore_week, week.start, _midnight(until))
    return [week.start.date() for week in weeks]


def days_of_job(engine: Engine, job_id: str) -> tuple[date, date]:
    """First and last day on which a job's metrics came in. Raises NotFoundError."""
    with transaction(engine) as connection:
        if jobs.get_job(connection, job_id) is None:
            raise NotFoundError(f"there is no job {job_id}")
        rows = attempts.attempts_of(connection, job_id)
    moments = [row[name] for row in rows for name in ("started_at", "drained_at") if row[name] and row["drained_at"]]
    if not moments:
        raise NotFoundError(f"job {job_id} has no metrics")
    return min(moments).astimezone(UTC).date(), max(moments).astimezone(UTC).date()


def _due(engine: Engine, days: int, *, archived: bool) -> list[datetime]:
    with transaction(engine) as connection:
        archive.forget_past_holds(connection)
        now: datetime = connection.execute(_NOW).scalar_one()
        weeks = archive.stored_weeks(connection)
    return [week.start for week in weeks if week.archived is archived and _is_due(week, now - timedelta(days=days))]


def _is_due(week: StoredWeek, limit: datetime) -> bool:
    return week.end <= limit and week.held_until is None


def _patiently(engine: Engine, seconds: float, act: Callable[..., bool], *arguments: datetime) -> bool:
    """Do it in a transaction of its own, again while the week is in use; between two tries everybody else goes on."""

    def once() -> bool:
        with transaction(engine) as connection:
            return act(connection, *arguments)

    retrying = Retrying(
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.5, max=5),
        retry=retry_if_exception_type(WeekBusyError),
        reraise=True,
    )
    return retrying(once)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
