"""One join of one participant: the object behind `sfu.api.ParticipantSession`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sfu.api import (
    AddTrackRequest,
    Answer,
    ClientDescription,
    ConnectionGrade,
    DataKind,
    DataTrackInfo,
    DataTrackRequest,
    DataTrackUnpublished,
    JoinRequest,
    Kind,
    LeaveReason,
    ParticipantAborted,
    ParticipantChanges,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantState,
    ParticipantsUpdated,
    Permissions,
    PlaybackChanged,
    PublicationEnded,
    PublicationStarted,
    RoomInfo,
    RoomMoved,
    SessionEnded,
    SessionEvent,
    SessionSink,
    SpeakersChanged,
    SubscriptionRights,
    Target,
    TrackMuted,
    TrackSettings,
    TrackSubscribed,
    VideoLayerInfo,
)
from sfu.control.answering import AnsweringNegotiator
from sfu.control.blobs import Blobs
from sfu.control.context import ControlContext
from sfu.control.data_tracks import DataPublisher, DataSubscriber
from sfu.control.forwarding import ForwardedParticipants, ended
from sfu.control.http_clients import check_fragment, restart_ice
from sfu.control.messages import Messages
from sfu.control.offering import OfferingNegotiator
from sfu.control.player import Player
from sfu.control.publication import Publication
from sfu.control.publisher import Publisher, receive_only
from sfu.control.subscriber import Negotiator, Subscriber
from sfu.control.subscription import Subscription
from sfu.control.wishes import Wishes
from sfu.errors import RequestError, SdpError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, new_participant_id

if TYPE_CHECKING:
    from sfu.control.room import Room

MAX_CANDIDATE_BYTES = 1024


class Participant:
    """Owns a Publisher and a Subscriber; the room owns it."""

    def __init__(
        self, room: Room, request: JoinRequest, context: ControlContext, sink: SessionSink, joined_at_ms: int
    ) -> None:
        self._room = room
        self._context = context
        self._sink: SessionSink | None = sink
        self._auto_subscribe = request.auto_subscribe
        self.wishes = Wishes(self, request.auto_subscribe)
        self.data_publisher = DataPublisher(self, context)
        self.data_subscriber = DataSubscriber(self, request.auto_subscribe_data_tracks)
        self._blobs = Blobs(context.config, room.blob_budget)
        self._rights = SubscriptionRights()
        self._departure: asyncio.TimerHandle | None = None
        self.shown_in: list[ForwardedParticipants] = []
        """Of the rooms that this participant is forwarded to."""
        self.former_ids: frozenset[ParticipantId] = frozenset()
        self._announced_subscribed: set[TrackId] = set()
        self.told_grades: Mapping[ParticipantId, ConnectionGrade] = {}
        """How good the client believes the connections are: its own and those of whom it receives."""
        self.messages = Messages(self, context)
        self.client: ClientDescription = request.client
        self.allow_pause = request.allow_pause
        self.simulated_bandwidth_bps: int | None = None
        self.broken_codecs = request.broken_codecs
        self.publish_codecs = [
            name
            for name in context.config.video_codecs
            if name not in request.broken_codecs | request.broken_publish_codecs
        ]
        """Video codecs that it may publish."""
        self._info = ParticipantInfo(
            participant_id=new_participant_id(),
            identity=request.identity,
            name=request.name,
            state=ParticipantState.JOINING,
            joined_at_ms=joined_at_ms,
            version=1,
            permissions=request.permissions,
            metadata=request.metadata,
            attributes=dict(request.attributes),
            kind=request.kind,
        )
        self.single_connection = request.single_connection
        self.tcp_only = request.tcp_only
        negotiator: Negotiator
        self._player = None if request.playback is None else Player(self, context, request.playback)
        if self._player is not None:
            negotiator = self._player
            self.publisher = Publisher(self, context, self.messages.handle_received, receive_only)
        elif request.single_connection:
            negotiator = AnsweringNegotiator(self, context)
            self.publisher = Publisher(self, context, self.messages.handle_received, negotiator.complete_answer)
        else:
            negotiator = OfferingNegotiator(self, context)
            self.publisher = Publisher(self, context, self.messages.handle_received, receive_only)
        self.subscriber = Subscriber(self, context, negotiator)

    # --- state -------------------------------------------------------------------------------------------

    @property
    def info(self) -> ParticipantInfo:
        return self._info

    @property
    def room(self) -> RoomInfo:
        return self._room.info

    @property
    def room_name(self) -> RoomName:
        return self._room.name

    @property
    def room_group(self) -> int:
        """The engine's group of this participant's transports."""
        return self._room.group

    @property
    def ended(self) -> bool:
        return self._info.state is ParticipantState.DISCONNECTED

    def others(self) -> list[ParticipantInfo]:
        return [info for info in self._room.infos() if info.participant_id != self._info.participant_id]

    def emit(self, event: SessionEvent) -> None:
        """To the client. Before `start` the join response is the news, so only the end is told."""
        joining = self._info.state is ParticipantState.JOINING
        if self._player is not None and isinstance(event, ParticipantsUpdated | SpeakersChanged):
            self._player.mark_changed()
        if self._sink is not None and (not joining or isinstance(event, SessionEnded)):
            self._sink(event)

    def _change(self, **changes: object) -> None:
        tracks = tuple(publication.info for publication in self.publisher.publications)
        self._info = replace(
            self._info,
            version=self._info.version + 1,
            tracks=tracks,
            data_tracks=tuple(track.info for track in self.data_publisher.tracks),
            is_publisher=bool(tracks),
            **changes,  # type: ignore[arg-type]
        )
        self._room.broadcast_info(self)
        for elsewhere in self.shown_in:
            elsewhere.handle_changed(self)

    def _change_and_tell(self, **changes: object) -> None:
        """As `_change`, and the participant itself hears of it: clients wait for that."""
        self._change(**changes)
        self.emit(ParticipantsUpdated([self._info]))

    def _check_open(self) -> None:
        if self.ended:
            raise RequestError("the participant has left", code="left")

    # --- commands of the client ----------------------------------------------------------------------------

    def start(self) -> None:
        self._check_open()
        if self._info.state is not ParticipantState.JOINING:
            return
        self.mark_joined()
        self._review_all()
        self.subscriber.negotiator.start()
        speakers = self._room.active_speakers()
        if speakers:
            self.emit(SpeakersChanged(speakers))

    def mark_joined(self) -> None:
        """The client has what it joined with: the join response or, over HTTP, its answer."""
        self._change(state=ParticipantState.JOINED)

    def accept_playback(self, sdp: str) -> None:
        self._check_open()
        self.player.handle_answer(sdp, 0)
        self.mark_joined()

    def set_layer(self, settings: TrackSettings) -> None:
        self._check_open()
        self.player.set_layer(settings)

    def playback(self) -> PlaybackChanged:
        return self.player.state()

    @property
    def plays(self) -> bool:
        """Whether it is sent what its player shows (WHEP), not what it subscribes to."""
        return self._player is not None

    @property
    def player(self) -> Player:
        """Raises not_allowed when the participant has none."""
        if self._player is None:
            raise RequestError("the participant does not play", code="not_allowed")
        return self._player

    def neighbours(self) -> tuple[list[Participant], list[ParticipantId]]:
        """Everyone else in order of joining, and who of all speaks, loudest first."""
        others = [other for other in self._room.participants() if other is not self]
        speakers = sorted(self._room.active_speakers(), key=lambda speaker: -speaker.level)
        return others, [speaker.participant_id for speaker in speakers]

    def handle_fragment(self, text: str) -> None:
        self._check_open()
        check_fragment(self, text, self._context.config.max_sdp_bytes)

    def restart_ice(self, text: str) -> str:
        self._check_open()
        return restart_ice(self, text, self._context.config.max_sdp_bytes)

    async def handle_offer(self, sdp: str) -> Answer:
        self._check_open()
        return self.publisher.handle_offer(sdp)

    def handle_answer(self, sdp: str, offer_id: int = 0) -> None:
        self._check_open()
        self.subscriber.negotiator.handle_answer(sdp, offer_id)

    def handle_candidate(self, target: Target, candidate: str) -> None:
        self._check_open()
        if len(candidate) > MAX_CANDIDATE_BYTES:
            raise SdpError("candidate is too long")

    def add_track(self, request: AddTrackRequest) -> None:
        self._check_open()
        self.publisher.add_track(request)

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None:
        self._check_open()
        if self.publisher.set_muted(track_id, muted):
            self._change()

    def update_audio_features(self, track_id: TrackId, features: Sequence[int]) -> None:
        self._check_open()
        self.publisher.describe(track_id, Kind.AUDIO, audio_features=tuple(features))
        self._change_and_tell()

    def update_video_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        self._check_open()
        self.publisher.set_layers(track_id, layers)
        self._change()

    def update_video_size(self, track_id: TrackId, width: int, height: int) -> None:
        self._check_open()
        self.publisher.describe(track_id, Kind.VIDEO, width=width, height=height)
        self._change_and_tell()

    def update(self, changes: ParticipantChanges) -> None:
        self._check_open()
        info = self._info
        attributes = {key: value for key, value in {**info.attributes, **changes.attributes}.items() if value}
        name, metadata = changes.name or info.name, changes.metadata or info.metadata
        if (name, metadata, attributes) != (info.name, info.metadata, info.attributes):
            self._change_and_tell(name=name, metadata=metadata, attributes=attributes)

    def set_permissions(self, permissions: Permissions) -> None:
        self._check_open()
        if permissions == self._info.permissions:
            return
        self._change_and_tell(permissions=permissions)
        self.publisher.unpublish_forbidden(permissions)
        if not permissions.can_publish_data:
            self._unpublish_data_tracks()
        if self._info.state is not ParticipantState.JOINING:
            self._review_all()

    def _review_all(self) -> None:
        for publication in self._room.publications():
            self.wishes.review(publication)
        for track in self._room.data_tracks():
            self.data_subscriber.review(track)

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        self._check_open()
        unknown = False
        for track_id in track_ids:
            publication = self._room.find_publication(track_id)
            if publication is None or publication.publisher is self:
                # Nothing to end is what the client wanted.
                unknown = unknown or subscribe
            elif subscribe and not self._info.permissions.can_subscribe:
                raise RequestError("not allowed to subscribe", code="not_allowed")
            else:
                self.wishes.choose(publication, subscribe)
        if unknown:
            raise RequestError("no such track", code="unknown_track")

    def simulate_bandwidth(self, bitrate_bps: int) -> None:
        self._check_open()
        self.simulated_bandwidth_bps = bitrate_bps or None

    def set_subscription_rights(self, rights: SubscriptionRights) -> None:
        self._check_open()
        self._rights = rights
        for other in self._room.participants():
            for publication in self.publisher.publications:
                other.wishes.review(publication)
            for track in self.data_publisher.tracks:
                other.data_subscriber.review(track)

    def lets(self, other: Participant, track_id: TrackId) -> bool:
        """Whether the rights that this publisher gives let the other have its track."""
        return self._rights.allow(other.info.identity, other.info.participant_id, track_id)

    def publish_data_track(self, request: DataTrackRequest) -> DataTrackInfo:
        self._check_open()
        track = self.data_publisher.publish(request)
        self._change()
        self._room.announce_data_track(track)
        return track.info

    def unpublish_data_track(self, handle: int) -> DataTrackInfo:
        self._check_open()
        track = self.data_publisher.unpublish(handle)
        self._room.withdraw_data_track(track)
        self._change()
        return track.info

    def _unpublish_data_tracks(self) -> None:
        for track in self.data_publisher.tracks:
            self.emit(DataTrackUnpublished(self.unpublish_data_track(track.info.handle)))

    def update_data_subscription(self, track_id: TrackId, subscribe: bool, target_fps: int = 0) -> None:
        self._check_open()
        track = self._room.find_data_track(track_id)
        if track is not None and track.publisher is not self:
            self.data_subscriber.choose(track, subscribe, target_fps)
        elif subscribe:
            raise RequestError("no such track", code="unknown_track")

    def store_blob(self, key: bytes, contents: bytes) -> None:
        self._check_open()
        if not self._info.permissions.can_publish_data:
            raise RequestError("not allowed to send data", code="not_allowed")
        self._blobs.store(key, contents)

    def find_blob(self, identity: Identity, key: bytes) -> bytes:
        self._check_open()
        other = self._room.find_identity(identity)
        if other is None:
            raise RequestError("no such participant", code="unknown_participant")
        contents = other._blobs.find(key)
        if contents is None:
            raise RequestError("the participant has no such blob", code="unknown_blob")
        return contents

    def update_track_settings(self, track_ids: Sequence[TrackId], settings: TrackSettings) -> None:
        self._check_open()
        for track_id in track_ids:
            self.subscriber.update_settings(track_id, settings)

    def send_data(
        self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = (), sequence: int = 0
    ) -> None:
        self._check_open()
        wanted = set(destinations)
        others = [other for other in self._room.participants() if other is not self]
        receivers = [other for other in others if not wanted or other.info.identity in wanted]
        self.messages.send(kind, payload, sequence, receivers)

    @property
    def last_sequence(self) -> int:
        return self.messages.last_sequence

    def replay_data(self, received: Mapping[ParticipantId, int]) -> None:
        self._check_open()
        self.messages.replay(received)

    # --- the signal connection -------------------------------------------------------------------------------

    def signal_lost(self) -> None:
        """The sink stays: data that still arrives on the media transport is routed through it."""
        if self.ended or self._departure is not None:
            return
        delay = self._context.config.resume_timeout_s
        self._departure = self._context.loop.call_later(delay, self.leave, LeaveReason.SIGNAL_CLOSE)

    def resume(self, sink: SessionSink) -> None:
        self._check_open()
        self._cancel_departure()
        self._sink = sink
        self.messages.handle_resumed()
        self.emit(ParticipantsUpdated([*self._room.departed(), self._info, *self.others()]))
        for publication in self._room.publications():
            self.wishes.repeat(publication)
        self.told_grades = {}
        self.data_subscriber.repeat()
        self.publisher.repeat_demand()
        self.subscriber.repeat_states()
        self.subscriber.negotiator.restart()

    def _cancel_departure(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None:
        """Idempotent. The room hears of it once everything that the participant had is closed."""
        if self.ended:
            return
        self._cancel_departure()
        had_joined = self._info.state is ParticipantState.ACTIVE
        self.publisher.close()
        self.subscriber.close()
        self._end_data(self._room)
        self.data_publisher.close()
        self._change(state=ParticipantState.DISCONNECTED, leave_reason=reason)
        self._stop_forwarding()
        self._room.remove(self)
        event = ParticipantLeft if had_joined else ParticipantAborted
        self._context.notify(event(self._room.info, self._info))
        self.emit(SessionEnded(reason))
        self._sink = None

    def move_to(self, room: Room) -> None:
        """Go on in another room, with the same transports and publications. Raises not_connected or limit_exceeded."""
        self._check_open()
        if self._info.state is not ParticipantState.ACTIVE or self._departure is not None:
            raise RequestError("the participant is not connected now", code="not_connected")
        room.make_place(self._info.identity, self._info.kind)
        before, publications = self._info, self.publisher.publications
        self._leave_room(self._room, publications)
        self._room = room
        transports = (self.publisher.transport, self.subscriber.transport)
        self._context.engine.set_group([one.handle for one in transports if one is not None], room.group)
        self._blobs = Blobs(self._context.config, room.blob_budget)
        self._announced_subscribed.clear()
        self.former_ids |= {before.participant_id}
        self._info = replace(before, participant_id=new_participant_id(), version=before.version + 1)
        room.add(self)
        self.emit(RoomMoved(room.info, self._info, self.others(), before.participant_id))
        room.broadcast_info(self)
        self._context.notify(ParticipantJoined(room.info, self._info))
        for publication in publications:
            self._context.notify(PublicationStarted(room.info, self._info, publication.info))
            room.announce(publication)
        for track in self.data_publisher.tracks:
            room.announce_data_track(track)
        self._review_all()

    def _leave_room(self, room: Room, publications: Sequence[Publication]) -> None:
        """As if it had left, for everyone but itself, who sees everyone else leave."""
        self.subscriber.unsubscribe_all()
        self.wishes = Wishes(self, self._auto_subscribe)
        self._end_data(room)
        self._stop_forwarding()
        for publication in publications:
            publication.end_subscriptions()
            room.withdraw(publication)
            self._context.notify(PublicationEnded(room.info, self._info, publication.info))
        others = [ended(info, LeaveReason.MIGRATION) for info in self.others()]
        self._info = ended(self._info, LeaveReason.MIGRATION)
        room.broadcast_info(self)
        room.remove(self)
        self._context.notify(ParticipantLeft(room.info, self._info))
        # Not every client forgets them when it hears that it was moved.
        self.emit(ParticipantsUpdated(others))

    def _end_data(self, room: Room) -> None:
        for track in self.data_publisher.tracks:
            room.withdraw_data_track(track)
        self.data_subscriber.close()
        self._blobs.close()

    def _stop_forwarding(self) -> None:
        for elsewhere in list(self.shown_in):
            elsewhere.remove(self._info.identity)

    # --- what the transports tell ------------------------------------------------------------------------------

    def handle_connected(self) -> None:
        if self._info.state is ParticipantState.JOINED:
            self._change(state=ParticipantState.ACTIVE)
            self._context.notify(ParticipantJoined(self._room.info, self._info))

    def handle_transport_closed(self, target: Target, reason: str) -> None:
        """A dead transport cannot be revived from here: the client must join again."""
        if self.ended:
            return
        self._context.counters[f"transports_lost_{target}_{reason}"] += 1
        self.leave(LeaveReason.MEDIA_FAILURE if self._departure is None else LeaveReason.CONNECTION_TIMEOUT)

    def handle_negotiation_timeout(self) -> None:
        """The client did not answer our offer, or did not offer when it had to."""
        if self._departure is None:
            self.leave(LeaveReason.STATE_MISMATCH)

    def is_silent(self, now_s: float, timeout_s: float) -> bool:
        """Whether a connected transport has not been heard of for that long."""
        transports = (self.publisher.transport, self.subscriber.transport)
        return any(one is not None and one.connected and one.silent_for_s(now_s) >= timeout_s for one in transports)

    # --- what the room tells -----------------------------------------------------------------------------------

    def handle_published(self, publication: Publication) -> None:
        self._change()
        self._context.notify(PublicationStarted(self._room.info, self._info, publication.info))
        self._room.announce(publication)
        for elsewhere in self.shown_in:
            elsewhere.handle_published(publication)

    def handle_unpublished(self, publication: Publication) -> None:
        publication.end_subscriptions()
        self._room.withdraw(publication)
        for elsewhere in self.shown_in:
            elsewhere.handle_unpublished(publication)
        self._change()
        self._context.notify(PublicationEnded(self._room.info, self._info, publication.info))

    def handle_encodings_changed(self, publication: Publication) -> None:
        """A backup codec came or went: who should get another codec now gets it."""
        for subscription in list(publication.subscriptions.values()):
            subscription.subscriber.subscriber.reattach(subscription)
        self._change()

    def handle_subscribed(self, subscription: Subscription) -> None:
        publisher = subscription.publication.publisher
        publisher.announce_subscribed(subscription.publication.track_id)

    def announce_subscribed(self, track_id: TrackId) -> None:
        if track_id not in self._announced_subscribed:
            self._announced_subscribed.add(track_id)
            self.emit(TrackSubscribed(track_id))

    def mute_by_server(self, track_id: TrackId, muted: bool) -> None:
        if self.publisher.set_muted(track_id, muted):
            self._change()
        self.emit(TrackMuted(track_id, muted))
