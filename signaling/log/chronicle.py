"""What is done in a room goes into its log: `signaling.rooms.records.Chronicle`, and the coming and going of calls."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from sfu.api import (
    LeaveReason,
    NodeEvent,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomInfo,
    RoomStarted,
    TimelineEntry,
)
from sfu.ids import Identity, RoomName
from signaling.errors import ApiError, DatabaseError
from signaling.log.entries import Verb
from signaling.log.log import Log
from signaling.log.timelines import keeps_timelines, kept_of
from signaling.rooms.homes import Homes
from signaling.rooms.records import RoomChange, RoomStores
from signaling.rooms.roles import member_id_of

_log = logging.getLogger("ting.log")


class LogChronicle:
    def __init__(self, log: Log) -> None:
        self._log = log

    async def note_act(self, room_key: int, by: str, name: str, act: str, details: Mapping[str, object]) -> None:
        body = {"act": act, **details}
        await self._log.note(room_key, Verb.MODERATION, body, client_id=_new_id(), sender=by, name=name)

    async def note_policy(
        self, room_key: int, by: str, name: str, said: Mapping[str, object], change: RoomChange
    ) -> None:
        await self._log.note(
            room_key, Verb.POLICY, dict(said), client_id=_new_id(), sender=by, name=name, room_change=change
        )


class CallChronicle:
    """Calls in rooms that last: when they began and ended, who came and left. In the order of the node's events.

    `is_gone` says of a member's id whether it is of an account that was deleted.
    """

    def __init__(
        self,
        stores: RoomStores,
        log: Log,
        homes: Homes,
        max_timeline_entries: int,
        max_timeline_bytes: int,
        is_gone: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._stores = stores
        self._is_gone = is_gone
        self._max_timeline_entries = max_timeline_entries
        self._max_timeline_bytes = max_timeline_bytes
        self._log = log
        self._homes = homes
        self._moving: dict[Identity, ParticipantLeft] = {}
        """Who has just left a room in order to go on in another one."""
        self._earlier: dict[Identity, list[TimelineEntry]] = {}
        """How the call went for them in other rooms of the same home."""
        self._rooms: dict[str, int | None] = {}
        """Of the calls under way: the room's key, None for one that does not last."""
        self._names: dict[int, RoomName] = {}
        self._queue: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def key_of(self, room: RoomName) -> int | None:
        """Of the room in which there is a call; None when it does not last."""
        return self._rooms.get(self._homes.home_of(room))

    def name_of(self, room_key: int) -> RoomName | None:
        """Of the room, if there is a call in it."""
        return self._names.get(room_key)

    async def note_server_act(self, room: str, identity: str, name: str, method: str, who: str) -> None:
        """What was done through LiveKit's server API. Raises `ApiError`, `DatabaseError`."""
        room_key = self._rooms.get(room)
        if room_key is not None:
            body = {"act": "server_api", "method": method, "who": member_id_of(who)}
            await self._log.note(
                room_key, Verb.MODERATION, body, client_id=_new_id(), sender=member_id_of(identity), name=name
            )

    def handle(self, event: NodeEvent) -> None:
        match event:
            case RoomStarted(room):
                if self._stores.has_data:
                    self._put(self._begin(room))
            case RoomFinished(room):
                self._put(self._end(room))
            case ParticipantJoined(room, participant):
                self._handle_joined(room, participant)
            case ParticipantLeft(room, participant) if participant.leave_reason is LeaveReason.MIGRATION:
                self._moving[participant.identity] = event
            case ParticipantLeft():
                self._put(self._note_left(event, self._timeline_of(event)))
            case _:
                pass

    def _handle_joined(self, room: RoomInfo, participant: ParticipantInfo) -> None:
        """Who goes from a room to one of its breakout rooms, or back, is in the same call."""
        left = self._moving.pop(participant.identity, None)
        if left is not None and self._homes.home_of(left.room.name) == self._homes.home_of(room.name):
            self._earlier[participant.identity] = self._timeline_of(left)
            return
        if left is not None:
            self._put(self._note_left(left, self._timeline_of(left)))
        self._put(self._note_person(room, participant, Verb.CAME, {}))

    async def close(self) -> None:
        """What happened so far is still written."""
        if self._task is None:
            return
        await self._queue.join()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def _put(self, work: Coroutine[Any, Any, None]) -> None:
        self._queue.put_nowait(work)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work_on())

    async def _work_on(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                await work
            except (ApiError, DatabaseError) as error:
                _log.error("what happened in a call could not be noted: %s", error)
            finally:
                self._queue.task_done()

    async def _begin(self, call: RoomInfo) -> None:
        room = await (await self._stores.rooms()).find_room(call.name)
        self._rooms[call.name] = None if room is None else room.room_key
        if room is not None:
            self._names[room.room_key] = call.name
            await self._log.note(room.room_key, Verb.CALL_BEGAN, {"call": call.room_id}, client_id=_new_id())

    async def _end(self, call: RoomInfo) -> None:
        room_key = self._rooms.pop(call.name, None)
        if room_key is not None:
            self._names.pop(room_key, None)
            await self._log.note(room_key, Verb.CALL_ENDED, {"call": call.room_id}, client_id=_new_id())

    def _timeline_of(self, left: ParticipantLeft) -> list[TimelineEntry]:
        """Of all that call, the newest part."""
        entries = [*self._earlier.pop(left.participant.identity, ()), *left.timeline.entries]
        return entries[-self._max_timeline_entries :]

    async def _note_left(self, left: ParticipantLeft, entries: Sequence[TimelineEntry]) -> None:
        home = self._homes.home_of(left.room.name)
        if self._rooms.get(home) is None:
            return
        room = await (await self._stores.rooms()).find_room(home)
        keeps = room is not None and keeps_timelines(room.policy)
        if keeps and await self._is_gone(member_id_of(left.participant.identity)):
            keeps = False  # Deleting it has put its person out of the call.
        said = kept_of(left.participant, entries, self._max_timeline_bytes) if keeps else {}
        await self._note_person(left.room, left.participant, Verb.LEFT, said)

    async def _note_person(
        self, call: RoomInfo, person: ParticipantInfo, verb: Verb, said: Mapping[str, object]
    ) -> None:
        room_key = self._rooms.get(self._homes.home_of(call.name))
        if room_key is not None:
            await self._log.note(
                room_key, verb, {"call": call.room_id, **said}, client_id=_new_id(),
                sender=member_id_of(person.identity), name=person.name,
            )  # fmt: skip


def _new_id() -> str:
    return secrets.token_hex(8)
