"""The two protocols of the contract: an SFU, and one participant's session in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.api.events import (
    NodeListener,
    PlaybackChanged,
    SessionSink,
)
from sfu.api.nodes import NodeInfo, NodePlace
from sfu.api.records import (
    DataKind,
    LeaveReason,
    ParticipantInfo,
    Permissions,
    RoomInfo,
    TalkTime,
    Target,
    TrackSource,
    VideoLayerInfo,
)
from sfu.api.requests import (
    AddTrackRequest,
    Answer,
    JoinRequest,
    ParticipantChanges,
    PlaybackWish,
    RoomOptions,
    TrackSettings,
)
from sfu.api.sharing import DataTrackInfo, DataTrackRequest, SubscriptionRights
from sfu.api.timelines import CallTimeline
from sfu.ids import Identity, ParticipantId, RoomName, TrackId
from sfu.kind import Kind


class ParticipantControl(Protocol):
    """A participant, whichever node its client is connected to, as moderators and servers reach it. On another node
    what is asked is done a moment later, or not when it has left meanwhile."""

    @property
    def info(self) -> ParticipantInfo: ...

    def update(self, changes: ParticipantChanges) -> None:
        """Everyone, the participant too, hears of what changed. Limits and rights are signaling's to check."""
        ...

    def set_permissions(self, permissions: Permissions) -> None:
        """In force at once: publications and subscriptions that are not allowed any more end; allowed to subscribe
        again, the participant gets what it would have got by joining."""
        ...

    def update_subscription(self, track_ids: Sequence[TrackId], subscribe: bool) -> None:
        """Unknown ids raise unknown_track after the known ones were handled."""
        ...

    def leave(self, reason: LeaveReason = LeaveReason.CLIENT_INITIATED) -> None: ...


