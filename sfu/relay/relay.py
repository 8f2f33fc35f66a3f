"""What is in the rooms of this node, told to the others, and what is in theirs, brought into the rooms here.

Every node knows the rooms of all, and who is in them, so that each can answer for the whole; media goes only where
somebody wants it. A node keeps a room when somebody came to it here. Whoever of those that keep a room has the first
name ends it when it has been empty for long, and tells the world of those who were on a node that is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from sfu.api import (
    ConnectionQuality,
    DataKind,
    LeaveReason,
    NodeInfo,
    NodeTopicListener,
    ParticipantInfo,
    ParticipantState,
    RoomInfo,
    SubscriptionRights,
)
from sfu.control.context import ControlContext, Relay
from sfu.control.participant import Participant
from sfu.control.room import Room
from sfu.control.settings import RelaySettings
from sfu.engine.api import TransportStats
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, TransportHandle
from sfu.relay import messages
from sfu.relay.data_tracks import NodeDataReception
from sfu.relay.departures import Departure
from sfu.relay.guests import Guests, Rooms
from sfu.relay.link import Link, Ssrcs
from sfu.relay.mesh import Peer
from sfu.relay.other_node import OtherNode

logger = logging.getLogger(__name__)

_UNSEEN = frozenset({ParticipantState.JOINING, ParticipantState.DISCONNECTED})


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
        topics: Mapping[str, NodeTopicListener],
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
        self._topics = topics
        self._nodes: dict[str, OtherNode] = {}
        self._departures: dict[TrackId, Departure] = {}
        self._guests = Guests(name, context, rooms, self._nodes, self._link_to)
        self._rotation: asyncio.TimerHandle | None = None

    @property
    def links(self) -> int:
        return sum(1 for node in self._nodes.values() if node.link is not None)

    def others(self, traffic: Mapping[TransportHandle, TransportStats]) -> list[NodeInfo]:
        """Those that are connected; `traffic` is the engine's."""
        return [node.describe(traffic) for node in self._nodes.values()]

    def close(self) -> None:
        if self._rotation is not None:
            self._rotation.cancel()

    # --- what rooms here tell -----------------------------------------------------------------------------------

    def _tell(self, message: messages.Message) -> None:
        if self._nodes:
            encoded = messages.encode(message)
            for node in self._nodes.values():
                node.peer.send(encoded)

    @property
    def has_others(self) -> bool:
        return bool(self._nodes)

    def is_kept_elsewhere(self, room: RoomName) -> bool:
        return self._guests.is_kept_elsewhere(room)

    def leaves_end_to_other(self, room: RoomName) -> bool:
        return any(room in node.kept for node in self._nodes.values() if node.name < self._name)

    def handle_room_changed(self, room: RoomInfo, changed_at_ms: int) -> None:
        self._tell(messages.RoomThere(room, changed_at_ms))
        found = self._rooms.find(room.name)
        if found is not None:
            for node in self._nodes.values():
                self._guests.bring_all(node, found)

    def handle_room_let_go(self, room: RoomName) -> None:
        self._tell(messages.RoomLeft(room))

    def handle_room_ended(self, room: RoomName, reason: LeaveReason) -> None:
        self._tell(messages.RoomEnded(room, reason))
        self._guests.forget_room(room)

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

    def handle_qualities(self, qualities: Sequence[ConnectionQuality]) -> None:
        self._tell(messages.Qualities(qualities))

    def handle_blob(self, room: RoomName, participant_id: ParticipantId, key: bytes, contents: bytes) -> None:
        self._tell(messages.BlobThere(room, participant_id, key, contents))

    def send_data(
        self,
        room: RoomName,
        sender: ParticipantId,
        kind: DataKind,
        payload: bytes,
        sequence: int,
        destinations: Sequence[Identity],
    ) -> None:
        """What may be lost is, rather than late."""
        found, wanted = self._rooms.find(room), set(destinations)
        members = () if found is None else found.remote
        nodes = {id(one.home): one.home for one in members if not wanted or one.info.identity in wanted}
        if nodes:
            message = messages.encode(messages.Data(room, sender, kind, payload, sequence, destinations))
            for node in self._nodes.values():
                if id(node) in nodes and kind is DataKind.RELIABLE:
                    node.peer.send(message)
                elif id(node) in nodes and not node.peer.send_lossy(message):
                    self._context.counters[f"data_dropped_{kind}"] += 1

    def send(self, topic: str, payload: bytes, node: str = "") -> None:
        """To all, or to one."""
        if not node:
            self._tell(messages.Word(topic, payload))
        elif node in self._nodes:
            self._nodes[node].send(messages.Word(topic, payload))

    # --- other nodes come and go --------------------------------------------------------------------------------

    def handle_up(self, peer: Peer) -> None:
        node = self._nodes[peer.name] = OtherNode(peer)
        for room in self._rooms:
            if room.kept:
                node.send(messages.RoomThere(room.info, room.changed_at_ms))
            for participant in room.participants():
                if participant.info.state not in _UNSEEN:
                    node.send(messages.ParticipantThere(room.name, participant.info, participant.rights))
                for key, contents in participant.blobs.all().items():
                    node.send(messages.BlobThere(room.name, participant.info.participant_id, key, contents))
        for departure in self._departures.values():
            departure.told = departure.told or departure.describe()
            node.send(departure.told)
        for listener in self._topics.values():
            _call(listener.handle_node_up, peer.name)

    def handle_down(self, peer: Peer) -> None:
        node = self._nodes.pop(peer.name, None)
        if node is None:
            return
        logger.warning("node %s is gone, with %d participants", peer.name, len(node.members))
        for member in list(node.members.values()):
            self._guests.lose(node, member)
        for departure in self._departures.values():
            departure.forget_node(peer.name)
        for room in self._rooms:
            for track in room.data_tracks():
                track.remove(ParticipantId(peer.name))
            for participant in room.participants():
                participant.messages.set_reading(peer.name, True)
        if node.link is not None:
            node.link.close()
        for name in node.kept:
            self._guests.drop_if_unkept(name)
        for listener in self._topics.values():
            _call(listener.handle_node_down, peer.name)

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
            case messages.RoomThere() | messages.RoomLeft() | messages.RoomEnded():
                self._guests.handle_room(node, message)
            case messages.ParticipantThere():
                self._guests.handle_participant(node, message)
            case messages.ParticipantGone():
                self._guests.handle_gone(node, message)
            case messages.PublicationThere():
                self._guests.handle_publication(node, message)
            case messages.PublicationGone(track_id=track_id):
                self._guests.handle_publication_gone(node, track_id)
            case messages.BlobThere(participant_id=participant_id, key=key, contents=contents):
                self._guests.handle_blob(node, participant_id, key, contents)
            case messages.Word(topic=topic, payload=payload):
                if topic in self._topics:
                    _call(self._topics[topic].handle_node_message, node.name, payload)
            case messages.Qualities(qualities=qualities):
                self._guests.handle_qualities(node, qualities)
            case messages.DataTrackPacket(track_id=track_id, packet=packet):
                self._guests.handle_packet(node, track_id, packet)
            case messages.DataTrackWish():
                self._handle_data_track_wish(node, message)
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
            case messages.DataWaits(room=room_name, participant_id=participant_id, waits=waits):
                room = self._rooms.find(room_name)
                sender = None if room is None else room.find(participant_id)
                if sender is not None:
                    sender.messages.set_reading(node.name, not waits)
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
            case _:
                self._handle_request(message)

    def _handle_data_track_wish(self, node: OtherNode, message: messages.DataTrackWish) -> None:
        room = self._rooms.find(message.room)
        track = None if room is None else room.find_data_track(message.track_id)
        if track is not None and message.wanted:
            track.add(ParticipantId(node.name), NodeDataReception(message.track_id, node.send_packet))
        elif track is not None:
            track.remove(ParticipantId(node.name))

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


def _call(handle: Callable[..., None], *arguments: object) -> None:
    """A fault of who listens is nobody else's."""
    try:
        handle(*arguments)
    except Exception:
        logger.exception("a listener to other nodes failed")
