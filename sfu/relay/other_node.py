"""Another node of the cluster, as long as it is connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sfu.api import LeaveReason, NodeInfo, ParticipantChanges, Permissions
from sfu.control.remote import RemoteMember
from sfu.engine.api import TransportStats
from sfu.ids import ParticipantId, RoomName, TrackId, TransportHandle
from sfu.relay import messages
from sfu.relay.data_tracks import ArrivingDataTrack
from sfu.relay.link import Link
from sfu.relay.mesh import Peer


class OtherNode:
    """One that is connected, and what it has told: the `HomeNode` of the participants on it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.link: Link | None = None
        self.kept: set[RoomName] = set()
        self.members: dict[ParticipantId, RemoteMember] = {}
        self.publications: dict[TrackId, messages.PublicationThere] = {}
        """All of those that it has, also where nobody here is in the room."""
        self.data_tracks: dict[TrackId, ArrivingDataTrack] = {}
        """Those that rooms here have."""

    @property
    def name(self) -> str:
        return self._peer.name

    @property
    def peer(self) -> Peer:
        return self._peer

    def describe(self, traffic: Mapping[TransportHandle, TransportStats]) -> NodeInfo:
        """`traffic` is the engine's."""
        people = Counter(member.room for member in self.members.values())
        its = traffic.get(self.link.handle) if self.link is not None else None
        if its is None:
            return NodeInfo(self.name, people)
        return NodeInfo(self.name, people, True, its.bytes_sent, its.bytes_received)

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

    def set_reading(self, member: RemoteMember, is_reading: bool) -> None:
        self.send(messages.DataWaits(member.info.participant_id, member.room, not is_reading))

    def send_packet(self, track_id: TrackId, packet: bytes) -> bool:
        """Of a data track; False when it was not taken."""
        return self._peer.send_lossy(messages.encode(messages.DataTrackPacket(track_id, packet)))

    def note_subscribed(self, member: RemoteMember, track_id: TrackId) -> None:
        self.send(messages.Subscribed(member.room, track_id))
