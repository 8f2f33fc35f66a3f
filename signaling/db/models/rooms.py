"""Rooms that last: who is in them with which role, who is kept out, who was invited, and the log."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base, RowId


def _room_key(*, primary_key: bool = False) -> Mapped[int]:
    return mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"), primary_key=primary_key)


class RoomRow(Base):
    """A key is never used again: what is on its way for a deleted room must not reach a new one."""

    __tablename__ = "rooms"
    __table_args__ = ({"sqlite_autoincrement": True},)

    room_key: Mapped[int] = mapped_column(RowId, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(512), unique=True)
    title: Mapped[str] = mapped_column(String(512))
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    policy: Mapped[str] = mapped_column(Text)
    """`signaling.rooms.policy.Policy` as JSON."""
    password_hash: Mapped[str] = mapped_column(String(256), server_default="")
    """Of argon2id; empty: there is no password."""
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Of the newest entry of its log."""


class MemberRow(Base):
    """Whoever has a role, or a place in the log up to which it was read. Others are guests."""

    __tablename__ = "room_members"
    __table_args__ = (Index("ix_room_members_member_id", "member_id"),)

    room_key: Mapped[int] = _room_key(primary_key=True)
    member_id: Mapped[str] = mapped_column(String(512), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(512))
    added_at_ms: Mapped[int] = mapped_column(BigInteger)
    read_seq: Mapped[int] = mapped_column(BigInteger, server_default="0")


class BanRow(Base):
    """Whom the door refuses. `subject` is a member id, or the keyed hash of an address."""

    __tablename__ = "room_bans"

    room_key: Mapped[int] = _room_key(primary_key=True)
    subject: Mapped[str] = mapped_column(String(512), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """kick or ban: they have sentences of their own."""
    member_id: Mapped[str] = mapped_column(String(512))
    name: Mapped[str] = mapped_column(String(512))
    at_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int | None] = mapped_column(BigInteger)


class InvitationRow(Base):
    __tablename__ = "room_invitations"

    invitation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_key: Mapped[int] = mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    uses_left: Mapped[int | None] = mapped_column(Integer)
    """None: as many as come before it ends."""
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int | None] = mapped_column(BigInteger)


class EntryRow(Base):
    """One line of a room's log. Without `body` it is a tombstone: what it said is gone."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("ux_entries_room_seq", "room_key", "seq", unique=True),
        Index("ux_entries_client_id", "room_key", "sender", "client_id", unique=True),
        Index("ix_entries_target", "room_key", "target"),
        Index("ix_entries_expires_at_ms", "expires_at_ms"),
    )

    entry_id: Mapped[int] = mapped_column(RowId, Identity(), primary_key=True)
    room_key: Mapped[int] = mapped_column(BigInteger, ForeignKey("rooms.room_key", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(BigInteger)
    verb: Mapped[str] = mapped_column(String(32))
    sender: Mapped[str] = mapped_column(String(512))
    """A member id; empty: the server."""
    name: Mapped[str] = mapped_column(String(512))
    """The sender's name of then."""
    client_id: Mapped[str] = mapped_column(String(64))
    at_ms: Mapped[int] = mapped_column(BigInteger)
    target: Mapped[int | None] = mapped_column(BigInteger)
    """The `seq` that it is about."""
    recipient: Mapped[str] = mapped_column(String(512), server_default="")
    """Whom alone it is for, beside its sender; empty: everybody."""
    body: Mapped[str | None] = mapped_column(Text)
    """JSON."""
    ttl_s: Mapped[int | None] = mapped_column(BigInteger)
    """What its author wished; with the room's policy it makes `expires_at_ms`."""
    expires_at_ms: Mapped[int | None] = mapped_column(BigInteger)


class WordRow(Base):
    """Which words stand where, for the search: a plain table, so that a removed entry leaves nothing in an index of
    the database's own making."""

    __tablename__ = "entry_words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    room_key: Mapped[int] = _room_key(primary_key=True)
    word: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
