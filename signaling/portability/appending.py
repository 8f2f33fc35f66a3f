"""What was said in one archived room, said again in another: numbers and files are new, times and authors are not.

Messages, replies, edits, reactions, pins, polls and files are taken in. What the server noted there (who came, who was
put out, what was decided) stays behind: in this room's log that would be untrue. So do members and bans, and what was
drawn.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing

import msgspec

from signaling.errors import ArchiveError
from signaling.files.records import FileRecords, NewFile, Quotas
from signaling.files.store import FileStore
from signaling.log.entries import DRAWN, WRITABLE, Entry, Verb
from signaling.log.live import Live
from signaling.log.rules import TARGETED
from signaling.portability.importing import ArchivedRooms, Report, in_batches
from signaling.portability.lines import EntryLine, FileLine, Line
from signaling.portability.store import ArchiveStore
from signaling.portability.stored_files import write_file
from signaling.rooms.policy import Kind, Policy, RetentionFrom

_TAKEN = WRITABLE - {Verb.HAND}
_EXPIRY_S = 3600.0
"""Of a file's row whose bytes did not come: the next try or the sweeper removes it."""

_NOT_THERE, _NO_ROOM = "files that are not in the archive", "files for which there is no room"
_OF_FILES = {_NOT_THERE, _NO_ROOM}


class Appender:
    """Into one room. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        store: ArchiveStore,
        records: FileRecords,
        files: FileStore,
        live: Live,
        quotas: Quotas,
        *,
        max_entries: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._records = records
        self._files = files
        self._live = live
        self._quotas = quotas
        self._max_entries = max_entries
        self._clock = clock

    async def take_in(self, source: ArchivedRooms, room_key: int, policy: Policy) -> Report:
        """May be repeated. Raises `ArchiveError`, `DatabaseError`, `StoreError`."""
        now_ms = round(self._clock() * 1000)
        # Files first: whoever hears of one fetches it at once.
        ahead = _Work(room_key, policy, now_ms)
        async with aclosing(in_batches(_only_room(source))) as batches:
            async for batch in batches:
                ahead.select(batch)
                if len(ahead.taken) > self._max_entries:
                    raise ArchiveError(f"the archive has more than {self._max_entries} entries")
                for line in batch:
                    if isinstance(line, FileLine) and ahead.new_file_id(line.file_id) in ahead.files:
                        await self._take_file(ahead, line, source.file(line))
        work = _Work(room_key, policy, now_ms)
        async with aclosing(in_batches(_only_room(source))) as batches:
            async for batch in batches:
                entries = work.select(batch)
                if entries:
                    await self._append(work, entries)
        work.report.files = ahead.report.files
        for what in _OF_FILES & ahead.report.left_out.keys():
            work.report.leave_out(what, ahead.report.left_out[what])
        return work.report

    async def _append(self, work: _Work, entries: list[EntryLine]) -> None:
        written = await self._store.append(work.room_key, entries, work.seqs)
        # Nothing may come between the commit and this: listeners hear everything in the order of the log.
        for line in written:
            self._live.publish(work.room_key, _entry(line))
        work.report.entries += len(written)
        work.report.repeated += len(entries) - len(written)

    async def _take_file(self, work: _Work, line: FileLine, content: Iterator[bytes] | None) -> None:
        file_id = work.new_file_id(line.file_id)
        there = await self._records.load_file(file_id)
        if there is not None and there.complete:
            return
        if content is None:
            work.report.leave_out(_NOT_THERE)
            return
        if there is not None:
            await self._records.delete_file(file_id)
        new = NewFile(
            file_id, work.room_key, line.member_id, line.name, line.media_type, line.metadata, line.size_bytes
        )
        if isinstance(await self._records.add_file(new, self._quotas, _EXPIRY_S), str):
            work.report.leave_out(_NO_ROOM)
            return
        await write_file(self._files, file_id, content)
        await self._records.complete_file(file_id, line.sha256)
        work.report.files += 1


def _only_room(source: ArchivedRooms) -> Iterator[Line]:
    rooms = [lines for _, lines in source.rooms()]
    if len(rooms) != 1:
        raise ArchiveError("an archive of one room is needed")
    return rooms[0]


class _Work:
    """One room on its way into another."""

    def __init__(self, room_key: int, policy: Policy, now_ms: int) -> None:
        self.room_key = room_key
        self.report = Report()
        self.seqs: dict[int, int] = {}
        """Numbers in the archive to numbers here."""
        self.taken: set[int] = set()
        self.files: set[str] = set()
        self._policy = policy
        self._now_ms = now_ms

    def new_file_id(self, file_id: str) -> str:
        """The same each time, and no other room's."""
        return hashlib.sha256(f"ting file\n{self.room_key}\n{file_id}".encode()).hexdigest()[:32]

    def select(self, batch: list[Line]) -> list[EntryLine]:
        """What of it is taken in, and as what."""
        found = []
        for line in batch:
            if not isinstance(line, EntryLine):
                continue
            if (why := self._against(line)) is not None:
                self.report.leave_out(why)
                continue
            self.taken.add(line.seq)
            found.append(self._changed(line))
        return found

    def _against(self, line: EntryLine) -> str | None:
        if line.verb in DRAWN:
            return "what was drawn"
        if line.verb not in _TAKEN:
            return "notes of the server"
        if line.body is None or self._expiry(line) <= self._now_ms:
            return "entries that are gone"
        if line.verb in TARGETED and line.target not in self.taken:
            return "entries about what is gone"
        if "sealed" in line.body:
            return "entries that are encrypted for another room"
        if self._policy.kind is Kind.SEALED:
            return "entries that are not encrypted, which a sealed room does not take"
        if line.verb is Verb.FILE and not self._policy.files:
            return "files, which this room does not take"
        return None

    def _changed(self, line: EntryLine) -> EntryLine:
        expiry = self._expiry(line)
        changed = msgspec.structs.replace(line, expires_at_ms=None if expiry == _NEVER else expiry)
        if line.target is not None and line.target not in self.taken:
            changed = msgspec.structs.replace(changed, target=None)
        if line.verb is Verb.FILE:
            file_id = self.new_file_id(line.body["file_id"])
            self.files.add(file_id)
            changed = msgspec.structs.replace(changed, body={**line.body, "file_id": file_id})
        return changed

    def _expiry(self, line: EntryLine) -> int:
        """What this room says of how long it keeps things counts from when it was said."""
        ends = [_NEVER if line.expires_at_ms is None else line.expires_at_ms]
        if self._policy.retention_s is not None and self._policy.retention_from is RetentionFrom.SENDING:
            ends.append(line.at_ms + 1000 * self._policy.retention_s)
        return min(ends)


_NEVER = 2**63


def _entry(line: EntryLine) -> Entry:
    return Entry(
        line.seq, line.verb, line.sender, line.name, line.client_id, line.at_ms, line.body, line.target,
        line.recipient, line.expires_at_ms,
    )  # fmt: skip
