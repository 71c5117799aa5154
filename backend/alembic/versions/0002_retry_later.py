"""Jobs that wait before they are tried again by themselves

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column(
            "transient_failures",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="retried, in a row",
        ),
    )
    op.add_column("jobs", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "not_before")
    op.drop_column("jobs", "transient_failures")
