"""An SFU without media: rooms, participants and events as `sfu.api` promises them, all in memory.

It is for tests of the protocol's order and of limits. Every call of a session is kept in `calls`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sfu.api import (
    AddTrackRequest,
    Answer,
    CallTimeline,
    DataKind,
    DataReceived,
    DataTrackInfo,
    DataTrackRequest,
    JoinRequest,
    LeaveReason,
    NodeEvent,
    NodeInfo,
    NodeListener,
    ParticipantChanges,
    ParticipantInfo,
    ParticipantState,
    ParticipantsUpdated,
    Permissions,
    PublicationInfo,
    RequestError,
    RoomFinished,
    RoomInfo,
    RoomMoved,
    RoomOptions,
    RoomStarted,
    RoomUpdated,
    SdpError,
    SessionEnded,
    SessionEvent,
    SessionSink,
    SubscriberOffer,
    SubscriptionRights,
    TalkTime,
    Target,
    TrackMuted,
    TrackPublished,
    TrackSettings,
    VideoLayerInfo,
)
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, new_participant_id, new_room_id, new_track_id

OFFER_SDP = "v=0\r\ns=server offer\r\n"
ANSWER_SDP = "v=0\r\ns=server answer\r\n"


class FakeSession:
    def __init__(self, sfu: FakeSfu, request: JoinRequest, sink: SessionSink) -> None:
        self.sfu = sfu
        self.request = request
        self.sink = sink
        self.calls: list[tuple[Any, ...]] = []
        self.former_ids: frozenset[ParticipantId] = frozenset()
        self.data: list[tuple[DataKind, bytes]] = []
        self.last_sequence = 0
        self.no_transport = False
        self.crowded = 0
        """How many announcements find no place."""
        self.offer_delays: list[float] = []
        """What the next offers have to wait; 0 after the last of them."""
        self.data_tracks: dict[int, DataTrackInfo] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.ended: LeaveReason | None = None
        self.tracks: dict[TrackId, PublicationInfo] = {}
        self.name, self.metadata, self.permissions = request.name, request.metadata, request.permissions
        self.attributes = dict(request.attributes)
        self._version = 1
        self._participant_id = new_participant_id()
        self._joined_at_ms = time.time_ns() // 1_000_000

    @property
    def room(self) -> RoomInfo:
        room = self.sfu.find_room(self.request.room)
        assert room is not None
        return room

    @property
    def room_name(self) -> RoomName:
        return self.request.room

    @property
    def info(self) -> ParticipantInfo:
        return ParticipantInfo(
            participant_id=self._participant_id,
            identity=self.request.identity,
            name=self.name,
            state=ParticipantState.JOINED if self.ended is None else ParticipantState.DISCONNECTED,
            joined_at_ms=self._joined_at_ms,
            version=self._version,
            permissions=self.permissions,
            metadata=self.metadata,
            attributes=self.attributes,
            kind=self.request.kind,
            tracks=tuple(self.tracks.values()),
            data_tracks=tuple(self.data_tracks.values()),
            leave_reason=self.ended,
        )

    def emit(self, event: SessionEvent) -> None:
        self.sink(event)

    def move_to(self, room: RoomName) -> None:
        self._note("moved", room)
        self.request = dataclasses.replace(self.request, room=room)
        self.former_ids |= {self._participant_id}
        self._participant_id = new_participant_id()

    def receive_data(self, kind: DataKind, payload: bytes) -> None:
        """As if it had arrived on the participant's data channel."""
        self.emit(DataReceived(kind, payload))

    def neighbours(self) -> list[FakeSession]:
        return [other for other in self.sfu.sessions_in(self.request.room) if other is not self]

    def others(self) -> list[ParticipantInfo]:
        return [other.info for other in self.neighbours()]

    def start(self) -> None:
        self._note("start")
        if not self.single_connection:
            self.emit(SubscriberOffer(OFFER_SDP, 1, {"1": TrackId("TR_other")}))
        self._tell_others()

    @property
    def single_connection(self) -> bool:
        return self.request.single_connection

    def offer_delay_s(self) -> float:
        return self.offer_delays.pop(0) if self.offer_delays else 0.0

    async def handle_offer(self, sdp: str) -> Answer:
        self._note("handle_offer", sdp)
        if self.no_transport:
            raise RequestError("too many calls are being set up", code="limit_exceeded")
        if not sdp.startswith("v=0"):
            raise SdpError("the description is malformed")
        return Answer(ANSWER_SDP, {"1": TrackId("TR_other")} if self.single_connection else {})

    def handle_answer(self, sdp: str, offer_id: int = 0) -> None:
        self._note("handle_answer", sdp, offer_id)
        if not sdp.startswith("v=0"):
            raise SdpError("the description is malformed")

    def handle_candidate(self, target: Target, candidate: str) -> None:
        self._note("handle_candidate", target, candidate)

    def add_track(self, request: AddTrackRequest) -> None:
        if self.crowded:
            self.crowded -= 1
            raise RequestError("the participant has too many tracks", code="try_later")
        self._note("add_track", request)
        if not self.permissions.may_publish(request.source):
            raise RequestError("publishing is not allowed", code="not_allowed")
        publication = PublicationInfo(
            track_id=new_track_id(), kind=request.kind, source=request.source, name=request.name, muted=request.muted,
            width=request.width, height=request.height, layers=request.layers, mime_type=request.mime_type,
            simulcast=len(request.layers) > 1, stream=request.stream,
        )  # fmt: skip
        self.tracks[publication.track_id] = publication
        self.emit(TrackPublished(request.cid, publication))
        self._tell_others()

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None:
        self._note("set_track_muted", track_id, muted)
        self.change_mute(track_id, muted)

    def change_mute(self, track_id: TrackId, muted: bool) -> None:
        if track_id not in self.tracks:
            raise RequestError("there is no such track", code="unknown_track")
        self.tracks[track_id] = dataclasses.replace(self.tracks[track_id], muted=muted)
        self._tell_others()

    def update_audio_features(self, track_id: TrackId, features: Sequence[int]) -> None:
        self._note("update_audio_features", track_id, tuple(features))

    def update_video_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        self._note("update_video_layers", track_id, layers)

    def update_video_size(self, track_id: TrackId, width: int, height: int) -> None:
        self._note("update_video_size", track_id, width, height)

    def update(self, changes: ParticipantChanges) -> None:
        self._note("update", changes)
        self.name, self.metadata = changes.name or self.name, changes.metadata or self.metadata
        self.attributes = {key: value for key, value in {**self.attributes, **changes.attributes}.items() if value}
        self._tell_others()
        self.emit(ParticipantsUpdated([self.info]))

    def set_permissions(self, permissions: Permissions) -> None:
        self._note("set_permissions", permissions)
        self.permissions = permissions
        self._tell_others()
        self.emit(ParticipantsUpdated([self.info]))

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        self._note("update_subscription", tuple(track_ids), subscribe)
        self._require_tracks(track_ids)

    def simulate_bandwidth(self, bitrate_bps: int) -> None:
        self._note("simulate_bandwidth", bitrate_bps)

    def set_subscription_rights(self, rights: SubscriptionRights) -> None:
        self._note("set_subscription_rights", rights)

    def publish_data_track(self, request: DataTrackRequest) -> DataTrackInfo:
        self._note("publish_data_track", request)
        if not self.permissions.can_publish_data:
            raise RequestError("not allowed to send data", code="not_allowed")
        info = DataTrackInfo(
            new_track_id("DTR_"), request.handle, request.name, request.encryption, request.frame_encoding,
            request.schema,
        )  # fmt: skip
        self.data_tracks[request.handle] = info
        return info

    def unpublish_data_track(self, handle: int) -> DataTrackInfo:
        self._note("unpublish_data_track", handle)
        if handle not in self.data_tracks:
            raise RequestError("there is no such data track", code="unknown_track")
        return self.data_tracks.pop(handle)

    def update_data_subscription(self, track_id: TrackId, subscribe: bool, target_fps: int = 0) -> None:
        self._note("update_data_subscription", track_id, subscribe, target_fps)
        if track_id not in {info.track_id for other in self.neighbours() for info in other.data_tracks.values()}:
            raise RequestError("there is no such track", code="unknown_track")

    def store_blob(self, key: bytes, contents: bytes) -> None:
        self._note("store_blob", key, contents)
        self.blobs[key] = contents

    def find_blob(self, identity: Identity, key: bytes) -> bytes:
        self._note("find_blob", identity, key)
        other = self.sfu.find_participant(self.request.room, identity)
        if other is None:
            raise RequestError("there is no such participant", code="unknown_participant")
        if key not in other.blobs:
            raise RequestError("there is no such blob", code="unknown_blob")
        return other.blobs[key]

    def update_track_settings(self, track_ids: Sequence[TrackId], settings: TrackSettings) -> None:
        self._note("update_track_settings", tuple(track_ids), settings)
        self._require_tracks(track_ids)

    def _require_tracks(self, track_ids: Sequence[TrackId]) -> None:
        known = {track_id for session in self.neighbours() for track_id in session.tracks}
        if not known.issuperset(track_ids):
            raise RequestError("there is no such track", code="unknown_track")

    def send_data(
        self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = (), sequence: int = 0
    ) -> None:
        self._note("send_data", kind, tuple(destinations))
        self.last_sequence = max(self.last_sequence, sequence)
        for other in self.neighbours():
            if not destinations or other.request.identity in destinations:
                other.data.append((kind, payload))

    def replay_data(self, received: Mapping[ParticipantId, int]) -> None:
        self._note("replay_data", dict(received))

    def signal_lost(self) -> None:
        self._note("signal_lost")

    def resume(self, sink: SessionSink) -> None:
        self._note("resume")
        self.sink = sink
        self.emit(ParticipantsUpdated([self.info, *self.others()]))

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None:
        self._note("leave", reason)
        self.end(reason)

    def end(self, reason: LeaveReason) -> None:
        """The session is over; its sink hears it last."""
        if self.ended is not None:
            return
        self.ended = reason
        self._version += 1
        neighbours = self.neighbours()
        self.sfu.forget(self)
        for other in neighbours:
            other.emit(ParticipantsUpdated([self.info]))
        self.emit(SessionEnded(reason))

    def _note(self, name: str, *arguments: Any) -> None:
        if self.ended is not None:
            raise RequestError("the session has ended", code="left")
        self.calls.append((name, *arguments))

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def _tell_others(self) -> None:
        self._version += 1
        for other in self.neighbours():
            other.emit(ParticipantsUpdated([self.info]))


