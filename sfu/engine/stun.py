"""STUN binding requests and responses as ICE uses them (RFC 8489, RFC 8445 §7). Pure functions on bytes."""

from __future__ import annotations

import hmac
import ipaddress
import socket
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sfu.engine.api import Address

MAGIC_COOKIE = 0x2112A442
HEADER_BYTES = 20
TRANSACTION_ID_BYTES = 12
MAX_ATTRIBUTES = 48
"""More than any agent sends; a request with more is malformed to us."""
MAX_USERNAME_BYTES = 512
"""RFC 8489 §14.3: fewer than 513 bytes."""

BINDING_REQUEST = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

UNKNOWN_ATTRIBUTE = 420
ROLE_CONFLICT = 487
_REASONS = {UNKNOWN_ATTRIBUTE: "Unknown Attribute", ROLE_CONFLICT: "Role Conflict"}

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")
_COOKIE_BYTES = MAGIC_COOKIE.to_bytes(4)
_INTEGRITY_BYTES = 20
_FINGERPRINT_XOR = 0x5354554E


class Attribute(IntEnum):
    """The attributes that we read or write (IANA STUN attributes registry)."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


_UNDERSTOOD = frozenset(attribute.value for attribute in Attribute)
_COMPREHENSION_OPTIONAL = 0x8000


class StunError(ValueError):
    """Not a binding request that can be read. `reason` is a counter's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """What a binding request says; nothing of it is proven before `has_integrity`.

    `integrity_offset` is where MESSAGE-INTEGRITY begins; attributes behind it are not looked at (RFC 8489 §14.5).
    `unknown` are comprehension-required types that we do not know.
    """

    transaction_id: bytes
    username: str
    integrity_offset: int
    use_candidate: bool
    controlled: bool
    priority: int | None
    unknown: Sequence[int]


def parse_binding_request(data: bytes) -> BindingRequest:
    """Read a binding request (RFC 8489 §5, §14). Raises `StunError`, and nothing else, for all other bytes."""
    if len(data) < HEADER_BYTES:
        raise StunError("malformed")
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if cookie != MAGIC_COOKIE or length != len(data) - HEADER_BYTES or length % 4:
        raise StunError("malformed")
    if kind != BINDING_REQUEST:
        raise StunError("not_a_request")
    values, unknown, integrity_offset = _read_attributes(data)
    username = values.get(Attribute.USERNAME)
    if username is None or integrity_offset is None:
        raise StunError("no_credentials")
    if len(username) > MAX_USERNAME_BYTES:
        raise StunError("malformed")
    priority = values.get(Attribute.PRIORITY)
    try:
        name = username.decode()
    except UnicodeDecodeError:
        raise StunError("malformed") from None
    return BindingRequest(
        transaction_id=transaction_id,
        username=name,
        integrity_offset=integrity_offset,
        use_candidate=Attribute.USE_CANDIDATE in values,
        controlled=Attribute.ICE_CONTROLLED in values,
        priority=int.from_bytes(priority) if priority is not None and len(priority) == 4 else None,
        unknown=unknown,
    )


def _read_attributes(data: bytes) -> tuple[dict[int, bytes], list[int], int | None]:
    """Attributes in front of MESSAGE-INTEGRITY (the first of each type counts), unknown types, integrity's offset."""
    values: dict[int, bytes] = {}
    unknown: list[int] = []
    integrity_offset: int | None = None
    position, count, end = HEADER_BYTES, 0, len(data)
    while position < end:
        count += 1
        if count > MAX_ATTRIBUTES:
            raise StunError("malformed")
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        value_at = position + 4
        following = value_at + length + (-length % 4)
        if following > end:
            raise StunError("malformed")
        if kind == Attribute.FINGERPRINT:
            if following != end or length != 4 or not _fingerprint_matches(data, position):
                raise StunError("bad_fingerprint")
        elif integrity_offset is not None:
            pass
        elif kind == Attribute.MESSAGE_INTEGRITY:
            if length != _INTEGRITY_BYTES:
                raise StunError("malformed")
            integrity_offset = position
        elif kind not in _UNDERSTOOD and kind < _COMPREHENSION_OPTIONAL:
            unknown.append(kind)
        else:
            values.setdefault(kind, data[value_at : value_at + length])
        position = following
    return values, unknown, integrity_offset


