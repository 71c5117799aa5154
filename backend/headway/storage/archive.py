"""Weeks of metrics, live and archived: which there are, and how whole ones move without a row being copied.

A move is one short transaction, so that readers see a week in the one place or in the other, never in both or neither,
and a crash leaves it where it was. (DETACH ... CONCURRENTLY cannot be part of a transaction: between its detach and the
attach the week would be in neither, and a crash would leave it there.) The lock on the parent that it takes is waited
for shortly, since everybody else queues behind whoever waits: `WeekBusyError` says that it was not to be had.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from headway.errors import UnavailableError
from headway.storage.partitions import WEEK, attach, partition_name, week_of_partition

LIVE, ARCHIVE = "training_metrics", "training_metrics_archive"
Place = Literal["training_metrics", "training_metrics_archive"]

#: The longest a writer may wait behind a move that waits itself.
PARENT_LOCK_TIMEOUT_MS = 400
#: Longer than deadlock_timeout (1 s), after which a vacuum of the week gives way; nobody queues behind this wait.
WEEK_LOCK_TIMEOUT_MS = 5000
_LOCK = 0x4172_6368  # one mover at a time, whatever process it is

_WEEKS = text("""
SELECT c.relname AS name, p.relname AS place, h.until AS held_until,
       greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::int8 AS rows, pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
LEFT JOIN metric_holds h ON h.week = to_date(right(c.relname, 8), 'YYYYMMDD')
WHERE i.inhparent IN ('training_metrics'::regclass, 'training_metrics_archive'::regclass) ORDER BY c.relname
""")
_PLACE = text("SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = to_regclass(:name)")
_HOLD = text(
    "INSERT INTO metric_holds (week, until) VALUES (:week, :until) "
    "ON CONFLICT (week) DO UPDATE SET until = greatest(metric_holds.until, excluded.until)"
)
_HELD = text("SELECT EXISTS (SELECT FROM metric_holds WHERE week = :week AND until > now())")
_DROP_BUCKETS = text("DELETE FROM metric_buckets WHERE week = :week")
_DROP_HOLDS = text("DELETE FROM metric_holds WHERE until <= now()")


class WeekBusyError(UnavailableError):
    """Somebody reads or writes too long for a move now; the same move may work later."""


@dataclass(frozen=True, slots=True)
class StoredWeek:
    """A week of metrics. `rows` is Postgres' own estimate (kept by its statistics), `bytes` with indexes."""

    start: datetime
    archived: bool
    rows: int
    bytes: int
    held_until: datetime | None

    @property
    def end(self) -> datetime:
        """The first moment that is not of this week."""
        return self.start + WEEK


def stored_weeks(connection: Connection) -> list[StoredWeek]:
    """All weeks, oldest first."""
    return [
        StoredWeek(week_of_partition(row.name), row.place == ARCHIVE, row.rows, row.bytes, row.held_until)
        for row in connection.execute(_WEEKS)
    ]


def archive_week(connection: Connection, start: datetime) -> bool:
    """Move a week that nobody holds into the archive; False if it is held or not live (any more).

    Raises WeekBusyError. The caller's transaction should do nothing else and end at once.
    """
    with _taken(connection, start, LIVE) as there:
        if there := there and not is_held(connection, start):
            _move(connection, partition_name(start), LIVE, ARCHIVE)
        return there


def restore_week(connection: Connection, start: datetime, until: datetime) -> bool:
    """Hold a week until then and move it back if it is archived; False if it was live. Raises WeekBusyError."""
    with _taken(connection, start, ARCHIVE) as archived:
        connection.execute(_HOLD, {"week": start.date(), "until": until})
        if archived:
            _move(connection, partition_name(start), ARCHIVE, LIVE)
        return archived


def drop_week(connection: Connection, start: datetime) -> bool:
    """Delete an archived week that nobody holds, with all its rows; False if it is not such. Raises WeekBusyError."""
    with _taken(connection, start, ARCHIVE) as there:
        if there := there and not is_held(connection, start):
            connection.execute(_DROP_BUCKETS, {"week": start.date()})
            connection.execute(text(f"DROP TABLE {partition_name(start)}"))
        return there


def is_held(connection: Connection, start: datetime) -> bool:
    """Whether the week is held now."""
    return bool(connection.scalar(_HELD, {"week": start.date()}))


def forget_past_holds(connection: Connection) -> None:
    """Drop the holds that are over."""
    connection.execute(_DROP_HOLDS)


@contextmanager
def _taken(connection: Connection, start: datetime, place: Place) -> Iterator[bool]:
    """Whether the week is at this place, and then it is ours alone to move until the transaction ends.

    Locking the week first stops neither readers nor writers, and a vacuum of it gives way to that.
    """
    name = partition_name(start)
    try:
        _wait_at_most(connection, WEEK_LOCK_TIMEOUT_MS)
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        there = connection.scalar(_PLACE, {"name": name}) == place
        if there:
            connection.execute(text(f"LOCK TABLE ONLY {name} IN SHARE UPDATE EXCLUSIVE MODE"))
        _wait_at_most(connection, PARENT_LOCK_TIMEOUT_MS)
        yield there
    except OperationalError as error:
        if isinstance(error.orig, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            raise WeekBusyError("the metrics are in use by a long transaction; try again later") from error
        raise


def _move(connection: Connection, name: str, source: Place, target: Place) -> None:
    connection.execute(text(f"ALTER TABLE {source} DETACH PARTITION {name}"))
    attach(connection, name, target)


def _wait_at_most(connection: Connection, milliseconds: int) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
