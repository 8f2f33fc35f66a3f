"""Bots and hooks of rooms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base


class BotRow(Base):
    __tablename__ = "room_bots"

    bot_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_key: Mapped[int] = mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(512))
    scopes: Mapped[str] = mapped_column(String(128))
    """Words with blanks between them."""
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class HookRow(Base):
    __tablename__ = "room_hooks"

    hook_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_key: Mapped[int] = mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(Text)
    verbs: Mapped[str] = mapped_column(String(512))
    delivered_seq: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(Integer)
    is_gone: Mapped[bool] = mapped_column(Boolean)
