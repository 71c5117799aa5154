"""Count, sum, least, greatest and newest value of each metric by attempt and phase, kept as the rows arrive

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# what was logged before is summed here, once; its phases are those of the progress history
_BACKFILL = """
WITH spans AS MATERIALIZED (
    SELECT j.key AS job, h.attempt, array_agg(coalesce(h.phase, '') ORDER BY h.at) AS phases,
           array_agg(h.at ORDER BY h.at) AS begins
    FROM progress_history h JOIN jobs j ON j.id = h.job_id WHERE h.phase_changed GROUP BY j.key, h.attempt)
INSERT INTO metric_sums (job, attempt, phase, metric, finite, total, low, high, last_step, last_value)
SELECT m.job, m.attempt, coalesce(s.phases[width_bucket(m.at, s.begins)], ''), m.metric, count(m.value),
       coalesce(sum(least(greatest(m.value, -1e290), 1e290)), 0), min(m.value), max(m.value), max(m.step),
       (max(ARRAY[m.step::float8, m.value]))[2]
FROM (SELECT * FROM training_metrics UNION ALL SELECT * FROM training_metrics_archive) AS m
JOIN jobs j ON j.key = m.job LEFT JOIN spans s ON s.job = m.job AND s.attempt = m.attempt GROUP BY 1, 2, 3, 4
"""


def upgrade() -> None:
    op.create_table(
        "metric_sums",
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False, comment="as the kind calls it; empty outside of any"),
        sa.Column("metric", sa.Integer(), nullable=False),
        sa.Column("finite", sa.BigInteger(), nullable=False, comment="how many values are in the total"),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("last_value", sa.Double(), nullable=True, comment="null where not finite"),
        sa.ForeignKeyConstraint(["job"], ["jobs.key"], name=op.f("fk_metric_sums_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["metric"], ["metric_names.id"], name=op.f("fk_metric_sums_metric")),
        sa.PrimaryKeyConstraint("job", "attempt", "phase", "metric", name=op.f("pk_metric_sums")),
        comment="running sums of each attempt's metrics; what a later attempt did again is taken out when it is read",
        # changed with every drain: room for the new version on the same page
        postgresql_with={"fillfactor": "50"},
    )
    op.execute(_BACKFILL)


def downgrade() -> None:
    op.drop_table("metric_sums")
