"""Rooms that last, their members and their log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _room_key(*, primary_key: bool = False, index: bool = False) -> sa.Column[int]:
    key = sa.ForeignKey("rooms.room_key", ondelete="CASCADE")
    return sa.Column("room_key", sa.BigInteger(), key, nullable=False, primary_key=primary_key, index=index)


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("room_key", _ROW_ID, sa.Identity(), primary_key=True),
        sa.Column("name", sa.String(512), nullable=False, unique=True),
        sa.Column("title", sa.String(512), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False, server_default=""),
        sa.Column("last_seq", sa.BigInteger(), nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "room_members",
        _room_key(primary_key=True),
        sa.Column("member_id", sa.String(512), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("added_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_seq", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index("ix_room_members_member_id", "room_members", ["member_id"])
    op.create_table(
        "room_bans",
        _room_key(primary_key=True),
        sa.Column("subject", sa.String(512), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("member_id", sa.String(512), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger()),
    )
    op.create_table(
        "room_invitations",
        sa.Column("invitation_id", sa.String(32), primary_key=True),
        _room_key(index=True),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("uses_left", sa.Integer()),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger()),
    )
    _create_log()


def _create_log() -> None:
    op.create_table(
        "entries",
        sa.Column("entry_id", _ROW_ID, sa.Identity(), primary_key=True),
        _room_key(),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("sender", sa.String(512), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.BigInteger()),
        sa.Column("recipient", sa.String(512), nullable=False, server_default=""),
        sa.Column("body", sa.Text()),
        sa.Column("ttl_s", sa.BigInteger()),
        sa.Column("expires_at_ms", sa.BigInteger()),
    )
    op.create_index("ux_entries_room_seq", "entries", ["room_key", "seq"], unique=True)
    op.create_index("ux_entries_client_id", "entries", ["room_key", "sender", "client_id"], unique=True)
    op.create_index("ix_entries_target", "entries", ["room_key", "target"])
    op.create_index("ix_entries_expires_at_ms", "entries", ["expires_at_ms"])
    op.create_table(
        "entry_words",
        _room_key(primary_key=True),
        sa.Column("word", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("entry_words", "entries", "room_invitations", "room_bans", "room_members", "rooms"):
        op.drop_table(table)
