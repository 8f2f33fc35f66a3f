"""What calls leave behind: kicks, and webhook events on their way."""

from __future__ import annotations

from sqlalchemy import BigInteger, Identity, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base, RowId


class Revocation(Base):
    """Tokens of `identity` for `room` that were issued up to `revoked_at_ms` (Unix time) are refused."""

    __tablename__ = "revocations"

    room: Mapped[str] = mapped_column(String(512), primary_key=True)
    identity: Mapped[str] = mapped_column(String(512), primary_key=True)
    revoked_at_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class Delivery(Base):
    """A webhook event on its way to one URL. Those of one (url, room) go out in order of `delivery_id`."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_created_at_ms", "created_at_ms"),)

    delivery_id: Mapped[int] = mapped_column(RowId, Identity(), primary_key=True)
    url: Mapped[str] = mapped_column(String(2048))
    room: Mapped[str] = mapped_column(String(512))
    event: Mapped[bytes] = mapped_column(LargeBinary)
    """A livekit.WebhookEvent as protobuf."""
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer)
    owner: Mapped[str] = mapped_column(String(64), server_default="")
    """The process that delivers it; empty: nobody has claimed it yet."""
    leased_until_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """From then on another process may take it over."""


class ReceiverGone(Base):
    """A webhook receiver that answered 410. The fingerprint is that of its configuration."""

    __tablename__ = "webhook_receivers_gone"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    gone_at_ms: Mapped[int] = mapped_column(BigInteger)
