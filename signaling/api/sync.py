"""One WebSocket for the logs of all rooms that somebody has open: `/api/v1/sync`.

The client sends JSON objects with a `type` (`sync_messages.py`) and gets `opened`, `entry`, `gone`, `reset`,
`written`, `refused`, `typing`, `read`, `knocks`, `breakouts` (as GET `…/breakouts` answers), `closed`, `pong`,
`error`, `history` (entries of a member, with `from_member`) and `history_wanted` {question, max_entries, max_bytes};
with a `device` also `seal_present`, `seal_changed`, `seal_commit`, `seal_welcome`, `seal_ask` and `seal_give`.
`opened` and `read` say how far others have read, where the room's policy has it so. `gone` has the `seqs` of entries
whose time is over. `reset` means: too much has happened since; forget what you have and begin with the newest page.
The token travels in a message and never in the address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from sfu.limits import TokenBucket
from signaling import strict_json
from signaling.api.authority import RequestAuthority
from signaling.api.followed import FollowedRoom
from signaling.api.log import subscribe
from signaling.api.silence import SilenceWatch
from signaling.api.sync_messages import (
    Ask,
    AskHistory,
    Close,
    Give,
    HandHistory,
    Message,
    Open,
    Ping,
    Read,
    Typing,
    Write,
)
from signaling.api.typed import Access, convert, route
from signaling.api.websocket import send_texts
from signaling.errors import ApiError, DatabaseError
from signaling.log.entries import Entry, Verb, wire
from signaling.log.handing import Handing
from signaling.log.live import SHUTTING_DOWN, Listener, Live
from signaling.log.log import Log
from signaling.log.reading import LogReader
from signaling.log.settings import RoomLogSettings
from signaling.rooms.breakouts import Breakouts
from signaling.rooms.calls import clean_room_name
from signaling.rooms.knocks import Knocks
from signaling.rooms.lasting import LastingRooms
from signaling.rooms.roles import Actor, Role
from signaling.sealed.delivery import Delivery
from signaling.sealed.presence import Presence
from signaling.sealed.settings import SealedSettings

_log = logging.getLogger("ting.sync")
MAX_MESSAGE_BYTES = 65_536
_HEARTBEAT_S = 20.0
_OPENING_S = 10.0
_SEND_S = 20.0
_MAX_ROOMS = 50
_CATCH_UP = 500
"""Entries that are sent to whoever was away; beyond, the client begins anew."""
_TYPING_S = 1.0


class SyncEndpoint:
    def __init__(
        self,
        authority: RequestAuthority,
        log: Log,
        reader: LogReader,
        live: Live,
        rooms: LastingRooms,
        knocks: Knocks,
        breakouts: Breakouts,
        presence: Presence,
        delivery: Delivery,
        handing: Handing,
        settings: RoomLogSettings,
        sealed: SealedSettings,
    ) -> None:
        self.authority = authority
        self.log = log
        self.reader = reader
        self.live = live
        self.rooms = rooms
        self.knocks = knocks
        self.breakouts = breakouts
        self.presence = presence
        self.delivery = delivery
        self.handing = handing
        self.settings = settings
        self.sealed = sealed
        self._open: set[_Connection] = set()
        log.add_observer(self._handle_entry)
        knocks.add_listener(self._handle_knocks)

    @route("GET", "/api/v1/sync", access=Access.ANYONE)
    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Follow rooms over one WebSocket, and write to them."""
        ws = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES + 1, compress=False, timeout=5.0, autoping=False
        )
        await ws.prepare(request)
        if request.transport is None:
            return ws
        connection = _Connection(self, ws, request.transport)
        self._open.add(connection)
        try:
            await connection.run()
        except DatabaseError as error:
            # Who comes back catches up. An answer in HTTP would go out between frames.
            _log.error("a connection that follows rooms was closed: %s", error)
            await ws.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"unavailable")
        finally:
            self._open.discard(connection)
        return ws

    def _handle_entry(self, room_key: int, entry: Entry) -> None:
        """Who may do what may have changed: roles are looked up again."""
        if entry.verb in (Verb.MODERATION, Verb.POLICY):
            for connection in self._open:
                connection.forget_roles(room_key)

    def _handle_knocks(self, room_key: int) -> None:
        news = {"type": "knocks", "knocks": self.knocks.view(room_key)}
        self.live.tell(room_key, news, to=lambda one: one.role.reaches(Role.MODERATOR))

    async def holders(self, room_key: int, asker: _Connection) -> list[FollowedRoom]:
        """Members who may have what was said, each once for every other connection."""
        found = [await connection.as_holder(room_key) for connection in list(self._open) if connection is not asker]
        return [room for room in found if room is not None and room.role.reaches(Role.MEMBER)]