class ParticipantSession(ParticipantControl, Protocol):
    """One join of one participant. Every method may raise `RequestError`; after the end all raise code "left"."""

    @property
    def room(self) -> RoomInfo: ...

    @property
    def room_name(self) -> RoomName: ...

    @property
    def single_connection(self) -> bool:
        """As in the `JoinRequest`."""
        ...

    @property
    def former_ids(self) -> frozenset[ParticipantId]:
        """The ids that it had in rooms which it was moved out of."""
        ...

    def others(self) -> list[ParticipantInfo]:
        """Everyone else in the room, in order of joining."""
        ...

    def start(self) -> None:
        """The join response is on its way: from now on events flow and, unless with a single connection, the first
        subscriber offer goes out."""
        ...

    def offer_delay_s(self) -> float:
        """How long the next offer has to wait for its turn, by `max_negotiations_per_s`; 0 when it is now."""
        ...

    async def handle_offer(self, sdp: str) -> Answer:
        """Publisher offer in, answer out. Raises `SdpError`, rate_limited when it was not its turn."""
        ...

    def handle_answer(self, sdp: str, offer_id: int = 0) -> None:
        """Answer to a `SubscriberOffer`. An answer that nobody waits for is ignored. Raises `SdpError`."""
        ...

    def handle_candidate(self, target: Target, candidate: str) -> None:
        """A trickled candidate. An ICE-lite server learns addresses from checks: validated, then ignored."""
        ...

    def add_track(self, request: AddTrackRequest) -> None:
        """Announce a track, or the backup codec of one; answered by `TrackPublished`. Raises not_allowed,
        limit_exceeded, or for a backup codec unknown_track; try_later when there may be a place once the next offer
        has come, since tracks that the client gave up without a word count until then."""
        ...

    def set_track_muted(self, track_id: TrackId, muted: bool) -> None: ...

    def update_audio_features(self, track_id: TrackId, features: Sequence[int]) -> None:
        """Raises unknown_track, also for a video track."""
        ...

    def update_video_layers(self, track_id: TrackId, layers: Sequence[VideoLayerInfo]) -> None:
        """Raises unknown_track, also for an audio track."""
        ...

    def update_video_size(self, track_id: TrackId, width: int, height: int) -> None:
        """Raises unknown_track, also for an audio track."""
        ...

    def simulate_bandwidth(self, bitrate_bps: int) -> None:
        """For tests of clients: send this participant no more video than that, bits per second; 0 ends it."""
        ...

    def set_subscription_rights(self, rights: SubscriptionRights) -> None:
        """Who may have this participant's tracks, at once. Those concerned hear `SubscriptionAllowed`."""
        ...

    def publish_data_track(self, request: DataTrackRequest) -> DataTrackInfo:
        """Raises not_allowed, limit_exceeded, invalid_handle, invalid_name, duplicate_handle or duplicate_name."""
        ...

    def unpublish_data_track(self, handle: int) -> DataTrackInfo:
        """Raises unknown_track."""
        ...

    def update_data_subscription(self, track_id: TrackId, subscribe: bool, target_fps: int = 0) -> None:
        """Answered by `DataTrackHandles`. `target_fps` 0: every frame. Raises unknown_track or not_allowed."""
        ...

    def store_blob(self, key: bytes, contents: bytes) -> None:
        """For everyone in the room, until this participant leaves. Raises not_allowed or limit_exceeded."""
        ...

    def find_blob(self, identity: Identity, key: bytes) -> bytes:
        """What the participant of that identity has stored. Raises unknown_participant or unknown_blob."""
        ...

    def update_track_settings(self, track_ids: Sequence[TrackId], settings: TrackSettings) -> None:
        """Tracks that the participant does not receive are ignored."""
        ...

    def send_data(
        self, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = (), sequence: int = 0
    ) -> None:
        """To the named identities, or to everyone else in the room when none are named. Never back to the sender.

        `sequence` counts the sender's reliable messages up from 1; one that is not above `last_sequence` was sent
        before and goes nowhere. 0: the sender does not count.
        """
        ...

    @property
    def last_sequence(self) -> int:
        """Of the newest reliable message that was taken from this participant; 0 when there was none."""
        ...

    def replay_data(self, received: Mapping[ParticipantId, int]) -> None:
        """After a resume: send again what the client lacks. `received` has, by sender, the last sequence number that
        the client has. Ends the session with state_mismatch when that is not here any more."""
        ...

    def handle_fragment(self, text: str) -> None:
        """Trickled candidates as application/trickle-ice-sdpfrag: checked, then not needed. Raises `SdpError`, code
        ice_mismatch when it is about other credentials, and `RequestError` not_negotiated."""
        ...

    def restart_ice(self, text: str) -> str:
        """An ICE restart of the client's (RFC 9725 §4.3.3), fragment in, fragment out. Raises `SdpError`, code
        not_acceptable when its credentials are not new, and `RequestError` not_negotiated."""
        ...

    def accept_playback(self, sdp: str) -> None:
        """The answer to the offer of `Sfu.offer_playback`. Raises `SdpError`, and `RequestError` not_negotiated when
        no offer waits for one."""
        ...

    def set_layer(self, settings: TrackSettings) -> None:
        """For a player: which form of its picture it wants, whatever the source."""
        ...

    def playback(self) -> PlaybackChanged:
        """For a player: what it is sent now."""
        ...

    def signal_lost(self) -> None:
        """The WebSocket broke without a leave: media goes on, and the time to resume runs."""
        ...

    def resume(self, sink: SessionSink) -> None:
        """A new WebSocket took over: cancel the timeout, use `sink`, send a full `ParticipantsUpdated`, restart ICE on
        the subscriber transport. With a single connection the client restarts ICE, by an offer."""
        ...


class NodeTopicListener(Protocol):
    """Who hears of other nodes. It must not block; what it raises is logged."""

    def handle_node_up(self, node: str) -> None:
        """What is sent to it from now on arrives."""
        ...

    def handle_node_down(self, node: str) -> None: ...

    def handle_node_message(self, node: str, payload: bytes) -> None: ...


