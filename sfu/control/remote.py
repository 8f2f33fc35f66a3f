"""Participants of a room whose client is connected to another node, as the room here knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from sfu.api import (
    ClientDescription,
    ConnectionQuality,
    LeaveReason,
    ParticipantChanges,
    ParticipantInfo,
    Permissions,
    SessionEvent,
    SubscriptionRights,
    Target,
)
from sfu.control.data.brake import Brake
from sfu.control.data.data_tracks import DataTrack
from sfu.control.member import Member
from sfu.control.publish.publication import Publication
from sfu.ids import Identity, ParticipantId, RoomName, TrackId


class HomeNode(Protocol):
    """The node that a participant's client is connected to. What is asked of it is done there, or too late."""

    @property
    def name(self) -> str: ...

    def remove(self, member: RemoteMember, reason: LeaveReason) -> None: ...

    def mute(self, member: RemoteMember, track_id: TrackId, muted: bool) -> None: ...

    def change(self, member: RemoteMember, changes: ParticipantChanges) -> None: ...

    def permit(self, member: RemoteMember, permissions: Permissions) -> None: ...

    def subscribe(self, member: RemoteMember, track_ids: Sequence[TrackId], subscribe: bool) -> None: ...

    def move(self, member: RemoteMember, destination: RoomName, create: bool) -> None: ...

    def note_subscribed(self, member: RemoteMember, track_id: TrackId) -> None: ...

    def set_reading(self, member: RemoteMember, is_reading: bool) -> None: ...


class RemoteMember:
    """A `Member` whose parts are elsewhere: what goes to its client is its own node's to tell."""

    def __init__(
        self,
        room: RoomName,
        group: int,
        home: HomeNode,
        info: ParticipantInfo,
        rights: SubscriptionRights,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.home = home
        self.brake = Brake(loop, lambda is_reading: home.set_reading(self, is_reading))
        """Its reliable data waits on its own node for receivers here."""
        self.info = info
        self.newer_by = 0
        """What is added to the versions of its record, since clients here have seen higher ones."""
        self.rights = rights
        self.room = room
        self.arrivals: dict[TrackId, Publication] = {}
        """Its publications, as this node has them."""
        self.data_tracks: dict[TrackId, DataTrack] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.quality: ConnectionQuality | None = None
        """Of its connection, as its own node sees it."""
        self._group = group

    def shown(self, info: ParticipantInfo) -> ParticipantInfo:
        """As clients here see a record of its own node's."""
        return replace(info, version=info.version + self.newer_by)

    @property
    def publications(self) -> Sequence[Publication]:
        return list(self.arrivals.values())

    @property
    def client(self) -> ClientDescription:
        return ClientDescription()

    @property
    def broken_codecs(self) -> frozenset[str]:
        return frozenset()

    @property
    def room_group(self) -> int:
        return self._group

    @property
    def tcp_only(self) -> bool:
        return False

    def seen_in(self) -> list[RoomName]:
        return [self.room]

    def lets(self, other: Member, track_id: TrackId) -> bool:
        return self.rights.allow(other.info.identity, other.info.participant_id, track_id)

    def emit(self, event: SessionEvent) -> None:
        """Its own node tells its client."""

    def announce_subscribed(self, track_id: TrackId) -> None:
        self.home.note_subscribed(self, track_id)

    def handle_connected(self) -> None:
        """No transport of it is here."""

    def handle_data_open(self) -> None:
        """No channel of it is here."""

    def handle_transport_closed(self, target: Target, reason: str) -> None:
        """No transport of it is here."""

    def handle_negotiation_timeout(self) -> None:
        """Nothing is negotiated with it here."""

    # --- what moderators and servers ask ----------------------------------------------------------------------

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None:
        self.home.remove(self, reason)

    def update(self, changes: ParticipantChanges) -> None:
        self.home.change(self, changes)

    def set_permissions(self, permissions: Permissions) -> None:
        self.home.permit(self, permissions)

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        self.home.subscribe(self, track_ids, subscribe)


class RemoteMembers:
    """Those of one room. One identity may be there twice for the time that its older one needs to go."""

    def __init__(self) -> None:
        self._members: dict[ParticipantId, RemoteMember] = {}
        self._by_identity: dict[Identity, RemoteMember] = {}

    def __iter__(self) -> Iterator[RemoteMember]:
        return iter(list(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def infos(self) -> list[ParticipantInfo]:
        return [member.info for member in self._members.values()]

    def find(self, participant_id: ParticipantId) -> RemoteMember | None:
        return self._members.get(participant_id)

    def find_identity(self, identity: Identity) -> RemoteMember | None:
        return self._by_identity.get(identity)

    def add(self, member: RemoteMember) -> None:
        self._members[member.info.participant_id] = member
        self._by_identity[member.info.identity] = member

    def remove(self, member: RemoteMember) -> None:
        self._members.pop(member.info.participant_id, None)
        if self._by_identity.get(member.info.identity) is member:
            del self._by_identity[member.info.identity]
