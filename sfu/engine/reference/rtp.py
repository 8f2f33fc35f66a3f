"""RTP packets (RFC 3550 §5.1) and their header extensions (RFC 8285).

Parsers return None for anything malformed, never raise, and accept any bytes; the same holds for `rtcp`, `codecs` and
`red`. Builders raise `ValueError` when asked for what the wire cannot carry.

The way of a packet: `parse_header` on the protected datagram (header and extensions are in the clear and are
the AAD of SRTP: `data[:packet.header_len]`), SRTP, then `packet.set_payload(plaintext)`, which strips the padding.
One `RtpPacket` is made per datagram.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

FIXED_HEADER_BYTES = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000

_FIXED = struct.Struct("!BBHII")
_EXTENSION_HEADER = struct.Struct("!HH")


class RtpPacket:
    """One RTP packet. Extension ids are those of the wire; `csrc` is the raw list, 4 bytes each."""

    __slots__ = (
        "csrc",
        "extensions",
        "has_padding",
        "header_len",
        "marker",
        "padding_bytes",
        "payload",
        "payload_type",
        "seq",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self,
        payload_type: int,
        marker: bool,
        seq: int,
        timestamp: int,
        ssrc: int,
        csrc: bytes = b"",
        extensions: dict[int, bytes] | None = None,
        payload: bytes = b"",
        padding_bytes: int = 0,
    ) -> None:
        self.payload_type = payload_type
        self.marker = marker
        self.seq = seq
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.csrc = csrc
        self.extensions: dict[int, bytes] = {} if extensions is None else extensions
        self.payload = payload
        self.padding_bytes = padding_bytes
        self.header_len = 0
        """Bytes of header with CSRCs and extensions as parsed; 0 for packets made here."""
        self.has_padding = padding_bytes > 0
        """The P bit as parsed: the last byte of the plaintext counts the padding."""

    def set_payload(self, plaintext: bytes) -> bool:
        """Take the decrypted payload and strip its padding. False when the padding lies: drop as malformed."""
        if not self.has_padding:
            self.payload = plaintext
            return True
        if not plaintext:
            return False
        padding = plaintext[-1]
        if padding == 0 or padding > len(plaintext):
            return False
        self.padding_bytes = padding
        self.payload = plaintext[:-padding]
        return True


def parse_header(data: bytes) -> RtpPacket | None:
    """Header and extensions of a datagram, protected or not; the payload is left empty. None when malformed."""
    size = len(data)
    if size < FIXED_HEADER_BYTES:
        return None
    first, second, seq, timestamp, ssrc = _FIXED.unpack_from(data)
    if first & 0xC0 != 0x80:
        return None
    packet = RtpPacket(second & 0x7F, second >= 0x80, seq, timestamp, ssrc)
    end = FIXED_HEADER_BYTES
    if first & 0x0F:
        end += (first & 0x0F) << 2
        if end > size:
            return None
        packet.csrc = data[FIXED_HEADER_BYTES:end]
    if first & 0x10:
        start = end + 4
        if start > size:
            return None
        profile, words = _EXTENSION_HEADER.unpack_from(data, end)
        end = start + (words << 2)
        if end > size:
            return None
        extensions = parse_extensions(profile, data, start, end)
        if extensions is None:
            return None
        packet.extensions = extensions
    packet.header_len = end
    packet.has_padding = bool(first & 0x20)
    return packet


def parse_extensions(profile: int, data: bytes, start: int, end: int) -> dict[int, bytes] | None:
    """The extension elements in `data[start:end]` (RFC 8285 §4.2, §4.3), the last of equal ids.

    Other profiles than the one-byte and two-byte header yield no elements. None when a length lies.
    """
    found: dict[int, bytes] = {}
    position = start
    if profile == ONE_BYTE_PROFILE:
        while position < end:
            byte = data[position]
            position += 1
            if byte == 0:
                continue
            element = byte >> 4
            if element == 15:
                break
            stop = position + (byte & 0x0F) + 1
            if stop > end:
                return None
            # Id 0 with a length is invalid; RFC 8285 §4.2 has receivers skip the element.
            if element:
                found[element] = data[position:stop]
            position = stop
    elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
        while position < end:
            element = data[position]
            position += 1
            if element == 0:
                continue
            if position >= end:
                return None
            stop = position + 1 + data[position]
            if stop > end:
                return None
            found[element] = data[position + 1 : stop]
            position = stop
    return found


def build_extensions(items: Iterable[tuple[int, bytes]]) -> bytes:
    """The whole extension block (profile, length, elements, padding) for `build_header`; empty for no items.

    One-byte form when every id is 1..14 and every value 1..16 bytes, else two-byte form (id 1..255, at most 255
    bytes). Raises `ValueError` beyond that.
    """
    elements = list(items)
    if not elements:
        return b""
    body = bytearray()
    if all(1 <= element <= 14 and 1 <= len(value) <= 16 for element, value in elements):
        profile = ONE_BYTE_PROFILE
        for element, value in elements:
            body.append(element << 4 | len(value) - 1)
            body += value
    else:
        profile = TWO_BYTE_PROFILE
        for element, value in elements:
            if not 1 <= element <= 255 or len(value) > 255:
                raise ValueError("extension id or length out of range")
            body.append(element)
            body.append(len(value))
            body += value
    body += bytes(-len(body) % 4)
    return _EXTENSION_HEADER.pack(profile, len(body) >> 2) + body


def build_header(
    payload_type: int,
    marker: bool,
    seq: int,
    timestamp: int,
    ssrc: int,
    *,
    csrc: bytes = b"",
    extension_block: bytes = b"",
    padding: bool = False,
) -> bytes:
    """The header up to the payload. `extension_block` comes from `build_extensions`."""
    first = 0x80 | len(csrc) >> 2
    if extension_block:
        first |= 0x10
    if padding:
        first |= 0x20
    second = payload_type | 0x80 if marker else payload_type
    return _FIXED.pack(first, second, seq, timestamp, ssrc) + csrc + extension_block


def abs_send_time(now_ns: int) -> bytes:
    """`now_ns` as abs-send-time: 24 bits of seconds in 6.18 fixed point (goog abs-send-time extension)."""
    return (((now_ns << 18) // 1_000_000_000) & 0xFFFFFF).to_bytes(3, "big")


def parse_audio_level(value: bytes) -> tuple[int, bool] | None:
    """(level in -dBov: 0 loudest .. 127 silence, voice activity) of RFC 6464. None when empty."""
    if not value:
        return None
    return value[0] & 0x7F, value[0] >= 0x80
