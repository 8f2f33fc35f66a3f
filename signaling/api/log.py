"""The log of a room over REST and as server-sent events."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import hdrs, web

from signaling.api.typed import Access, Input, Struct, route
from signaling.errors import ApiError
from signaling.log.entries import Drawn, Entry, Seq, shown_body, wire
from signaling.log.live import Listener, Live
from signaling.log.log import Log
from signaling.log.reading import LogReader, Page
from signaling.log.settings import RoomLogSettings
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.policy import Seconds
from signaling.rooms.roles import Actor

_KEEP_ALIVE_S = 15.0


class EntryView(Struct, rename={"sender": "from", "recipient": "to"}):
    seq: int
    """1 for the first entry of the room, without gaps; 0 where the room keeps nothing."""
    verb: str
    sender: str
    """A member id; empty: the server."""
    name: str
    at_ms: int
    body: dict[str, Any] | None
    """None: it is gone."""
    client_id: str = ""
    """Only of one's own."""
    target: int | None = None
    recipient: str = ""
    expires_at_ms: int | None = None


class EntryPage(Struct):
    entries: list[EntryView]
    newest: int
    more: bool


class EntryList(Struct):
    entries: list[EntryView]


class NewEntry(Input):
    verb: str
    client_id: str
    """Chosen by the client, unique for each entry: sent again it is the same entry."""
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    target: Seq | None = None
    to: Annotated[str, msgspec.Meta(max_length=512)] = ""
    """A member: for nobody else."""
    ttl_s: Seconds | None = None


class PageQuery(Input):
    before: Seq | None = None
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    drawn: Drawn = Drawn.WITH
    """Whether what was drawn is among them: much of it would be a page on which nothing is said."""


class SearchQuery(Input):
    q: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    before: Seq | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class SinceQuery(Input):
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None


class ReadMark(Input):
    seq: Annotated[int, msgspec.Meta(ge=0)]


class Unread(Struct):
    read_seq: int
    unread: int
    """Counted up to 1000."""


