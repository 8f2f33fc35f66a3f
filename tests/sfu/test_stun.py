"""STUN bytes, against RFC 5769's vectors, aioice's implementation, and anything hypothesis finds."""

from __future__ import annotations

import contextlib
import os
import struct

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine import stun

PWD = "p" * 24

# RFC 5769 §2.1, sample request with its own padding of USERNAME.
RFC5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RFC5769_PWD = "VOkJxbRl1RmTxUk/WvJxBt"


def test_request_of_rfc5769() -> None:
    request = stun.parse_binding_request(RFC5769_REQUEST)
    assert request.username == "evtj:h6vY"
    assert request.transaction_id == RFC5769_REQUEST[8:20]
    assert request.priority == 0x6E0001FF
    assert request.controlled
    assert not request.use_candidate
    assert request.unknown == []
    assert stun.has_integrity(RFC5769_REQUEST, request, RFC5769_PWD)
    assert not stun.has_integrity(RFC5769_REQUEST, request, RFC5769_PWD + "x")


@pytest.mark.parametrize("address", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)])
def test_success_response_is_what_aioice_reads(address: tuple[str, int]) -> None:
    transaction_id = os.urandom(12)
    data = stun.build_success(transaction_id, address, PWD)
    message = aioice_stun.parse_message(data)
    message.check_message_integrity(PWD.encode())
    assert message.transaction_id == transaction_id
    assert message.message_class == aioice_stun.Class.RESPONSE
    assert message.attributes["XOR-MAPPED-ADDRESS"] == address


def test_xor_mapped_address_of_rfc5769() -> None:
    """RFC 5769 §2.2 and §2.3."""
    transaction_id = bytes.fromhex("b7e7a701bc34d686fa87dfae")
    assert bytes.fromhex("002000080001a147e112a643") in stun.build_success(transaction_id, ("192.0.2.1", 32853), PWD)
    assert bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9") in stun.build_success(
        transaction_id, ("2001:db8:1234:5678:11:2233:4455:6677", 32853), PWD
    )


@pytest.mark.parametrize(("code", "unknown"), [(420, (0x7777, 0x0003)), (487, ())])
def test_error_response_is_what_aioice_reads(code: int, unknown: tuple[int, ...]) -> None:
    data = stun.build_error(os.urandom(12), code, PWD, unknown)
    message = aioice_stun.parse_message(data)
    message.check_message_integrity(PWD.encode())
    assert message.attributes["ERROR-CODE"][0] == code
    assert (struct.pack("!HH", 0x000A, 2 * len(unknown)) in data) is bool(unknown)


def test_request_of_aioice_is_read() -> None:
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = "local:remote"
    message.attributes["PRIORITY"] = 1234
    message.attributes["ICE-CONTROLLING"] = 99
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PWD.encode())
    message.add_fingerprint()
    data = bytes(message)
    request = stun.parse_binding_request(data)
    assert (request.username, request.priority, request.use_candidate) == ("local:remote", 1234, True)
    assert stun.has_integrity(data, request, PWD)


@given(
    username=st.text(max_size=120),
    attributes=st.lists(
        st.tuples(st.sampled_from([0x8022, 0xC057, 0xC058, 0x0024, 0x802A]), st.binary(max_size=40)), max_size=8
    ),
)
def test_built_requests_are_read_back_whatever_the_padding(username: str, attributes: list[tuple[int, bytes]]) -> None:
    """ST4: attributes of odd lengths are fine."""
    data = stun.build_binding_request(bytes(12), username, PWD, attributes)
    request = stun.parse_binding_request(data)
    assert request.username == username
    assert stun.has_integrity(data, request, PWD)
    assert not stun.has_integrity(data, request, PWD + "x")


@given(
    data=st.binary(min_size=0, max_size=200),
    header=st.sampled_from([b"", b"\x00\x01\x00\x04\x21\x12\xa4\x42", b"\x00\x01\x00\x10\x21\x12\xa4\x42" + bytes(12)]),
)
def test_parser_raises_nothing_but_stun_error(data: bytes, header: bytes) -> None:
    with contextlib.suppress(stun.StunError):
        stun.parse_binding_request(header + data)


@given(st.data())
def test_no_bit_of_the_protected_part_can_change(data: st.DataObject) -> None:
    original = stun.build_binding_request(bytes(12), "a:b", PWD, [(stun.Attribute.USE_CANDIDATE, b"")])
    covered = len(original) - 8
    # The length field apart, which has a check of its own.
    position = data.draw(st.integers(0, covered * 8 - 1).filter(lambda bit: bit // 8 not in (2, 3)))
    changed = bytearray(original)
    changed[position // 8] ^= 1 << (position % 8)
    # Without FINGERPRINT in the way, so that it is the HMAC that has to notice.
    del changed[covered:]
    changed[2:4] = struct.pack("!H", covered - 20)
    try:
        request = stun.parse_binding_request(bytes(changed))
    except stun.StunError:
        return
    assert not stun.has_integrity(bytes(changed), request, PWD)


def test_attributes_behind_integrity_are_not_seen() -> None:
    """ST4."""
    sealed = stun.build_binding_request(bytes(12), "a:b", PWD)[:-8]
    tail = struct.pack("!HH", stun.Attribute.USE_CANDIDATE, 0) + struct.pack("!HH4s", 0x7777, 4, b"evil")
    data = sealed[:2] + struct.pack("!H", len(sealed) - 20 + len(tail)) + sealed[4:] + tail
    request = stun.parse_binding_request(data)
    assert stun.has_integrity(data, request, PWD)
    assert not request.use_candidate
    assert request.unknown == []


def _changed(**changes: bytes) -> bytes:
    data = bytearray(stun.build_binding_request(bytes(12), "a:b", PWD))
    for offset, value in changes.items():
        at = int(offset[1:])
        data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed"),
        (_changed()[:19], "malformed"),
        (_changed()[:-1], "malformed"),
        (_changed() + b"\0", "malformed"),
        (_changed(_2=b"\x00\x03"), "malformed"),
        (_changed(_4=b"\x21\x12\xa4\x43"), "malformed"),
        (_changed(_0=b"\x01\x01"), "not_a_request"),
        (_changed(_0=b"\x01\x11"), "not_a_request"),
        (_changed(_0=b"\x00\x11"), "not_a_request"),
        (_changed(_0=b"\x00\x03"), "not_a_request"),
        (_changed(_22=b"\xff\xff"), "malformed"),
        (_changed(_24=b"\xff\xff"), "bad_fingerprint"),
        (_changed()[:2] + b"\0\0" + _changed()[4:20], "no_credentials"),
        (stun.build_binding_request(bytes(12), "a" * 600, PWD), "malformed"),
        (stun.build_binding_request(bytes(12), "a:b", PWD, [(0x8022, b"")] * 200), "malformed"),
    ],
)
def test_reasons(data: bytes, reason: str) -> None:
    with pytest.raises(stun.StunError) as caught:
        stun.parse_binding_request(data)
    assert caught.value.reason == reason
