"""Webhooks with their outbox; history keeps what was shown: epoch, message, metrics

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column("progress_history", sa.Column("epoch", sa.Double(), nullable=True))
    op.add_column("progress_history", sa.Column("message", sa.Text(), nullable=True))
    op.add_column(
        "progress_history",
        sa.Column(
            "metrics",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="the newest value of each, as shown then",
        ),
    )
    _create_webhooks()
    _create_cursors()
    _create_deliveries()


def _create_webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False, comment="signs what is sent, so it must be kept as it is"),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True, comment="only this job; null: all"),
        sa.Column("kind", sa.Text(), nullable=True, comment="only jobs of this kind; null: all"),
        sa.Column("threshold", postgresql.JSONB(), nullable=True, comment="{metric, above, below} of metric.threshold"),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhooks_job_id"), ondelete="CASCADE"),
    )


def _create_cursors() -> None:
    op.create_table(
        "webhook_cursors",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column(
            "events_seen", sa.BigInteger(), nullable=False, comment="job_events up to this number are in the outbox"
        ),
        sa.Column("stalled", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_webhook_cursors")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_cursors_job_id"), ondelete="CASCADE"),
        comment="up to where each job has been told",
    )
    op.create_table(
        "webhook_watches",
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False, comment="the metric was looked at up to here"),
        sa.Column("crossed", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", "job_id", name=op.f("pk_webhook_watches")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_watches_webhook_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_watches_job_id"), ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_webhook_watches_job_id"), "webhook_watches", ["job_id"])


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="what happened; told once to each webhook"),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="the last HTTP answer"),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhooks.id"], name=op.f("fk_webhook_deliveries_webhook_id"), ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state_known")
        ),
        sa.UniqueConstraint("webhook_id", "key", name=op.f("uq_webhook_deliveries_webhook_id_key")),
        comment="the outbox and the log of webhooks",
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_deliveries_log",
        "webhook_deliveries",
        ["webhook_id", sa.text("created_at DESC"), sa.text("id DESC")],
    )
    op.create_index("ix_webhook_deliveries_age", "webhook_deliveries", ["created_at"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_watches", "webhook_cursors", "webhooks"):
        op.drop_table(table)
    for column in ("metrics", "message", "epoch"):
        op.drop_column("progress_history", column)
