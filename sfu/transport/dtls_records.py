"""A cheap look at DTLS datagrams before OpenSSL sees them: pure functions on bytes (RFC 6347 §4).

What is not protected yet (epoch 0) may come from anyone who can write the peer's source address. What could end a
handshake or make it hold memory without the peer's doing is dropped here; the rest is OpenSSL's to judge.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

RECORD_HEADER_BYTES = 13
HANDSHAKE_HEADER_BYTES = 12
MAX_MESSAGE_BYTES = 1024
MAX_LARGE_MESSAGE_BYTES = 6144
MAX_LARGE_MESSAGE_SEQ = 3
"""ClientHello (post-quantum: 1,700 bytes) and Certificate come first and may be large. OpenSSL makes room for what a
first fragment claims, for up to ten messages that came early: so it stays below 64 KiB per handshake."""
MAX_MESSAGE_SEQ = 32
"""A WebRTC handshake has nine messages a side."""

CHANGE_CIPHER_SPEC = 20
ALERT = 21
HANDSHAKE = 22
APPLICATION_DATA = 23
CLIENT_HELLO = 1
CERTIFICATE = 11

_DTLS_MAJOR = 0xFE

_OFFERABLE_SUITES = frozenset({0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9})
"""ECDHE with ECDSA or RSA and an AEAD (RFC 5289, RFC 7905), as in dtls.py."""


def drop_reason(data: bytes, *, handshaking: bool) -> str | None:
    """Why this datagram must not reach OpenSSL, as a counter's name; None when it may.

    `handshaking`: the association is not up yet. Afterwards OpenSSL itself ignores epoch 0.
    """
    position, end = 0, len(data)
    if end < RECORD_HEADER_BYTES:
        return "dtls_malformed"
    while position < end:
        if end - position < RECORD_HEADER_BYTES:
            return "dtls_malformed"
        kind, version, epoch = struct.unpack_from("!BHH", data, position)
        (length,) = struct.unpack_from("!H", data, position + 11)
        body_at = position + RECORD_HEADER_BYTES
        position = body_at + length
        if position > end or not CHANGE_CIPHER_SPEC <= kind <= APPLICATION_DATA or version >> 8 != _DTLS_MAJOR:
            return "dtls_malformed"
        if epoch == 0:
            reason = _plaintext_reason(kind, data[body_at:position], handshaking)
            if reason is not None:
                return reason
    return None


def _plaintext_reason(kind: int, body: bytes, handshaking: bool) -> str | None:
    if kind == ALERT:
        # Unauthenticated: believing it would let one spoofed datagram end a join. A real failure runs into the timeout.
        return "dtls_plaintext_alert"
    if kind == APPLICATION_DATA:
        return "dtls_malformed"
    if kind == CHANGE_CIPHER_SPEC:
        return None
    if not handshaking and body[:1] == bytes([CLIENT_HELLO]):
        return "dtls_client_hello_when_connected"
    return _handshake_reason(body)


def _handshake_reason(body: bytes) -> str | None:
    """A record may carry several fragments (RFC 6347 §4.2.3)."""
    position = 0
    while position < len(body):
        if len(body) - position < HANDSHAKE_HEADER_BYTES:
            return "dtls_malformed"
        kind = body[position]
        length = int.from_bytes(body[position + 1 : position + 4])
        seq = int.from_bytes(body[position + 4 : position + 6])
        offset = int.from_bytes(body[position + 6 : position + 9])
        size = int.from_bytes(body[position + 9 : position + 12])
        fragment_at = position + HANDSHAKE_HEADER_BYTES
        position = fragment_at + size
        if offset + size > length or position > len(body) or (size == 0 and length > 0):
            return "dtls_malformed"
        large = kind in (CLIENT_HELLO, CERTIFICATE) and seq <= MAX_LARGE_MESSAGE_SEQ
        if length > (MAX_LARGE_MESSAGE_BYTES if large else MAX_MESSAGE_BYTES) or seq > MAX_MESSAGE_SEQ:
            return "dtls_handshake_too_large"
        if kind == CLIENT_HELLO and size == length and not _has_offerable_suite(body[fragment_at:position]):
            return "dtls_no_shared_suite"
    return None


def _has_offerable_suite(hello: bytes) -> bool:
    """Whether a whole ClientHello (RFC 6347 §4.2.1) offers a suite that we could take."""
    position = 2 + 32  # client_version, random
    for _ in ("session_id", "cookie"):
        if position >= len(hello):
            return False
        position += 1 + hello[position]
    size = int.from_bytes(hello[position : position + 2])
    suites = hello[position + 2 : position + 2 + size]
    if len(suites) != size or size % 2:
        return False
    return any(suite in _OFFERABLE_SUITES for (suite,) in struct.iter_unpack("!H", suites))


def renumber_plaintext(datagram: bytes, count: int) -> tuple[bytes, int]:
    """The records of epoch 0 numbered on from `count`; the new datagram and the new count.

    OpenSSL's replay window (RFC 6347 §4.1.2.6) believes these numbers though nothing protects them: one record with
    a high number would make it drop the peer's own as replayed. For a datagram that `drop_reason` let pass.
    """
    numbered = bytearray(datagram)
    position = 0
    while position < len(datagram):
        if datagram[position + 3 : position + 5] == b"\0\0":
            numbered[position + 5 : position + 11] = count.to_bytes(6)
            count += 1
        position += RECORD_HEADER_BYTES + int.from_bytes(datagram[position + 11 : position + 13])
    return bytes(numbered), count


def split_datagrams(records: bytes, max_bytes: int) -> Iterator[bytes]:
    """Cut what OpenSSL wrote, whole records one behind the other, into datagrams of at most `max_bytes`.

    A single record that is larger travels alone; records are never torn (RFC 6347 §4.1.1).
    """
    start = position = 0
    while position + RECORD_HEADER_BYTES <= len(records):
        (length,) = struct.unpack_from("!H", records, position + 11)
        following = position + RECORD_HEADER_BYTES + length
        if following - start > max_bytes and position > start:
            yield records[start:position]
            start = position
        position = following
    if start < len(records):
        yield records[start:]


def last_explicit_nonce(records: bytes, before: int) -> int:
    """The eight bytes that the last protected handshake record of `records` has in front (RFC 5288 §3), as a number;
    `before` when there is none. Of a suite whose records carry no nonce it is any number."""
    position, found = 0, before
    while position + RECORD_HEADER_BYTES <= len(records):
        kind, _version, epoch = struct.unpack_from("!BHH", records, position)
        (length,) = struct.unpack_from("!H", records, position + 11)
        body_at = position + RECORD_HEADER_BYTES
        position = body_at + length
        if kind == HANDSHAKE and epoch > 0:
            found = int.from_bytes(records[body_at : body_at + 8])
    return found
