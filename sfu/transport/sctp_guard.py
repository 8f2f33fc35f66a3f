"""A look at SCTP packets before aiortc's parser sees them: a pure function on bytes (RFC 9260 §3).

The peer is authenticated by then and still may not stall the event loop for everybody: a parameter of length zero
would loop for ever there, and a few gap blocks can claim millions of TSNs.
"""

from __future__ import annotations

import struct

COMMON_HEADER_BYTES = 12
MAX_STREAM_ID = 1023
"""Data channels count their streams up from 0 or 1."""
MAX_GAP_SPAN = 16_384
"""TSNs that one SACK may report above its cumulative one; more than we ever have in flight."""

_DATA, _INIT, _INIT_ACK, _SACK = 0, 1, 2, 3
_HEARTBEAT, _HEARTBEAT_ACK, _ABORT, _SHUTDOWN, _ERROR = 4, 5, 6, 7, 9
_RECONFIG, _FORWARD_TSN = 130, 192
_WITH_PARAMETERS = frozenset({_HEARTBEAT, _HEARTBEAT_ACK, _ABORT, _ERROR, _RECONFIG})
_CHUNK = struct.Struct("!BBH")


def is_sound(packet: bytes) -> bool:
    """Whether every chunk that the parser reads keeps to its own lengths and to our limits."""
    end = len(packet)
    position = COMMON_HEADER_BYTES
    if end < position + _CHUNK.size:
        return False
    chunks = 0
    alone = False
    while position + _CHUNK.size <= end:
        kind, _flags, length = _CHUNK.unpack_from(packet, position)
        if length < _CHUNK.size or position + length > end:
            return False
        if not _chunk_is_sound(kind, packet[position + _CHUNK.size : position + length]):
            return False
        position += length + (-length % 4)
        chunks += 1
        alone = alone or kind in (_INIT, _INIT_ACK)
    # RFC 9260 §6.10: INIT and INIT ACK are never bundled.
    return chunks == 1 or not alone


def _chunk_is_sound(kind: int, body: bytes) -> bool:
    if kind == _DATA:
        return len(body) > 12 and int.from_bytes(body[4:6]) <= MAX_STREAM_ID
    if kind in (_INIT, _INIT_ACK):
        return len(body) >= 16 and _parameters_are_sound(body[16:])
    if kind == _SACK:
        return _sack_is_sound(body)
    if kind in _WITH_PARAMETERS:
        return _parameters_are_sound(body)
    if kind == _FORWARD_TSN:
        streams = body[4:]
        return (
            len(body) >= 4
            and len(streams) % 4 == 0
            and all(stream <= MAX_STREAM_ID for stream, _seq in struct.iter_unpack("!HH", streams))
        )
    return kind != _SHUTDOWN or len(body) >= 4


def _parameters_are_sound(body: bytes) -> bool:
    position = 0
    while position + 4 <= len(body):
        length = int.from_bytes(body[position + 2 : position + 4])
        if length < 4 or position + length > len(body):
            return False
        position += length + (-length % 4)
    return True


def _sack_is_sound(body: bytes) -> bool:
    """RFC 9260 §3.3.4."""
    if len(body) < 12:
        return False
    gaps, duplicates = struct.unpack_from("!HH", body, 8)
    if 12 + 4 * (gaps + duplicates) > len(body):
        return False
    highest = 0
    for start, stop in struct.iter_unpack("!HH", body[12 : 12 + 4 * gaps]):
        if not highest < start <= stop <= MAX_GAP_SPAN:
            return False
        highest = stop
    return True