class _Connection:
    def __init__(self, parts: SyncEndpoint, ws: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self.ws = ws
        self._transport = transport
        self._parts = parts
        self._rooms: dict[str, FollowedRoom] = {}
        self._changes = 0  # How often roles may have changed in any room.
        self._bucket = TokenBucket(parts.settings.sync_messages_per_second, parts.settings.sync_message_burst)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._silence = SilenceWatch(ws, transport, parts.sealed.seal_ask_silent_s, parts.sealed.seal_silent_s)

    async def run(self) -> None:
        opening = asyncio.get_running_loop().call_later(_OPENING_S, self._close_if_idle)
        try:
            async for message in self.ws:
                if await self._silence.heard(message):
                    continue
                if message.type is not WSMsgType.TEXT or len(message.data) > MAX_MESSAGE_BYTES:
                    await self.ws.close(code=WSCloseCode.MESSAGE_TOO_BIG)
                elif not self._bucket.take(time.monotonic()):
                    await self.ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many messages")
                else:
                    await self._handle(message.data)
        finally:
            opening.cancel()
            self._silence.stop()
            for room in list(self._rooms):
                self._leave(room)
            for task in self._tasks:
                task.cancel()

    def forget_roles(self, room_key: int) -> None:
        self._changes += 1
        for room in self._rooms.values():
            room.stale = room.stale or room.actor.room_key == room_key

    def _close_if_idle(self) -> None:
        if not self._rooms:
            self._in_background(self.ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"nothing opened"))

    async def _handle(self, text: str) -> None:
        try:
            message: Message = convert(strict_json.loads(text), Message)
            await self._dispatch(message, len(text.encode()))
        except ValueError:
            await self.send({"type": "error", "code": "invalid_body", "message": "The message is not JSON."})
        except ApiError as error:
            await self.send({"type": "error", "code": error.code, "message": str(error)})

    async def _dispatch(self, message: Message, size_bytes: int) -> None:
        match message:
            case Open():
                await self._follow(message)
            case Write():
                await self._write(message)
            case Read(room=room, seq=seq):
                actor = await self._actor(room)
                await self._parts.reader.mark_read(actor, seq, (await self._parts.rooms.require(actor)).policy)
            case Typing(room=room, on=on):
                await self._tell_typing(room, on)
            case Ask(room=room, ask=ask):
                actor = await self._actor(room)
                self._parts.delivery.ask(actor, self._rooms[room].listener.device, ask)
            case Give(room=room, device=device, give=give):
                actor = await self._actor(room)
                self._parts.delivery.give(actor, self._rooms[room].listener.device, device, give)
            case Close(room=room):
                self._leave(room)
            case AskHistory(room=room):
                await self._actor(room)
                self._in_background(self._ask_history(room, self._rooms[room]))
            case HandHistory(room=room, question=question, entries=entries):
                await self._actor(room)
                self._parts.handing.answer(self._rooms[room], question, entries, size_bytes)
            case Ping():
                await self.send({"type": "pong"})

    # --- following ------------------------------------------------------------------------------------------

    async def _follow(self, message: Open) -> None:
        name = clean_room_name(message.room)
        try:
            await self._open_room(name, message)
        except ApiError as error:
            await self.send({"type": "closed", "room": name, "code": error.code, "message": str(error)})

    async def _open_room(self, name: str, message: Open) -> None:
        """Raises `ApiError`, also where the room ends or the actor is put out while it is being opened."""
        changes = self._changes
        actor = await self._parts.authority.actor_of_token(message.token, name, Role.GUEST)
        self._leave(name)
        if len(self._rooms) >= _MAX_ROOMS:
            raise ApiError("limit_reached", "A connection follows no more rooms.")
        device = message.device or "" if actor.sealed else ""
        self._parts.presence.require_own(actor, device)
        listener = subscribe(self._parts.live, self._parts.settings, actor, device)
        if device and message.join is not None:
            # At once, so that the others hear of the device and of its wish together. One that is refused is as one
            # that nobody answers: the device looks for it and goes on.
            with contextlib.suppress(ApiError):
                await self._parts.delivery.wait(actor, device, message.join.key_package, message.join.proof)
        try:
            reached = await self._send_state(name, actor, message.since, device)
        except BaseException:
            self._parts.live.remove(listener)
            raise
        task = asyncio.create_task(self._forward(name, listener, reached))
        self._rooms[name] = FollowedRoom(
            self.send, actor, message.token, listener, task, stale=changes != self._changes
        )

    async def _send_state(self, name: str, actor: Actor, since: int | None, device: str) -> int:
        """Tell where the room stands and what came after `since`; gives the newest entry that went out."""
        read_seq, unread = await self._parts.reader.unread(actor)
        page = await self._parts.reader.page(actor, since=since or 0, limit=_CATCH_UP)
        # After the page: a change of the policy is in one of the two, or comes behind them.
        room = await self._parts.rooms.require(actor)
        readers = await self._parts.reader.readers(actor, room.policy)
        await self.send({
            "type": "opened", "room": name, "title": room.title, "role": actor.role.value, "from": actor.member_id,
            "newest": page.newest, "read_seq": read_seq, "unread": unread,
            "policy": msgspec.to_builtins(room.policy),
            "reads": [{"from": one.member_id, "name": one.name, "seq": one.read_seq} for one in readers],
        })  # fmt: skip
        if device:
            self._silence.start()
            group, epoch = await self._parts.delivery.epoch(actor)
            present = self._parts.presence.news(actor.room_key)
            await self.send({"type": "seal_present", "room": name, "group": group, "epoch": epoch, **present})
        reached = page.newest
        if since is None or page.more:
            await self.send({"type": "reset", "room": name, "newest": page.newest})
        else:
            for entry in page.entries:
                await self.send({"type": "entry", "room": name, **wire(entry, own=entry.sender == actor.member_id)})
            reached = max([since, *(entry.seq for entry in page.entries)])
        if actor.role.reaches(Role.MODERATOR):
            await self.send({"type": "knocks", "room": name, "knocks": self._parts.knocks.view(actor.room_key)})
        if (breakouts := self._parts.breakouts.view(actor.room))["open"]:
            await self.send({"type": "breakouts", "room": name, **breakouts})
        return reached

    async def _forward(self, room: str, listener: Listener, reached: int) -> None:
        """What comes after `reached`; what came before went out with the page."""
        while messages := await listener.next():
            await self._send_all(
                [
                    news.text(room)
                    for news in messages
                    if news.message["type"] != "entry" or not 0 < news.message["seq"] <= reached
                ]
            )
        if listener.ended == SHUTTING_DOWN:
            await self.ws.close(code=WSCloseCode.SERVICE_RESTART)
            return
        if listener.overflowed:
            await self.ws.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")
            return
        await self.send({"type": "closed", "room": room, "code": listener.ended, "message": ""})
        self._leave(room)

    def _leave(self, room: str) -> None:
        followed = self._rooms.pop(room, None)
        if followed is not None:
            self._parts.handing.forget(followed)
            followed.task.cancel()
            self._parts.live.remove(followed.listener)

    async def _actor(self, room: str) -> Actor:
        """Who this connection is in the room now. Raises `ApiError`."""
        followed = self._rooms.get(room)
        if followed is None:
            raise ApiError("room_not_found", "This connection has not opened the room.")
        if followed.stale:
            followed.stale = False
            followed.actor = await self._parts.authority.actor_of_token(followed.token, room, Role.GUEST)
            followed.listener.role = followed.actor.role
        return followed.actor

    # --- writing --------------------------------------------------------------------------------------------

    async def _write(self, message: Write) -> None:
        """The next message is read while this one is on its way to the disk."""
        try:
            actor = await self._actor(message.room)
            draft = self._parts.log.draft(
                actor, message.verb, message.body, message.client_id, target=message.target, recipient=message.to,
                ttl_s=message.ttl_s,
            )  # fmt: skip
        except ApiError as error:
            await self._refuse(message, error)
            return

        async def write() -> None:
            try:
                entry = await self._parts.log.write(draft)
            except ApiError as error:
                await self._refuse(message, error)
            else:
                written = {"room": message.room, "client_id": message.client_id, "seq": entry.seq, "at_ms": entry.at_ms}
                await self.send({"type": "written", **written})

        self._in_background(write())

    async def _refuse(self, message: Write, error: ApiError) -> None:
        await self.send({
            "type": "refused", "room": message.room, "client_id": message.client_id, "code": error.code,
            "message": str(error), "retry_after_s": error.retry_after_s,
        })  # fmt: skip

    async def as_holder(self, room_key: int) -> FollowedRoom | None:
        """The room as this connection follows it, if it does so now."""
        for name, room in list(self._rooms.items()):
            if room.actor.room_key == room_key:
                with contextlib.suppress(ApiError):
                    await self._actor(name)
                    return self._rooms.get(name)
        return None

    async def _ask_history(self, name: str, room: FollowedRoom) -> None:
        parts = self._parts
        try:
            policy = (await parts.rooms.require(room.actor)).policy
            handed = await parts.handing.ask(room.actor, policy, await parts.holders(room.actor.room_key, self))
        except ApiError as error:
            await self.send({"type": "error", "room": name, "code": error.code, "message": str(error)})
            return
        if self._rooms.get(name) is room:
            await self.send(
                {"type": "history", "room": name, "from_member": handed.member_id, "entries": handed.entries}
            )

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_typing(self, name: str, on: bool) -> None:
        actor = await self._actor(name)
        room, now_s = self._rooms[name], time.monotonic()
        if on and now_s - room.typed_at_s < _TYPING_S:
            return
        room.typed_at_s = now_s if on else 0.0
        news = {"type": "typing", "from": actor.member_id, "name": actor.name, "on": on}
        self._parts.live.tell(actor.room_key, news, to=lambda one: one.member_id != actor.member_id)

    async def send(self, message: dict[str, Any]) -> None:
        await self._send_all([msgspec.json.encode(message)])

    async def _send_all(self, texts: list[bytes]) -> None:
        await send_texts(self.ws, self._transport, texts, _SEND_S)
