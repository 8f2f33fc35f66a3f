"""What signaling asks of rooms and of who is in them, by name: that part of `sfu.api.Sfu`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfu.api import (
    CallTimeline,
    DataKind,
    JoinRequest,
    LeaveReason,
    ParticipantControl,
    ParticipantInfo,
    ParticipantSession,
    PlaybackWish,
    RoomInfo,
    RoomOptions,
    SessionSink,
    SubscriptionFigures,
    TalkTime,
    TrackSource,
)
from sfu.control import http_clients, moving
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.remote import RemoteMember
from sfu.directory import Directory
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.kind import Kind


class Rooms(ABC):
    """The node is one; `_control` and `_directory` are there once it has started."""

    def __init__(self) -> None:
        self._started: tuple[ControlContext, Directory] | None = None

    @property
    def _control(self) -> ControlContext:
        return self._require_started()[0]

    @property
    def _directory(self) -> Directory:
        return self._require_started()[1]

    def _require_started(self) -> tuple[ControlContext, Directory]:
        if self._started is None:
            raise RuntimeError("the node has not been started")
        return self._started

    @abstractmethod
    async def prepare(self) -> None:
        """Returns when transports can be made; every way of coming passes here."""

    @abstractmethod
    def _subscription_figures(self, participant: Participant) -> Sequence[SubscriptionFigures]:
        """What it is sent now."""

    # --- looking ------------------------------------------------------------------------------------------

    def rooms(self) -> list[RoomInfo]:
        return [room.info for room in self._directory]

    def find_room(self, name: RoomName) -> RoomInfo | None:
        room = self._directory.find(name)
        return None if room is None else room.info

    def participants(self, room: RoomName) -> list[ParticipantInfo]:
        found = self._directory.find(room)
        return [] if found is None else found.infos()

    def talk_times(self, room: RoomName) -> list[TalkTime]:
        found = self._directory.find(room)
        return [] if found is None else found.talk_times.all()

    def call_timelines(self, room: RoomName) -> list[CallTimeline]:
        found = self._directory.find(room)
        if found is None:
            return []
        present = [one.timeline.of(one.info, self._subscription_figures(one)) for one in found.participants()]
        return [*found.past_timelines, *present]

    def find_session(self, room: RoomName, participant_id: ParticipantId) -> ParticipantSession | None:
        found = self._directory.find(room)
        participant = None if found is None else found.find(participant_id)
        return None if participant is None else participant.session

    def find_participant(self, room: RoomName, identity: Identity) -> ParticipantControl | None:
        found = self._directory.find(room)
        if found is None:
            return None
        participant = found.find_identity(identity)
        return found.remote.find_identity(identity) if participant is None else participant.session

    # --- coming -------------------------------------------------------------------------------------------

    async def join(self, request: JoinRequest, sink: SessionSink) -> ParticipantSession:
        await self.prepare()
        return _session(self._directory.enter(request, sink))

    async def publish(
        self, request: JoinRequest, offer: str, sources: Mapping[Kind, TrackSource], sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        description, received = http_clients.read_publish_offer(offer, request, sources, self._control.config)
        await self.prepare()
        participant = self._directory.enter(request, sink)
        return _session(participant), http_clients.publish_all(participant, description, received, sources)

    async def play(
        self, request: JoinRequest, wish: PlaybackWish, offer: str, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        description = http_clients.read_play_offer(offer, self._control.config)
        await self.prepare()
        participant = self._directory.enter(replace(request, playback=wish), sink)
        return _session(participant), http_clients.play(participant, description)

    async def offer_playback(
        self, request: JoinRequest, wish: PlaybackWish, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        await self.prepare()
        participant = self._directory.enter(replace(request, playback=wish), sink)
        return _session(participant), http_clients.offer_playback(participant)

    # --- rooms --------------------------------------------------------------------------------------------

    def create_room(self, name: RoomName, options: RoomOptions) -> RoomInfo:
        return self._directory.create(name, options).info

    def update_room_metadata(self, room: RoomName, metadata: str) -> RoomInfo:
        found = self._directory.require(room)
        found.set_metadata(metadata)
        return found.info

    def send_data(self, room: RoomName, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        self._directory.require(room).send_data(kind, payload, destinations)

    def hold_room(self, room: RoomName, held: bool) -> None:
        found = self._directory.find(room)
        if found is not None:
            found.hold(held)

    def end_room(self, room: RoomName) -> bool:
        return self._directory.end(room, LeaveReason.ROOM_DELETED)

    # --- participants -------------------------------------------------------------------------------------

    def remove_participant(self, room: RoomName, identity: Identity) -> None:
        found = self._directory.find(room)
        if found is not None and identity in found.forwarded:
            found.forwarded.remove(identity)
        else:
            self._directory.require_anywhere(room, identity).leave(LeaveReason.PARTICIPANT_REMOVED)

    def move_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        participant = self._directory.require_anywhere(room, identity)
        found = self._directory.destination(room, destination, create=create)
        if isinstance(participant, RemoteMember):
            participant.home.move(participant, destination, create)
        else:
            moving.move(participant, found, self._control)

    def forward_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        participant = self._directory.require_participant(room, identity)
        found = self._directory.destination(room, destination, create=create)
        found.check_forward(participant)
        self._directory.join_groups(self._directory.require(room), found)
        found.forward(participant)

    def mute_track(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        participant = self._directory.require_anywhere(room, identity)
        if isinstance(participant, RemoteMember):
            if all(track.track_id != track_id for track in participant.info.tracks):
                raise RequestError("no such track", code="unknown_track")
            participant.home.mute(participant, track_id, muted)
        else:
            participant.set_track_muted(track_id, muted)


def _session(participant: Participant) -> ParticipantSession:
    assert participant.session is not None
    return participant.session
