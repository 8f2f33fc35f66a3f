"""A Ting without a server: its database, its files and its key, with something in them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sfu.ids import RoomName
from signaling.db.settings import DatabaseSettings
from signaling.db.storage import Storage
from signaling.files.records import NewFile, Quotas
from signaling.files.store import LocalStore
from signaling.log.entries import Draft, Verb
from signaling.log.store import Written
from signaling.portability.archive import Kind, Seal
from signaling.portability.export import Exporter
from signaling.portability.importing import ArchivedRooms, Importer, Report
from signaling.portability.output import write_archive
from signaling.portability.reading import Archive
from signaling.portability.settings import PortabilitySettings
from signaling.portability.signing import ANY_SIGNER, Signer
from signaling.portability.stored_files import write_file
from signaling.rooms.policy import Entry, Policy
from signaling.rooms.records import Ban, Member, Room
from signaling.rooms.roles import Role
from signaling.sealed.records import Commit, Outcome, Wrapped

SETTINGS = PortabilitySettings()
NOW_MS = 1_790_000_000_000
_NO_QUOTAS = Quotas(2**50, 2**50, 2**50, 10**6, 10**6)


class Ting:
    def __init__(self, url: str, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.storage = Storage(DatabaseSettings(database_url=url), folder)
        self.files = LocalStore(folder / "files", 0)
        self.signer = Signer(folder)

    async def make_room(self, name: str = "hall", **policy: Any) -> int:
        room = Room(0, RoomName(name), f"The {name}", NOW_MS, Policy(**policy), "$argon2id$hash", 0)
        members = [
            Member("guest_ada", Role.OWNER, "Ada", NOW_MS, 3),
            Member("guest_bob", Role.GUEST, "Bob 鲍勃", NOW_MS + 1, 2),
            Member("Guest_Z", Role.MEMBER, "", NOW_MS + 2),
        ]
        store = await self.storage.rooms()
        made = await store.create_room(room, members, None)
        assert made is not None
        bans = [
            Ban("guest_eve", "ban", "guest_eve", "Eve", NOW_MS, None),
            Ban("address:abc", "kick", "guest_eve", "Eve", NOW_MS, NOW_MS + 5),
        ]
        await store.put_bans(made.room_key, bans)
        for member in members:
            await store.mark_read(made.room_key, member.member_id, member.name, member.read_seq, NOW_MS)
        return made.room_key

    async def write(self, room_key: int, *drafts: Draft, at_ms: int = NOW_MS) -> list[int]:
        outcomes = await (await self.storage.log()).append(drafts, at_ms)
        assert all(isinstance(outcome, Written) for outcome in outcomes), outcomes
        return [outcome.entry.seq for outcome in outcomes if isinstance(outcome, Written)]

    async def fill(self, room_key: int) -> None:
        """Every kind of thing that may stand in a log."""
        file_id = await self.add_file(room_key, b"content of the file" * 50_000)
        await self.write(
            room_key,
            draft(room_key, Verb.MODERATION, {"act": "create", "title": "x"}, "c0", sender="guest_ada"),
            draft(room_key, Verb.MESSAGE, {"text": "Hello, 大厅里的世界 \U0001f600"}, "c1"),
            draft(room_key, Verb.MESSAGE, {"text": "for you", "mentions": ["guest_bob"]}, "c2", recipient="guest_bob"),
            draft(room_key, Verb.POLL, {"question": "Tea?", "options": ["yes", "no"]}, "c3"),
            draft(room_key, Verb.MESSAGE, {"text": "goodbye"}, "c4", sender="guest_bob"),
            draft(room_key, Verb.FILE, {"file_id": file_id, "name": "notes.txt"}, "c5"),
        )
        await self.seal(room_key)
        await self.write(
            room_key,
            draft(room_key, Verb.EDIT, {"text": "Hello again, 世界"}, "c6", target=2),
            draft(room_key, Verb.DELETE, {}, "c7", target=5, sender="guest_bob"),
            draft(room_key, Verb.REACT, {"emoji": "\U0001f44d"}, "c8", target=2, sender="guest_bob"),
            draft(room_key, Verb.VOTE, {"choices": [1]}, "c9", target=4),
            draft(room_key, Verb.CLOSE_POLL, {}, "c10", target=4),
            draft(room_key, Verb.MESSAGE, {"text": "not for ever"}, "c11", ttl_s=10**9),
            draft(
                room_key, Verb.MESSAGE, {"text": "a secret of two"}, "c12", sender="guest_bob", recipient="guest_cid"
            ),
            draft(room_key, Verb.MESSAGE, {"sealed": {"group": "group", "epoch": 1, "data": "eA"}}, "c13"),
        )

    async def seal(self, room_key: int) -> None:
        """What a sealed room has beside its log."""
        store = await self.storage.sealed()
        keys = Wrapped("d3JhcA", "c2VjcmV0cw")
        for epoch in (0, 1):
            after = ("", -1) if epoch == 0 else ("group", 0)
            commit = Commit(*after, "group", epoch, "guest_ada", "d" * 16, "Y29tbWl0", f"aW5mbw{epoch}", keys, "")
            made = await store.commit(room_key, commit, NOW_MS + epoch, keep=10, keep_epochs=10)
            assert made is Outcome.DONE
        for member_id in ("guest_bob", "guest_ada"):
            assert await store.put_backup(room_key, member_id, f"YmFja3Vw{member_id}", NOW_MS, 10)

    async def add_file(self, room_key: int, content: bytes, number: int = 1) -> str:
        file_id = hashlib.md5(content + bytes([number, room_key]), usedforsecurity=False).hexdigest()
        rows = await self.storage.files()
        new = NewFile(file_id, room_key, "guest_ada", "notes.txt", "text/plain", "name bm90ZXM=", len(content))
        assert not isinstance(await rows.add_file(new, _NO_QUOTAS, 60), str)
        await write_file(self.files, file_id, iter([content]))
        await rows.complete_file(file_id, hashlib.sha256(content).hexdigest())
        return file_id

    async def export(self, target: Path, *names: str, owner: str | None = None) -> Path:
        exporter = Exporter(self.storage, self.files, self.folder)
        parts = exporter.parts(names or None, owner)
        await write_archive(parts, Seal(self.signer, Kind.ROOMS), target, lambda _: None)
        return target

    async def take_in(self, source: Path, accept: str = ANY_SIGNER) -> Report:
        archive = Archive.open(source, self.signer, SETTINGS, accept=accept)
        try:
            return await Importer(self.storage, self.files).take_in(ArchivedRooms(archive))
        finally:
            archive.close()


def draft(
    room_key: int, verb: Verb, body: dict[str, Any], client_id: str, *, sender: str = "guest_ada", **fields: Any
) -> Draft:
    return Draft(room_key, verb, sender, sender.removeprefix("guest_").title(), client_id, body, **fields)


@asynccontextmanager
async def ting(url: str, folder: Path) -> AsyncIterator[Ting]:
    made = Ting(url, folder)
    try:
        yield made
    finally:
        await made.storage.close()


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


__all__ = ["NOW_MS", "SETTINGS", "Entry", "Ting", "draft", "files_of", "ting"]
