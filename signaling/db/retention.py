"""What is over goes: `signaling.retention.store.RetentionStore` over SQLAlchemy."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, and_, cast, delete, func, null, or_, select, tuple_, update

from signaling.db.database import Database
from signaling.db.models import (
    Delivery,
    EntryRow,
    FileRow,
    MemberRow,
    RoomRow,
    SealedBackupRow,
    SealedCommitRow,
    SealedEpochRow,
    SealedGroupRow,
    WordRow,
)
from signaling.db.settings import DatabaseSettings
from signaling.log.entries import LASTING, Verb
from signaling.retention.store import Erasure, Gone
from signaling.rooms import policy as policies
from signaling.rooms.policy import Policy, RetentionFrom
from signaling.rooms.roles import Role

_KEPT = tuple(verb.value for verb in LASTING)
_SCRUBBED = [
    row.__tablename__
    for row in (
        EntryRow, WordRow, FileRow, Delivery, SealedGroupRow, SealedCommitRow, SealedEpochRow, SealedBackupRow,
    )
]  # fmt: skip
_LATE_MS = 60_000
"""How long after an epoch ended its key may still be used."""


class RetentionRepository:
    def __init__(self, database: Database, settings: DatabaseSettings) -> None:
        self._database = database
        self._settings = settings

    async def apply(self, room_key: int, policy: Policy) -> None:
        from_sending = policy.retention_s is not None and policy.retention_from is RetentionFrom.SENDING
        ttl: Any = EntryRow.ttl_s
        if from_sending:
            least = func.min if self._database.is_sqlite else func.least
            ttl = least(func.coalesce(EntryRow.ttl_s, policy.retention_s), policy.retention_s)
        statement = update(EntryRow).where(EntryRow.room_key == room_key, EntryRow.verb.not_in(_KEPT))
        async with self._database.writing() as connection:
            await connection.execute(statement.values(expires_at_ms=EntryRow.at_ms + 1000 * ttl))

    async def apply_reading(self, room_key: int, retention_s: int, now_ms: int) -> int | None:
        members = select(func.min(MemberRow.read_seq)).where(
            MemberRow.room_key == room_key, MemberRow.role != Role.GUEST.value
        )
        deadline_ms = now_ms + 1000 * retention_s
        async with self._database.writing() as connection:
            read_seq = (await connection.execute(members)).scalar_one_or_none() or 0
            changed = await connection.execute(
                update(EntryRow)
                .where(
                    EntryRow.room_key == room_key,
                    EntryRow.seq <= read_seq,
                    EntryRow.verb.not_in(_KEPT),
                    EntryRow.body.is_not(None),
                    or_(EntryRow.expires_at_ms.is_(None), EntryRow.expires_at_ms > deadline_ms),
                )
                .values(expires_at_ms=cast(deadline_ms, BigInteger))
            )
        return deadline_ms if changed.rowcount else None

    async def take(self, now_ms: int, limit: int) -> list[Gone]:
        over = (
            select(EntryRow.room_key, EntryRow.seq, EntryRow.verb, EntryRow.body)
            .where(EntryRow.expires_at_ms <= now_ms)
            .order_by(EntryRow.expires_at_ms)
            .limit(limit)
        )
        async with self._database.writing() as connection:
            held = await self._held(connection)
            if held:
                over = over.where(EntryRow.room_key.not_in(held))
            rows = (await connection.execute(over)).all()
            if not rows:
                return []
            places = [(row.room_key, row.seq) for row in rows]
            concerned = or_(
                tuple_(EntryRow.room_key, EntryRow.seq).in_(places),
                and_(tuple_(EntryRow.room_key, EntryRow.target).in_(places), EntryRow.verb == Verb.EDIT.value),
            )
            await connection.execute(update(EntryRow).where(concerned).values(body=null(), expires_at_ms=null()))
            await connection.execute(delete(WordRow).where(tuple_(WordRow.room_key, WordRow.seq).in_(places)))
        return [Gone(row.room_key, row.seq, _file_id(row.verb, row.body)) for row in rows]

    async def forget_epochs(self, now_ms: int) -> int:
        rooms = select(RoomRow.room_key, RoomRow.policy).join(
            SealedGroupRow, SealedGroupRow.room_key == RoomRow.room_key
        )
        forgotten = 0
        async with self._database.writing() as connection:
            for room_key, text in (await connection.execute(rooms)).all():
                policy = policies.decode(text)
                if policy.retention_s is None or policy.hold or policy.retention_from is not RetentionFrom.SENDING:
                    continue
                over_ms = now_ms - 1000 * policy.retention_s - _LATE_MS
                here = SealedEpochRow.room_key == room_key
                ended = select(func.max(SealedEpochRow.n)).where(here, SealedEpochRow.at_ms <= over_ms)
                newest = (await connection.execute(ended)).scalar_one_or_none()
                if newest is not None:
                    gone = await connection.execute(delete(SealedEpochRow).where(here, SealedEpochRow.n < newest))
                    forgotten += gone.rowcount
        return forgotten

    async def next_deadline(self) -> int | None:
        query = select(func.min(EntryRow.expires_at_ms))
        async with self._database.reading() as connection:
            held = await self._held(connection)
            if held:
                query = query.where(EntryRow.room_key.not_in(held))
            found: int | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def _held(self, connection: Any) -> list[int]:
        """Of rooms with a policy that says so; the text is looked for first, since nearly none does."""
        query = select(RoomRow.room_key, RoomRow.policy).where(RoomRow.policy.like('%"hold":true%'))
        rows = (await connection.execute(query)).all()
        return [key for key, policy in rows if policies.decode(policy).hold]

    @property
    def rewrites(self) -> bool:
        return not self._database.is_sqlite

    async def scrub(self) -> bool:
        settings = self._settings
        return await self._database.scrub(_SCRUBBED, settings.max_rewrite_bytes, settings.rewrite_timeout_s)

    async def erasure(self) -> Erasure:
        return await self._database.erasure(_SCRUBBED, self._settings.max_rewrite_bytes)


def _file_id(verb: str, body: str | None) -> str:
    if verb != Verb.FILE.value or body is None:
        return ""
    file_id: str = msgspec.json.decode(body).get("file_id", "")
    return file_id
