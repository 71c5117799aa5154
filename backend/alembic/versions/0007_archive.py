"""The archive of metrics, what holds a restored week, extremes of 256 steps each, and what the clean-ups did

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'training_metrics'::regclass"
_FOLD = """
INSERT INTO metric_buckets
SELECT job, metric, attempt, floor(step / 256.0)::int8 AS bucket, date_trunc('week', received_at, 'UTC')::date AS week,
       (min(ARRAY[value, step]) FILTER (WHERE value IS NOT NULL))[1], (min(ARRAY[value, step]) FILTER (WHERE value IS NOT NULL))[2],
       (max(ARRAY[value, step]) FILTER (WHERE value IS NOT NULL))[1], (max(ARRAY[value, step]) FILTER (WHERE value IS NOT NULL))[2],
       min(step) FILTER (WHERE nonfinite IS NOT NULL), min(nonfinite)
FROM training_metrics WHERE job IN (SELECT key FROM jobs) GROUP BY job, metric, attempt, bucket, week
"""


def upgrade() -> None:
    _create_tables()
    _index_series("received_at")
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.add_column("attempts", sa.Column("drained_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE attempts SET drained_at = now() WHERE spool_offset > 0")
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(_FOLD)
    for name in op.get_bind().scalars(sa.text(_PARTITIONS)).all():
        _check_week(name)


def _create_tables() -> None:
    op.create_table(
        "metric_buckets",
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Integer(), nullable=False, comment="metric_names.id"),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False, comment="step / 256, rounded down"),
        sa.Column("week", sa.Date(), nullable=False, comment="the partition that holds the points"),
        sa.Column("low", sa.Double(), nullable=True, comment="the least finite value; null if there is none"),
        sa.Column("low_step", sa.BigInteger(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("high_step", sa.BigInteger(), nullable=True),
        sa.Column("odd_step", sa.BigInteger(), nullable=True, comment="a step whose value is not finite"),
        sa.Column("nonfinite", sa.SmallInteger(), nullable=True, comment="what it is: 1 NaN, 2 +Inf, 3 -Inf"),
        sa.ForeignKeyConstraint(["job"], ["jobs.key"], name=op.f("fk_metric_buckets_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "metric", "attempt", "bucket", "week", name=op.f("pk_metric_buckets")),
        comment="extremes of 256 steps each, folded in by the drain that appends the points",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "metric_holds",
        sa.Column("week", sa.Date(), nullable=False, comment="its Monday"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("week", name=op.f("pk_metric_holds")),
        comment="weeks of metrics that are neither archived nor dropped before a date",
    )
    op.create_table(
        "maintenance",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("runs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seconds", sa.Double(), server_default="0", nullable=False),
        sa.Column(
            "counts", postgresql.JSONB(), server_default="{}", nullable=False, comment="what was done, ever, by name"
        ),
        sa.Column("last_seconds", sa.Double(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_maintenance")),
        comment="what the periodic clean-ups did, for /metrics and the statistics",
    )


def _index_series(*more: str) -> None:
    """The covering index of both tables; with the time of receipt weeks are pruned and it still covers."""
    for table in ("training_metrics", "training_metrics_archive"):
        op.drop_index(f"ix_{table}_series", table_name=table)
        op.create_index(
            f"ix_{table}_series",
            table,
            ["job", "metric", "step", "attempt"],
            postgresql_include=["value", "nonfinite", *more],
        )


def _check_week(name: str) -> None:
    """With a CHECK of its bounds a week is attached to the archive without being read."""
    start = datetime.strptime(name[-8:], "%Y%m%d")
    low, high = (f"'{moment:%Y-%m-%d} 00:00:00+00'::timestamptz" for moment in (start, start + timedelta(weeks=1)))
    op.execute(f"ALTER TABLE {name} ADD CONSTRAINT {name}_week CHECK (received_at >= {low} AND received_at < {high})")


def downgrade() -> None:
    for name in op.get_bind().scalars(sa.text(_PARTITIONS)).all():
        op.execute(f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {name}_week")
    _index_series()
    op.drop_column("attempts", "drained_at")
    op.drop_index("ix_jobs_finished_at", table_name="jobs", postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.drop_table("maintenance")
    op.drop_table("metric_holds")
    op.drop_table("metric_buckets")
