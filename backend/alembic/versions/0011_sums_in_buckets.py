"""Buckets of 256 steps keep count, sum and times of their points, for aggregates within a window of time

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_COMMENTS = ("extremes of 256 steps each", "what 256 steps each say")
_SUM = """
UPDATE metric_buckets b SET finite = p.finite, total = p.total, first_at = p.first_at, last_at = p.last_at
FROM (SELECT job, metric, attempt, floor(step / 256.0)::int8 AS bucket,
             date_trunc('week', received_at, 'UTC')::date AS week, count(value) AS finite,
             coalesce(sum(least(greatest(value, -1e290), 1e290)) FILTER (WHERE value IS NOT NULL), 0) AS total,
             min(at) AS first_at, max(at) AS last_at
      FROM (SELECT * FROM training_metrics UNION ALL SELECT * FROM training_metrics_archive) AS every
      GROUP BY 1, 2, 3, 4, 5) AS p
WHERE (b.job, b.metric, b.attempt, b.bucket, b.week) = (p.job, p.metric, p.attempt, p.bucket, p.week)
"""


def upgrade() -> None:
    columns = (
        sa.Column("finite", sa.BigInteger(), comment="how many values are in the total"),
        sa.Column("total", sa.Double()),
        sa.Column("first_at", sa.DateTime(timezone=True)),
        sa.Column("last_at", sa.DateTime(timezone=True)),
    )
    for column in columns:
        op.add_column("metric_buckets", column)
    op.execute("SET LOCAL statement_timeout = 0")
    op.execute(_SUM)
    for column in columns:
        op.alter_column("metric_buckets", column.name, nullable=False)
    _comment(*_COMMENTS)


def downgrade() -> None:
    for name in ("last_at", "first_at", "total", "finite"):
        op.drop_column("metric_buckets", name)
    _comment(*reversed(_COMMENTS))


def _comment(old: str, new: str) -> None:
    ending = ", folded in by the drain that appends the points"
    op.create_table_comment("metric_buckets", new + ending, existing_comment=old + ending)
