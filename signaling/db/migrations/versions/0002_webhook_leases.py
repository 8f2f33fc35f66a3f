"""Which process delivers a webhook event and until when, and which receivers want nothing any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_deliveries", sa.Column("owner", sa.String(64), nullable=False, server_default=""))
    op.add_column(
        "webhook_deliveries", sa.Column("leased_until_ms", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "webhook_receivers_gone",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("gone_at_ms", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("webhook_receivers_gone")
    with op.batch_alter_table("webhook_deliveries") as table:
        table.drop_column("leased_until_ms")
        table.drop_column("owner")
