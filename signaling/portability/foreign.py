"""Exports of other systems on their way into rooms: put into order by time first, in a file, since neither the order
of those exports nor their size can be relied on."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from signaling.log.entries import Verb
from signaling.portability.lines import EntryLine, FileLine, Line, MemberLine, RoomLine, check_body
from signaling.rooms.calls import MAX_ROOM_NAME_LENGTH, is_clean
from signaling.rooms.policy import Entry, Policy
from signaling.rooms.roles import Role

_MAX_NAME = 512
_MAX_TIME_MS = 2**53


class ForeignRooms:
    """`signaling.portability.importing.RoomSource` of what was said elsewhere. Its rooms are for members only: a name
    like `general` must not open to everybody what was said among colleagues."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix="import-", dir=folder)
        os.close(descriptor)
        self._fingerprint = fingerprint
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;"
            "CREATE TABLE said (room TEXT, at_ms INTEGER, number INTEGER PRIMARY KEY, key TEXT, parent TEXT,"
            " is_about INTEGER, line TEXT);"
            "CREATE TABLE seqs (room TEXT, key TEXT, seq INTEGER, number INTEGER, PRIMARY KEY (room, key))"
            " WITHOUT ROWID;"
            "CREATE INDEX said_in_order ON said (room, at_ms, number);"
        )
        # It lives as long as it is open: not even a crash leaves behind what was said.
        Path(path).unlink()
        self._rooms: dict[str, tuple[str, int]] = {}
        self._members: dict[str, dict[str, str]] = {}
        self._names: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()

    def close(self) -> None:
        self._database.close()

    # --- filling --------------------------------------------------------------------------------------------

    def add_room(self, key: str, name: str, title: str, created_at_ms: int) -> None:
        """`key` is what the export calls it."""
        name = name[:MAX_ROOM_NAME_LENGTH]
        if key in self._rooms or not is_clean(name, MAX_ROOM_NAME_LENGTH) or name in self._names.values():
            self.left_out["channels with names that cannot be, or twice"] += 1
            return
        self._names[key] = name
        self._rooms[key] = title[:_MAX_NAME] or name, min(max(created_at_ms, 0), _MAX_TIME_MS)
        self._members[key] = {}

    def add_member(self, room: str, member_id: str, name: str) -> None:
        if room in self._members and _can_be_kept(member_id, name):
            self._members[room][member_id[:_MAX_NAME]] = name[:_MAX_NAME]

    def say(
        self,
        room: str,
        verb: Verb,
        at_ms: int,
        sender: str,
        name: str,
        body: dict[str, Any],
        key: str,
        parent: str = "",
    ) -> None:
        """`key` names it in its room, for answers and so that a repetition finds it; `parent` is what it is about."""
        if room not in self._rooms:
            self.left_out["messages of channels that are not in the list"] += 1
            return
        try:
            check_body(verb, body)
            texts = [sender, name, *(value for value in body.values() if isinstance(value, str))]
            line = json.dumps([verb.value, sender[:_MAX_NAME], name[:_MAX_NAME], body], ensure_ascii=False)
            if not 0 <= at_ms <= _MAX_TIME_MS or not _can_be_kept(*texts):
                raise ValueError
        except ValueError:
            self.left_out[f"{verb.value}s that are empty or cannot be"] += 1
            return
        self._database.execute(
            "INSERT INTO said (room, at_ms, key, parent, is_about, line) VALUES (?, ?, ?, ?, ?, ?)",
            (room, at_ms, client_id(key), client_id(parent) if parent else "", verb is Verb.REACT, line),
        )

    # --- RoomSource -----------------------------------------------------------------------------------------

    def rooms(self) -> Iterator[tuple[str, Iterator[Line]]]:
        for room in sorted(self._rooms, key=lambda key: self._names[key]):
            yield self._fingerprint, self._lines(room)

    def file(self, line: FileLine) -> Iterator[bytes] | None:
        return None

    def _lines(self, room: str) -> Iterator[Line]:
        title, created_at_ms = self._rooms[room]
        last_seq = self._number(room)
        policy = Policy(entry=Entry.MEMBERS)
        yield RoomLine(
            name=self._names[room], title=title, created_at_ms=created_at_ms, policy=policy, last_seq=last_seq
        )
        for member_id, name in sorted(self._members[room].items()):
            yield MemberLine(member_id=member_id, role=Role.MEMBER, name=name, added_at_ms=created_at_ms)
        query = """
            SELECT seqs.seq, said.at_ms, said.key, parents.seq, said.line FROM seqs JOIN said USING (number)
            LEFT JOIN seqs AS parents ON parents.room = seqs.room AND parents.key = said.parent
            AND parents.seq < seqs.seq WHERE seqs.room = ? ORDER BY seqs.seq
        """
        for seq, at_ms, key, target, text in self._database.execute(query, (room,)):
            verb, sender, name, body = json.loads(text)
            yield EntryLine(
                seq=seq, verb=Verb(verb), sender=sender, name=name, client_id=key, at_ms=at_ms, body=body, target=target
            )

    def _number(self, room: str) -> int:
        """In the order of time. Of what is said twice the first counts. Returns the last number."""
        query = "SELECT number, key, parent, is_about FROM said WHERE room = ? ORDER BY at_ms, number"
        seq = 0
        for number, key, parent, is_about in self._database.execute(query, (room,)).fetchall():
            if self._is_there(room, key):
                self.left_out["messages that are there twice"] += 1
            elif is_about and not self._is_there(room, parent):
                self.left_out["reactions to what is not there"] += 1
            else:
                seq += 1
                self._database.execute("INSERT INTO seqs VALUES (?, ?, ?, ?)", (room, key, seq, number))
        return seq

    def _is_there(self, room: str, key: str) -> bool:
        query = "SELECT 1 FROM seqs WHERE room = ? AND key = ?"
        return self._database.execute(query, (room, key)).fetchone() is not None


def _can_be_kept(*texts: str) -> bool:
    """No lone surrogates, which are no UTF-8, and no NUL, which PostgreSQL has no place for."""
    return not any(c == "\x00" or "\ud800" <= c <= "\udfff" for text in texts for c in text)


def client_id(key: str) -> str:
    """Of a key of any length and kind."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]


def fingerprint_of(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256(b"foreign 1\n")
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def convert(value: object, kind: Any) -> Any:
    """None when it is not of the kind."""
    try:
        return msgspec.convert(value, kind)
    except ValueError:
        # msgspec's own, or that of a field's name that is no UTF-8.
        return None