class LogEndpoint:
    def __init__(self, log: Log, reader: LogReader, live: Live, rooms: LastingRooms, settings: RoomLogSettings) -> None:
        self._log = log
        self._reader = reader
        self._live = live
        self._rooms = rooms
        self._settings = settings

    @route("GET", "/api/v1/rooms/{room}/entries", access=Access.GUEST)
    async def get_entries(self, actor: Actor, query: PageQuery) -> EntryPage:
        """Read a page of the log: the newest entries, those before, or those since a `seq`."""
        page = await self._reader.page(
            actor, before=query.before, since=query.since, limit=query.limit, drawn=query.drawn
        )
        return _page(page, actor)

    @route(
        "POST", "/api/v1/rooms/{room}/entries", access=Access.GUEST,
        errors=(
            "invalid_body", "sealed_room", "forbidden", "entry_not_found", "entry_gone", "poll_closed", "rate_limited",
        ),
    )  # fmt: skip
    async def write(self, actor: Actor, body: NewEntry) -> EntryView:
        """Write an entry. The answer comes when it is on disk."""
        draft = self._log.draft(
            actor, body.verb, body.body, body.client_id, target=body.target, recipient=body.to, ttl_s=body.ttl_s
        )
        return view(await self._log.write(draft), actor.member_id)

    @route("GET", "/api/v1/rooms/{room}/pins", access=Access.GUEST)
    async def get_pins(self, actor: Actor) -> EntryList:
        """What is pinned, newest pin first."""
        return EntryList(entries=[view(entry, actor.member_id) for entry in await self._reader.pins(actor)])

    @route("GET", "/api/v1/rooms/{room}/search", access=Access.GUEST, errors=("invalid_body", "sealed_room"))
    async def search(self, actor: Actor, query: SearchQuery) -> EntryPage:
        """Search the messages, files and polls of a room, newest first.

        All words must be there; of the last one its beginning is enough. Chinese needs no blanks.
        """
        return _page(await self._reader.search(actor, query.q, before=query.before, limit=query.limit), actor)

    @route("GET", "/api/v1/rooms/{room}/read", access=Access.GUEST)
    async def get_unread(self, actor: Actor) -> Unread:
        """How far one has read, and how much has come since."""
        read_seq, unread = await self._reader.unread(actor)
        return Unread(read_seq=read_seq, unread=unread)

    @route("PUT", "/api/v1/rooms/{room}/read", access=Access.GUEST)
    async def mark_read(self, actor: Actor, body: ReadMark) -> None:
        """Say how far one has read."""
        await self._reader.mark_read(actor, body.seq, (await self._rooms.require(actor)).policy)

    @route("GET", "/api/v1/rooms/{room}/events", access=Access.GUEST, errors=("limit_reached",))
    async def stream(self, request: web.Request, actor: Actor, query: SinceQuery) -> web.StreamResponse:
        """Hear of new entries as server-sent events.

        `since` or the header `Last-Event-ID` tells the last entry that the client has; without them it begins now.
        """
        last_id = request.headers.get("Last-Event-ID", "")
        since = int(last_id) if last_id.isascii() and last_id.isdigit() and len(last_id) < 16 else query.since
        listener = subscribe(self._live, self._settings, actor)
        try:
            page = None if since is None else await self._reader.page(actor, since=since)
            response = web.StreamResponse(headers={hdrs.CACHE_CONTROL: "no-store"})
            response.content_type = "text/event-stream"
            await response.prepare(request)
            reached = 0 if page is None else await self._catch_up(response, actor, page)
            await self._follow(response, listener, reached)
            return response
        finally:
            self._live.remove(listener)

    async def _catch_up(self, response: web.StreamResponse, actor: Actor, page: Page) -> int:
        """The `seq` of the last entry that was sent."""
        reached = 0
        while True:
            for entry in page.entries:
                await _send_event(response, wire(entry, own=entry.sender == actor.member_id))
                reached = entry.seq
            if not page.more:
                return reached
            page = await self._reader.page(actor, since=page.entries[-1].seq)

    async def _follow(self, response: web.StreamResponse, listener: Listener, reached: int) -> None:
        """What comes after `reached`; what came before went out with the pages."""
        while True:
            try:
                async with asyncio.timeout(_KEEP_ALIVE_S):
                    messages = await listener.next()
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if not messages:
                return
            for message in (news.message for news in messages):
                if message["type"] == "entry" and not 0 < message["seq"] <= reached:
                    await _send_event(response, {key: value for key, value in message.items() if key != "type"})


def subscribe(live: Live, settings: RoomLogSettings, actor: Actor, device: str = "") -> Listener:
    """`device` is the one that takes part in a sealed room. Raises `ApiError` limit_reached."""
    if live.count(actor.member_id) >= settings.max_sync_connections_per_person:
        raise ApiError("limit_reached", "There are too many connections of this person.")
    listener = Listener(
        actor.room_key, actor.member_id, actor.identity, actor.role, actor.device_id,
        max_queue=settings.max_sync_queue, name=actor.name, device=device,
    )  # fmt: skip
    live.add(listener)
    return listener


async def _send_event(response: web.StreamResponse, entry: dict[str, Any]) -> None:
    number = f"id: {entry['seq']}\n".encode() if entry["seq"] else b""
    await response.write(number + b"event: entry\ndata: " + msgspec.json.encode(entry) + b"\n\n")


def view(entry: Entry, member_id: str) -> EntryView:
    return EntryView(
        seq=entry.seq,
        verb=entry.verb.value,
        sender=entry.sender,
        name=entry.name,
        at_ms=entry.at_ms,
        body=shown_body(entry),
        client_id=entry.client_id if entry.sender == member_id else "",
        target=entry.target,
        recipient=entry.recipient,
        expires_at_ms=entry.expires_at_ms,
    )


def _page(page: Page, actor: Actor) -> EntryPage:
    return EntryPage(
        entries=[view(entry, actor.member_id) for entry in page.entries], newest=page.newest, more=page.more
    )
