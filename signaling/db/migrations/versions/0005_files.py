"""Files of rooms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("file_id", sa.String(32), primary_key=True),
        sa.Column("room_key", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.String(512), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(128), nullable=False),
        sa.Column("metadata_header", sa.String(2048), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("completed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_index("ix_files_room_key", "files", ["room_key", "member_id", "completed_at_ms", "size_bytes"])
    op.create_index("ix_files_expires_at_ms", "files", ["completed_at_ms", "expires_at_ms"])


def downgrade() -> None:
    op.drop_table("files")
