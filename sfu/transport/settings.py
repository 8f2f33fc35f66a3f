"""Settings of transports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransportSettings:
    """Where media arrives, and what one transport may cost."""

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
    max_ssrcs_per_transport: int = 64
    max_packets_per_s: int = 20_000
    """Per publishing transport; more is policed."""
    max_bitrate_bps: int = 50_000_000
    """Per publishing transport; more is policed."""
    max_feedback_per_s: int = 200
    """Transport-wide feedback packets of one transport; more are dropped unread. libwebrtc gives 20 at most."""
    max_data_message_bytes: int = 65_536
    max_data_buffered_bytes: int = 8 * 1024 * 1024
    """Unsent bytes per receiver's data channel; beyond it lossy packets are dropped and counted, and reliable ones
    end the receiver's connection."""
    max_data_track_buffered_bytes: int = 256 * 1024
    """Unsent data track bytes per receiver; beyond it packets are dropped and counted: old frames help nobody."""
    max_half_open_transports: int = 2000
    max_dtls_queue_datagrams: int = 64
    """Datagrams that wait for the DTLS state machine of one transport."""
    transport_setup_timeout_s: float = 30.0
    """From the first description to a finished DTLS handshake; else the transport is closed."""
    consent_timeout_s: float = 30.0
    """No authenticated binding request for this long (RFC 7675): the path is dead."""
