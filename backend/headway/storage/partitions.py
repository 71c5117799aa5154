"""Weekly partitions of the metrics, made ahead and before need; there is no default partition.

A week is made beside its parent and attached: `CREATE TABLE ... PARTITION OF` would lock out the parent's writers. Its
CHECK says what its bounds say, so that it can be attached to the archive, and back, without being read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

WEEKS_AHEAD = 8
TABLE = "training_metrics"
WEEK = timedelta(weeks=1)
_LOCK = 0x4865_6164  # one maker at a time, whatever process it is

_EXISTING = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname = ANY(:names)")
# index-only scans need visibility: vacuum must follow inserts closely
_MAKE = """
CREATE TABLE {name} (LIKE {parent}, CONSTRAINT {name}_week CHECK ({check}))
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000)
"""

_there: set[tuple[str, datetime]] = set()
"""(database, week) whose partition this process has seen committed."""


def week_start(moment: datetime) -> datetime:
    """Monday 00:00 UTC of the moment's week."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def partition_name(start: datetime) -> str:
    """The name of the partition of the week that begins at `start`, by its first day; the archive keeps it."""
    return f"{TABLE}_{start:%Y%m%d}"


def week_of_partition(name: str) -> datetime:
    """The start of the week that a partition of this name holds."""
    return datetime.strptime(name.removeprefix(f"{TABLE}_"), "%Y%m%d").replace(tzinfo=UTC)


def ensure_partitions(connection: Connection, now: datetime, weeks_ahead: int = WEEKS_AHEAD) -> list[str]:
    """Make the partitions of this week and the weeks ahead that are missing; answers their names."""
    first = week_start(now)
    names = {partition_name(start): start for start in (first + number * WEEK for number in range(weeks_ahead + 1))}
    if not _missing(connection, names):
        return []
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    missing = _missing(connection, names)  # another may have made them meanwhile
    for name in missing:
        make_partition(connection, names[name])
    return missing


def ensure_week(connection: Connection, moment: datetime) -> None:
    """Make the moment's partition if nobody made it ahead; free of cost once this process has seen it."""
    week = (connection.engine.url.render_as_string(), week_start(moment))
    if week not in _there and not ensure_partitions(connection, moment, weeks_ahead=0):
        _there.add(week)  # one made just now is gone again if this transaction fails


def make_partition(connection: Connection, start: datetime, parent: str = TABLE) -> None:
    """Make and attach the week that begins at `start`. Waits for no writer of the parent, and none waits for it."""
    name, (low, high) = partition_name(start), bounds(start)
    check = f"received_at >= {low} AND received_at < {high}"
    connection.execute(text(_MAKE.format(name=name, parent=parent, check=check)))
    attach(connection, name, parent)


def attach(connection: Connection, name: str, parent: str) -> None:
    """Make the table the partition of its week."""
    low, high = bounds(week_of_partition(name))
    connection.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})"))


def bounds(start: datetime) -> tuple[str, str]:
    """First moment of the week and of the next, as SQL literals."""
    low, high = (f"'{moment:%Y-%m-%d} 00:00:00+00'::timestamptz" for moment in (start, start + WEEK))
    return low, high


def _missing(connection: Connection, names: Iterable[str]) -> list[str]:
    existing = set(connection.scalars(_EXISTING, {"names": list(names)}))
    return [name for name in names if name not in existing]
