"""Bots and hooks of rooms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _room_key() -> sa.Column[int]:
    key = sa.ForeignKey("rooms.room_key", ondelete="CASCADE")
    return sa.Column("room_key", sa.BigInteger(), key, nullable=False, index=True)


def upgrade() -> None:
    op.create_table(
        "room_bots",
        sa.Column("bot_id", sa.String(32), primary_key=True),
        _room_key(),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("scopes", sa.String(128), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "room_hooks",
        sa.Column("hook_id", sa.String(32), primary_key=True),
        _room_key(),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("verbs", sa.String(512), nullable=False),
        sa.Column("delivered_seq", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("room_hooks")
    op.drop_table("room_bots")
