"""Redundant audio data (RFC 2198). Parsers return None for malformed payloads and never raise."""

from __future__ import annotations

from typing import NamedTuple


class RedBlock(NamedTuple):
    """One block. `timestamp_offset` is subtracted from the packet's timestamp; 0 for the primary."""

    payload_type: int
    timestamp_offset: int
    data: bytes


def parse(payload: bytes) -> list[RedBlock] | None:
    """The blocks, oldest first, the primary last (RFC 2198 §3)."""
    headers: list[tuple[int, int, int]] = []
    position = 0
    size = len(payload)
    while True:
        if position >= size:
            return None
        byte = payload[position]
        if byte < 0x80:
            break
        if position + 4 > size:
            return None
        word = int.from_bytes(payload[position + 1 : position + 4], "big")
        headers.append((byte & 0x7F, word >> 10, word & 0x3FF))
        position += 4
    primary_type = payload[position]
    position += 1
    blocks = []
    for payload_type, offset, length in headers:
        end = position + length
        if end > size:
            return None
        blocks.append(RedBlock(payload_type, offset, payload[position:end]))
        position = end
    blocks.append(RedBlock(primary_type, 0, payload[position:]))
    return blocks


def primary(payload: bytes) -> bytes | None:
    """The payload of the primary block (the newest frame)."""
    position = 0
    skipped = 0
    size = len(payload)
    while position < size:
        if payload[position] < 0x80:
            start = position + 1 + skipped
            return payload[start:] if start <= size else None
        if position + 4 > size:
            return None
        skipped += (payload[position + 2] & 0x03) << 8 | payload[position + 3]
        position += 4
    return None
