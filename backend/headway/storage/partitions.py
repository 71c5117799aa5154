"""Weekly partitions of the metrics, made ahead and before need; there is no default partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

WEEKS_AHEAD = 8
TABLE = "training_metrics"
_LOCK = 0x4865_6164  # one maker at a time, whatever process it is


def week_start(moment: datetime) -> datetime:
    """Monday 00:00 UTC of the moment's week."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def partition_name(start: datetime) -> str:
    """The name of the partition of the week that begins at `start`, by its first day."""
    return f"{TABLE}_{start:%Y%m%d}"


def ensure_partitions(connection: Connection, now: datetime, weeks_ahead: int = WEEKS_AHEAD) -> list[str]:
    """Make the partitions of this week and the weeks ahead that are missing; answers their names."""
    first = week_start(now)
    weeks = [first + timedelta(weeks=number) for number in range(weeks_ahead + 1)]
    names = {partition_name(start): start for start in weeks}
    existing = set(
        connection.scalars(text("SELECT relname FROM pg_class WHERE relname = ANY(:names)"), {"names": list(names)})
    )
    missing = [name for name in names if name not in existing]
    if missing:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for name in missing:
        start = names[name]
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {TABLE} "
                f"FOR VALUES FROM ('{start:%Y-%m-%d}T00:00:00Z') "
                f"TO ('{start + timedelta(weeks=1):%Y-%m-%d}T00:00:00Z') "
                # index-only scans need visibility: vacuum must follow inserts closely
                "WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000)"
            )
        )
    return missing
