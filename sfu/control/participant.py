"""One join of one participant: what it is, what it owns, and what its transports and its room tell it.

What its client asks for comes through its `Session` (`session.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sfu.api import (
    CallTimeline,
    ClientDescription,
    ConnectionGrade,
    DataKind,
    JoinRequest,
    LeaveReason,
    Moment,
    ParticipantAborted,
    ParticipantInfo,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantSession,
    ParticipantState,
    ParticipantsUpdated,
    PublicationEnded,
    PublicationStarted,
    RoomInfo,
    SessionEnded,
    SessionEvent,
    SessionSink,
    Speaker,
    SpeakersChanged,
    SubscriptionRights,
    Target,
    TimelineEntry,
    TrackMuted,
    TrackSubscribed,
)
from sfu.control.context import ControlContext
from sfu.control.data.blobs import BlobBudget, Blobs
from sfu.control.data.data_tracks import DataPublisher, DataSubscriber, DataTrack
from sfu.control.data.messages import Messages
from sfu.control.forwarding import ForwardedParticipants
from sfu.control.member import Member
from sfu.control.publish.publication import Publication
from sfu.control.publish.publisher import CompleteAnswer, Publisher, receive_only
from sfu.control.remote import RemoteMembers
from sfu.control.subscribe.answering import AnsweringNegotiator
from sfu.control.subscribe.casting import Performer
from sfu.control.subscribe.offering import OfferingNegotiator
from sfu.control.subscribe.player import Player
from sfu.control.subscribe.subscriber import Subscriber
from sfu.control.subscribe.subscription import Subscription
from sfu.control.subscribe.wishes import Wishes
from sfu.control.talk_times import TalkTimes
from sfu.control.timelines import Timeline, wall_ms
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, TransportHandle, new_participant_id
from sfu.transport.transport import Transport


class Surroundings(Protocol):
    """The room, as a participant in it sees it."""

    @property
    def name(self) -> RoomName: ...

    @property
    def group(self) -> int: ...

    @property
    def info(self) -> RoomInfo: ...

    @property
    def blob_budget(self) -> BlobBudget: ...

    def participants(self) -> list[Participant]: ...

    @property
    def remote(self) -> RemoteMembers: ...

    def seen_infos(self) -> list[ParticipantInfo]: ...

    def departed(self) -> list[ParticipantInfo]: ...

    def active_speakers(self) -> Sequence[Speaker]: ...

    @property
    def talk_times(self) -> TalkTimes: ...

    def publications(self) -> list[Publication]: ...

    def find_publication(self, track_id: TrackId) -> Publication | None: ...

    def announce(self, publication: Publication) -> None: ...

    def withdraw(self, publication: Publication) -> None: ...

    def data_tracks(self) -> list[DataTrack]: ...

    def find_data_track(self, track_id: TrackId) -> DataTrack | None: ...

    def announce_data_track(self, track: DataTrack) -> None: ...

    def withdraw_data_track(self, track: DataTrack) -> None: ...

    def broadcast_info(self, participant: Participant) -> None: ...

    def tell_rights(self, participant: Participant) -> None: ...

    def tell_blob(self, participant: Participant, key: bytes, contents: bytes) -> None: ...

    def find_blob(self, identity: Identity, key: bytes) -> bytes | None: ...

    def relay_data(
        self, sender: ParticipantId, kind: DataKind, payload: bytes, sequence: int, destinations: Sequence[Identity]
    ) -> None: ...

    def remove(self, participant: Participant) -> CallTimeline: ...


class Participant:
    """Owns a Publisher and a Subscriber; the room owns it."""

    def __init__(
        self, room: Surroundings, request: JoinRequest, context: ControlContext, sink: SessionSink, joined_at_ms: int
    ) -> None:
        self.room = room
        self._context = context
        self._sink: SessionSink | None = sink
        self.session: ParticipantSession | None = None
        """What its client asks it through."""
        self.rights = SubscriptionRights()
        """Who may have its tracks."""
        self._departure: asyncio.TimerHandle | None = None
        self.shown_in: list[ForwardedParticipants] = []
        """Of the rooms that this participant is forwarded to."""
        self.former_ids: frozenset[ParticipantId] = frozenset()
        self._announced_subscribed: set[TrackId] = set()
        self.told_grades: Mapping[ParticipantId, ConnectionGrade] = {}
        self.timeline = Timeline(context.config.max_timeline_entries)
        self.simulated_bandwidth_bps: int | None = None
        self._request = request
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
        self.subscriber = Subscriber(self, context, lambda switch: self.timeline.note_switch(switch, wall_ms()))
        self.data_publisher = DataPublisher(self, context)
        self.data_subscriber = DataSubscriber(self, self.subscriber.send_data, request.auto_subscribe_data_tracks)
        self.messages = Messages(
            self,
            context,
            self.subscriber,
            self.data_publisher.handle_packet,
            lambda is_reading: self.publisher.set_data_reading(is_reading),
        )
        self._player: Player | None = None
        self.publisher = self._make_halves(request, context)
        self.wishes = Wishes(
            self, self.subscriber, auto_subscribe=request.auto_subscribe, plays=self._player is not None
        )
        self.blobs = Blobs(context.config, room.blob_budget)

    def _make_halves(self, request: JoinRequest, context: ControlContext) -> Publisher:
        """The subscriber gets its negotiator, and the publisher whatever completes its answers."""
        complete_answer: CompleteAnswer = receive_only
        if request.playback is not None:
            self._player = Player(self, self.subscriber, context, request.playback, self._neighbours)
            self.subscriber.use(self._player)
        elif request.single_connection:
            answering = AnsweringNegotiator(self, self.subscriber, context, lambda: self.publisher.transport)
            self.subscriber.use(answering)
            complete_answer = answering.complete_answer
        else:
            self.subscriber.use(OfferingNegotiator(self, self.subscriber, context))
        return Publisher(self, context, self.messages.handle_received, complete_answer)

    # --- what it is ----------------------------------------------------------------------------------------

    @property
    def info(self) -> ParticipantInfo:
        return self._info

    @property
    def client(self) -> ClientDescription:
        return self._request.client

    @property
    def single_connection(self) -> bool:
        return self._request.single_connection

    @property
    def tcp_only(self) -> bool:
        return self._request.tcp_only

    @property
    def allow_pause(self) -> bool:
        return self._request.allow_pause

    @property
    def broken_codecs(self) -> frozenset[str]:
        return self._request.broken_codecs

    @property
    def publish_codecs(self) -> list[str]:
        """Video codecs that it may publish."""
        broken = self._request.broken_codecs | self._request.broken_publish_codecs
        return [name for name in self._context.config.video_codecs if name not in broken]

    @property
    def room_group(self) -> int:
        return self.room.group

    @property
    def num_participants(self) -> int:
        return self.room.info.num_participants

    @property
    def publications(self) -> list[Publication]:
        return self.publisher.publications

    @property
    def subscriptions(self) -> Collection[Subscription]:
        return self.subscriber.subscriptions.values()

    @property
    def downlink(self) -> TransportHandle | None:
        transport = self.subscriber.transport
        return None if transport is None else transport.handle

    @property
    def uplink(self) -> TransportHandle | None:
        transport = self.publisher.transport
        return None if transport is None else transport.handle

    @property
    def transports(self) -> list[Transport]:
        both = (self.publisher.transport, self.subscriber.transport)
        return [one for one in both if one is not None]

    @property
    def ended(self) -> bool:
        return self._info.state is ParticipantState.DISCONNECTED

    @property
    def away(self) -> bool:
        """Its signal connection is lost, and the time to resume runs."""
        return self._departure is not None

    @property
    def player(self) -> Player:
        """Raises not_allowed when the participant has none."""
        if self._player is None:
            raise RequestError("the participant does not play", code="not_allowed")
        return self._player

    def seen_in(self) -> list[RoomName]:
        return [self.room.name, *(elsewhere.room_name for elsewhere in self.shown_in)]

    def others(self) -> list[ParticipantInfo]:
        return [info for info in self.room.seen_infos() if info.participant_id != self._info.participant_id]

    def _neighbours(self) -> tuple[list[Performer], list[ParticipantId]]:
        here = [other for other in self.room.participants() if other is not self]
        others = sorted([*here, *self.room.remote], key=lambda other: other.info.joined_at_ms)
        speakers = sorted(self.room.active_speakers(), key=lambda speaker: -speaker.level)
        return others, [speaker.participant_id for speaker in speakers]

    def is_silent(self, now_s: float, timeout_s: float) -> bool:
        return any(one.connected and one.silent_for_s(now_s) >= timeout_s for one in self.transports)

    def lets(self, other: Member, track_id: TrackId) -> bool:
        return self.rights.allow(other.info.identity, other.info.participant_id, track_id)

    # --- telling -------------------------------------------------------------------------------------------

    def emit(self, event: SessionEvent) -> None:
        """To the client. Before `Session.start` the join response is the news, so only the end is told."""
        joining = self._info.state is ParticipantState.JOINING
        if self._player is not None and isinstance(event, ParticipantsUpdated | SpeakersChanged):
            self._player.mark_changed()
        if self._sink is not None and (not joining or isinstance(event, SessionEnded)):
            self._sink(event)

    def change(self, **changes: object) -> None:
        """Take over what has changed, also of publications and data tracks; everyone else hears of it."""
        tracks = tuple(publication.info for publication in self.publisher.publications)
        self._info = replace(
            self._info,
            version=self._info.version + 1,
            tracks=tracks,
            data_tracks=tuple(track.info for track in self.data_publisher.tracks),
            is_publisher=bool(tracks),
            **changes,  # type: ignore[arg-type]
        )
        self.room.broadcast_info(self)
        for elsewhere in self.shown_in:
            elsewhere.handle_changed(self)

    def change_and_tell(self, **changes: object) -> None:
        """As `change`, and the participant itself hears of it: clients wait for that."""
        self.change(**changes)
        self.emit(ParticipantsUpdated([self._info]))

    def mark_joined(self) -> None:
        """The client has what it joined with: the join response or, over HTTP, its answer."""
        self.change(state=ParticipantState.JOINED)

    def review_all(self) -> None:
        """Look again at everything that could be subscribed to."""
        for publication in self.room.publications():
            self.wishes.review(publication)
        for track in self.room.data_tracks():
            self.data_subscriber.review(track)

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None:
        """By a moderator: its client hears of it. Raises unknown_track."""
        if self.publisher.set_muted(track_id, muted):
            self.change()
        self.emit(TrackMuted(track_id, muted))

    def unpublish_data_track(self, handle: int) -> DataTrack:
        track = self.data_publisher.unpublish(handle)
        self.room.withdraw_data_track(track)
        self.change()
        return track

    # --- the signal connection, and the end ------------------------------------------------------------------

    def signal_lost(self) -> None:
        """The sink stays: data that still arrives on the media transport is routed through it."""
        if self.ended or self.away:
            return
        self.timeline.note(TimelineEntry(wall_ms(), Moment.AWAY))
        delay = self._context.config.resume_timeout_s
        self._departure = self._context.loop.call_later(delay, self.leave, LeaveReason.SIGNAL_CLOSE)

    def signal_found(self, sink: SessionSink) -> None:
        if self.away:
            self.timeline.note(TimelineEntry(wall_ms(), Moment.BACK))
        self._cancel_departure()
        self._sink = sink

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
        self.messages.release()
        self.subscriber.close()
        self.end_data()
        self.data_publisher.close()
        self.change(state=ParticipantState.DISCONNECTED, leave_reason=reason)
        self.stop_forwarding()
        timeline = self.room.remove(self)
        left = ParticipantLeft(self.room.info, self._info, timeline)
        self._context.notify(left if had_joined else ParticipantAborted(self.room.info, self._info))
        self.emit(SessionEnded(reason))
        self._sink = None

    def end_data(self) -> None:
        """Of what goes between it and this room."""
        for track in self.data_publisher.tracks:
            self.room.withdraw_data_track(track)
        self.data_subscriber.close()
        self.blobs.close()

    def stop_forwarding(self) -> None:
        for elsewhere in list(self.shown_in):
            elsewhere.remove(self._info.identity)

    def become(self, info: ParticipantInfo) -> None:
        """Go by another record from now on. Nobody is told."""
        self._info = info

    def enter(self, room: Surroundings) -> None:
        """Go on in another room, with the same transports, under a new id."""
        self.room = room
        self._context.engine.set_group([one.handle for one in self.transports], room.group)
        self.blobs = Blobs(self._context.config, room.blob_budget)
        self._announced_subscribed.clear()
        self.timeline = Timeline(self._context.config.max_timeline_entries)
        self.former_ids |= {self._info.participant_id}
        self._info = replace(self._info, participant_id=new_participant_id())

    # --- what the transports tell ------------------------------------------------------------------------------

    def handle_connected(self) -> None:
        if self._info.state is ParticipantState.JOINED:
            self.change(state=ParticipantState.ACTIVE)
            self._context.notify(ParticipantJoined(self.room.info, self._info))

    def handle_data_open(self) -> None:
        self.messages.handle_open()

    def handle_transport_closed(self, target: Target, reason: str) -> None:
        """A dead transport cannot be revived from here: the client must join again."""
        if self.ended:
            return
        self._context.counters[f"transports_lost_{target}_{reason}"] += 1
        self.leave(LeaveReason.CONNECTION_TIMEOUT if self.away else LeaveReason.MEDIA_FAILURE)

    def handle_negotiation_timeout(self) -> None:
        """The client did not answer our offer, or did not offer when it had to."""
        if not self.away:
            self.leave(LeaveReason.STATE_MISMATCH)

    # --- what the parts tell -----------------------------------------------------------------------------------

    def handle_published(self, publication: Publication) -> None:
        self.change()
        self._context.notify(PublicationStarted(self.room.info, self._info, publication.info))
        self.room.announce(publication)
        for elsewhere in self.shown_in:
            elsewhere.handle_published(publication)

    def handle_unpublished(self, publication: Publication) -> None:
        publication.end_subscriptions()
        self.room.withdraw(publication)
        for elsewhere in self.shown_in:
            elsewhere.handle_unpublished(publication)
        self.change()
        self._context.notify(PublicationEnded(self.room.info, self._info, publication.info))

    def announce_subscribed(self, track_id: TrackId) -> None:
        if track_id not in self._announced_subscribed:
            self._announced_subscribed.add(track_id)
            self.emit(TrackSubscribed(track_id))