def has_integrity(data: bytes, request: BindingRequest, pwd: str) -> bool:
    """Whether MESSAGE-INTEGRITY (RFC 8489 §14.5, short-term credentials) was made with `pwd`. Takes constant time."""
    offset = request.integrity_offset
    expected = _integrity(data[:offset], pwd.encode())
    return hmac.compare_digest(expected, data[offset + 4 : offset + 4 + _INTEGRITY_BYTES])


def build_success(transaction_id: bytes, mapped: Address, pwd: str) -> bytes:
    """A binding success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT."""
    return _seal(BINDING_SUCCESS, transaction_id, _xor_mapped_address(transaction_id, mapped), pwd)


def build_error(transaction_id: bytes, code: int, pwd: str, unknown: Sequence[int] = ()) -> bytes:
    """A binding error response (RFC 8489 §14.8). `unknown` lists attribute types for code 420."""
    reason = _REASONS[code].encode()
    attributes = _attribute(Attribute.ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + reason)
    if unknown:
        attributes += _attribute(Attribute.UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown)}H", *unknown))
    return _seal(BINDING_ERROR, transaction_id, attributes, pwd)


def build_binding_request(
    transaction_id: bytes, username: str, pwd: str, attributes: Sequence[tuple[int, bytes]] = ()
) -> bytes:
    """A binding request of a full agent: USERNAME, `attributes` in order, MESSAGE-INTEGRITY, FINGERPRINT.

    The server itself never sends one; the benchmark's load generator and the tests do.
    """
    body = _attribute(Attribute.USERNAME, username.encode())
    body += b"".join(_attribute(kind, value) for kind, value in attributes)
    return _seal(BINDING_REQUEST, transaction_id, body, pwd)


def _seal(kind: int, transaction_id: bytes, attributes: bytes, pwd: str) -> bytes:
    message = _HEADER.pack(kind, len(attributes), MAGIC_COOKIE, transaction_id) + attributes
    message += _attribute(Attribute.MESSAGE_INTEGRITY, _integrity(message, pwd.encode()))
    message = _with_length(message, len(message) - HEADER_BYTES + 8)
    return message + _attribute(Attribute.FINGERPRINT, struct.pack("!I", _crc(message)))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _with_length(message: bytes, length: int) -> bytes:
    return message[:2] + struct.pack("!H", length) + message[4:]


def _integrity(message: bytes, key: bytes) -> bytes:
    # RFC 8489 §14.5: the length field counts up to and including MESSAGE-INTEGRITY itself.
    covered = _with_length(message, len(message) - HEADER_BYTES + 4 + _INTEGRITY_BYTES)
    return hmac.digest(key, covered, "sha1")


def _crc(message: bytes) -> int:
    return zlib.crc32(message) ^ _FINGERPRINT_XOR


def _fingerprint_matches(data: bytes, offset: int) -> bool:
    return data[offset + 4 : offset + 8] == struct.pack("!I", _crc(data[:offset]))


def _xor_mapped_address(transaction_id: bytes, mapped: Address) -> bytes:
    """RFC 8489 §14.2."""
    host, port = mapped
    if ":" in host:
        family, address = 2, ipaddress.IPv6Address(host).packed
    else:
        family, address = 1, socket.inet_aton(host)
    mask = (_COOKIE_BYTES + transaction_id)[: len(address)]
    xored = (int.from_bytes(address) ^ int.from_bytes(mask)).to_bytes(len(address))
    value = struct.pack("!BBH", 0, family, port ^ (MAGIC_COOKIE >> 16)) + xored
    return _attribute(Attribute.XOR_MAPPED_ADDRESS, value)
