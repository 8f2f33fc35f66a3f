"""The groups of sealed rooms. What members put here is base64url, and nothing of it can be read here."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base


def _room_key() -> Mapped[int]:
    return mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"), primary_key=True)


class SealedGroupRow(Base):
    __tablename__ = "sealed_groups"

    room_key: Mapped[int] = _room_key()
    group_id: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigInteger)
    group_info: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(BigInteger)


class SealedGateRow(Base):
    """What proves to the server that somebody holds the link."""

    __tablename__ = "sealed_gates"

    room_key: Mapped[int] = _room_key()
    gate_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 in hex."""


class SealedCommitRow(Base):
    __tablename__ = "sealed_commits"

    room_key: Mapped[int] = _room_key()
    group_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """That it has made."""
    member_id: Mapped[str] = mapped_column(String(512))
    device: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(BigInteger)


class SealedEpochRow(Base):
    """The keys of an epoch, wrapped for those who may read what was said in it."""

    __tablename__ = "sealed_history"
    __table_args__ = (Index("ux_sealed_history_epoch", "room_key", "group_id", "epoch", unique=True),)

    room_key: Mapped[int] = _room_key()
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    group_id: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int] = mapped_column(BigInteger)
    wrap: Mapped[str] = mapped_column(Text)
    secrets: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(BigInteger)


class SealedBackupRow(Base):
    """What a member keeps for its other devices."""

    __tablename__ = "sealed_backups"

    room_key: Mapped[int] = _room_key()
    member_id: Mapped[str] = mapped_column(String(512), primary_key=True)
    blob: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(BigInteger)
