"""Labels of features

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feature_labels",
        sa.Column("artifact_id", sa.Text(), nullable=False, comment="an index"),
        sa.Column("sae", sa.Text(), nullable=False),
        sa.Column("feature", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False, comment="the token's name, or the model's"),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("source IN ('hand', 'model')", name=op.f("ck_feature_labels_source_known")),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["artifacts.id"], name=op.f("fk_feature_labels_artifact_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("artifact_id", "sae", "feature", name=op.f("pk_feature_labels")),
        comment="what features of an index are called",
    )


def downgrade() -> None:
    op.drop_table("feature_labels")
