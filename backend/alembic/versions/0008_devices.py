"""Devices of hosts, leased with their job; where the files of a host can be fetched, and their checksums

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("hosts", "gpus")
    op.add_column(
        "workers",
        sa.Column("gpus", postgresql.JSONB(), server_default="[]", nullable=False, comment="those it may give to jobs"),
    )
    op.add_column(
        "attempts",
        sa.Column("gpus", postgresql.JSONB(), server_default="[]", nullable=False, comment="those it was given"),
    )
    op.add_column(
        "artifacts",
        sa.Column("files", postgresql.JSONB(), nullable=True, comment="{path: {bytes, sha256}}, once asked"),
    )
    op.create_table(
        "device_leases",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("leased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("host", "device", "job_id", name=op.f("pk_device_leases")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_device_leases_job_id"), ondelete="CASCADE"),
        comment="which GPU a held job has; gone with the move that ends its attempt",
    )
    op.create_index(op.f("ix_device_leases_job_id"), "device_leases", ["job_id"])
    op.create_index(
        "ix_device_leases_exclusive",
        "device_leases",
        ["host", "device"],
        unique=True,
        postgresql_where=sa.text("NOT shared"),
    )
    op.create_table(
        "file_servers",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("host", "url", name=op.f("pk_file_servers")),
        comment="API instances by the host whose files they serve",
    )
    op.create_index("ix_jobs_started_at", "jobs", ["started_at"], postgresql_where=sa.text("started_at IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_jobs_started_at", table_name="jobs")
    op.drop_table("file_servers")
    op.drop_table("device_leases")
    op.drop_column("artifacts", "files")
    op.drop_column("attempts", "gpus")
    op.drop_column("workers", "gpus")
    op.add_column("hosts", sa.Column("gpus", postgresql.JSONB(), server_default="[]", nullable=False))
