"""Accounts, their devices, passkeys and providers, invitations, and what admins did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.String(32)
_TIME = sa.BigInteger()


def _account_id() -> sa.Column[str]:
    return sa.Column("account_id", _ID, sa.ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", _ID, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("name_key", sa.String(256), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", _TIME, nullable=False),
    )
    op.create_table(
        "account_devices",
        sa.Column("device_id", _ID, primary_key=True),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at_ms", _TIME, nullable=False),
        sa.Column("seen_at_ms", _TIME, nullable=False),
        sa.Column("proved_at_ms", _TIME, nullable=False),
        sa.Column("ended_at_ms", _TIME, nullable=False, server_default="0"),
    )
    op.create_index("ix_account_devices_account_id", "account_devices", ["account_id"])
    op.create_index("ix_account_devices_ended_at_ms", "account_devices", ["ended_at_ms"])
    op.create_table(
        "account_passkeys",
        sa.Column("passkey_id", _ID, primary_key=True),
        _account_id(),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at_ms", _TIME, nullable=False),
        sa.Column("used_at_ms", _TIME, nullable=False),
    )
    op.create_index("ix_account_passkeys_account_id", "account_passkeys", ["account_id"])
    op.create_table(
        "account_openid_links",
        sa.Column("issuer", sa.String(2048), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        _account_id(),
    )
    op.create_index("ix_account_openid_links_account_id", "account_openid_links", ["account_id"])
    op.create_table(
        "account_invitations",
        sa.Column("code_hash", sa.String(64), primary_key=True),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_at_ms", _TIME, nullable=False),
        sa.Column("expires_at_ms", _TIME, nullable=False),
    )
    op.create_index("ix_account_invitations_expires_at_ms", "account_invitations", ["expires_at_ms"])
    op.create_table(
        "audit_entries",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("at_ms", _TIME, nullable=False),
        sa.Column("actor", sa.String(512), nullable=False),
        sa.Column("act", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_index("ix_audit_entries_at_ms", "audit_entries", ["at_ms"])


def downgrade() -> None:
    for table in ("audit_entries", "account_invitations", "account_openid_links", "account_passkeys",
                  "account_devices", "accounts"):  # fmt: skip
        op.drop_table(table)
