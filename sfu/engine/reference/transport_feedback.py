"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

Time on this wire: reference time in 64 ms, deltas in 250 us. Any clock will do: only differences matter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE_NS = 64_000_000
REFERENCE_WRAP_NS = REFERENCE_NS << 24
"""24 bits of the reference time come."""
DELTA_NS = 250_000
MAX_STATUSES = 2048
"""Packet statuses in one feedback packet that we build. A longer gap starts a new packet, and is left out."""
MAX_RECEIVED = 256
"""Arrivals in one feedback packet that we build: with `MAX_STATUSES` it stays below 1,200 bytes."""

_HEAD = struct.Struct("!IIHHI")
_RTCP_HEADER = struct.Struct("!BBH")
_CHUNK = struct.Struct("!H")
_LARGE_DELTA = struct.Struct("!h")
_NOT_RECEIVED, _SMALL_DELTA_SYMBOL, _LARGE_DELTA_SYMBOL = 0, 1, 2
_MAX_RUN = 0x1FFF


def count_congestion_feedback(data: bytes) -> int:
    """Sub-packets that are feedback of either kind (RFC 8888 is FMT 11), by their headers alone: what they hold is not
    looked at yet."""
    position = count = 0
    while position + 4 <= len(data):
        first, packet_type, words = _RTCP_HEADER.unpack_from(data, position)
        count += packet_type == 205 and first & 0x1F in (11, 15)
        position += 4 + (words << 2)
    return count


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """Which of `status_count` packets from `base_seq` on (16 bits, wrapping) arrived, and when.

    `received` lists (seq, arrival_ns) of those that did, in order of seq; arrival_ns counts from the origin of the
    receiver's reference time, which wraps at 2^24 * 64 ms (signed here). What is not listed was lost.
    """

    sender_ssrc: int
    media_ssrc: int
    base_seq: int
    status_count: int
    feedback_count: int
    received: Sequence[tuple[int, int]]


def parse_transport_feedback(body: bytes) -> TransportFeedback | None:
    """`body` follows the RTCP header, padding stripped. None when a count lies or a status is 3 (reserved)."""
    if len(body) < _HEAD.size:
        return None
    sender_ssrc, media_ssrc, base_seq, status_count, word = _HEAD.unpack_from(body)
    parsed = _parse_chunks(body, status_count)
    if status_count == 0 or parsed is None:
        return None
    symbols, position = parsed
    reference = word >> 8
    if reference & 0x800000:
        reference -= 0x1000000
    arrival_ns = reference * REFERENCE_NS
    received = []
    for offset, symbol in symbols:
        if symbol == _SMALL_DELTA_SYMBOL:
            if position + 1 > len(body):
                return None
            arrival_ns += body[position] * DELTA_NS
            position += 1
        else:
            if position + 2 > len(body):
                return None
            arrival_ns += _LARGE_DELTA.unpack_from(body, position)[0] * DELTA_NS
            position += 2
        received.append(((base_seq + offset) & 0xFFFF, arrival_ns))
    return TransportFeedback(sender_ssrc, media_ssrc, base_seq, status_count, word & 0xFF, received)


def _parse_chunks(body: bytes, status_count: int) -> tuple[list[tuple[int, int]], int] | None:
    """((offset, symbol) of the received ones, where the deltas start). Work is bounded by the bytes that are there."""
    symbols: list[tuple[int, int]] = []
    position = _HEAD.size
    done = 0
    while done < status_count:
        if position + 2 > len(body):
            return None
        (chunk,) = _CHUNK.unpack_from(body, position)
        position += 2
        if chunk < 0x8000:
            symbol = chunk >> 13
            run = min(chunk & _MAX_RUN, status_count - done)
            # Every received packet needs a byte of delta at least: refuse before listing what cannot be there.
            if symbol == 3 or (symbol and len(symbols) + run > len(body) - position):
                return None
            if symbol:
                symbols.extend((offset, symbol) for offset in range(done, done + run))
            done += run
            continue
        bits, width = (1, 14) if chunk < 0xC000 else (2, 7)
        width = min(width, status_count - done)
        for index in range(width if chunk & 0x3FFF else 0):
            symbol = (chunk >> (14 - bits * (index + 1))) & ((1 << bits) - 1)
            if symbol == 3:
                return None
            if symbol:
                symbols.append((done + index, symbol))
        done += width
    return symbols, position


