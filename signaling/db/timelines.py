"""What is kept of how calls went: `signaling.log.timelines.TimelineStore` over SQLAlchemy."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, func, or_, select, update

from signaling.db.database import Database
from signaling.db.models import EntryRow
from signaling.log.entries import HIDDEN, Verb
from signaling.log.timelines import Kept

MAX_SCANNED = 50_000
"""Entries of a room that one question looks at."""
_IS_KEPT = (EntryRow.verb == Verb.LEFT.value, EntryRow.body.like('%"timeline":[%'))


class TimelineRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, room_key: int, member_id: str, before: int | None, limit: int, now_ms: int
    ) -> tuple[list[Kept], int | None]:
        def look(connection: Connection) -> tuple[list[Kept], int | None]:
            here = EntryRow.room_key == room_key
            end = 1 + (connection.execute(select(func.max(EntryRow.seq)).where(here)).scalar() or 0)
            end = end if before is None else min(before, end)
            query = select(EntryRow.seq, EntryRow.sender, EntryRow.name, EntryRow.at_ms, EntryRow.body).where(
                here, EntryRow.seq < end, EntryRow.seq >= end - MAX_SCANNED, *_IS_KEPT,
                or_(EntryRow.expires_at_ms.is_(None), EntryRow.expires_at_ms > now_ms),
            )  # fmt: skip
            if member_id:
                query = query.where(EntryRow.sender == member_id)
            rows = connection.execute(query.order_by(EntryRow.seq.desc()).limit(limit + 1)).all()
            found = [Kept(seq, who, name, at_ms, _decode(body)) for seq, who, name, at_ms, body in rows]
            if len(found) > limit:
                return found[:limit], found[limit - 1].seq
            return found, end - MAX_SCANNED if end > MAX_SCANNED else None

        return await self._database.read(look)

    async def forget(self, member_id: str, room_key: int | None = None) -> int:
        theirs: list[Any] = [EntryRow.sender == member_id, *_IS_KEPT]
        if room_key is not None:
            theirs.append(EntryRow.room_key == room_key)

        def change(connection: Connection) -> int:
            rows = connection.execute(select(EntryRow.entry_id, EntryRow.body).where(*theirs)).all()
            for entry_id, body in rows:
                left = {key: value for key, value in _decode(body).items() if key not in HIDDEN}
                text = msgspec.json.encode(left).decode()
                connection.execute(update(EntryRow).where(EntryRow.entry_id == entry_id).values(body=text))
            return len(rows)

        return await self._database.write(change)


def _decode(body: str | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(body or "{}")
    return found
