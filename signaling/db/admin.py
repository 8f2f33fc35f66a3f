"""What admins look at: sums over rooms, entries and files."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from signaling.db.database import Database
from signaling.db.models import EntryRow, FileRow, HookRow, MemberRow, RoomRow
from signaling.rooms.admin import HookState, RoomSums, Totals
from signaling.rooms.roles import Role


class AdminRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def totals(self) -> Totals:
        queries = (
            select(func.count()).select_from(RoomRow),
            select(func.coalesce(func.sum(RoomRow.last_seq), 0)),
            select(func.count()).select_from(FileRow),
            select(func.coalesce(func.sum(FileRow.size_bytes), 0)),
        )
        async with self._database.reading() as connection:
            rooms, entries, files, file_bytes = [(await connection.execute(query)).scalar_one() for query in queries]
        return Totals(rooms, int(entries), files, int(file_bytes))

    async def sums(self, room_keys: Sequence[int]) -> dict[int, RoomSums]:
        members = (
            select(MemberRow.room_key, func.count())
            .where(MemberRow.room_key.in_(room_keys), MemberRow.role != Role.GUEST.value)
            .group_by(MemberRow.room_key)
        )
        files = (
            select(FileRow.room_key, func.count(), func.coalesce(func.sum(FileRow.size_bytes), 0))
            .where(FileRow.room_key.in_(room_keys))
            .group_by(FileRow.room_key)
        )
        newest = (
            select(EntryRow.room_key, func.max(EntryRow.at_ms))
            .where(EntryRow.room_key.in_(room_keys))
            .group_by(EntryRow.room_key)
        )
        async with self._database.reading() as connection:
            member_counts = {row[0]: row[1] for row in (await connection.execute(members)).all()}
            file_sums = {row[0]: (row[1], int(row[2])) for row in (await connection.execute(files)).all()}
            times = {row[0]: row[1] for row in (await connection.execute(newest)).all()}
        return {
            key: RoomSums(member_counts.get(key, 0), *file_sums.get(key, (0, 0)), times.get(key)) for key in room_keys
        }

    async def hooks(self, limit: int) -> list[HookState]:
        """Those that are behind or gone, the worst first."""
        waiting = (RoomRow.last_seq - HookRow.delivered_seq).label("waiting")
        query = (
            select(RoomRow.name, HookRow.hook_id, HookRow.failures, HookRow.is_gone, waiting)
            .join(RoomRow, RoomRow.room_key == HookRow.room_key)
            .where((HookRow.failures > 0) | HookRow.is_gone)
            .order_by(HookRow.failures.desc())
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [HookState(*row) for row in (await connection.execute(query)).all()]
