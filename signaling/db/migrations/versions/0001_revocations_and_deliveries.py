"""Kicks that must stay in force, and webhook events that wait to be delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("room", sa.String(512), primary_key=True),
        sa.Column("identity", sa.String(512), primary_key=True),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_revocations_revoked_at_ms", "revocations", ["revoked_at_ms"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("room", sa.String(512), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
    )
    op.create_index("ix_webhook_deliveries_created_at_ms", "webhook_deliveries", ["created_at_ms"])


def downgrade() -> None:
    op.drop_table("webhook_deliveries")
    op.drop_table("revocations")
