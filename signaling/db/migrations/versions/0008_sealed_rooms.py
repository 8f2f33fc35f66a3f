"""Groups of sealed rooms: their commits, the wrapped keys of their epochs, and backups of keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _room_key() -> sa.Column[int]:
    key = sa.ForeignKey("rooms.room_key", ondelete="CASCADE")
    return sa.Column("room_key", sa.BigInteger(), key, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


_UNSAMPLED = (
    ("sealed_groups", "group_info"),
    ("sealed_commits", "message"),
    ("sealed_history", "wrap"),
    ("sealed_history", "secrets"),
    ("sealed_backups", "blob"),
)


def upgrade() -> None:
    op.create_table(
        "sealed_groups",
        _room_key(),
        sa.Column("group_id", sa.String(64), nullable=False),
        _number("epoch"),
        _text("group_info"),
        _number("at_ms"),
    )
    op.create_table(
        "sealed_commits",
        _room_key(),
        sa.Column("group_id", sa.String(64), primary_key=True),
        sa.Column("epoch", sa.BigInteger(), primary_key=True),
        sa.Column("member_id", sa.String(512), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        _text("message"),
        _number("at_ms"),
    )
    op.create_table(
        "sealed_history",
        _room_key(),
        sa.Column("n", sa.BigInteger(), primary_key=True),
        sa.Column("group_id", sa.String(64), nullable=False),
        _number("epoch"),
        _text("wrap"),
        _text("secrets"),
        _number("at_ms"),
    )
    op.create_index("ux_sealed_history_epoch", "sealed_history", ["room_key", "group_id", "epoch"], unique=True)
    op.create_table(
        "sealed_backups",
        _room_key(),
        sa.Column("member_id", sa.String(512), primary_key=True),
        _text("blob"),
        _number("at_ms"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _UNSAMPLED:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")


def downgrade() -> None:
    for name in ("sealed_backups", "sealed_history", "sealed_commits", "sealed_groups"):
        op.drop_table(name)
