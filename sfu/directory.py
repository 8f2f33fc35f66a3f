"""The rooms of this node by name, and how many there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sfu.api import JoinRequest, LeaveReason, RoomInfo, RoomOptions, SessionSink
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.remote import RemoteMember
from sfu.control.room import Room
from sfu.errors import RequestError
from sfu.ids import Identity, RoomName


class Directory:
    def __init__(self, context: ControlContext, on_added: Callable[[], None]) -> None:
        self._context = context
        self._on_added = on_added
        self._rooms: dict[RoomName, Room] = {}
        self._closed = False
        self.fixed_groups: set[int] = set()
        """Those that keep their number whatever joins them."""

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

    def require_anywhere(self, room: RoomName, identity: Identity) -> Participant | RemoteMember:
        """Wherever they are. Raises unknown_participant."""
        found = self._rooms.get(room)
        elsewhere = None if found is None else found.remote.find_identity(identity)
        if elsewhere is not None and (found is None or found.find_identity(identity) is None):
            return elsewhere
        return self.require_participant(room, identity)

    def create(self, name: RoomName, options: RoomOptions) -> Room:
        """The room of that name, made or given what `options` name. Raises limit_exceeded."""
        room = self._rooms.get(name)
        if room is None:
            return self._add(name, options)
        room.keep()
        room.configure(options)
        return room

    def note(self, info: RoomInfo) -> Room:
        """A room that another node keeps. Raises limit_exceeded."""
        return self._rooms.get(info.name) or self._add(info.name, RoomOptions(), info)

    def _add(self, name: RoomName, options: RoomOptions, known: RoomInfo | None = None) -> Room:
        if len(self._rooms) >= self._context.config.max_rooms:
            raise RequestError("too many rooms", code="limit_exceeded")
        room = self._rooms[name] = Room(name, self._context, options, known)
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
        sizes = Counter[int]()
        for one in self._rooms.values():
            sizes[one.group] += len(one.participants())
        group, into = sorted((room.group, other.group), key=lambda number: (number in self.fixed_groups, sizes[number]))
        self.join_group(group, into)

    def join_group(self, group: int, into: int) -> None:
        """All rooms of `group` are of the other from now on."""
        if group == into:
            return
        self._context.engine.join_groups(group, into)
        for one in self._rooms.values():
            if one.group == group:
                one.group = into

    def end(self, name: RoomName, reason: LeaveReason) -> bool:
        """On all nodes. False when there is no such room."""
        room = self._rooms.pop(name, None)
        if room is not None:
            self._context.relay.handle_room_ended(name, reason)
            room.close(reason)
        return room is not None

    def drop(self, name: RoomName, reason: LeaveReason) -> None:
        """On this node: others go on with it, or one of them has ended it."""
        room = self._rooms.pop(name, None)
        if room is not None:
            room.close(reason, finished=False)

    def look_after(self) -> None:
        """Now and then: rooms that have been empty for long end, the others tell a changed head count."""
        now_s = self._context.loop.time()
        for room in self:
            if room.expired(now_s):
                self._expire(room)
            else:
                room.tell_head_count(now_s)

    def _expire(self, room: Room) -> None:
        if self._context.relay.leaves_end_to_other(room.name):
            room.let_go()
        else:
            self.end(room.name, LeaveReason.ROOM_CLOSED)

    def close(self) -> None:
        self._closed = True
        others = self._context.relay.has_others
        reason = LeaveReason.NODE_SHUTDOWN if others else LeaveReason.SERVER_SHUTDOWN
        for name, room in list(self._rooms.items()):
            del self._rooms[name]
            finished = room.kept and not self._context.relay.is_kept_elsewhere(name)
            room.close(reason, finished=finished)
