"""Who and what is on other nodes, brought into the rooms here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from sfu.api import (
    ConnectionQuality,
    LeaveReason,
    ParticipantInfo,
    ParticipantLeft,
    ParticipantState,
    PublicationInfo,
    RoomInfo,
)
from sfu.control.context import ControlContext
from sfu.control.forwarding import ended
from sfu.control.remote import RemoteMember
from sfu.control.room import Room
from sfu.control.timelines import Timeline
from sfu.errors import RequestError
from sfu.ids import ParticipantId, RoomName, TrackId
from sfu.relay import messages
from sfu.relay.arrivals import Arrival, Wishes
from sfu.relay.data_tracks import ArrivingDataTrack
from sfu.relay.link import Link
from sfu.relay.other_node import OtherNode


class Rooms(Protocol):
    """The rooms of this node."""

    def __iter__(self) -> Iterator[Room]: ...

    def find(self, name: RoomName) -> Room | None: ...

    def note(self, info: RoomInfo) -> Room: ...

    def drop(self, name: RoomName, reason: LeaveReason) -> None: ...

    def join_group(self, group: int, into: int) -> None: ...

    def destination(self, room: RoomName, name: RoomName, *, create: bool) -> Room: ...


class Guests:
    def __init__(
        self,
        name: str,
        context: ControlContext,
        rooms: Rooms,
        nodes: Mapping[str, OtherNode],
        link_to: Callable[[OtherNode, RoomName], Link],
    ) -> None:
        """`name` is this node's; `nodes` are those that are connected now."""
        self._name = name
        self._context = context
        self._rooms = rooms
        self._nodes = nodes
        self._link_to = link_to
        self._arrivals: dict[TrackId, Arrival] = {}

    def is_kept_elsewhere(self, room: RoomName) -> bool:
        return any(room in node.kept for node in self._nodes.values())

    # --- rooms and who is in them -------------------------------------------------------------------------------

    def handle_participant(self, node: OtherNode, message: messages.ParticipantThere) -> None:
        room = self._rooms.find(message.room)
        if room is None:
            raise RequestError("no such room", code="unknown_room")
        info = message.info
        member = node.members.get(info.participant_id)
        if member is None:
            member = RemoteMember(room.name, room.group, node, info, message.rights, self._context.loop)
            member.newer_by = room.newer_by(info)
            node.members[info.participant_id] = member
        rights, member.rights = member.rights, message.rights
        member.info = member.shown(info)
        for track in info.tracks:
            arrival = self._arrivals.get(track.track_id)
            if arrival is not None:
                arrival.update(track)
        room.handle_remote(member)
        if room.kept:
            self._bring_data_tracks(node, room, member)
        if rights != message.rights:
            for participant in room.participants():
                for publication in member.publications:
                    participant.wishes.review(publication)

    def lose(self, node: OtherNode, member: RemoteMember) -> None:
        """It went with its node."""
        room = self._rooms.find(member.room)
        info = ended(member.info, LeaveReason.CONNECTION_TIMEOUT)
        was_active = member.info.state is ParticipantState.ACTIVE
        first = not any(member.room in other.kept and other.name < self._name for other in self._nodes.values())
        self.remove_member(node, member, info)
        if room is not None and room.kept and first and was_active:
            timeline = Timeline(self._context.config.max_timeline_entries).of(info)
            self._context.notify(ParticipantLeft(room.info, info, timeline))

    def handle_room(
        self, node: OtherNode, message: messages.RoomThere | messages.RoomLeft | messages.RoomEnded
    ) -> None:
        match message:
            case messages.RoomThere(room=info, changed_at_ms=changed_at_ms):
                room = self._rooms.note(info)
                room.adopt(info, changed_at_ms)
                node.kept.add(info.name)
            case messages.RoomLeft(name=name):
                node.kept.discard(name)
                self.drop_if_unkept(name)
            case messages.RoomEnded(name=name, reason=reason):
                for other in self._nodes.values():
                    other.kept.discard(name)
                self._rooms.drop(name, reason)
                self.forget_room(name)

    def handle_gone(self, node: OtherNode, message: messages.ParticipantGone) -> None:
        member = node.members.get(message.info.participant_id)
        if member is not None and member.room == message.room:
            self.remove_member(node, member, member.shown(message.info))

    def handle_blob(self, node: OtherNode, participant_id: ParticipantId, key: bytes, contents: bytes) -> None:
        member = node.members.get(participant_id)
        if member is not None:
            member.blobs[key] = contents

    def handle_qualities(self, node: OtherNode, qualities: Iterable[ConnectionQuality]) -> None:
        for quality in qualities:
            member = node.members.get(quality.participant_id)
            if member is not None:
                member.quality = quality

    # --- publications of other nodes ------------------------------------------------------------------------------

    def handle_publication(self, node: OtherNode, message: messages.PublicationThere) -> None:
        node.publications[message.track_id] = message
        room = self._rooms.find(message.room)
        if room is not None and room.kept:
            self._bring(node, room, message)

    def handle_publication_gone(self, node: OtherNode, track_id: TrackId) -> None:
        node.publications.pop(track_id, None)
        self._end_arrival(track_id)

    def bring_all(self, node: OtherNode, room: Room) -> None:
        """Somebody is in the room here now."""
        for there in node.publications.values():
            if there.room == room.name:
                self._bring(node, room, there)
        for member in node.members.values():
            if member.room == room.name:
                self._bring_data_tracks(node, room, member)

    def _bring(self, node: OtherNode, room: Room, there: messages.PublicationThere) -> None:
        arrival = self._arrivals.get(there.track_id)
        if arrival is not None:
            arrival.set_encodings(there.encodings)
            return
        member = node.members.get(there.participant_id)
        info = None if member is None else _find_track(member.info, there.track_id)
        if member is None or info is None or not there.encodings:
            raise RequestError("a publication of nobody", code="unknown_participant")

        def tell(wishes: Wishes) -> None:
            node.send(messages.PublicationWish(there.room, there.track_id, wishes))

        link = self._link_to(node, room.name)
        arrival = Arrival(member, info, there.encodings, there.stream_label, link, self._context, tell)
        self._arrivals[there.track_id] = member.arrivals[there.track_id] = arrival
        room.announce(arrival)

    def _end_arrival(self, track_id: TrackId) -> None:
        arrival = self._arrivals.pop(track_id, None)
        if arrival is None:
            return
        member = arrival.owner
        if isinstance(member, RemoteMember):
            member.arrivals.pop(track_id, None)
        arrival.end_subscriptions()
        for name in member.seen_in():
            room = self._rooms.find(name)
            if room is not None:
                room.withdraw(arrival)
        arrival.close()

    # --- data tracks ------------------------------------------------------------------------------------------------

    def _bring_data_tracks(self, node: OtherNode, room: Room, member: RemoteMember) -> None:
        """Those that stand in the record of a participant on the other node."""
        there = {info.track_id: info for info in member.info.data_tracks}
        for track_id in [track_id for track_id in member.data_tracks if track_id not in there]:
            self._end_data_track(node, room, member, track_id)
        for track_id, info in there.items():
            if track_id in member.data_tracks:
                continue

            def tell(wanted: bool, track_id: TrackId = track_id) -> None:
                wish = messages.DataTrackWish(member.room, track_id, wanted)
                node.send(wish)

            track = member.data_tracks[track_id] = node.data_tracks[track_id] = ArrivingDataTrack(member, info, tell)
            room.announce_data_track(track)

    def _end_data_track(self, node: OtherNode, room: Room | None, member: RemoteMember, track_id: TrackId) -> None:
        node.data_tracks.pop(track_id, None)
        track = member.data_tracks.pop(track_id)
        if room is not None:
            room.withdraw_data_track(track)

    def handle_packet(self, node: OtherNode, track_id: TrackId, packet: bytes) -> None:
        """Of a data track."""
        track = node.data_tracks.get(track_id)
        if track is not None:
            self._context.counters["data_dropped_track"] += track.forward(packet, self._context.loop.time())

    # --- ends -------------------------------------------------------------------------------------------------------

    def remove_member(self, node: OtherNode, member: RemoteMember, info: ParticipantInfo) -> None:
        node.members.pop(info.participant_id, None)
        member.brake.release()
        for track_id, there in list(node.publications.items()):
            if there.participant_id == info.participant_id:
                del node.publications[track_id]
                self._end_arrival(track_id)
        room = self._rooms.find(member.room)
        for track_id in list(member.data_tracks):
            self._end_data_track(node, room, member, track_id)
        if room is not None:
            room.handle_remote_gone(member, info)

    def forget_room(self, name: RoomName) -> None:
        """The room has ended: nobody on other nodes is in it any more."""
        for node in self._nodes.values():
            node.kept.discard(name)
            for member in [member for member in node.members.values() if member.room == name]:
                self.remove_member(node, member, ended(member.info, LeaveReason.ROOM_DELETED))

    def drop_if_unkept(self, name: RoomName) -> None:
        room = self._rooms.find(name)
        if room is not None and not room.kept and not self.is_kept_elsewhere(name):
            self._rooms.drop(name, LeaveReason.ROOM_CLOSED)


def _find_track(info: ParticipantInfo, track_id: TrackId) -> PublicationInfo | None:
    return next((track for track in info.tracks if track.track_id == track_id), None)
