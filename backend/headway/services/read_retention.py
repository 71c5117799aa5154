"""What is stored of how old metrics, and what the clean-ups did so far."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import Field
from sqlalchemy import Engine, text

from headway.services.views import Moment, View
from headway.storage.archive import StoredWeek, stored_weeks
from headway.storage.engine import transaction
from headway.storage.maintenance import task_totals

#: Ages in days up to which weeks are counted together; what is older makes the last row.
AGES = (7, 30, 90, 365)
_NOW = text("SELECT now()")


class WeekView(View):
    """A week of metrics by its Monday. `rows` is Postgres' own estimate, `bytes` with indexes."""

    week: date
    archived: bool
    rows: int
    bytes: int
    held_until: Moment | None


class AgeView(View):
    """Weeks that ended at most `days` ago (null: longer ago than all the others), the present one among the first."""

    days: int | None
    live_rows: int
    archived_rows: int
    bytes: int


class TaskView(View):
    """What a periodic task did, ever: `counts` by what it counts."""

    task: str
    runs: int
    failures: int
    seconds: float
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    last_run_at: Moment | None
    last_seconds: float | None
    last_error: str | None


class RetentionView(View):
    """Metrics by week and by age, and the tasks that keep them so."""

    weeks: list[WeekView]
    ages: list[AgeView]
    tasks: list[TaskView]


def read_retention(engine: Engine) -> RetentionView:
    """Statistics by age; weeks without a row are left out."""
    with transaction(engine) as connection:
        weeks = [week for week in stored_weeks(connection) if week.rows > 0 or week.held_until or week.archived]
        now: datetime = connection.execute(_NOW).scalar_one()
        tasks = task_totals(connection)
    return RetentionView(
        weeks=[_week_view(week) for week in weeks],
        ages=by_age(weeks, now),
        tasks=[TaskView(**row) for row in tasks],
    )


def by_age(weeks: Sequence[StoredWeek], now: datetime) -> list[AgeView]:
    """The weeks added up by how long ago they ended."""
    groups: dict[int | None, list[StoredWeek]] = {days: [] for days in (*AGES, None)}
    for week in weeks:
        age = (now - week.end).total_seconds() / 86400
        groups[next((days for days in AGES if age <= days), None)].append(week)
    return [
        AgeView(
            days=days,
            live_rows=sum(week.rows for week in group if not week.archived),
            archived_rows=sum(week.rows for week in group if week.archived),
            bytes=sum(week.bytes for week in group),
        )
        for days, group in groups.items()
    ]


def _week_view(week: StoredWeek) -> WeekView:
    return WeekView(
        week=week.start.date(), archived=week.archived, rows=week.rows, bytes=week.bytes, held_until=week.held_until
    )
