"""Whole unprotected RTP packets, read and written with the parts of the reference engine."""

from __future__ import annotations

from sfu.engine.reference.rtp import RtpPacket, build_extensions, build_header, parse_header


def parse_packet(data: bytes) -> RtpPacket | None:
    """A whole unprotected packet. None when malformed."""
    packet = parse_header(data)
    if packet is None or not packet.set_payload(data[packet.header_len :]):
        return None
    return packet


def serialize(packet: RtpPacket) -> bytes:
    """The unprotected packet, with `padding_bytes` bytes of padding when that is not 0."""
    padding = packet.padding_bytes
    header = build_header(
        packet.payload_type,
        packet.marker,
        packet.seq,
        packet.timestamp,
        packet.ssrc,
        csrc=packet.csrc,
        extension_block=build_extensions(packet.extensions.items()),
        padding=padding > 0,
    )
    if padding:
        return header + packet.payload + bytes(padding - 1) + bytes((padding,))
    return header + packet.payload
