"""What is in the rooms of this node, told to the others, and what is in theirs, brought into the rooms here.

Every node knows the rooms of all, and who is in them, so that each can answer for the whole; media goes only where
somebody wants it. A node keeps a room when somebody came to it here. Whoever of those that keep a room has the first
name ends it when it has been empty for long, and tells the world of those who were on a node that is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from sfu.api import (
    DataKind,
    LeaveReason,
    ParticipantChanges,
    ParticipantInfo,
    ParticipantLeft,
    ParticipantState,
    Permissions,
    PublicationInfo,
    RoomInfo,
    SubscriptionRights,
)
from sfu.control.context import ControlContext, Relay
from sfu.control.forwarding import ended
from sfu.control.participant import Participant
from sfu.control.remote import RemoteMember
from sfu.control.room import Room
from sfu.control.settings import RelaySettings
from sfu.control.timelines import Timeline
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.relay import messages
from sfu.relay.arrivals import Arrival, Wishes
from sfu.relay.departures import Departure
from sfu.relay.link import Link, Ssrcs
from sfu.relay.mesh import Peer

logger = logging.getLogger(__name__)

_UNSEEN = frozenset({ParticipantState.JOINING, ParticipantState.DISCONNECTED})


class Rooms(Protocol):
    """The rooms of this node."""

    def __iter__(self) -> Iterator[Room]: ...

    def find(self, name: RoomName) -> Room | None: ...

    def note(self, info: RoomInfo) -> Room: ...

    def drop(self, name: RoomName, reason: LeaveReason) -> None: ...

    def join_group(self, group: int, into: int) -> None: ...

    def destination(self, room: RoomName, name: RoomName, *, create: bool) -> Room: ...


class OtherNode:
    """One that is connected, and what it has told: the `HomeNode` of the participants on it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.link: Link | None = None
        self.kept: set[RoomName] = set()
        self.members: dict[ParticipantId, RemoteMember] = {}
        self.publications: dict[TrackId, messages.PublicationThere] = {}
        """All of those that it has, also where nobody here is in the room."""

    @property
    def name(self) -> str:
        return self._peer.name

    @property
    def peer(self) -> Peer:
        return self._peer

    def send(self, message: messages.Message) -> None:
        self._peer.send(messages.encode(message))

    def remove(self, member: RemoteMember, reason: LeaveReason) -> None:
        self.send(messages.Remove(member.info.participant_id, member.room, reason))

    def mute(self, member: RemoteMember, track_id: TrackId, muted: bool) -> None:
        self.send(messages.Mute(member.info.participant_id, member.room, track_id, muted))

    def change(self, member: RemoteMember, changes: ParticipantChanges) -> None:
        self.send(messages.Change(member.info.participant_id, member.room, changes))

    def permit(self, member: RemoteMember, permissions: Permissions) -> None:
        self.send(messages.Permit(member.info.participant_id, member.room, permissions))

    def subscribe(self, member: RemoteMember, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        self.send(messages.Subscribe(member.info.participant_id, member.room, track_ids, subscribe))

    def move(self, member: RemoteMember, destination: RoomName, create: bool) -> None:
        self.send(messages.Move(member.info.participant_id, member.room, destination, create))

    def note_subscribed(self, member: RemoteMember, track_id: TrackId) -> None:
        self.send(messages.Subscribed(member.room, track_id))


class NodeRelay(Relay):
    """A `PeerHandler` of the mesh, and the `Relay` of the rooms here."""

    def __init__(
        self,
        name: str,
        settings: RelaySettings,
        context: ControlContext,
        rooms: Rooms,
        group: int,
        make_link: Callable[[Peer, int], Link],
        move: Callable[[Participant, Room], None],
        ssrcs: Ssrcs,
    ) -> None:
        """`group`: the engine's, of all links; rooms join it when something goes over one. `make_link` makes one of
        that group."""
        self._name = name
        self._settings = settings
        self._context = context
        self._rooms = rooms
        self._group = group
        self._make_link = make_link
        self._move = move
        self._ssrcs = ssrcs
        self._nodes: dict[str, OtherNode] = {}
        self._departures: dict[TrackId, Departure] = {}
        self._arrivals: dict[TrackId, Arrival] = {}
        self._rotation: asyncio.TimerHandle | None = None

    @property
    def links(self) -> int:
        return sum(1 for node in self._nodes.values() if node.link is not None)

    def close(self) -> None:
        if self._rotation is not None:
            self._rotation.cancel()

    # --- what rooms here tell -----------------------------------------------------------------------------------

    def _tell(self, message: messages.Message) -> None:
        if self._nodes:
            encoded = messages.encode(message)
            for node in self._nodes.values():
                node.peer.send(encoded)

    def is_kept_elsewhere(self, room: RoomName) -> bool:
        return any(room in node.kept for node in self._nodes.values())

    def leaves_end_to_other(self, room: RoomName) -> bool:
        return any(room in node.kept for node in self._nodes.values() if node.name < self._name)

    def handle_room_changed(self, room: RoomInfo, changed_at_ms: int) -> None:
        self._tell(messages.RoomThere(room, changed_at_ms))
        found = self._rooms.find(room.name)
        if found is not None:
            for node in self._nodes.values():
                self._bring_publications(node, found)

    def handle_room_let_go(self, room: RoomName) -> None:
        self._tell(messages.RoomLeft(room))

    def handle_room_ended(self, room: RoomName, reason: LeaveReason) -> None:
        self._tell(messages.RoomEnded(room, reason))
        self._forget_room(room)

    def handle_changed(self, room: RoomName, info: ParticipantInfo, rights: SubscriptionRights) -> None:
        if not self._nodes or info.state in _UNSEEN:
            return
        self._tell(messages.ParticipantThere(room, info, rights))
        for track in info.tracks:
            departure = self._departures.get(track.track_id)
            if departure is not None:
                self._tell_publication(departure)

    def handle_gone(self, room: RoomName, info: ParticipantInfo) -> None:
        self._tell(messages.ParticipantGone(room, info))

    def handle_published(self, room: RoomName, participant_id: ParticipantId, track_id: TrackId) -> None:
        found = self._rooms.find(room)
        publication = None if found is None else found.find_publication(track_id)
        if publication is not None:
            departure = Departure(room, publication, self._context, self._ssrcs)
            self._departures[track_id] = departure
            self._tell_publication(departure)

    def _tell_publication(self, departure: Departure) -> None:
        """If what other nodes need to know of it is news."""
        there = departure.describe()
        if there != departure.told:
            departure.told = there
            departure.apply()
            self._tell(there)

    def handle_unpublished(self, room: RoomName, track_id: TrackId) -> None:
        departure = self._departures.pop(track_id, None)
        if departure is not None:
            departure.close()
            self._tell(messages.PublicationGone(room, track_id))

    def send_data(
        self,
        room: RoomName,
        sender: ParticipantId,
        kind: DataKind,
        payload: bytes,
        sequence: int,
        destinations: Sequence[Identity],
    ) -> None:
        found, wanted = self._rooms.find(room), set(destinations)
        members = () if found is None else found.remote
        nodes = {id(one.home): one.home for one in members if not wanted or one.info.identity in wanted}
        if nodes:
            message = messages.encode(messages.Data(room, sender, kind, payload, sequence, destinations))
            for node in self._nodes.values():
                if id(node) in nodes:
                    node.peer.send(message)

    # --- other nodes come and go --------------------------------------------------------------------------------

    def handle_up(self, peer: Peer) -> None:
        node = self._nodes[peer.name] = OtherNode(peer)
        for room in self._rooms:
            if room.kept:
                node.send(messages.RoomThere(room.info, room.changed_at_ms))
            for participant in room.participants():
                if participant.info.state not in _UNSEEN:
                    node.send(messages.ParticipantThere(room.name, participant.info, participant.rights))
        for departure in self._departures.values():
            departure.told = departure.told or departure.describe()
            node.send(departure.told)

    def handle_down(self, peer: Peer) -> None:
        node = self._nodes.pop(peer.name, None)
        if node is None:
            return
        logger.warning("node %s is gone, with %d participants", peer.name, len(node.members))
        for member in list(node.members.values()):
            self._lose(node, member)
        for departure in self._departures.values():
            departure.forget_node(peer.name)
        if node.link is not None:
            node.link.close()
        for name in node.kept:
            self._drop_if_unkept(name)

    def _lose(self, node: OtherNode, member: RemoteMember) -> None:
        """It went with its node."""
        room = self._rooms.find(member.room)
        info = ended(member.info, LeaveReason.CONNECTION_TIMEOUT)
        was_active = member.info.state is ParticipantState.ACTIVE
        first = not any(member.room in other.kept and other.name < self._name for other in self._nodes.values())
        self._remove_member(node, member, info)
        if room is not None and room.kept and first and was_active:
            timeline = Timeline(self._context.config.max_timeline_entries).of(info)
            self._context.notify(ParticipantLeft(room.info, info, timeline))

    # --- what other nodes tell ------------------------------------------------------------------------------------

    def handle_message(self, peer: Peer, message: bytes) -> None:
        node = self._nodes[peer.name]
        try:
            decoded = messages.decode(message)
        except msgspec.MsgspecError as error:
            self._context.counters["node_messages_unknown"] += 1
            logger.debug("node %s tells what is not understood here: %s", peer.name, error)
            return
        try:
            self._handle(node, decoded)
        except RequestError as error:
            # What was asked came too late, or what was told does not fit here any more.
            self._context.counters["node_messages_refused"] += 1
            logger.debug("%s from node %s: %s", type(decoded).__name__, peer.name, error)

    def _handle(self, node: OtherNode, message: messages.Message) -> None:
        match message:
            case messages.ParticipantThere():
                self._handle_participant(node, message)
            case messages.ParticipantGone(room=room, info=info):
                member = node.members.get(info.participant_id)
                if member is not None and member.room == room:
                    self._remove_member(node, member, info)
            case messages.PublicationThere(room=room):
                node.publications[message.track_id] = message
                found = self._rooms.find(room)
                if found is not None and found.kept:
                    self._bring(node, found, message)
            case messages.PublicationGone(track_id=track_id):
                node.publications.pop(track_id, None)
                self._end_arrival(track_id)
            case messages.PublicationWish(track_id=track_id, encodings=encodings):
                departure = self._departures.get(track_id)
                if departure is not None:
                    departure.handle_wish(node.name, self._link_to(node, departure.room), encodings)
            case messages.Subscribed(track_id=track_id):
                departure = self._departures.get(track_id)
                if departure is not None:
                    departure.publication.owner.announce_subscribed(track_id)
            case messages.LinkKeys():
                link = node.link = node.link or self._make_link(node.peer, self._group)
                link.take(message)
                node.send(messages.LinkKeysTaken(message.number))
                self._apply_departures()
            case messages.LinkKeysTaken(number=number):
                if node.link is not None:
                    node.link.handle_taken(number)
                    self._apply_departures()
            case messages.Data(room=room):
                found = self._rooms.find(room)
                if found is not None:
                    found.deliver(
                        message.participant_id,
                        message.data_kind,
                        message.payload,
                        message.sequence,
                        message.destinations,
                    )
            case messages.RoomThere() | messages.RoomLeft() | messages.RoomEnded():
                self._handle_room(node, message)
            case _:
                self._handle_request(message)

    def _handle_room(
        self, node: OtherNode, message: messages.RoomThere | messages.RoomLeft | messages.RoomEnded
    ) -> None:
        match message:
            case messages.RoomThere(room=info, changed_at_ms=changed_at_ms):
                room = self._rooms.note(info)
                room.adopt(info, changed_at_ms)
                node.kept.add(info.name)
            case messages.RoomLeft(name=name):
                node.kept.discard(name)
                self._drop_if_unkept(name)
            case messages.RoomEnded(name=name, reason=reason):
                for other in self._nodes.values():
                    other.kept.discard(name)
                self._forget_room(name)
                self._rooms.drop(name, reason)

    def _handle_participant(self, node: OtherNode, message: messages.ParticipantThere) -> None:
        room = self._rooms.find(message.room)
        if room is None:
            raise RequestError("no such room", code="unknown_room")
        info = message.info
        member = node.members.get(info.participant_id)
        if member is None:
            member = RemoteMember(room.name, room.group, node, info, message.rights)
            node.members[info.participant_id] = member
        rights, member.rights = member.rights, message.rights
        member.info = info
        for track in info.tracks:
            arrival = self._arrivals.get(track.track_id)
            if arrival is not None:
                arrival.update(track)
        room.handle_remote(member)
        if rights != message.rights:
            for participant in room.participants():
                for publication in member.publications.values():
                    participant.wishes.review(publication)

    def _handle_request(self, message: messages.Request) -> None:
        """Raises `RequestError`."""
        room = self._rooms.find(message.room)
        participant = None if room is None else room.find(message.participant_id)
        if participant is None or participant.session is None:
            raise RequestError("no such participant", code="unknown_participant")
        match message:
            case messages.Remove(reason=reason):
                participant.leave(reason)
            case messages.Mute(track_id=track_id, muted=muted):
                participant.set_track_muted(track_id, muted)
            case messages.Change(changes=changes):
                participant.session.update(changes)
            case messages.Permit(permissions=permissions):
                participant.session.set_permissions(permissions)
            case messages.Subscribe(track_ids=track_ids, subscribe=subscribe):
                participant.session.update_subscription(track_ids, subscribe)
            case messages.Move(destination=destination, create=create):
                self._move(participant, self._rooms.destination(message.room, destination, create=create))

    # --- publications of other nodes ------------------------------------------------------------------------------

    def _bring_publications(self, node: OtherNode, room: Room) -> None:
        """Somebody is in the room here now."""
        for there in node.publications.values():
            if there.room == room.name:
                self._bring(node, room, there)

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
        self._arrivals[there.track_id] = member.publications[there.track_id] = arrival
        room.announce(arrival)

    def _end_arrival(self, track_id: TrackId) -> None:
        arrival = self._arrivals.pop(track_id, None)
        if arrival is None:
            return
        member = arrival.owner
        if isinstance(member, RemoteMember):
            member.publications.pop(track_id, None)
        arrival.end_subscriptions()
        for name in member.seen_in():
            room = self._rooms.find(name)
            if room is not None:
                room.withdraw(arrival)
        arrival.close()

    # --- ends -------------------------------------------------------------------------------------------------------

    def _remove_member(self, node: OtherNode, member: RemoteMember, info: ParticipantInfo) -> None:
        node.members.pop(info.participant_id, None)
        for track_id, there in list(node.publications.items()):
            if there.participant_id == info.participant_id:
                del node.publications[track_id]
                self._end_arrival(track_id)
        room = self._rooms.find(member.room)
        if room is not None:
            room.handle_remote_gone(member, info)

    def _forget_room(self, name: RoomName) -> None:
        """The room has ended: nobody on other nodes is in it any more."""
        for node in self._nodes.values():
            node.kept.discard(name)
            for member in [member for member in node.members.values() if member.room == name]:
                self._remove_member(node, member, ended(member.info, LeaveReason.ROOM_DELETED))

    def _drop_if_unkept(self, name: RoomName) -> None:
        room = self._rooms.find(name)
        if room is not None and not room.kept and not self.is_kept_elsewhere(name):
            self._rooms.drop(name, LeaveReason.ROOM_CLOSED)

    # --- links --------------------------------------------------------------------------------------------------------

    def _link_to(self, node: OtherNode, room_name: RoomName) -> Link:
        """The room shares a group of the engine with it from now on. The node whose name comes first has the keys."""
        room = self._rooms.find(room_name)
        if room is not None:
            self._rooms.join_group(room.group, self._group)
        if node.link is None:
            node.link = self._make_link(node.peer, self._group)
            if self._name < node.name:
                node.send(node.link.offer_keys())
                self._plan_rotation()
        return node.link

    def _plan_rotation(self) -> None:
        if self._rotation is None:
            self._rotation = self._context.loop.call_later(self._settings.link_key_interval_s, self._rotate)

    def _rotate(self) -> None:
        self._rotation = None
        links = [node for node in self._nodes.values() if node.link is not None and self._name < node.name]
        for node in links:
            if node.link is not None:
                node.send(node.link.offer_keys())
        if links:
            self._plan_rotation()

    def _apply_departures(self) -> None:
        for departure in self._departures.values():
            departure.apply()


def _find_track(info: ParticipantInfo, track_id: TrackId) -> PublicationInfo | None:
    return next((track for track in info.tracks if track.track_id == track_id), None)
