"""What is known of a file, and where that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NewFile:
    file_id: str
    room_key: int
    member_id: str
    name: str
    media_type: str
    metadata: str
    """`Upload-Metadata` as the client sent it, for nobody but that client."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StoredFile:
    file_id: str
    """Random; also its name in the store."""
    room_key: int
    member_id: str
    """Who sent it."""
    name: str
    media_type: str
    metadata: str
    size_bytes: int
    """The full length, also of an unfinished file."""
    created_at_ms: int
    expires_at_ms: int
    """Until then an unfinished file waits for its next piece. Unix time of the database."""
    completed_at_ms: int
    """0: unfinished."""
    sha256: str
    """Hexadecimal; empty while unfinished."""
    expired: bool
    """Unfinished, and nobody may go on with it."""

    @property
    def complete(self) -> bool:
        return self.completed_at_ms > 0


@dataclass(frozen=True, slots=True)
class Quotas:
    room_bytes: int
    member_bytes: int
    server_bytes: int
    room_files: int
    open_uploads: int


class FileRecords(Protocol):
    """Every method may raise `DatabaseError`. Times are the database's."""

    async def add_file(self, new: NewFile, quotas: Quotas, expiry_s: float) -> StoredFile | str:
        """The row of a new file, or the quota that it would exceed: room, member, server, files or uploads. Whatever
        comes at the same time, what is reserved never exceeds a quota."""
        ...

    async def load_file(self, file_id: str) -> StoredFile | None: ...

    async def prolong_file(self, file_id: str, expiry_s: float) -> int:
        """Let an unfinished file wait for so long from now; returns `expires_at_ms`, 0 when there is none."""
        ...

    async def complete_file(self, file_id: str, sha256: str) -> StoredFile | None:
        """None when it is gone."""
        ...

    async def delete_file(self, file_id: str) -> None: ...

    async def list_room_files(self, room_key: int) -> list[str]: ...

    async def list_homeless_files(self, limit: int) -> list[str]:
        """Those whose room is gone."""
        ...

    async def list_expired_files(self, limit: int) -> list[str]:
        """Unfinished ones whose time is over."""
        ...

    async def list_unknown_files(self, file_ids: Sequence[str]) -> list[str]:
        """Those of which there is no row."""
        ...
