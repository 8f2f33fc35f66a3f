"""Settings of the control plane, a dataclass for each of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.sdp.settings import SdpSettings
from sfu.transport.settings import TransportSettings


@dataclass(frozen=True)
class RoomSettings:
    """Of rooms and who is in them."""

    max_rooms: int = 1000
    max_participants_per_room: int = 200
    resume_timeout_s: float = 20.0
    """How long a participant whose signal connection broke may resume before it leaves."""
    empty_timeout_s: float = 300.0
    """How long a room that nobody ever joined stays; a room may have its own."""
    departure_timeout_s: float = 20.0
    """How long a room stays after the last participant has left; a room may have its own."""
    large_room_participants: int = 50
    """In a room of more than that, participants who do not publish are announced in batches."""
    large_room_update_interval_s: float = 0.5
    """How long such news waits for company."""
    audience_from: int = 500
    """In a room of more than that, who may not publish is audience: counted, listed on demand, and announced to nobody
    before it may publish."""
    room_update_interval_s: float = 5.0
    """How often at most participants hear that the room's head count changed."""
    speaker_interval_s: float = 0.3
    """How often active speakers are worked out."""
    max_talkers_per_room: int = 1000
    """Of so many people a room knows how long they have talked, there or gone."""
    max_timelines_per_room: int = 100
    """Of so many who have left a room knows how the call went for them."""


@dataclass(frozen=True)
class PublishSettings:
    """Of what a participant sends."""

    max_tracks_per_participant: int = 16
    max_pending_tracks: int = 16
    """add_track requests that no offer has taken up yet."""
    max_negotiations_per_s: float = 10.0
    """Publisher offers per participant, bucket of twice that size; more of them wait for their turn."""
    keyframe_cache_bytes: int = 256 * 1024
    """Payload bytes kept per video stream, from its last keyframe on, so that who joins sees a picture at once; 0 turns
    it off."""
    keyframe_cache_bytes_without_pli: int = 4 * 1024 * 1024
    """The same for publishers that cannot be asked for a keyframe (they offer no PLI), where a viewer would else wait
    for the next one. Enough for ten seconds of 3 Mbit/s."""
    dynacast_pause_delay_s: float = 2.0
    """How long nobody must want a video layer or codec before its publisher is told to stop it."""
    codec_regression_participants: int = 5
    """In a room of at least this size, a video whose publisher prefers it falls back to its backup codec for everyone
    as soon as one subscriber needs that; in a smaller one it is sent in both codecs."""


@dataclass(frozen=True)
class SubscribeSettings:
    """Of what it receives."""

    retransmission_packets: int = 512
    """Packets kept per subscription for RTX."""
    negotiation_debounce_s: float = 0.05
    """Subscription changes within this time share one offer."""
    answer_timeout_s: float = 15.0
    """No answer to an offer for this long: the participant is told to reconnect."""
    backup_codec_timeout_s: float = 15.0
    """How long a subscriber that can receive the backup codec only waits for its publisher to send it, before it is
    told that it cannot have the track. When the codec comes later it gets it all the same."""


@dataclass(frozen=True)
class DataSettings:
    """Of messages, data tracks and blobs."""

    max_data_messages_per_s: int = 2000
    """Data packets per sender; more is dropped and counted (lossy) or ends the sender's connection (reliable)."""
    data_wait_from_bytes: int = 2 * 1024 * 1024
    """Unsent reliable data of a receiver beyond which senders wait for it, until half of it has left."""
    min_data_drain_bytes_per_s: int = 32 * 1024
    """A receiver that takes less is not waited for: `max_data_buffered_bytes` ends its connection."""
    max_data_replay_bytes: int = 1024 * 1024
    """Reliable data that is kept per receiver until its data channel opens, and for what a reconnect may cost."""
    max_data_replay_messages: int = 1000
    """The same in messages. A receiver whose lost channel needs more is told to reconnect fully."""
    max_data_tracks_per_participant: int = 64
    max_data_track_packets_per_s: int = 5000
    """Data track packets per publisher; more is dropped and counted."""
    max_data_track_bytes_per_s: int = 8 * 1024 * 1024
    """The same in bytes."""
    max_data_blob_bytes: int = 65_536
    max_data_blobs_per_participant: int = 64
    max_data_blob_bytes_per_room: int = 8 * 1024 * 1024
    """All blobs of a room with their keys."""
    data_replay_s: float = 30.0
    """How long a reliable message is kept after it was sent. SDKs remember what they received for as long."""


@dataclass(frozen=True)
class AdaptSettings:
    """Of downlinks and connection quality."""

    connection_quality_interval_s: float = 4.0
    """How often connection quality is worked out."""
    downlink_probe_interval_s: float = 4.0
    """How long a downlink must be free of congestion before more is tried."""
    downlink_probe_backoff_s: float = 30.0
    """The longest wait before the next try after tries that congested the downlink."""
    uplink_retry_s: float = 10.0
    """How long a publisher whose line is too narrow for its layers is asked for fewer, before one more is tried."""
    uplink_retry_max_s: float = 120.0
    """The same after tries that were too much: twice as long after each, up to this."""
    fec_packets: int = 10
    """As many packets of a picture share a repair packet (FlexFEC-03) at most, to subscribers that take those and whose
    line loses; fewer where much is lost. 2 to 15, 0: there are none."""
    fec_loss: float = 0.03
    """From this share of 1 that is lost on, and until less than half of it is for 20 s."""
    fec_rtt_ms: float = 40.0
    """Where the way there and back is shorter, a resend is as good."""
    timeline_interval_s: float = 10.0
    """How often the figures of a participant's line are noted in its timeline while nothing changes."""
    max_timeline_entries: int = 120
    """Of a participant's timeline. Half of them may be figures of times when nothing changed: of more of those some
    between go, so that what is left spans the call; of more events, those that the line did not cause, then the
    oldest."""


@dataclass(frozen=True)
class RelaySettings:
    """Of what goes between nodes."""

    node_timeout_s: float = 3.0
    """How long another node may say nothing before it counts as gone, with everyone on it."""
    max_node_message_bytes: int = 4 * 1024 * 1024
    """The longest message that one node takes from another."""
    max_node_buffered_bytes: int = 32 * 1024 * 1024
    """What may wait for a node that reads slowly. Beyond that the connection ends and begins anew."""
    max_link_ssrcs: int = 65_536
    """Media streams that one node takes from another, retransmissions included."""
    link_key_interval_s: float = 3600.0
    """How often the keys of the media between two nodes are replaced."""


@dataclass(frozen=True)
class ControlSettings(
    RoomSettings,
    PublishSettings,
    SubscribeSettings,
    DataSettings,
    AdaptSettings,
    RelaySettings,
    SdpSettings,
    TransportSettings,
):
    """All that rooms are lent. A part names the class that it needs."""
