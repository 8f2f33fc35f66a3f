"""What the client of one participant asks for: the object behind `sfu.api.ParticipantSession`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sfu.api import (
    AddTrackRequest,
    Answer,
    DataKind,
    DataTrackInfo,
    DataTrackRequest,
    DataTrackUnpublished,
    LeaveReason,
    ParticipantChanges,
    ParticipantInfo,
    ParticipantState,
    ParticipantsUpdated,
    Permissions,
    PlaybackChanged,
    RoomInfo,
    SessionSink,
    SpeakersChanged,
    SubscriptionRights,
    Target,
    TrackSettings,
    VideoLayerInfo,
)
from sfu.control.http_clients import check_fragment, restart_ice
from sfu.control.participant import Participant
from sfu.errors import RequestError, SdpError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.kind import Kind

MAX_CANDIDATE_BYTES = 1024


class Session:
    """The commands of one client. Each but the properties, `offer_delay_s`, `signal_lost` and `leave` raises left after
    the end."""

    def __init__(self, participant: Participant, max_sdp_bytes: int) -> None:
        self.participant = participant
        self._max_sdp_bytes = max_sdp_bytes

    def _open(self) -> Participant:
        """Raises left."""
        if self.participant.ended:
            raise RequestError("the participant has left", code="left")
        return self.participant

    # --- state -------------------------------------------------------------------------------------------

    @property
    def room(self) -> RoomInfo:
        return self.participant.room.info

    @property
    def room_name(self) -> RoomName:
        return self.participant.room.name

    @property
    def info(self) -> ParticipantInfo:
        return self.participant.info

    @property
    def single_connection(self) -> bool:
        return self.participant.single_connection

    @property
    def former_ids(self) -> frozenset[ParticipantId]:
        return self.participant.former_ids

    @property
    def last_sequence(self) -> int:
        return self.participant.messages.last_sequence

    def others(self) -> list[ParticipantInfo]:
        return self.participant.others()

    # --- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        participant = self._open()
        if participant.info.state is not ParticipantState.JOINING:
            return
        participant.mark_joined()
        participant.review_all()
        participant.subscriber.negotiator.start()
        speakers = participant.room.active_speakers()
        if speakers:
            participant.emit(SpeakersChanged(speakers))

    def signal_lost(self) -> None:
        self.participant.signal_lost()

    def resume(self, sink: SessionSink) -> None:
        participant = self._open()
        participant.signal_found(sink)
        participant.messages.handle_resumed()
        everyone = [*participant.room.departed(), participant.info, *participant.others()]
        participant.emit(ParticipantsUpdated(everyone))
        for publication in participant.room.publications():
            participant.wishes.repeat(publication)
        participant.told_grades = {}
        participant.data_subscriber.repeat()
        participant.publisher.repeat_demand()
        participant.subscriber.repeat_states()
        participant.subscriber.negotiator.restart()

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None:
        self.participant.leave(reason)

    # --- negotiating -------------------------------------------------------------------------------------

    def offer_delay_s(self) -> float:
        return self.participant.publisher.offer_delay_s()

    async def handle_offer(self, sdp: str) -> Answer:
        return self._open().publisher.handle_offer(sdp)

    def handle_answer(self, sdp: str, offer_id: int = 0) -> None:
        self._open().subscriber.negotiator.handle_answer(sdp, offer_id)

    def handle_candidate(self, target: Target, candidate: str) -> None:
        self._open()
        if len(candidate) > MAX_CANDIDATE_BYTES:
            raise SdpError("candidate is too long")

    def handle_fragment(self, text: str) -> None:
        check_fragment(self._open(), text, self._max_sdp_bytes)

    def restart_ice(self, text: str) -> str:
        return restart_ice(self._open(), text, self._max_sdp_bytes)

    # --- what it publishes -------------------------------------------------------------------------------

    def add_track(self, request: AddTrackRequest) -> None:
        self._open().publisher.add_track(request)

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None:
        participant = self._open()
        if participant.publisher.set_muted(track_id, muted):
            participant.change()

    def update_audio_features(self, track_id: TrackId, features: Sequence[int]) -> None:
        participant = self._open()
        participant.publisher.describe(track_id, Kind.AUDIO, audio_features=tuple(features))
        participant.change_and_tell()

    def update_video_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        participant = self._open()
        participant.publisher.set_layers(track_id, layers)
        participant.change()

    def update_video_size(self, track_id: TrackId, width: int, height: int) -> None:
        participant = self._open()
        participant.publisher.describe(track_id, Kind.VIDEO, width=width, height=height)
        participant.change_and_tell()

    def set_subscription_rights(self, rights: SubscriptionRights) -> None:
        participant = self._open()
        participant.rights = rights
        for other in participant.room.participants():
            for publication in participant.publications:
                other.wishes.review(publication)
            for track in participant.data_publisher.tracks:
                other.data_subscriber.review(track)
        participant.room.tell_rights(participant)

    # --- what it is --------------------------------------------------------------------------------------

    def update(self, changes: ParticipantChanges) -> None:
        participant = self._open()
        info = participant.info
        attributes = {key: value for key, value in {**info.attributes, **changes.attributes}.items() if value}
        name, metadata = changes.name or info.name, changes.metadata or info.metadata
        if (name, metadata, attributes) != (info.name, info.metadata, info.attributes):
            participant.change_and_tell(name=name, metadata=metadata, attributes=attributes)

    def set_permissions(self, permissions: Permissions) -> None:
        participant = self._open()
        if permissions == participant.info.permissions:
            return
        participant.change_and_tell(permissions=permissions)
        participant.publisher.unpublish_forbidden(permissions)
        if not permissions.can_publish_data:
            for track in participant.data_publisher.tracks:
                ended = participant.unpublish_data_track(track.info.handle)
                participant.emit(DataTrackUnpublished(ended.info))
        if participant.info.state is not ParticipantState.JOINING:
            participant.review_all()

    def simulate_bandwidth(self, bitrate_bps: int) -> None:
        self._open().simulated_bandwidth_bps = bitrate_bps or None

    # --- what it receives --------------------------------------------------------------------------------

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        participant = self._open()
        unknown = False
        for track_id in track_ids:
            publication = participant.room.find_publication(track_id)
            if publication is None or publication.owner is participant:
                # Nothing to end is what the client wanted.
                unknown = unknown or subscribe
            elif subscribe and not participant.info.permissions.can_subscribe:
                raise RequestError("not allowed to subscribe", code="not_allowed")
            else:
                participant.wishes.choose(publication, subscribe)
        if unknown:
            raise RequestError("no such track", code="unknown_track")

    def update_track_settings(self, track_ids: Sequence[TrackId], settings: TrackSettings) -> None:
        participant = self._open()
        for track_id in track_ids:
            participant.subscriber.update_settings(track_id, settings)

    def accept_playback(self, sdp: str) -> None:
        participant = self._open()
        participant.player.handle_answer(sdp, 0)
        participant.mark_joined()

    def set_layer(self, settings: TrackSettings) -> None:
        self._open().player.set_layer(settings)

    def playback(self) -> PlaybackChanged:
        return self.participant.player.state()

    # --- data --------------------------------------------------------------------------------------------

    def send_data(
        self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = (), sequence: int = 0
    ) -> None:
        participant = self._open()
        wanted = set(destinations)
        others = [other for other in participant.room.participants() if other is not participant]
        receivers = [other.messages for other in others if not wanted or other.info.identity in wanted]
        if participant.messages.send(kind, payload, sequence, receivers):
            sender = participant.info.participant_id
            participant.room.relay_data(sender, kind, payload, sequence, destinations)

    def replay_data(self, received: Mapping[ParticipantId, int]) -> None:
        self._open().messages.replay(received)

    def publish_data_track(self, request: DataTrackRequest) -> DataTrackInfo:
        participant = self._open()
        track = participant.data_publisher.publish(request)
        participant.change()
        participant.room.announce_data_track(track)
        return track.info

    def unpublish_data_track(self, handle: int) -> DataTrackInfo:
        return self._open().unpublish_data_track(handle).info

    def update_data_subscription(self, track_id: TrackId, subscribe: bool, target_fps: int = 0) -> None:
        participant = self._open()
        track = participant.room.find_data_track(track_id)
        if track is not None and track.owner is not participant:
            participant.data_subscriber.choose(track, subscribe, target_fps)
        elif subscribe:
            raise RequestError("no such track", code="unknown_track")

    def store_blob(self, key: bytes, contents: bytes) -> None:
        participant = self._open()
        if not participant.info.permissions.can_publish_data:
            raise RequestError("not allowed to send data", code="not_allowed")
        participant.blobs.store(key, contents)
        participant.room.tell_blob(participant, key, contents)

    def find_blob(self, identity: Identity, key: bytes) -> bytes:
        contents = self._open().room.find_blob(identity, key)
        if contents is None:
            raise RequestError("the participant has no such blob", code="unknown_blob")
        return contents
