"""Files of rooms in the database; `signaling.files.records` says what each method does. Every one may raise
`DatabaseError`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, cast, delete, extract, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.db.database import Database
from signaling.db.models import FileRow, RoomRow
from signaling.db.repository import parts
from signaling.files.records import NewFile, Quotas, StoredFile

_QUOTA_LOCK = 0x54696E69
"""PostgreSQL advisory lock: two that reserve at once would both find room. SQLite has one writer anyway."""
_JULIAN_UNIX_EPOCH = 2_440_587.5


class FileRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_file(self, new: NewFile, quotas: Quotas, expiry_s: float) -> StoredFile | str:
        async with self._database.writing() as connection:
            if not self._database.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _QUOTA_LOCK})
            exceeded = await self._exceeded(connection, new, quotas)
            if exceeded:
                return exceeded
            now_ms = await self._now_ms(connection)
            statement = insert(FileRow).values(
                file_id=new.file_id,
                room_key=new.room_key,
                member_id=new.member_id,
                name=new.name,
                media_type=new.media_type,
                metadata_header=new.metadata,
                size_bytes=new.size_bytes,
                created_at_ms=now_ms,
                expires_at_ms=now_ms + round(expiry_s * 1000),
                completed_at_ms=0,
                sha256="",
            )
            await connection.execute(statement)
            row = (await connection.execute(self._select(new.file_id))).one()
        return StoredFile(*row)

    async def load_file(self, file_id: str) -> StoredFile | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(self._select(file_id))).one_or_none()
        return None if row is None else StoredFile(*row)

    async def prolong_file(self, file_id: str, expiry_s: float) -> int:
        async with self._database.writing() as connection:
            until_ms = await self._now_ms(connection) + round(expiry_s * 1000)
            statement = update(FileRow).where(FileRow.file_id == file_id, FileRow.completed_at_ms == 0)
            done = await connection.execute(statement.values(expires_at_ms=until_ms))
        return until_ms if done.rowcount else 0

    async def complete_file(self, file_id: str, sha256: str) -> StoredFile | None:
        async with self._database.writing() as connection:
            now_ms = await self._now_ms(connection)
            statement = update(FileRow).where(FileRow.file_id == file_id, FileRow.completed_at_ms == 0)
            await connection.execute(statement.values(completed_at_ms=now_ms, sha256=sha256))
            row = (await connection.execute(self._select(file_id))).one_or_none()
        return None if row is None else StoredFile(*row)

    async def delete_file(self, file_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(FileRow).where(FileRow.file_id == file_id))

    async def list_room_files(self, room_key: int) -> list[str]:
        async with self._database.reading() as connection:
            found = await connection.execute(select(FileRow.file_id).where(FileRow.room_key == room_key))
            return list(found.scalars())

    async def list_homeless_files(self, limit: int) -> list[str]:
        query = select(FileRow.file_id).where(FileRow.room_key.not_in(select(RoomRow.room_key))).limit(limit)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def list_expired_files(self, limit: int) -> list[str]:
        query = select(FileRow.file_id).where(self._expired()).order_by(FileRow.expires_at_ms).limit(limit)
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def list_unknown_files(self, file_ids: Sequence[str]) -> list[str]:
        known: set[str] = set()
        async with self._database.reading() as connection:
            for part in parts(file_ids):
                known |= set(
                    (await connection.execute(select(FileRow.file_id).where(FileRow.file_id.in_(part)))).scalars()
                )
        return [file_id for file_id in file_ids if file_id not in known]

    async def _exceeded(self, connection: AsyncConnection, new: NewFile, quotas: Quotas) -> str:
        """The name of the first quota that there is no room in; empty when there is in all."""
        size, in_room = func.coalesce(func.sum(FileRow.size_bytes), 0), FileRow.room_key == new.room_key
        mine = FileRow.member_id == new.member_id
        mine_bytes = func.coalesce(func.sum(case((mine, FileRow.size_bytes), else_=0)), 0)
        opened = func.coalesce(func.sum(case((mine & (FileRow.completed_at_ms == 0), 1), else_=0)), 0)
        found = (await connection.execute(select(size, mine_bytes, func.count(), opened).where(in_room))).one()
        room_bytes, member_bytes, room_files, open_uploads = (int(value) for value in found)
        server_bytes = int((await connection.execute(select(size))).scalar_one())
        for name, used, more, limit in (
            ("uploads", open_uploads, 1, quotas.open_uploads),
            ("files", room_files, 1, quotas.room_files),
            ("member", member_bytes, new.size_bytes, quotas.member_bytes),
            ("room", room_bytes, new.size_bytes, quotas.room_bytes),
            ("server", server_bytes, new.size_bytes, quotas.server_bytes),
        ):
            if used + more > limit:
                return name
        return ""

    def _select(self, file_id: str) -> Any:
        columns = (
            FileRow.file_id, FileRow.room_key, FileRow.member_id, FileRow.name, FileRow.media_type,
            FileRow.metadata_header, FileRow.size_bytes, FileRow.created_at_ms, FileRow.expires_at_ms,
            FileRow.completed_at_ms, FileRow.sha256,
        )  # fmt: skip
        return select(*columns, self._expired()).where(FileRow.file_id == file_id)

    def _expired(self) -> ColumnElement[bool]:
        return (FileRow.completed_at_ms == 0) & (FileRow.expires_at_ms <= self._now())

    def _now(self) -> ColumnElement[int]:
        """Unix time of the database in milliseconds. That of the statement, not of the transaction, which may have
        waited."""
        if self._database.is_sqlite:
            return cast((func.julianday("now") - _JULIAN_UNIX_EPOCH) * 86_400_000, BigInteger)
        return cast(extract("epoch", func.clock_timestamp()) * 1000, BigInteger)

    async def _now_ms(self, connection: AsyncConnection) -> int:
        return int((await connection.execute(select(self._now()))).scalar_one())
