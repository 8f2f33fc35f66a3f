"""Archives of rooms: `signaling.portability.store.ArchiveStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, collate, delete, exists, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.db.database import Database
from signaling.db.log import MAX_WORDS, searchable
from signaling.db.models import BanRow, EntryRow, FileRow, MemberRow, RoomRow, WordRow
from signaling.db.portability_seals import put_seals, seals_of
from signaling.db.repository import parts, table
from signaling.errors import ArchiveError
from signaling.log.entries import Verb
from signaling.log.words import words_of
from signaling.portability.lines import BanLine, EntryLine, FileLine, MemberLine, RoomLine, SealBackupLine, SealLine
from signaling.portability.store import Place
from signaling.rooms import policy as policies
from signaling.rooms.roles import Role

_HIDDEN = "\x01"
"""Before the name of a room that is not whole yet: no request can name it."""
_PAGE = 500
_FOUND = frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL})
_ROOM = (
    RoomRow.room_key, RoomRow.name, RoomRow.title, RoomRow.created_at_ms, RoomRow.policy, RoomRow.password_hash,
    RoomRow.last_seq,
)  # fmt: skip
_ENTRY = (
    EntryRow.seq, EntryRow.verb, EntryRow.sender, EntryRow.name, EntryRow.client_id, EntryRow.at_ms, EntryRow.body,
    EntryRow.target, EntryRow.recipient, EntryRow.ttl_s, EntryRow.expires_at_ms,
)  # fmt: skip
_MEMBER = (MemberRow.member_id, MemberRow.role, MemberRow.name, MemberRow.added_at_ms, MemberRow.read_seq)
_BAN = (BanRow.subject, BanRow.kind, BanRow.member_id, BanRow.name, BanRow.at_ms, BanRow.until_ms)
_FILE = (
    FileRow.file_id, FileRow.member_id, FileRow.name, FileRow.media_type, FileRow.metadata_header, FileRow.size_bytes,
    FileRow.created_at_ms, FileRow.completed_at_ms, FileRow.sha256,
)  # fmt: skip


class ArchiveRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    def _insert(self, model: type[Any]) -> Any:
        return (sqlite.insert if self._database.is_sqlite else postgresql.insert)(table(model))

    # --- out ------------------------------------------------------------------------------------------------

    async def room_names(self, member_id: str | None = None) -> list[str]:
        query = select(RoomRow.name)
        if member_id is not None:
            of_it = (
                (EntryRow.room_key, or_(EntryRow.sender == member_id, EntryRow.recipient == member_id)),
                (MemberRow.room_key, MemberRow.member_id == member_id),
                (FileRow.room_key, FileRow.member_id == member_id),
            )
            query = query.where(or_(*(exists().where(key == RoomRow.room_key, whose) for key, whose in of_it)))
        async with self._database.reading() as connection:
            names = (await connection.execute(query)).scalars()
            return [name for name in names if not name.startswith(_HIDDEN)]

    @asynccontextmanager
    async def snapshot(self, name: str) -> AsyncIterator[RoomSnapshot | None]:
        async with self._database.snapshot() as connection:
            row = (await connection.execute(select(*_ROOM).where(RoomRow.name == name))).one_or_none()
            if row is None:
                yield None
            else:
                yield RoomSnapshot(connection, row, collation="BINARY" if self._database.is_sqlite else "C")

    # --- in, as it was --------------------------------------------------------------------------------------

    async def place(self, room: RoomLine, fingerprint: str) -> Place:
        hidden = _HIDDEN + room.name + _HIDDEN
        async with self._database.writing() as connection:
            query = select(RoomRow.room_key, RoomRow.name).where(
                or_(RoomRow.name == room.name, RoomRow.name.startswith(hidden, autoescape=True))
            )
            found = {name: key for key, name in (await connection.execute(query)).all()}
            if room.name in found:
                return Place(found[room.name], hidden=False)
            key = found.pop(hidden + fingerprint, None)
            if key is None:
                values = {**_room_values(room), "name": hidden + fingerprint, "last_seq": 0}
                made = await connection.execute(insert(RoomRow).values(values).returning(RoomRow.room_key))
                key = made.scalar_one()
            return Place(key, hidden=True, stale=tuple(found.values()))

    async def put_people(self, room_key: int, lines: Sequence[MemberLine | BanLine]) -> None:
        members = [_values(line, room_key) for line in lines if isinstance(line, MemberLine)]
        bans = [_values(line, room_key) for line in lines if isinstance(line, BanLine)]
        async with self._database.writing() as connection:
            for model, values in ((MemberRow, members), (BanRow, bans)):
                for part in parts(values):
                    await connection.execute(self._insert(model).on_conflict_do_nothing(), part)

    async def put_seals(self, room_key: int, lines: Sequence[SealLine]) -> None:
        async with self._database.writing() as connection:
            for statement, values in put_seals(self._insert, room_key, lines):
                await connection.execute(statement, values)

    async def put_entries(self, place: Place, entries: Sequence[EntryLine]) -> int:
        room_key = place.room_key
        async with self._database.writing() as connection:
            last_seq = await _lock(connection, room_key)
            query = select(EntryRow.seq, EntryRow.sender, EntryRow.client_id).where(
                EntryRow.room_key == room_key, EntryRow.seq.between(entries[0].seq, entries[-1].seq)
            )
            known = {seq: (sender, client_id) for seq, sender, client_id in (await connection.execute(query)).all()}
            fresh = [entry for entry in entries if entry.seq > last_seq]
            others = any(known.get(e.seq) != (e.sender, e.client_id) for e in entries if e.seq <= last_seq)
            if others or (fresh and not place.hidden):
                raise ArchiveError("a room of this name is there, and something else was said in it")
            await _write(connection, room_key, fresh)
        return len(fresh)

    async def has_file(self, room_key: int, file_id: str) -> bool:
        async with self._database.reading() as connection:
            query = select(FileRow.room_key).where(FileRow.file_id == file_id)
            owner = (await connection.execute(query)).scalar_one_or_none()
        if owner not in (None, room_key):
            raise ArchiveError("a file of the archive is in another room of this server")
        return owner is not None

    async def put_file(self, room_key: int, file: FileLine) -> None:
        values = _values(file, room_key)
        values["metadata_header"] = values.pop("metadata")
        async with self._database.writing() as connection:
            await connection.execute(insert(FileRow).values(**values, expires_at_ms=file.completed_at_ms))

    async def publish(self, room_key: int, room: RoomLine) -> None:
        async with self._database.writing() as connection:
            try:
                await connection.execute(update(RoomRow).where(RoomRow.room_key == room_key).values(_room_values(room)))
            except IntegrityError:
                raise ArchiveError(f"a room {room.name} was made in the meantime") from None

    async def file_ids(self, room_key: int) -> list[str]:
        async with self._database.reading() as connection:
            return list(
                (await connection.execute(select(FileRow.file_id).where(FileRow.room_key == room_key))).scalars()
            )

    async def remove(self, room_key: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(FileRow).where(FileRow.room_key == room_key))
            await connection.execute(delete(RoomRow).where(RoomRow.room_key == room_key))

    # --- in, into another room ------------------------------------------------------------------------------

    async def append(self, room_key: int, entries: Sequence[EntryLine], seqs: dict[int, int]) -> list[EntryLine]:
        async with self._database.writing() as connection:
            last_seq = await _lock(connection, room_key)
            key = tuple_(EntryRow.sender, EntryRow.client_id)
            query = select(EntryRow.sender, EntryRow.client_id, EntryRow.seq).where(
                EntryRow.room_key == room_key, key.in_([(entry.sender, entry.client_id) for entry in entries])
            )
            known = {(sender, client_id): seq for sender, client_id, seq in (await connection.execute(query)).all()}
            fresh: list[EntryLine] = []
            for entry in entries:
                if (seq := known.get((entry.sender, entry.client_id))) is None:
                    seq = last_seq = last_seq + 1
                    target = None if entry.target is None else seqs.get(entry.target)
                    fresh.append(msgspec.structs.replace(entry, seq=seq, target=target))
                seqs[entry.seq] = seq
            await _write(connection, room_key, fresh)
        return fresh


class RoomSnapshot:
    """`signaling.portability.store.Snapshot`. The collation sorts by bytes, whatever the database's own does."""

    def __init__(self, connection: AsyncConnection, row: Any, *, collation: str) -> None:
        self._connection = connection
        self._collation = collation
        self._key, name, title, created_at_ms, policy, password_hash, last_seq = row
        self.room = RoomLine(
            name=name,
            title=title,
            created_at_ms=created_at_ms,
            policy=policies.decode(policy),
            password_hash=password_hash,
            last_seq=last_seq,
        )

    async def members(self, owner: str | None, *, only: bool = False) -> AsyncIterator[Sequence[MemberLine]]:
        """`only` the owner itself."""
        query = select(*_MEMBER).where(MemberRow.room_key == self._key)
        if only:
            query = query.where(MemberRow.member_id == owner)
        elif owner is not None:
            query = query.where(MemberRow.role != Role.GUEST)
        async for rows in self._pages(query, MemberRow.member_id):
            yield [
                MemberLine(
                    member_id=row[0], role=Role(row[1]), name=row[2], added_at_ms=row[3],
                    read_seq=row[4] if owner in (None, row[0]) else 0,
                )
                for row in rows
            ]  # fmt: skip

    async def bans(self, owner: str | None) -> AsyncIterator[Sequence[BanLine]]:
        query = select(*_BAN).where(BanRow.room_key == self._key)
        if owner is not None:
            query = query.where(BanRow.subject == BanRow.member_id)
        async for rows in self._pages(query, BanRow.subject):
            yield [
                BanLine(subject=row[0], kind=row[1], member_id=row[2], name=row[3], at_ms=row[4], until_ms=row[5])
                for row in rows
            ]

    async def entries(self, owner: str | None) -> AsyncIterator[Sequence[EntryLine]]:
        query = select(*_ENTRY)
        if owner is not None:
            query = query.where(or_(EntryRow.recipient == "", EntryRow.recipient == owner, EntryRow.sender == owner))
        async for page in self._entries(query):
            yield page

    async def _entries(self, query: Any) -> AsyncIterator[Sequence[EntryLine]]:
        query = query.where(EntryRow.room_key == self._key, EntryRow.seq <= self.room.last_seq)
        after = 0
        while rows := (
            await self._connection.execute(query.where(EntryRow.seq > after).order_by(EntryRow.seq).limit(_PAGE))
        ).all():
            after = rows[-1].seq
            yield [_entry(row) for row in rows]

    async def belongings(self, member_id: str) -> AsyncIterator[Sequence[MemberLine | EntryLine | FileLine | SealLine]]:
        async for members in self.members(member_id, only=True):
            yield members
        theirs = or_(EntryRow.sender == member_id, EntryRow.recipient == member_id)
        async for entries in self._entries(select(*_ENTRY).where(theirs)):
            yield entries
        async for files in self.files(member_id):
            yield files
        async for seals in self.seals(member_id):
            yield [seal for seal in seals if isinstance(seal, SealBackupLine) and seal.member_id == member_id]

    async def files(self, member_id: str | None = None) -> AsyncIterator[Sequence[FileLine]]:
        query = select(*_FILE).where(FileRow.room_key == self._key, FileRow.completed_at_ms > 0)
        if member_id is not None:
            query = query.where(FileRow.member_id == member_id)
        async for rows in self._pages(query, FileRow.file_id):
            yield [
                FileLine(
                    file_id=row[0], member_id=row[1], name=row[2], media_type=row[3], metadata=row[4],
                    size_bytes=row[5], created_at_ms=row[6], completed_at_ms=row[7], sha256=row[8],
                )
                for row in rows
            ]  # fmt: skip

    async def seals(self, owner: str | None) -> AsyncIterator[Sequence[SealLine]]:
        async for page in seals_of(self._connection, self._key, owner, self._collation):
            yield page

    async def _pages(self, query: Any, column: Any) -> AsyncIterator[Sequence[Any]]:
        """By the column's bytes; it is the first of each row."""
        ordered: ColumnElement[str] = collate(column, self._collation)
        after = None
        while True:
            page = query if after is None else query.where(ordered > after)
            rows = (await self._connection.execute(page.order_by(ordered).limit(_PAGE))).all()
            if not rows:
                return
            after = rows[-1][0]
            yield rows