class FakeSfu:
    def __init__(self, max_participants: int = 200) -> None:
        self.max_participants = max_participants
        self.started = False
        self.prepared = False
        self.closed = False
        self.listeners: list[NodeListener] = []
        self.held: set[RoomName] = set()
        self.talked: dict[RoomName, list[TalkTime]] = {}
        self.timelines: dict[RoomName, list[CallTimeline]] = {}
        self.cluster_nodes: list[NodeInfo] = []
        self._rooms: dict[RoomName, RoomInfo] = {}
        self._sessions: dict[RoomName, list[FakeSession]] = {}

    @property
    def node_id(self) -> str:
        return "ND_test"

    async def start(self) -> None:
        self.started = True

    async def prepare(self) -> None:
        self.prepared = True

    async def close(self) -> None:
        self.closed = True
        for sessions in list(self._sessions.values()):
            for session in list(sessions):
                session.end(LeaveReason.SERVER_SHUTDOWN)

    def sessions_in(self, room: str) -> list[FakeSession]:
        return list(self._sessions.get(RoomName(room), ()))

    def session_of(self, room: str, identity: str) -> FakeSession:
        return next(s for s in self.sessions_in(room) if s.request.identity == identity)

    def forget(self, session: FakeSession) -> None:
        self._sessions[session.request.room].remove(session)

    def rooms(self) -> list[RoomInfo]:
        return [info for name in self._rooms if (info := self.find_room(name)) is not None]

    def find_room(self, name: RoomName) -> RoomInfo | None:
        info = self._rooms.get(name)
        return None if info is None else dataclasses.replace(info, num_participants=len(self._sessions[name]))

    def participants(self, room: RoomName) -> list[ParticipantInfo]:
        return [session.info for session in self.sessions_in(room)]

    async def join(self, request: JoinRequest, sink: SessionSink) -> FakeSession:
        now_ms = time.time_ns() // 1_000_000
        self._rooms.setdefault(request.room, RoomInfo(new_room_id(), request.room, now_ms, empty_timeout_s=20))
        sessions = self._sessions.setdefault(request.room, [])
        for session in [s for s in sessions if s.request.identity == request.identity]:
            session.end(LeaveReason.DUPLICATE_IDENTITY)
        if len(sessions) >= self.max_participants:
            raise RequestError("the room is full", code="limit_exceeded")
        session = FakeSession(self, request, sink)
        sessions.append(session)
        return session

    def create_room(self, name: RoomName, options: RoomOptions) -> RoomInfo:
        now_ms = time.time_ns() // 1_000_000
        info = self._rooms.setdefault(name, RoomInfo(new_room_id(), name, now_ms, empty_timeout_s=300))
        self._sessions.setdefault(name, [])
        self._rooms[name] = dataclasses.replace(
            info,
            metadata=options.metadata or info.metadata,
            empty_timeout_s=options.empty_timeout_s or info.empty_timeout_s,
            departure_timeout_s=options.departure_timeout_s or info.departure_timeout_s,
            max_participants=options.max_participants or info.max_participants,
        )
        return self._rooms[name]

    def update_room_metadata(self, room: RoomName, metadata: str) -> RoomInfo:
        self._require_room(room)
        self._rooms[room] = dataclasses.replace(self._rooms[room], metadata=metadata)
        for session in self.sessions_in(room):
            session.emit(RoomUpdated(self._rooms[room]))
        return self._rooms[room]

    def _require_room(self, room: RoomName) -> None:
        if room not in self._rooms:
            raise RequestError("there is no such room", code="unknown_room")

    def talk_times(self, room: RoomName) -> list[TalkTime]:
        return self.talked.get(room, [])

    def call_timelines(self, room: RoomName) -> list[CallTimeline]:
        return self.timelines.get(room, [])

    def find_participant(self, room: RoomName, identity: Identity) -> FakeSession | None:
        return next((s for s in self.sessions_in(room) if s.request.identity == identity), None)

    def send_data(self, room: RoomName, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        self._require_room(room)
        for session in self.sessions_in(room):
            if not destinations or session.request.identity in destinations:
                session.data.append((kind, payload))

    def find_session(self, room: RoomName, participant_id: ParticipantId) -> FakeSession | None:
        return next((s for s in self.sessions_in(room) if s.info.participant_id == participant_id), None)

    def _find(self, room: RoomName, identity: Identity) -> FakeSession:
        for session in self.sessions_in(room):
            if session.request.identity == identity:
                return session
        raise RequestError("there is no such participant", code="unknown_participant")

    def remove_participant(self, room: RoomName, identity: Identity) -> None:
        self._find(room, identity).end(LeaveReason.PARTICIPANT_REMOVED)

    def move_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        """A move within the fake: the session is in the other room, and that is all."""
        self._require_destination(room, destination, create)
        session = self._find(room, identity)
        former = session.info.participant_id
        self._sessions[room].remove(session)
        session.move_to(destination)
        self._sessions[destination].append(session)
        moved_to = self.find_room(destination)
        assert moved_to is not None
        session.emit(RoomMoved(moved_to, session.info, session.others(), former))

    def forward_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        self._require_destination(room, destination, create)
        self._find(room, identity)._note("forwarded", destination)

    def _require_destination(self, room: RoomName, destination: RoomName, create: bool) -> None:
        self._require_room(room)
        if create:
            self.create_room(destination, RoomOptions())
        self._require_room(destination)

    def mute_track(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        session = self._find(room, identity)
        session.change_mute(track_id, muted)
        session.emit(TrackMuted(track_id, muted))

    def hold_room(self, room: RoomName, held: bool) -> None:
        (self.held.add if held else self.held.discard)(room)

    def end_room(self, room: RoomName) -> bool:
        sessions = self.sessions_in(room)
        for session in sessions:
            session.end(LeaveReason.ROOM_DELETED)
        return self._rooms.pop(room, None) is not None

    def add_listener(self, listener: NodeListener) -> None:
        self.listeners.append(listener)

    def start_call(self, room: str) -> None:
        """Tell the node's listeners that the room has begun."""
        self.notify(RoomStarted(self._rooms[RoomName(room)]))

    def finish_call(self, room: str) -> None:
        self.notify(RoomFinished(self._rooms[RoomName(room)]))

    def notify(self, event: NodeEvent) -> None:
        """As if it had happened."""
        for listener in self.listeners:
            listener(event)

    def nodes(self) -> Sequence[NodeInfo]:
        return self.cluster_nodes

    def metrics(self) -> Mapping[str, float]:
        return {
            "ting_rooms": len(self._rooms),
            "ting_rtp_packets_received_total": 5,
            'ting_engine_drops_total{reason="malformed"}': 3,
            'ting_engine_drops_total{reason="muted"}': 0,
            'ting_line_rtt_ms_bucket{le="50.0"}': 1,
            'ting_line_rtt_ms_bucket{le="+Inf"}': 3,
            "ting_line_rtt_ms_sum": 900,
        }
