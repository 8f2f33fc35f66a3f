"""The logs of rooms: `signaling.log.store.LogStore` over SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, tuple_, update

from signaling.db.database import Database
from signaling.db.models import EntryRow, RoomRow, WordRow
from signaling.db.repository import parts, table
from signaling.db.rooms import change_room
from signaling.errors import ApiError
from signaling.log.entries import DRAWN, LASTING, Draft, Drawn, Entry, Verb
from signaling.log.rules import check_target
from signaling.log.store import Written
from signaling.log.words import words_of
from signaling.rooms import policy as policies
from signaling.rooms.policy import Keeps, Policy, RetentionFrom

MAX_WORDS = 200
"""By which one entry is found."""
MAX_UNREAD = 1000
_ENTRY = (
    EntryRow.seq, EntryRow.verb, EntryRow.sender, EntryRow.name, EntryRow.client_id, EntryRow.at_ms, EntryRow.body,
    EntryRow.target, EntryRow.recipient, EntryRow.expires_at_ms,
)  # fmt: skip
_FOUND = frozenset({Verb.MESSAGE, Verb.FILE, Verb.POLL})
"""What a search finds."""
_COUNTED = (Verb.MESSAGE.value, Verb.FILE.value, Verb.POLL.value)
_DRAWN = tuple(verb.value for verb in DRAWN)
# What every batch needs is put together once, and compiled once.
_LOCK_ROOMS = (
    select(RoomRow.room_key, RoomRow.last_seq, RoomRow.policy)
    .where(RoomRow.room_key.in_(bindparam("keys", expanding=True)))
    .order_by(RoomRow.room_key)
    .with_for_update()
)
_REPEATED = select(EntryRow.room_key, *_ENTRY).where(
    tuple_(EntryRow.room_key, EntryRow.sender, EntryRow.client_id).in_(bindparam("keys", expanding=True))
)
_TARGETS = select(EntryRow.room_key, *_ENTRY).where(
    tuple_(EntryRow.room_key, EntryRow.seq).in_(bindparam("places", expanding=True))
)
_INSERT_ENTRIES, _INSERT_WORDS = insert(table(EntryRow)), insert(table(WordRow))
_MOVE_ROOMS = update(table(RoomRow)).where(RoomRow.room_key == bindparam("key")).values(last_seq=bindparam("seq"))
_Key = tuple[int, str, str]
_Place = tuple[int, int]


class LogRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, drafts: Sequence[Draft], now_ms: int) -> list[Written | ApiError]:
        return await self._database.write(lambda connection: _append(connection, drafts, now_ms))

    async def before(
        self, room_key: int, before: int | None, limit: int, member_id: str, floor: int, drawn: Drawn = Drawn.WITH
    ) -> tuple[list[Entry], int]:
        query = _of_kind(_visible(room_key, member_id, floor), drawn)
        if before is not None:
            query = query.where(EntryRow.seq < before)
        found, newest = await self._page(room_key, query.order_by(EntryRow.seq.desc()).limit(limit))
        return found[::-1], newest

    async def since(
        self, room_key: int, since: int, limit: int, member_id: str, floor: int, drawn: Drawn = Drawn.WITH
    ) -> tuple[list[Entry], int]:
        query = _of_kind(_visible(room_key, member_id, max(since, floor)), drawn)
        return await self._page(room_key, query.order_by(EntryRow.seq).limit(limit))

    async def newest(self, room_key: int) -> int:
        return await self._database.read(lambda connection: _newest(connection, room_key))

    async def pins(self, room_key: int, limit: int) -> list[Entry]:
        pin = select(EntryRow.target, func.max(EntryRow.seq).label("seq"))
        newest = (
            pin.where(EntryRow.room_key == room_key, EntryRow.verb == Verb.PIN).group_by(EntryRow.target).subquery()
        )
        acts = select(EntryRow.seq, EntryRow.target, EntryRow.body).join(
            newest, and_(EntryRow.seq == newest.c.seq, EntryRow.room_key == room_key)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(acts.order_by(EntryRow.seq.desc()))).all()
            pinned = [row.target for row in rows if msgspec.json.decode(row.body).get("on", True)][:limit]
            query = select(*_ENTRY).where(EntryRow.room_key == room_key, EntryRow.seq.in_(pinned))
            found = {row.seq: _entry(row) for row in (await connection.execute(query)).all()}
        return [found[seq] for seq in pinned if seq in found and found[seq].body is not None]

    async def unread(self, room_key: int, since: int, member_id: str) -> int:
        query = (
            _visible(room_key, member_id, since)
            .with_only_columns(EntryRow.seq)
            .where(EntryRow.verb.in_(_COUNTED), EntryRow.sender != member_id, EntryRow.body.is_not(None))
            .limit(MAX_UNREAD)
        )
        return await self._database.read(lambda connection: len(connection.execute(query).all()))

    async def search(
        self, room_key: int, words: Sequence[str], before: int | None, limit: int, member_id: str, floor: int
    ) -> list[Entry]:
        query = _visible(room_key, member_id, floor).where(EntryRow.body.is_not(None))
        if before is not None:
            query = query.where(EntryRow.seq < before)
        for number, word in enumerate(words):
            is_last = number == len(words) - 1
            matches = (
                and_(WordRow.word >= word, WordRow.word < word + "\U0010ffff") if is_last else WordRow.word == word
            )
            query = query.where(EntryRow.seq.in_(select(WordRow.seq).where(WordRow.room_key == room_key, matches)))
        return await self._entries(query.order_by(EntryRow.seq.desc()).limit(limit))

    async def _entries(self, query: Any) -> list[Entry]:
        return await self._database.read(lambda connection: _entries(connection, query))

    async def _page(self, room_key: int, query: Any) -> tuple[list[Entry], int]:
        def look(connection: Connection) -> tuple[list[Entry], int]:
            # In this order, so that who goes on after `newest` misses nothing, also where others write in between.
            newest = _newest(connection, room_key)
            return _entries(connection, query), newest

        return await self._database.read(look)


def _entries(connection: Connection, query: Any) -> list[Entry]:
    return [_entry(row) for row in connection.execute(query).all()]


def _newest(connection: Connection, room_key: int) -> int:
    query = select(RoomRow.last_seq).where(RoomRow.room_key == room_key)
    return connection.execute(query).scalar_one_or_none() or 0


def _visible(room_key: int, member_id: str, floor: int) -> Any:
    return select(*_ENTRY).where(
        EntryRow.room_key == room_key,
        EntryRow.seq > floor,
        or_(EntryRow.recipient == "", EntryRow.recipient == member_id, EntryRow.sender == member_id),
    )


def _of_kind(query: Any, drawn: Drawn) -> Any:
    if drawn is Drawn.WITH:
        return query
    return query.where(EntryRow.verb.in_(_DRAWN) if drawn is Drawn.ONLY else EntryRow.verb.not_in(_DRAWN))


def _append(connection: Connection, drafts: Sequence[Draft], now_ms: int) -> list[Written | ApiError]:
    rooms = _lock_rooms(connection, {draft.room_key for draft in drafts})
    batch = _Batch(rooms, _find_repeated(connection, drafts), _find_targets(connection, drafts), now_ms)
    outcomes: list[Written | ApiError] = []
    for draft in drafts:
        if draft.room_change is not None and not change_room(connection, draft.room_key, draft.room_change):
            outcomes.append(ApiError("invalid_body", "A room that asks for a password needs one."))
        else:
            outcomes.append(batch.take(draft))
    batch.save(connection)
    return outcomes


def _lock_rooms(connection: Connection, keys: set[int]) -> dict[int, tuple[int, Policy]]:
    """Newest seq and policy by room. In one order, so that two processes cannot wait for each other."""
    rows = connection.execute(_LOCK_ROOMS, {"keys": list(keys)}).all()
    return {key: (last_seq, policies.decode(policy)) for key, last_seq, policy in rows}


def _find_repeated(connection: Connection, drafts: Sequence[Draft]) -> dict[_Key, Entry]:
    found = {}
    for part in parts([_key(draft) for draft in drafts]):
        for row in connection.execute(_REPEATED, {"keys": part}).all():
            found[row.room_key, row.sender, row.client_id] = _entry(row[1:])
    return found


def _find_targets(connection: Connection, drafts: Sequence[Draft]) -> dict[_Place, Entry]:
    places = list({(draft.room_key, draft.target) for draft in drafts if draft.target is not None})
    found = {}
    for part in parts(places):
        for row in connection.execute(_TARGETS, {"places": part}).all():
            found[row.room_key, row.seq] = _entry(row[1:])
    return found


class _Batch:
    """The drafts of one transaction: each is judged by what the ones before it did."""

    def __init__(
        self,
        rooms: dict[int, tuple[int, Policy]],
        repeated: dict[_Key, Entry],
        targets: dict[_Place, Entry],
        now_ms: int,
    ) -> None:
        self._policies = {key: policy for key, (_, policy) in rooms.items()}
        self._last = {key: last_seq for key, (last_seq, _) in rooms.items()}
        self._before = dict(self._last)
        self._known = repeated
        self._targets = targets
        self._now_ms = now_ms
        self._rows: list[dict[str, Any]] = []
        self._unindexed: set[_Place] = set()
        self._changed: dict[_Place, str | None] = {}
        """Entries whose body is another one now, or gone."""

    def take(self, draft: Draft) -> Written | ApiError:
        policy = self._policies.get(draft.room_key)
        if policy is None:
            return ApiError("room_not_found", "There is no such room now.")
        if (entry := self._known.get(_key(draft))) is not None:
            return Written(entry, repeated=True)
        file_id = ""
        if draft.target is not None:
            if (error := check_target(draft, self._targets.get((draft.room_key, draft.target)))) is not None:
                return error
            file_id = self._apply(draft, draft.target)
        entry = self._entry_of(draft, policy)
        if entry.seq:
            self._known[_key(draft)] = entry
            self._add(draft.room_key, entry, draft.ttl_s)
        return Written(entry, repeated=False, file_id=file_id)

    def _entry_of(self, draft: Draft, policy: Policy) -> Entry:
        seq = 0
        if draft.silent or policy.keeps is Keeps.LOG:
            seq = self._last[draft.room_key] = self._last[draft.room_key] + 1
        return Entry(
            seq=seq,
            verb=draft.verb,
            sender=draft.sender,
            name=draft.name,
            client_id=draft.client_id,
            at_ms=self._now_ms,
            body=draft.body,
            target=draft.target,
            recipient=draft.recipient or self._recipient_of(draft),
            expires_at_ms=self._expiry(draft, policy),
        )

    def _recipient_of(self, draft: Draft) -> str:
        """What is said of a private entry is for the same two."""
        target = None if draft.target is None else self._targets.get((draft.room_key, draft.target))
        if target is None or not target.recipient:
            return ""
        return target.recipient if target.sender == draft.sender else target.sender

    def _expiry(self, draft: Draft, policy: Policy) -> int | None:
        if draft.verb in LASTING:
            return None
        wanted = [] if draft.ttl_s is None else [draft.ttl_s]
        if policy.retention_s is not None and policy.retention_from is RetentionFrom.SENDING:
            wanted.append(policy.retention_s)
        return self._now_ms + 1000 * min(wanted) if wanted else None

    def _add(self, room_key: int, entry: Entry, ttl_s: int | None) -> None:
        body = None if entry.body is None else _encode(entry.body)
        self._rows.append(
            {
                "room_key": room_key,
                "seq": entry.seq,
                "verb": entry.verb.value,
                "sender": entry.sender,
                "name": entry.name,
                "client_id": entry.client_id,
                "at_ms": entry.at_ms,
                "target": entry.target,
                "recipient": entry.recipient,
                "body": body,
                "ttl_s": ttl_s,
                "expires_at_ms": entry.expires_at_ms,
            }
        )
        self._targets[room_key, entry.seq] = entry
        if entry.verb in _FOUND:
            self._unindexed.add((room_key, entry.seq))

    def _apply(self, draft: Draft, seq: int) -> str:
        """What an entry does to the one that it is about, so that a page of old entries needs no newer one. The id of
        the file that goes with it."""
        place = draft.room_key, seq
        target = self._targets[place]
        assert target.body is not None
        body: dict[str, Any] | None
        if draft.verb is Verb.DELETE:
            body = None
        elif draft.verb is Verb.EDIT:
            body = {**draft.body, "edited_at_ms": self._now_ms}
        elif draft.verb is Verb.CLOSE_POLL:
            body = {**target.body, "closed": True}
        else:
            return ""
        self._targets[place] = replace(target, body=body)
        self._changed[place] = None if body is None else _encode(body)
        is_removed_file = body is None and target.verb is Verb.FILE
        return str(target.body["file_id"]) if is_removed_file else ""

    def save(self, connection: Connection) -> None:
        for part in parts(self._rows):
            connection.execute(_INSERT_ENTRIES, part)
        for (room_key, seq), body in self._changed.items():
            _set_body(connection, room_key, seq, body)
        words = [
            {"room_key": room_key, "seq": seq, "word": word}
            for room_key, seq in sorted(self._unindexed | self._changed.keys())
            for word in words_of(searchable(self._targets[room_key, seq].body), MAX_WORDS)
        ]
        for part in parts(words):
            connection.execute(_INSERT_WORDS, part)
        moved = [{"key": key, "seq": seq} for key, seq in self._last.items() if seq != self._before[key]]
        if moved:
            connection.execute(_MOVE_ROOMS, moved)


def _set_body(connection: Connection, room_key: int, seq: int, body: str | None) -> None:
    """Of an entry and, when it goes, of every edit of it."""
    connection.execute(delete(WordRow).where(WordRow.room_key == room_key, WordRow.seq == seq))
    concerned = EntryRow.seq == seq
    if body is None:
        concerned = or_(concerned, and_(EntryRow.target == seq, EntryRow.verb == Verb.EDIT))
    connection.execute(update(EntryRow).where(EntryRow.room_key == room_key, concerned).values(body=body))


def searchable(body: dict[str, Any] | None) -> str:
    """What of an entry is found by a search."""
    if body is None:
        return ""
    return "\n".join([*(body.get(field, "") for field in ("text", "name", "question")), *body.get("options", ())])


def _encode(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()


def _key(draft: Draft) -> _Key:
    return draft.room_key, draft.sender, draft.client_id


def _entry(row: Any) -> Entry:
    seq, verb, sender, name, client_id, at_ms, body, target, recipient, expires_at_ms = row
    return Entry(
        seq, Verb(verb), sender, name, client_id, at_ms, None if body is None else msgspec.json.decode(body),
        target, recipient, expires_at_ms,
    )  # fmt: skip
