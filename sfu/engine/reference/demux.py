"""Which protocol a datagram belongs to, by its first bytes (RFC 7983 §7, RFC 5761 §4)."""

from __future__ import annotations

from enum import IntEnum


class DatagramKind(IntEnum):
    NOT_RTC = 0
    STUN = 1
    DTLS = 2
    RTP = 3
    RTCP = 4


def _kind_of_first_byte(first: int) -> DatagramKind:
    if first <= 3:
        return DatagramKind.STUN
    if 20 <= first <= 63:
        return DatagramKind.DTLS
    if 128 <= first <= 191:
        return DatagramKind.RTP
    return DatagramKind.NOT_RTC


_BY_FIRST_BYTE = tuple(_kind_of_first_byte(first) for first in range(256))


def classify(data: bytes) -> DatagramKind:
    """The protocol of a datagram. Total: any bytes, the empty string included, have a kind."""
    if not data:
        return DatagramKind.NOT_RTC
    kind = _BY_FIRST_BYTE[data[0]]
    if kind is DatagramKind.RTP and len(data) > 1 and 192 <= data[1] <= 223:
        return DatagramKind.RTCP
    return kind
