"""Settings of the SFU: every key with its default and what it is for.

`signaling.config` fills this from flags, environment and file; nothing here reads either.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SfuConfig:
    # --- where media arrives -----------------------------------------------------------------------
    rtc_addresses: tuple[str, ...] = ()
    """Local addresses to listen on. Empty: every address of every interface that is up (loopback only
    when there is no other, or when `include_loopback` is set)."""
    include_loopback: bool = False
    """Offer loopback candidates too. `ting serve --dev` sets it."""
    rtc_udp_port: int = 7882
    """The one UDP port for all calls."""
    rtc_tcp_port: int = 7881
    """ICE-TCP (passive) for callers whose network blocks UDP; 0 turns it off."""
    advertise: tuple[str, ...] = ()
    """Addresses to put into candidates instead of the local ones (NAT, Docker): IPv4 or IPv6, no names."""
    engine: str = "auto"
    """"auto", "rust" or "reference"."""
    engine_threads: int = 0
    """Threads of the Rust engine; 0 is one per core. The reference engine has one."""
    max_queued_packets: int = 16_384
    """Packets that may wait for a thread to send them, in each of the Rust engine's send queues; more are dropped."""
    max_hold_ms: float = 2.0
    """Milliseconds that packets for many receivers may wait in the Rust engine while many of them come, so that those
    for one receiver leave together: a third of the CPU time of a hall with 10 who speak. 0: no wait."""

    # --- limits ---------------------------------------------------------------------------------------
    max_rooms: int = 1000
    max_participants_per_room: int = 200
    max_tracks_per_participant: int = 16
    max_pending_tracks: int = 16
    """add_track requests that no offer has taken up yet."""
    max_sdp_bytes: int = 262_144
    max_media_sections: int = 256
    """Media sections of one session description. A full room of 30 with audio and video needs 61."""
    max_negotiations_per_s: float = 10.0
    """Publisher offers per participant, bucket of twice that size; more of them wait for their turn."""
    max_ssrcs_per_transport: int = 64
    max_packets_per_s: int = 20_000
    """Per publishing transport; more is policed."""
    max_bitrate_bps: int = 50_000_000
    """Per publishing transport; more is policed."""
    max_data_message_bytes: int = 65_536
    max_data_messages_per_s: int = 2000
    """Data packets per sender; more is dropped and counted (lossy) or ends the sender's connection (reliable)."""
    max_data_buffered_bytes: int = 8 * 1024 * 1024
    """Unsent bytes per receiver's data channel; beyond it lossy packets are dropped and counted, and reliable ones
    end the receiver's connection."""
    max_data_replay_bytes: int = 1024 * 1024
    """Reliable data that is kept per receiver until its data channel opens, and for what a reconnect may cost."""
    max_data_replay_messages: int = 1000
    """The same in messages. A receiver whose lost channel needs more is told to reconnect fully."""
    max_data_tracks_per_participant: int = 64
    max_data_track_packets_per_s: int = 5000
    """Data track packets per publisher; more is dropped and counted."""
    max_data_track_bytes_per_s: int = 8 * 1024 * 1024
    """The same in bytes."""
    max_data_track_buffered_bytes: int = 256 * 1024
    """Unsent data track bytes per receiver; beyond it packets are dropped and counted: old frames help nobody."""
    max_data_blob_bytes: int = 65_536
    max_data_blobs_per_participant: int = 64
    max_data_blob_bytes_per_room: int = 8 * 1024 * 1024
    """All blobs of a room with their keys."""
    max_half_open_transports: int = 2000
    max_dtls_queue_datagrams: int = 64
    """Datagrams that wait for the DTLS state machine of one transport."""
    retransmission_packets: int = 512
    """Packets kept per subscription for RTX."""
    keyframe_cache_bytes: int = 512 * 1024
    """Payload bytes kept per video stream, from its last keyframe on, so that who joins sees a picture at once; 0 turns
    it off."""
    keyframe_cache_bytes_without_pli: int = 4 * 1024 * 1024
    """The same for publishers that cannot be asked for a keyframe (they offer no PLI), where a viewer would else wait
    for the next one. Enough for ten seconds of 3 Mbit/s."""

    # --- times ---------------------------------------------------------------------------------------
    transport_setup_timeout_s: float = 30.0
    """From the first description to a finished DTLS handshake; else the transport is closed."""
    consent_timeout_s: float = 30.0
    """No authenticated binding request for this long (RFC 7675): the path is dead."""
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
    room_update_interval_s: float = 5.0
    """How often at most participants hear that the room's head count changed."""
    data_replay_s: float = 30.0
    """How long a reliable message is kept after it was sent. SDKs remember what they received for as long."""
    negotiation_debounce_s: float = 0.05
    """Subscription changes within this time share one offer."""
    answer_timeout_s: float = 15.0
    """No answer to an offer for this long: the participant is told to reconnect."""
    speaker_interval_s: float = 0.3
    """How often active speakers are worked out."""

    dynacast_pause_delay_s: float = 2.0
    """How long nobody must want a video layer or codec before its publisher is told to stop it."""
    connection_quality_interval_s: float = 4.0
    """How often connection quality is worked out."""

    # --- media ---------------------------------------------------------------------------------------
    video_codecs: tuple[str, ...] = ("vp8", "vp9", "h264", "av1")
    """Codecs that publishers may send, in no order; the client chooses."""
    audio_codecs: tuple[str, ...] = ("opus", "red")
    codec_regression_participants: int = 5
    """In a room of at least this size, a video whose publisher prefers it falls back to its backup codec for everyone
    as soon as one subscriber needs that; in a smaller one it is sent in both codecs."""
    backup_codec_timeout_s: float = 15.0
    """How long a subscriber that can receive the backup codec only waits for its publisher to send it, before it is
    told that it cannot have the track. When the codec comes later it gets it all the same."""
    downlink_probe_interval_s: float = 4.0
    """How long a downlink must be free of congestion before more is tried."""
    downlink_probe_backoff_s: float = 30.0
    """The longest wait before the next try after tries that congested the downlink."""
