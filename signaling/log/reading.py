"""Reading the log of a room, as far as it is for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from signaling.errors import ApiError
from signaling.log.entries import Drawn, Entry
from signaling.log.live import Live
from signaling.log.log import expired
from signaling.log.settings import RoomLogSettings
from signaling.log.store import LogStores
from signaling.log.words import query_of
from signaling.rooms.policy import Keeps, Policy
from signaling.rooms.records import Member, RoomStores
from signaling.rooms.roles import Actor

_MAX_QUERY_WORDS = 10
ReadListener = Callable[[int, Policy], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Page:
    entries: list[Entry]
    newest: int
    """The `seq` of the newest entry of the log."""
    more: bool
    """Whether there are others, further on in the direction of the question."""


class LogReader:
    """`clock` gives Unix time in seconds."""

    def __init__(
        self,
        stores: LogStores,
        rooms: RoomStores,
        live: Live,
        settings: RoomLogSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._rooms = rooms
        self._live = live
        self._settings = settings
        self._clock = clock
        self._read_listeners: list[ReadListener] = []

    def add_read_listener(self, listener: ReadListener) -> None:
        """Awaited with the room's key and its policy when somebody has read on."""
        self._read_listeners.append(listener)

    async def page(
        self,
        actor: Actor,
        *,
        before: int | None = None,
        since: int | None = None,
        limit: int = 0,
        drawn: Drawn = Drawn.WITH,
    ) -> Page:
        """The newest entries, or those before or after a `seq`. Oldest first."""
        limit = min(limit or self._settings.max_page_entries, self._settings.max_page_entries)
        store = await self._stores.log()
        if since is not None:
            found, newest = await store.since(actor.room_key, since, limit + 1, actor.member_id, actor.from_seq, drawn)
            return Page(self._fresh(found[:limit]), newest, len(found) > limit)
        found, newest = await store.before(actor.room_key, before, limit + 1, actor.member_id, actor.from_seq, drawn)
        return Page(self._fresh(found[-limit:]), newest, len(found) > limit)

    async def pins(self, actor: Actor) -> list[Entry]:
        found = await (await self._stores.log()).pins(actor.room_key, self._settings.max_pins)
        return self._fresh([one for one in found if one.seq > actor.from_seq and one.visible_to(actor.member_id)])

    async def search(self, actor: Actor, text: str, *, before: int | None, limit: int) -> Page:
        """Newest first. Raises `ApiError` invalid_body for a question without a word, sealed_room."""
        if actor.sealed:
            raise ApiError("sealed_room", "This room is sealed: search in what your device has decrypted.")
        words = query_of(text, _MAX_QUERY_WORDS)
        if not words:
            raise ApiError("invalid_body", "A word to search for is needed.")
        limit = min(limit or self._settings.max_page_entries, self._settings.max_page_entries)
        store = await self._stores.log()
        found = await store.search(actor.room_key, words, before, limit + 1, actor.member_id, actor.from_seq)
        return Page(self._fresh(found[:limit]), found[0].seq if found else 0, len(found) > limit)

    async def mark_read(self, actor: Actor, seq: int, policy: Policy) -> None:
        """Up to here. Others are told where the policy says so."""
        if policy.keeps is Keeps.NOTHING:
            return
        newest = await (await self._stores.log()).newest(actor.room_key)
        seq = min(seq, newest)
        store = await self._rooms.rooms()
        moved = await store.mark_read(actor.room_key, actor.member_id, actor.name, seq, round(self._clock() * 1000))
        if moved:
            for listener in self._read_listeners:
                await listener(actor.room_key, policy)
        if moved and policy.read_markers:
            message = {"type": "read", "room": actor.room, "from": actor.member_id, "name": actor.name, "seq": seq}
            self._live.tell(actor.room_key, message)

    async def readers(self, actor: Actor, policy: Policy) -> list[Member]:
        """How far others have read, as far as the policy lets it be known."""
        if not policy.read_markers:
            return []
        found = await (await self._rooms.rooms()).readers(actor.room_key, self._settings.max_read_marks)
        return [member for member in found if member.member_id != actor.member_id]

    async def unread(self, actor: Actor) -> tuple[int, int]:
        """Up to which `seq` it was read, and how much of others came after it."""
        store = await self._rooms.rooms()
        standing = await store.standing(actor.room, actor.member_id, [], 0)
        read_seq = standing.member.read_seq if standing is not None and standing.member is not None else 0
        since = max(read_seq, actor.from_seq)
        return read_seq, await (await self._stores.log()).unread(actor.room_key, since, actor.member_id)

    def _fresh(self, entries: list[Entry]) -> list[Entry]:
        """What is over is not shown any more, whether or not it is gone from the disk yet."""
        now_ms = round(self._clock() * 1000)
        return [expired(entry, now_ms) for entry in entries]
