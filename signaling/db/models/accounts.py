"""Accounts, their devices, what they sign in with, and what admins did."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base, RowId

ID_LENGTH = 32


class Account(Base):
    __tablename__ = "accounts"

    account_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(256), unique=True)
    """Equal for names that look the same."""
    password_hash: Mapped[str] = mapped_column(String(256))
    """argon2id, in its own notation; empty: no password."""
    is_admin: Mapped[bool] = mapped_column(Boolean)
    is_disabled: Mapped[bool] = mapped_column(Boolean)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class Device(Base):
    """A browser or app that is signed in. One that has ended stays for a while, so that other processes see it end; its
    account may be gone by then."""

    __tablename__ = "account_devices"
    __table_args__ = (
        Index("ix_account_devices_account_id", "account_id"),
        Index("ix_account_devices_ended_at_ms", "ended_at_ms"),
    )

    device_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the session's secret, in hexadecimal digits."""
    name: Mapped[str] = mapped_column(String(64))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    seen_at_ms: Mapped[int] = mapped_column(BigInteger)
    proved_at_ms: Mapped[int] = mapped_column(BigInteger)
    ended_at_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """0: it has not."""


class Passkey(Base):
    __tablename__ = "account_passkeys"
    __table_args__ = (Index("ix_account_passkeys_account_id", "account_id"),)

    passkey_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id", ondelete="CASCADE"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    """COSE_Key (RFC 9052)."""
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(64))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    used_at_ms: Mapped[int] = mapped_column(BigInteger)


class OpenidLink(Base):
    """Who signs in with a provider as `subject` is this account."""

    __tablename__ = "account_openid_links"
    __table_args__ = (Index("ix_account_openid_links_account_id", "account_id"),)

    issuer: Mapped[str] = mapped_column(String(2048), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.account_id", ondelete="CASCADE"))


class Invitation(Base):
    """A code that lets somebody make an account, once."""

    __tablename__ = "account_invitations"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class Audit(Base):
    """An act of somebody who may more than others."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_at_ms", "at_ms"),)

    entry_id: Mapped[int] = mapped_column(RowId, Identity(), primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(512))
    act: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(512))
    details: Mapped[str] = mapped_column(Text)
    """A JSON object."""
