"""The rooms of this node by name, and how many there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sfu.api import JoinRequest, LeaveReason, RoomOptions, SessionSink
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.room import Room
from sfu.errors import RequestError
from sfu.ids import Identity, RoomName


class Directory:
    def __init__(self, context: ControlContext, on_added: Callable[[], None]) -> None:
        self._context = context
        self._on_added = on_added
        self._rooms: dict[RoomName, Room] = {}
        self._closed = False

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    def find(self, name: RoomName) -> Room | None:
        return self._rooms.get(name)

    def require(self, name: RoomName) -> Room:
        """Raises unknown_room."""
        room = self._rooms.get(name)
        if room is None:
            raise RequestError("no such room", code="unknown_room")
        return room

    def require_participant(self, room: RoomName, identity: Identity) -> Participant:
        """Raises unknown_participant."""
        found = self._rooms.get(room)
        participant = None if found is None else found.find_identity(identity)
        if participant is None:
            raise RequestError("no such participant", code="unknown_participant")
        return participant

    def create(self, name: RoomName, options: RoomOptions) -> Room:
        """The room of that name, made or given what `options` name. Raises limit_exceeded."""
        room = self._rooms.get(name)
        if room is None:
            return self._add(name, options)
        room.configure(options)
        return room

    def _add(self, name: RoomName, options: RoomOptions) -> Room:
        if len(self._rooms) >= self._context.config.max_rooms:
            raise RequestError("too many rooms", code="limit_exceeded")
        room = self._rooms[name] = Room(name, self._context, options)
        self._on_added()
        return room

    def enter(self, request: JoinRequest, sink: SessionSink) -> Participant:
        """Raises unavailable, unknown_room or limit_exceeded."""
        if self._closed:
            raise RequestError("the server is shutting down", code="unavailable")
        room = self._rooms.get(request.room)
        if room is None:
            if not request.create_room:
                raise RequestError("no such room", code="unknown_room")
            room = self._add(request.room, request.room_options)
        return room.join(request, sink)

    def destination(self, room: RoomName, name: RoomName, *, create: bool) -> Room:
        """Where somebody of `room` is to go or to be shown. Raises unknown_room, limit_exceeded or invalid_request."""
        self.require(room)
        if name == room:
            raise RequestError("destination room cannot be the same as source room")
        found = self._rooms.get(name)
        if found is None and create:
            found = self._add(name, RoomOptions())
        return found or self.require(name)

    def join_groups(self, room: Room, other: Room) -> None:
        """Subscriptions can go from one to the other from now on; the engine moves what is less."""
        if room.group == other.group:
            return
        sizes = Counter[int]()
        for one in self._rooms.values():
            sizes[one.group] += len(one.participants())
        group, into = sorted((room.group, other.group), key=lambda number: sizes[number])
        self._context.engine.join_groups(group, into)
        for one in self._rooms.values():
            if one.group == group:
                one.group = into

    def end(self, name: RoomName, reason: LeaveReason) -> bool:
        """False when there is no such room."""
        room = self._rooms.pop(name, None)
        if room is not None:
            room.close(reason)
        return room is not None

    def look_after(self) -> None:
        """Now and then: rooms that have been empty for long end, the others tell a changed head count."""
        now_s = self._context.loop.time()
        for room in self:
            if room.expired(now_s):
                self.end(room.name, LeaveReason.ROOM_CLOSED)
            else:
                room.tell_head_count(now_s)

    def close(self) -> None:
        self._closed = True
        for name in list(self._rooms):
            self.end(name, LeaveReason.SERVER_SHUTDOWN)