async def _lock(connection: AsyncConnection, room_key: int) -> int:
    """The room's `last_seq`, which nobody else moves until the transaction ends."""
    query = select(RoomRow.last_seq).where(RoomRow.room_key == room_key).with_for_update()
    found = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        raise ArchiveError("the room was deleted")
    return found


async def _write(connection: AsyncConnection, room_key: int, entries: Sequence[EntryLine]) -> None:
    if not entries:
        return
    rows, words = [], []
    for entry in entries:
        values = _values(entry, room_key)
        values["body"] = None if entry.body is None else msgspec.json.encode(entry.body).decode()
        rows.append(values)
        if entry.verb in _FOUND:
            found = words_of(searchable(entry.body), MAX_WORDS)
            words += [{"room_key": room_key, "seq": entry.seq, "word": word} for word in found]
    try:
        for part in parts(rows):
            await connection.execute(insert(EntryRow), part)
        for part in parts(words):
            await connection.execute(insert(WordRow), part)
    except IntegrityError:
        raise ArchiveError("an entry is there twice") from None
    statement = update(RoomRow).where(RoomRow.room_key == bindparam("key")).values(last_seq=bindparam("seq"))
    await connection.execute(
        statement.execution_options(synchronize_session=None), [{"key": room_key, "seq": entries[-1].seq}]
    )


def _values(line: MemberLine | BanLine | EntryLine | FileLine, room_key: int) -> dict[str, Any]:
    return {"room_key": room_key, **{name: getattr(line, name) for name in line.__struct_fields__}}


def _room_values(room: RoomLine) -> dict[str, Any]:
    return {**msgspec.structs.asdict(room), "policy": policies.encode(room.policy)}


def _entry(row: Any) -> EntryLine:
    seq, verb, sender, name, client_id, at_ms, body, target, recipient, ttl_s, expires_at_ms = row
    return EntryLine(
        seq=seq, verb=Verb(verb), sender=sender, name=name, client_id=client_id, at_ms=at_ms,
        body=None if body is None else msgspec.Raw(body.encode()), target=target, recipient=recipient,
        ttl_s=ttl_s, expires_at_ms=expires_at_ms,
    )  # fmt: skip
