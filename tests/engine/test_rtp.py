"""RTP packets and header extensions: vectors, lies, round trips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference import rtp
from sfu.engine.reference.rtp import RtpPacket
from tests.engine.rtp_wire import parse_packet, serialize

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rtp.json").read_text())["packets"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    packet = parse_packet(bytes.fromhex(vector["hex"]))
    expected = vector["packet"]
    if expected is None:
        assert packet is None
        return
    assert packet is not None
    for name, value in expected.items():
        found: object = getattr(packet, name)
        if isinstance(found, bytes):
            found = found.hex()
        elif isinstance(found, dict):
            found = {str(key): item.hex() for key, item in found.items()}
        assert found == value, name


extension_items = st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=6)
one_byte_items = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=8)


@st.composite
def packets(draw: st.DrawFn) -> RtpPacket:
    return RtpPacket(
        draw(st.integers(0, 127)),
        draw(st.booleans()),
        draw(st.integers(0, 0xFFFF)),
        draw(st.integers(0, 0xFFFF_FFFF)),
        draw(st.integers(0, 0xFFFF_FFFF)),
        csrc=draw(st.integers(0, 15).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))),
        extensions=draw(st.one_of(extension_items, one_byte_items)),
        payload=draw(st.binary(max_size=60)),
        padding_bytes=draw(st.integers(0, 255)),
    )


@given(packets())
def test_what_is_built_is_parsed_again(packet: RtpPacket) -> None:
    data = serialize(packet)
    parsed = parse_packet(data)
    assert parsed is not None
    for name in (
        "payload_type",
        "marker",
        "seq",
        "timestamp",
        "ssrc",
        "csrc",
        "extensions",
        "payload",
        "padding_bytes",
    ):
        assert getattr(parsed, name) == getattr(packet, name), name
    assert len(data) == parsed.header_len + len(packet.payload) + packet.padding_bytes
    assert serialize(parsed) == data


@given(packets())
def test_header_is_parsed_in_place_before_decryption(packet: RtpPacket) -> None:
    data = serialize(packet)
    header = rtp.parse_header(data)
    assert header is not None
    assert header.payload == b""
    assert header.extensions == packet.extensions
    assert header.has_padding == (packet.padding_bytes > 0)
    # The end of the datagram may be ciphertext: it is not looked at.
    scrambled = rtp.parse_header(data[: header.header_len] + b"\xff" * (len(data) - header.header_len))
    assert scrambled is not None
    assert scrambled.header_len == header.header_len


@given(packets())
def test_every_truncation_is_refused_or_sound(packet: RtpPacket) -> None:
    data = serialize(packet)
    full = rtp.parse_header(data)
    assert full is not None
    for size in range(len(data)):
        parsed = rtp.parse_header(data[:size])
        assert (parsed is not None) == (size >= full.header_len)


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    packet = parse_packet(data)
    if packet is not None:
        assert packet.header_len + len(packet.payload) + packet.padding_bytes == len(data)
        assert sum(map(len, packet.extensions.values())) + len(packet.csrc) <= len(data)


@given(st.sampled_from((0xBEDE, 0x1000, 0x100F)), st.binary(max_size=80))
def test_any_extension_bytes(profile: int, data: bytes) -> None:
    found = rtp.parse_extensions(profile, data, 0, len(data))
    if found is not None:
        assert sum(map(len, found.values())) <= len(data)
        assert 0 not in found


def test_one_byte_form_when_it_fits() -> None:
    assert rtp.build_extensions([]) == b""
    assert rtp.build_extensions([(1, b"a")]) == bytes.fromhex("bede0001") + b"\x10a\0\0"
    assert rtp.build_extensions([(14, bytes(16))])[:2] == b"\xbe\xde"
    for items in ([(15, b"a")], [(1, b"")], [(1, bytes(17))], [(1, b"a"), (16, b"b")]):
        assert rtp.build_extensions(items)[:2] == b"\x10\x00"
    assert rtp.build_extensions([(1, b"")]) == bytes.fromhex("1000000101000000")


@pytest.mark.parametrize("item", [(0, b"a"), (256, b"a"), (-1, b"a"), (1, bytes(256))])
def test_extensions_that_the_wire_cannot_carry(item: tuple[int, bytes]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        rtp.build_extensions([item])


@pytest.mark.parametrize(
    ("now_ns", "value"),
    [(0, "000000"), (1_000_000_000, "040000"), (500_000_000, "020000"), (64_000_000_000, "000000"), (3815, "000001")],
)
def test_abs_send_time(now_ns: int, value: str) -> None:
    assert rtp.abs_send_time(now_ns).hex() == value


def test_audio_level() -> None:
    assert rtp.parse_audio_level(b"") is None
    assert rtp.parse_audio_level(b"\x00") == (0, False)
    assert rtp.parse_audio_level(b"\xff") == (127, True)
    assert rtp.parse_audio_level(b"\x9e\x00") == (30, True)
