"""Configurations that a strategy search saved

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trained_configurations",
        sa.Column("id", sa.Text(), nullable=False, comment="the artifact's"),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("market", sa.Text(), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("score_name", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("ratio", sa.Double(), nullable=True, comment="score out of sample over that in sample"),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("config", postgresql.JSONB(), nullable=False, comment="of the job; with the seed it gives all again"),
        sa.Column("results", postgresql.JSONB(), nullable=False, comment="figures, windows, curves"),
        sa.Column("active", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trained_configurations")),
        sa.ForeignKeyConstraint(
            ["id"], ["artifacts.id"], name=op.f("fk_trained_configurations_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_trained_configurations_job_id"), ondelete="SET NULL"
        ),
        comment="what strategy searches saved",
    )
    op.create_index(op.f("ix_trained_configurations_job_id"), "trained_configurations", ["job_id"])
    op.create_index(
        "ix_trained_configurations_created_at_id",
        "trained_configurations",
        [sa.text("created_at DESC"), sa.text("id DESC")],
    )


def downgrade() -> None:
    op.drop_table("trained_configurations")