class Sfu(Protocol):
    """A running SFU."""

    @property
    def node_id(self) -> str: ...

    async def start(self) -> None:
        """Open the ports. Raises `BindError`."""
        ...

    async def prepare(self) -> None:
        """Load what only calls need, in a worker thread. A join does it anyway; who foresees one spares it the wait."""
        ...

    async def close(self) -> None:
        """End every session with server_shutdown, or node_shutdown where others go on; then release the ports."""
        ...

    def rooms(self) -> list[RoomInfo]: ...

    def find_room(self, name: RoomName) -> RoomInfo | None: ...

    def participants(self, room: RoomName) -> list[ParticipantInfo]: ...

    def talk_times(self, room: RoomName) -> list[TalkTime]:
        """Who has talked in the room, longest first, also those who have left; empty when there is no such room."""
        ...

    def call_timelines(self, room: RoomName) -> list[CallTimeline]:
        """How the call goes for everyone in the room, after those who have left it; empty when there is no such
        room."""
        ...

    def create_room(self, name: RoomName, options: RoomOptions) -> RoomInfo:
        """Create the room, or give the one that is there what `options` name. Raises `RequestError` limit_exceeded
        when the node is full."""
        ...

    def update_room_metadata(self, room: RoomName, metadata: str) -> RoomInfo:
        """Everyone in the room hears of it. Raises unknown_room."""
        ...

    async def join(self, request: JoinRequest, sink: SessionSink) -> ParticipantSession:
        """Create the room if it is not there; end an older session of the same identity with duplicate_identity.
        Raises `RequestError` limit_exceeded when room or node is full, unknown_room when it is not there and must
        not be created."""
        ...

    async def publish(
        self, request: JoinRequest, offer: str, sources: Mapping[Kind, TrackSource], sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Join as a client that sends what its offer says and receives nothing (WHIP); returns session and answer.
        `sources` names the track of each kind. The session ends when its media connection does.
        An offer that is not acceptable as a whole raises `SdpError` before anyone is joined or replaced, codes
        not_acceptable, unsupported_codec, rtcp_mux_required or those of a malformed description; a source that the
        permissions do not cover raises `RequestError` not_allowed; else as `join`."""
        ...

    async def play(
        self, request: JoinRequest, wish: PlaybackWish, offer: str, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Join as a client that receives what `wish` names on at most one audio and one video section (WHEP); returns
        session and answer. What is not there yet is sent once it is. Refusals as with `publish`."""
        ...

    async def offer_playback(
        self, request: JoinRequest, wish: PlaybackWish, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """As `play`, with an offer of ours; `ParticipantSession.accept_playback` takes the answer. Without one the
        session ends after `transport_setup_timeout_s`."""
        ...

    def find_session(self, room: RoomName, participant_id: ParticipantId) -> ParticipantSession | None:
        """Of a client that is connected to this node."""
        ...

    def find_participant(self, room: RoomName, identity: Identity) -> ParticipantControl | None: ...

    def send_data(self, room: RoomName, kind: DataKind, payload: bytes, destinations: Sequence[Identity] = ()) -> None:
        """From the server to the named identities, or to everyone when none are named. Raises unknown_room."""
        ...

    def remove_participant(self, room: RoomName, identity: Identity) -> None:
        """Kick. Raises unknown_participant."""
        ...

    def move_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        """Take the participant into another room, which is created if it may be; see `RoomMoved`. A participant of the
        same identity there goes, and what was forwarded of the participant is not any more. Raises
        unknown_participant, unknown_room, limit_exceeded, or not_connected while its client is away."""
        ...

    def forward_participant(self, room: RoomName, identity: Identity, destination: RoomName, *, create: bool) -> None:
        """Show the participant and its publications in another room, too, until it leaves or `remove_participant` is
        called there. It neither hears nor sees that room. Raises unknown_participant, unknown_room, limit_exceeded, or
        duplicate when its identity is there already."""
        ...

    def mute_track(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        """Moderation: enforced at the packet level at once. Raises unknown_participant or unknown_track."""
        ...

    def hold_room(self, room: RoomName, held: bool) -> None:
        """Held, a room stays however long nobody is in it; no longer held, the time until it ends begins anew. Nothing
        happens when there is no such room."""
        ...

    def end_room(self, room: RoomName) -> bool:
        """End every session with room_deleted. False when there is no such room."""
        ...

    def add_listener(self, listener: NodeListener) -> None:
        """Have `listener` told of every `NodeEvent` from now on, until the SFU has closed. It must not block; what it
        raises is logged and reaches nobody else."""
        ...

    def send_to_nodes(self, topic: str, payload: bytes, node: str = "") -> None:
        """To all other nodes that are connected now, or to one; in order. Whoever is not connected misses it."""
        ...

    def listen_to_nodes(self, topic: str, listener: NodeTopicListener) -> None:
        """Have `listener` told of nodes that come and go, and of what they send on `topic`."""
        ...

    def set_nodes(self, nodes: Mapping[str, NodePlace]) -> None:
        """The other nodes of the cluster, by name: all that are known now. Without a cluster nothing happens."""
        ...

    def nodes(self) -> Sequence[NodeInfo]:
        """This node first, then those that it is connected to; nothing without a cluster."""
        ...

    def head_counts(self) -> Mapping[str, int]:
        """How many rooms, participants and links to other nodes there are on this node: cheap, for a heartbeat."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Gauges and counters for /metrics, keyed by Prometheus name with labels in braces where needed."""
        ...


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A relay, as a server tells its clients of it."""

    url: str
    """turn: or turns: (RFC 7065)."""
    username: str
    credential: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `ting doctor`. `ok` None is a hint."""

    name: str
    ok: bool | None
    message: str
