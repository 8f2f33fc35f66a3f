"""Groups of sealed rooms: `signaling.sealed.records.SealedStore` over SQLAlchemy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from signaling.db.database import Database
from signaling.db.models import (
    RoomRow,
    SealedBackupRow,
    SealedCommitRow,
    SealedEpochRow,
    SealedGateRow,
    SealedGroupRow,
)
from signaling.db.repository import table
from signaling.sealed.records import NO_GROUP, Commit, Group, KeptCommit, KeptEpoch, Outcome, Wrapped

_GROUP = (SealedGroupRow.group_id, SealedGroupRow.epoch, SealedGroupRow.group_info)
_COMMIT = (SealedCommitRow.epoch, SealedCommitRow.member_id, SealedCommitRow.device, SealedCommitRow.message)
_EPOCH = (
    SealedEpochRow.n, SealedEpochRow.group_id, SealedEpochRow.epoch, SealedEpochRow.wrap, SealedEpochRow.secrets,
)  # fmt: skip
_FIND_EPOCH = select(SealedGroupRow.group_id, SealedGroupRow.epoch).where(
    SealedGroupRow.room_key == bindparam("room_key")
)


class SealedRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def group(self, room_key: int) -> Group:
        return await self._database.read(lambda connection: _group(connection, room_key))

    async def epoch(self, room_key: int) -> tuple[str, int]:
        def look(connection: Connection) -> tuple[str, int]:
            row = connection.execute(_FIND_EPOCH, {"room_key": room_key}).one_or_none()
            return (NO_GROUP.group_id, NO_GROUP.epoch) if row is None else (row.group_id, row.epoch)

        return await self._database.read(look)

    async def commit(self, room_key: int, commit: Commit, now_ms: int, *, keep: int, keep_epochs: int) -> Outcome:
        def work(connection: Connection) -> Outcome:
            if not _lock(connection, room_key):
                return Outcome.NO_ROOM
            if not _passes(connection, room_key, commit.gate_hash):
                return Outcome.NO_LINK
            group = _group(connection, room_key)
            if (group.group_id, group.epoch) != (commit.after_group, commit.after_epoch):
                return Outcome.REPEATED if _is_there(connection, room_key, commit) else Outcome.CONFLICT
            _step(connection, room_key, commit, now_ms, keep)
            if commit.history is not None:
                _keep_keys(connection, room_key, commit, commit.history, now_ms)
                oldest = _newest_epoch(connection, room_key) - keep_epochs
                connection.execute(
                    delete(SealedEpochRow).where(SealedEpochRow.room_key == room_key, SealedEpochRow.n <= oldest)
                )
            return Outcome.DONE

        return await self._database.write(work)

    async def commits(self, room_key: int, group_id: str, since: int, limit: int) -> list[KeptCommit] | None:
        kept = (SealedCommitRow.room_key == room_key, SealedCommitRow.group_id == group_id)
        query = select(*_COMMIT).where(*kept, SealedCommitRow.epoch > since).order_by(SealedCommitRow.epoch)

        def look(connection: Connection) -> list[KeptCommit] | None:
            # The commits after the epoch: of what others write in between they have more, and never less.
            group = connection.execute(_FIND_EPOCH, {"room_key": room_key}).one_or_none()
            if group is None or group.group_id != group_id:
                return None
            if since >= group.epoch:
                return []
            found = [KeptCommit(*row) for row in connection.execute(query.limit(limit)).all()]
            return found if found and found[0].epoch == since + 1 else None

        return await self._database.read(look)

    async def history(self, room_key: int, since: int, limit: int) -> list[KeptEpoch]:
        query = select(*_EPOCH).where(SealedEpochRow.room_key == room_key, SealedEpochRow.n > since)
        query = query.order_by(SealedEpochRow.n).limit(limit)
        return await self._database.read(lambda one: [KeptEpoch(*row) for row in one.execute(query).all()])

    async def forget_gate(self, room_key: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(SealedGateRow).where(SealedGateRow.room_key == room_key))

    async def backup(self, room_key: int, member_id: str) -> str | None:
        query = select(SealedBackupRow.blob).where(*_own(room_key, member_id))
        async with self._database.reading() as connection:
            found: str | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def put_backup(self, room_key: int, member_id: str, blob: str, now_ms: int, limit: int) -> bool:
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement: Any = make(table(SealedBackupRow)).values(
            room_key=room_key, member_id=member_id, blob=blob, at_ms=now_ms
        )
        statement = statement.on_conflict_do_update(
            index_elements=["room_key", "member_id"],
            set_={name: statement.excluded[name] for name in ("blob", "at_ms")},
        )
        others = select(func.count()).where(
            SealedBackupRow.room_key == room_key, SealedBackupRow.member_id != member_id
        )

        def work(connection: Connection) -> bool:
            if not _lock(connection, room_key) or connection.execute(others).scalar_one() >= limit:
                return False
            connection.execute(statement)
            return True

        return await self._database.write(work)

    async def remove_backup(self, room_key: int, member_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(SealedBackupRow).where(*_own(room_key, member_id)))


def _own(room_key: int, member_id: str) -> tuple[Any, ...]:
    return SealedBackupRow.room_key == room_key, SealedBackupRow.member_id == member_id


def _lock(connection: Connection, room_key: int) -> bool:
    """Whether the room is there. Nobody else moves its group until the transaction ends."""
    query = select(RoomRow.room_key).where(RoomRow.room_key == room_key).with_for_update()
    return connection.execute(query).one_or_none() is not None


def _passes(connection: Connection, room_key: int, gate_hash: str) -> bool:
    """Whoever is the first where nothing is known decides."""
    query = select(SealedGateRow.gate_hash).where(SealedGateRow.room_key == room_key)
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        connection.execute(insert(SealedGateRow).values(room_key=room_key, gate_hash=gate_hash))
    return known in (None, gate_hash)


def _group(connection: Connection, room_key: int) -> Group:
    row = connection.execute(select(*_GROUP).where(SealedGroupRow.room_key == room_key)).one_or_none()
    return NO_GROUP if row is None else Group(*row)


def _is_there(connection: Connection, room_key: int, commit: Commit) -> bool:
    """Whether the same device has sent the same commit before."""
    query = select(*_COMMIT).where(
        SealedCommitRow.room_key == room_key,
        SealedCommitRow.group_id == commit.group_id,
        SealedCommitRow.epoch == commit.epoch,
    )
    row = connection.execute(query).one_or_none()
    return row is not None and KeptCommit(*row) == KeptCommit(
        commit.epoch, commit.member_id, commit.device, commit.message
    )


def _step(connection: Connection, room_key: int, commit: Commit, now_ms: int, keep: int) -> None:
    values = {
        "group_id": commit.group_id, "epoch": commit.epoch, "group_info": commit.group_info, "at_ms": now_ms,
    }  # fmt: skip
    moved = connection.execute(update(SealedGroupRow).where(SealedGroupRow.room_key == room_key).values(**values))
    if not moved.rowcount:
        connection.execute(insert(SealedGroupRow).values(room_key=room_key, **values))
    connection.execute(
        delete(SealedCommitRow).where(
            SealedCommitRow.room_key == room_key,
            or_(SealedCommitRow.group_id != commit.group_id, SealedCommitRow.epoch <= commit.epoch - keep),
        )
    )
    connection.execute(
        insert(SealedCommitRow).values(
            room_key=room_key,
            group_id=commit.group_id,
            epoch=commit.epoch,
            member_id=commit.member_id,
            device=commit.device,
            message=commit.message,
            at_ms=now_ms,
        )
    )


def _newest_epoch(connection: Connection, room_key: int) -> int:
    query = select(func.max(SealedEpochRow.n)).where(SealedEpochRow.room_key == room_key)
    return connection.execute(query).scalar_one_or_none() or 0


def _keep_keys(connection: Connection, room_key: int, commit: Commit, wrapped: Wrapped, now_ms: int) -> None:
    """Of the epoch that the commit makes. What is there stays, also when a group begins anew under its old name."""
    here = (
        SealedEpochRow.room_key == room_key,
        SealedEpochRow.group_id == commit.group_id,
        SealedEpochRow.epoch == commit.epoch,
    )
    if connection.execute(select(SealedEpochRow.n).where(*here)).first() is None:
        connection.execute(
            insert(SealedEpochRow).values(
                room_key=room_key,
                n=_newest_epoch(connection, room_key) + 1,
                group_id=commit.group_id,
                epoch=commit.epoch,
                wrap=wrapped.wrap,
                secrets=wrapped.secrets,
                at_ms=now_ms,
            )
        )
