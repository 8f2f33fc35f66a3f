"""Files of rooms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from signaling.db.models.base import Base


class FileRow(Base):
    """Its bytes are in the file store under `file_id`. What counts for quotas is `size_bytes`, from the beginning."""

    __tablename__ = "files"
    __table_args__ = (
        # With the size in it, the sums of the quotas need not look into the table.
        Index("ix_files_room_key", "room_key", "member_id", "completed_at_ms", "size_bytes"),
        Index("ix_files_expires_at_ms", "completed_at_ms", "expires_at_ms"),
    )

    file_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_key: Mapped[int] = mapped_column(BigInteger)
    member_id: Mapped[str] = mapped_column(String(512))
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(128))
    metadata_header: Mapped[str] = mapped_column(String(2048))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    expires_at_ms: Mapped[int] = mapped_column(BigInteger)
    """Of an unfinished one."""
    completed_at_ms: Mapped[int] = mapped_column(BigInteger)
    """0: unfinished."""
    sha256: Mapped[str] = mapped_column(String(64))
