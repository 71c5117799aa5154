"""What the machines and the jobs use, as sampled

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("sampler", sa.Text(), nullable=True, comment="the worker that measures this host"))
    op.add_column("hosts", sa.Column("sampler_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "hosts",
        sa.Column(
            "gpu_report", postgresql.JSONB(), nullable=True, comment="what its GPUs said last, beside the gauges"
        ),
    )
    op.add_column(
        "jobs",
        sa.Column("used", postgresql.JSONB(), nullable=True, comment="what its processes used when last measured"),
    )
    op.create_table(
        "host_samples",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("seconds", sa.SmallInteger(), nullable=False, comment="width of the bin; 0: as sampled"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="the bin's beginning"),
        sa.Column("gauges", postgresql.JSONB(), nullable=False, comment="the mean of each over the bin"),
        sa.Column("peaks", postgresql.JSONB(), nullable=True, comment="the greatest of each in the bin"),
        sa.ForeignKeyConstraint(["host"], ["hosts.name"], name=op.f("fk_host_samples_host"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host", "seconds", "at", name=op.f("pk_host_samples")),
    )
    op.create_table(
        "job_samples",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("cpu_cores", sa.REAL(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False, comment="the greatest, where samples were merged"),
        sa.Column("read_bytes_per_second", sa.REAL(), nullable=True),
        sa.Column("written_bytes_per_second", sa.REAL(), nullable=True),
        sa.Column("gpu_percent", sa.REAL(), nullable=True),
        sa.Column("gpu_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("processes", sa.Integer(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("merged", sa.Integer(), server_default="1", nullable=False, comment="of how many samples it is made"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_samples_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "at", name=op.f("pk_job_samples")),
    )


def downgrade() -> None:
    op.drop_table("job_samples")
    op.drop_table("host_samples")
    op.drop_column("jobs", "used")
    op.drop_column("hosts", "gpu_report")
    op.drop_column("hosts", "sampler_until")
    op.drop_column("hosts", "sampler")
