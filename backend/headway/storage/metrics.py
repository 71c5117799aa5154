"""Appends metrics by binary COPY, and keeps which metrics a job has. Reading is in `series.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from headway.spool.reader import MetricRows
from headway.storage import buckets, copy_format, partitions
from headway.storage.engine import driver_of
from headway.storage.rows import fetch

_COPY = (
    "COPY training_metrics (job, metric, received_at, attempt, step, at, value, nonfinite) FROM STDIN (FORMAT BINARY)"
)

_NAME_IDS = text("SELECT name, id FROM metric_names WHERE name = ANY(:names)")
# in the order given, in which a job shows its metrics; the no-op update makes RETURNING answer names stored elsewhere
_ADD_NAMES = text(
    "INSERT INTO metric_names (name) SELECT name FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS n(name, place) "
    "ORDER BY place "
    "ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING name, id"
)
_ADD_JOB_METRICS = text(
    "INSERT INTO job_metrics (job, metric, first_attempt) SELECT :job, unnest(CAST(:metrics AS int[])), :attempt "
    "ON CONFLICT DO NOTHING"
)
_JOB_NAMES = text(
    "SELECT n.id, n.name FROM job_metrics m JOIN metric_names n ON n.id = m.metric WHERE m.job = :job ORDER BY n.id"
)


def metric_ids(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The ids of metric names, stored where new."""
    known = {row.name: row.id for row in connection.execute(_NAME_IDS, {"names": list(names)})}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {row.name: row.id for row in connection.execute(_ADD_NAMES, {"names": missing})}
    return known


def note_job_metrics(connection: Connection, job_key: int, attempt: int, metrics: Iterable[int]) -> None:
    """Remember that the job has these metrics."""
    parameters = {"job": job_key, "metrics": list(metrics), "attempt": attempt}
    connection.execute(_ADD_JOB_METRICS, parameters)


def append(
    connection: Connection,
    *,
    job_key: int,
    attempt: int,
    rows: Sequence[MetricRows],
    ids: dict[str, int],
    received_at: datetime,
) -> None:
    """COPY the rows of a drain and fold them into their buckets. The caller's transaction makes it exactly once."""
    partitions.ensure_week(connection, received_at)
    with driver_of(connection).cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(copy_format.HEADER)
        for group in rows:
            metrics = [ids[name] for name in group.names]
            for block in copy_format.packed(group, metrics, job_key, attempt, received_at):
                copy.write(block)
        copy.write(copy_format.TRAILER)
    buckets.fold(connection, job_key, attempt, rows, ids, received_at)


def names_of_job(connection: Connection, job_key: int) -> dict[str, int]:
    """Metric names of a job with their ids, in the order they were first logged in."""
    return {row["name"]: row["id"] for row in fetch(connection, _JOB_NAMES, {"job": job_key})}