def build_transport_feedback(
    sender_ssrc: int,
    media_ssrc: int,
    feedback_count: int,
    arrivals: Sequence[tuple[int, int]],
    base_ext_seq: int | None = None,
) -> list[bytes]:
    """RTCP packets for `arrivals`: (extended transport-wide number, arrival_ns >= 0), rising in the number.

    `feedback_count` is that of the first packet (it counts modulo 256); the caller adds the length of the list.
    `base_ext_seq` is the first number to report on when the first arrivals are missing; by default the first
    arrival. Empty for no arrivals.
    """
    packets: list[bytes] = []
    start = 0
    base = arrivals[0][0] if arrivals and base_ext_seq is None else base_ext_seq or 0
    while start < len(arrivals):
        first_seq, first_ns = arrivals[start]
        if not 0 <= first_seq - base < MAX_STATUSES:
            base = first_seq
        symbols, deltas, taken = _collect(arrivals, start, base)
        body = _HEAD.pack(
            sender_ssrc,
            media_ssrc,
            base & 0xFFFF,
            len(symbols),
            (first_ns // REFERENCE_NS & 0xFFFFFF) << 8 | (feedback_count + len(packets)) & 0xFF,
        )
        packets.append(_finish(body + _build_chunks(symbols) + deltas))
        start += taken
        base += len(symbols)
    return packets


def _collect(arrivals: Sequence[tuple[int, int]], start: int, base: int) -> tuple[list[int], bytes, int]:
    """(status symbols from `base`, deltas, arrivals used) for one packet: as many as its limits allow."""
    symbols: list[int] = []
    deltas = bytearray()
    last_ticks = arrivals[start][1] // REFERENCE_NS * (REFERENCE_NS // DELTA_NS)
    taken = 0
    for ext_seq, arrival_ns in arrivals[start : start + MAX_RECEIVED]:
        gap = ext_seq - base - len(symbols)
        ticks = arrival_ns // DELTA_NS
        delta = ticks - last_ticks
        if len(symbols) + gap >= MAX_STATUSES or not -0x8000 <= delta <= 0x7FFF:
            break
        symbols.extend([_NOT_RECEIVED] * gap)
        if 0 <= delta <= 0xFF:
            symbols.append(_SMALL_DELTA_SYMBOL)
            deltas.append(delta)
        else:
            symbols.append(_LARGE_DELTA_SYMBOL)
            deltas += _LARGE_DELTA.pack(delta)
        last_ticks = ticks
        taken += 1
    return symbols, bytes(deltas), taken


def _build_chunks(symbols: list[int]) -> bytes:
    """Status chunks: runs where they pay, else vectors of 14 one-bit or 7 two-bit symbols."""
    chunks = bytearray()
    position = 0
    size = len(symbols)
    while position < size:
        symbol = symbols[position]
        run = 1
        while position + run < size and run < _MAX_RUN and symbols[position + run] == symbol:
            run += 1
        window = symbols[position : position + 14]
        if run >= 14 or position + run == size or (run >= 7 and _LARGE_DELTA_SYMBOL in window):
            chunks += _CHUNK.pack(symbol << 13 | run)
            position += run
        elif _LARGE_DELTA_SYMBOL not in window:
            chunks += _CHUNK.pack(0x8000 | _pack_symbols(window, 1, 14))
            position += 14
        else:
            chunks += _CHUNK.pack(0xC000 | _pack_symbols(window[:7], 2, 7))
            position += 7
    return bytes(chunks)


def _pack_symbols(symbols: list[int], bits: int, width: int) -> int:
    value = 0
    for symbol in symbols:
        value = value << bits | symbol
    return value << bits * (width - len(symbols))


def _finish(body: bytes) -> bytes:
    """The RTCP header in front, and padding to 32 bits (RFC 3550 §6.4.1: the last byte counts it)."""
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    first = 0xAF if padding else 0x8F
    return _RTCP_HEADER.pack(first, 205, len(body) >> 2) + body
