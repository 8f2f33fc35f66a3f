"""A room: who is in it and what they offer. Owns its participants."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfu.api import (
    CallTimeline,
    ConnectionQuality,
    DataKind,
    JoinRequest,
    LeaveReason,
    ParticipantInfo,
    ParticipantState,
    ParticipantsUpdated,
    RoomFinished,
    RoomInfo,
    RoomOptions,
    RoomStarted,
    RoomUpdated,
    SessionEvent,
    SessionSink,
    Speaker,
    SpeakersChanged,
)
from sfu.control.context import ControlContext
from sfu.control.data.blobs import BlobBudget
from sfu.control.data.data_tracks import DataTrack
from sfu.control.data.messages import SERVER, deliver_to_all
from sfu.control.forwarding import ForwardedParticipants, Original, ended
from sfu.control.participant import Participant
from sfu.control.publish.publication import Publication
from sfu.control.remote import RemoteMember, RemoteMembers
from sfu.control.roster import DEPENDENT_KINDS, Roster
from sfu.control.session import Session
from sfu.control.speakers import SpeakerDetector
from sfu.control.talk_times import TalkTimes
from sfu.control.timelines import wall_ms
from sfu.errors import RequestError
from sfu.ids import Identity, ParticipantId, RoomName, TrackId, new_room_id

MAX_DEPARTED = 1000
DEPARTED_S = 120.0
"""How long a room remembers who left: longer than any client may be away and resume."""


class Room:
    def __init__(
        self, name: RoomName, context: ControlContext, options: RoomOptions, known: RoomInfo | None = None
    ) -> None:
        """`known`: another node keeps the room, and this one only knows of it until somebody comes."""
        config = context.config
        self._context = context
        self.name = name
        self.group = next(context.groups)
        """The engine's group of everyone's transports here; rooms between which somebody was forwarded share one."""
        self._participants: dict[ParticipantId, Participant] = {}
        self._by_identity: dict[Identity, Participant] = {}
        self._departed: dict[Identity, tuple[ParticipantInfo, float]] = {}
        self._publications: dict[TrackId, Publication] = {}
        self._data_tracks: dict[TrackId, DataTrack] = {}
        self.remote = RemoteMembers()
        """Who is in the room by way of another node."""
        self.blob_budget = BlobBudget(config.max_data_blob_bytes_per_room)
        self.forwarded = ForwardedParticipants(self)
        self._speakers = SpeakerDetector(round(config.speaker_interval_s * 1000))
        self.talk_times = TalkTimes(config.max_talkers_per_room)
        self.past_timelines = deque[CallTimeline](maxlen=config.max_timelines_per_room)
        """Of those who left, the newest last."""
        self.kept = known is None
        """This node has a say in when the room ends."""
        self.changed_at_ms = wall_ms() if known is None else 0
        """When it was last set to something, here or on another node."""
        self._info = known or RoomInfo(
            room_id=new_room_id(),
            name=name,
            created_at_ms=wall_ms(),
            empty_timeout_s=round(config.empty_timeout_s),
            departure_timeout_s=round(config.departure_timeout_s),
        )
        self._joined = False
        self._empty_since_s: float | None = context.loop.time()
        self._held = False
        self._waiting_infos: dict[ParticipantId, ParticipantInfo] = {}
        """News of a large room that wait for company."""
        self._roster = Roster()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._ending = False
        self._told: tuple[int, int] = (0, 0)
        self._told_at_s = 0.0
        if known is None:
            self.configure(options)
            context.notify(RoomStarted(self.info))
            context.relay.handle_room_changed(self._info, self.changed_at_ms)

    def keep(self) -> None:
        """Somebody needs it here."""
        if not self.kept:
            self.kept = True
            self._rest()
            self._context.relay.handle_room_changed(self._info, self.changed_at_ms)

    def let_go(self) -> None:
        """Others keep it. It is known here as long as they do."""
        self.kept = False
        self._context.relay.handle_room_let_go(self.name)

    def adopt(self, info: RoomInfo, changed_at_ms: int) -> None:
        """What another node says of the room. Of two that began it at once, the earlier one counts; of what was set
        to something, the later."""
        own = self._info
        first = min((own.created_at_ms, own.room_id), (info.created_at_ms, info.room_id))
        newest = max((self.changed_at_ms, own), (changed_at_ms, info), key=lambda one: (one[0], _set_to(one[1])))[1]
        self.changed_at_ms = max(changed_at_ms, self.changed_at_ms)
        self._info = replace(newest, created_at_ms=first[0], room_id=first[1], num_participants=0, num_publishers=0)
        if self._info != own and self._joined:
            self._tell_room()

    @property
    def info(self) -> RoomInfo:
        participants, publishers = self._roster.counts
        return replace(self._info, num_participants=participants, num_publishers=publishers)

    def configure(self, options: RoomOptions) -> None:
        """Take over what `options` name."""
        info, limit = self._info, self._context.config.max_participants_per_room
        self._info = replace(
            info,
            metadata=options.metadata or info.metadata,
            empty_timeout_s=options.empty_timeout_s or info.empty_timeout_s,
            departure_timeout_s=options.departure_timeout_s or info.departure_timeout_s,
            max_participants=min(options.max_participants or info.max_participants, limit),
        )
        if self._info != info:
            self._tell_nodes()
        if options.metadata and self._joined:
            self._tell_room()

    def set_metadata(self, metadata: str) -> None:
        self._info = replace(self._info, metadata=metadata)
        self._tell_nodes()
        self._tell_room()

    def _tell_nodes(self) -> None:
        self.changed_at_ms = wall_ms()
        self._context.relay.handle_room_changed(self._info, self.changed_at_ms)

    def expired(self, now_s: float) -> bool:
        """Whether the room has been empty for long enough: measured from the creation when nobody ever joined, else
        from the departure of the last participant."""
        if self._empty_since_s is None or self._held or not self.kept:
            return False
        timeout_s = self._info.departure_timeout_s if self._joined else self._info.empty_timeout_s
        return now_s - self._empty_since_s >= timeout_s

    def hold(self, held: bool) -> None:
        """Held, it does not expire; then the time until it does begins anew."""
        self._held = held
        if held:
            self.keep()
        self._rest()

    def _rest(self) -> None:
        """The time until it expires begins anew, if nobody is there."""
        if self._empty_since_s is not None:
            self._empty_since_s = self._context.loop.time()

    def tell_head_count(self, now_s: float) -> None:
        """Called now and then: a changed head count is news for everyone, but never pressing news."""
        if self._roster.counts != self._told and now_s - self._told_at_s >= self._context.config.room_update_interval_s:
            self._tell_room()

    def _tell_room(self) -> None:
        self._told, self._told_at_s = self._roster.counts, self._context.loop.time()
        self.broadcast(RoomUpdated(self.info))

    def participants(self) -> list[Participant]:
        return list(self._participants.values())

    def infos(self) -> list[ParticipantInfo]:
        """Everyone who is seen in the room."""
        here = (participant.info for participant in self._participants.values())
        return [*here, *self.remote.infos(), *self.forwarded.infos()]

    def seen_infos(self) -> list[ParticipantInfo]:
        """Without the audience: those of whom everyone is told."""
        if not self._roster.has_audience and not self._is_crowded:
            return self.infos()
        members = (self._participants.get(one) or self.remote.find(one) for one in self._roster.not_audience())
        infos = [*(member.info for member in members if member is not None), *self.forwarded.infos()]
        # Whether those who are just coming are audience is known in a moment.
        return [info for info in infos if info.permissions.can_publish or info.state is not ParticipantState.JOINING]

    def find(self, participant_id: ParticipantId) -> Participant | None:
        return self._participants.get(participant_id)

    def find_identity(self, identity: Identity) -> Participant | None:
        return self._by_identity.get(identity)

    def find_publication(self, track_id: TrackId) -> Publication | None:
        return self._publications.get(track_id)

    def publications(self) -> list[Publication]:
        return list(self._publications.values())

    def find_data_track(self, track_id: TrackId) -> DataTrack | None:
        return self._data_tracks.get(track_id)

    def data_tracks(self) -> list[DataTrack]:
        return list(self._data_tracks.values())

    # --- coming and going ---------------------------------------------------------------------------------

    def join(self, request: JoinRequest, sink: SessionSink) -> Participant:
        self.keep()
        self.make_place(request.identity, request.kind)
        participant = Participant(self, request, self._context, sink, wall_ms())
        participant.session = Session(participant, self._context.config.max_sdp_bytes)
        self.add(participant)
        return participant

    def make_place(self, identity: Identity, kind: int) -> None:
        """For a newcomer: an older participant of the same identity goes. Raises limit_exceeded."""
        older = self._by_identity.get(identity)
        if older is not None:
            older.leave(LeaveReason.DUPLICATE_IDENTITY)
        elsewhere = self.remote.find_identity(identity)
        if elsewhere is not None:
            elsewhere.leave(LeaveReason.DUPLICATE_IDENTITY)
        self.forwarded.remove(identity)
        full = self._places_taken() >= self._context.config.max_participants_per_room
        if kind not in DEPENDENT_KINDS:
            full = full or 0 < self._info.max_participants <= self._roster.counts[0]
        if full:
            raise RequestError("the room is full", code="limit_exceeded")

    def _places_taken(self) -> int:
        return len(self._participants) + len(self.remote) + len(self.forwarded)

    def check_forward(self, original: Original) -> None:
        """Whether it can be shown here. Raises duplicate or limit_exceeded."""
        identity = original.info.identity
        if identity in self._by_identity or identity in self.forwarded or self.remote.find_identity(identity):
            raise RequestError("there is a participant of this identity", code="duplicate")
        if self._places_taken() >= self._context.config.max_participants_per_room:
            raise RequestError("the room is full", code="limit_exceeded")

    def forward(self, original: Original) -> None:
        """Show it here; `check_forward` found nothing against it."""
        self.forwarded.add(original)

    def add(self, participant: Participant) -> None:
        self._participants[participant.info.participant_id] = participant
        self._by_identity[participant.info.identity] = participant
        self._roster.come(participant.info)
        if participant.info.kind not in DEPENDENT_KINDS:
            self._joined = True
            self._empty_since_s = None

    def remove(self, participant: Participant) -> CallTimeline:
        """Called by the participant when it has ended, or goes on in another room. Gives how its call went."""
        info = participant.info
        self._participants.pop(info.participant_id, None)
        if self._by_identity.get(info.identity) is participant:
            del self._by_identity[info.identity]
        self._handle_departed(info)
        self._context.relay.handle_gone(self.name, info)
        participant.timeline.end()
        timeline = participant.timeline.of(info)
        self.past_timelines.append(timeline)
        return timeline

    def _handle_departed(self, info: ParticipantInfo) -> None:
        self._speakers.remove(info.participant_id)
        if self._roster.go(info.participant_id):
            self._remember_departed(info)
        if self._empty_since_s is None and self._roster.counts[0] == 0:
            self._empty_since_s = self._context.loop.time()

    def handle_remote(self, member: RemoteMember) -> None:
        """Somebody on another node is new, or has changed. Of two of one identity the one who came last stays."""
        info = member.info
        if self.remote.find(info.participant_id) is None:
            self.remote.add(member)
            self._roster.come(info)
            if info.kind not in DEPENDENT_KINDS:
                self._joined = True
                self._empty_since_s = None
            older = self._by_identity.get(info.identity)
            if older is not None:
                here = older.info
                if (here.joined_at_ms, here.participant_id) < (info.joined_at_ms, info.participant_id):
                    older.leave(LeaveReason.DUPLICATE_IDENTITY)
                else:
                    member.leave(LeaveReason.DUPLICATE_IDENTITY)
        self._roster.note(info)
        self._tell_of(info)

    def newer_by(self, info: ParticipantInfo) -> int:
        """What the versions of somebody's record have to grow by who was seen to leave when its node was lost, and is
        back now: clients drop what is older than what they have."""
        gone, _ = self._departed.get(info.identity, (None, 0.0))
        is_back = gone is not None and gone.participant_id == info.participant_id
        return max(0, gone.version + 1 - info.version) if is_back and gone is not None else 0

    def handle_remote_gone(self, member: RemoteMember, info: ParticipantInfo) -> None:
        """`info` is how it ended."""
        member.info = info
        self.remote.remove(member)
        self._tell_of(info)
        self._handle_departed(info)

    def _remember_departed(self, info: ParticipantInfo) -> None:
        self._departed[info.identity] = (info, self._context.loop.time())
        if len(self._departed) > MAX_DEPARTED:
            del self._departed[next(iter(self._departed))]

    def departed(self) -> list[ParticipantInfo]:
        """Who left lately and is not here again: news for one that was away for a while."""
        earliest_s = self._context.loop.time() - DEPARTED_S
        recent = [info for info, at_s in self._departed.values() if at_s >= earliest_s]
        return [
            info if info.state is ParticipantState.DISCONNECTED else ended(info, LeaveReason.MIGRATION)
            for info in recent
            if info.identity not in self._by_identity
            and info.identity not in self.forwarded
            and self.remote.find_identity(info.identity) is None
        ]

    def forget_speaker(self, participant_id: ParticipantId) -> None:
        self._speakers.remove(participant_id)

    def close(self, reason: LeaveReason, *, finished: bool = True) -> None:
        """Everybody leaves, and hears that only: not of each other's leaving, which would empty their pages before.
        Not `finished`: it goes on on other nodes, or has been ended by one of them."""
        self._ending = True
        self.forwarded.close()
        for participant in self.participants():
            participant.leave(reason)
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        if finished:
            self._context.notify(RoomFinished(self.info))

    # --- telling everyone -----------------------------------------------------------------------------------

    def broadcast(self, event: SessionEvent) -> None:
        if self._ending:
            return
        for participant in self.participants():
            participant.emit(event)

    def broadcast_info(self, participant: Participant) -> None:
        """Everyone else hears of a change."""
        self._roster.note(participant.info)
        if self._ending:
            return
        self._context.relay.handle_changed(self.name, participant.info, participant.rights)
        self._tell_of(participant.info, but=participant)

    def tell_blob(self, participant: Participant, key: bytes, contents: bytes) -> None:
        """Other nodes keep a copy of what it has stored."""
        self._context.relay.handle_blob(self.name, participant.info.participant_id, key, contents)

    def find_blob(self, identity: Identity, key: bytes) -> bytes | None:
        """Raises unknown_participant."""
        owner = self._by_identity.get(identity) or self.remote.find_identity(identity)
        if owner is None:
            raise RequestError("no such participant", code="unknown_participant")
        return owner.blobs.get(key) if isinstance(owner, RemoteMember) else owner.blobs.find(key)

    def qualities_elsewhere(self) -> Sequence[ConnectionQuality]:
        """Of the connections of those on other nodes."""
        return [member.quality for member in self.remote if member.quality is not None]

    def tell_qualities(self, changed: Sequence[ConnectionQuality]) -> None:
        """Other nodes hear of connections here."""
        self._context.relay.handle_qualities(changed)

    def tell_rights(self, participant: Participant) -> None:
        """Other nodes hear of whom it lets have its tracks."""
        self._context.relay.handle_changed(self.name, participant.info, participant.rights)

    def _tell_of(self, info: ParticipantInfo, but: Participant | None = None) -> None:
        """In a large room those who only watch come and go in batches: each of n joins would else send n messages. Who
        publishes is told of at once, since a track may follow."""
        if self._ending or self._roster.is_audience(info, crowded=self._is_crowded):
            return
        waits = self._waiting_infos.pop(info.participant_id, None)
        watches = not info.is_publisher and (waits is None or not waits.is_publisher)
        if watches and len(self._participants) + len(self.remote) > self._context.config.large_room_participants:
            self._waiting_infos[info.participant_id] = info
            if self._flush_timer is None:
                delay_s = self._context.config.large_room_update_interval_s
                self._flush_timer = self._context.loop.call_later(delay_s, self._flush_infos)
            return
        event = ParticipantsUpdated([info])
        for other in self.participants():
            if other is not but:
                other.emit(event)

    @property
    def _is_crowded(self) -> bool:
        return len(self._participants) + len(self.remote) > self._context.config.audience_from

    def _flush_infos(self) -> None:
        self._flush_timer = None
        infos, self._waiting_infos = list(self._waiting_infos.values()), {}
        self.broadcast(ParticipantsUpdated(infos))

    def send_data(self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        """From the server to the named, or to everyone."""
        self.deliver(SERVER, kind, payload, 0, destinations)
        self.relay_data(SERVER, kind, payload, 0, destinations)

    def deliver(
        self, sender: ParticipantId, kind: DataKind, payload: bytes, sequence: int, destinations: Sequence[Identity]
    ) -> None:
        """To those of the named, or of all, who are on this node."""
        wanted = set(destinations)
        receivers = [one.messages for one in self.participants() if not wanted or one.info.identity in wanted]
        behind = deliver_to_all(receivers, kind, payload, sender, sequence)
        member = self.remote.find(sender)
        if member is not None:
            member.brake.wait_for(behind)

    def relay_data(
        self, sender: ParticipantId, kind: DataKind, payload: bytes, sequence: int, destinations: Sequence[Identity]
    ) -> None:
        """To those who are on other nodes."""
        if len(self.remote):
            self._context.relay.send_data(self.name, sender, kind, payload, sequence, destinations)

    def announce(self, publication: Publication) -> None:
        self._publications[publication.track_id] = publication
        owner = publication.owner.info.participant_id
        if owner in self._participants:
            self._context.relay.handle_published(self.name, owner, publication.track_id)
        for other in self.participants():
            other.wishes.review(publication)

    def withdraw(self, publication: Publication) -> None:
        self._publications.pop(publication.track_id, None)
        if publication.owner.info.participant_id in self._participants:
            self._context.relay.handle_unpublished(self.name, publication.track_id)
        for other in self.participants():
            other.wishes.forget(publication.track_id)

    def unsubscribe_all(self, publication: Publication) -> None:
        """Nobody here receives it any more; elsewhere it goes on."""
        for member in self.participants():
            member.subscriber.unsubscribe(publication.track_id)

    def announce_data_track(self, track: DataTrack) -> None:
        self._data_tracks[track.info.track_id] = track
        for other in self.participants():
            other.data_subscriber.review(track)

    def withdraw_data_track(self, track: DataTrack) -> None:
        del self._data_tracks[track.info.track_id]
        for other in self.participants():
            other.data_subscriber.forget(track)

    def update_speakers(self, heard: Mapping[ParticipantId, tuple[int, int]]) -> None:
        changed = self._speakers.update(heard)
        if changed:
            self.broadcast(SpeakersChanged(changed))
        for speaker in self._speakers.active():
            participant = self._participants.get(speaker.participant_id) or self.remote.find(speaker.participant_id)
            if participant is not None:
                self.talk_times.count(participant.info, self._context.config.speaker_interval_s)

    def active_speakers(self) -> Sequence[Speaker]:
        return self._speakers.active()


def _set_to(info: RoomInfo) -> tuple[str, int, int, int]:
    """All that a room can be set to."""
    return info.metadata, info.empty_timeout_s, info.departure_timeout_s, info.max_participants
