"""What proves to the server that who changes a sealed room's group holds the room's link."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sealed_gates",
        sa.Column("room_key", sa.BigInteger(), sa.ForeignKey("rooms.room_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("gate_hash", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("sealed_gates")
