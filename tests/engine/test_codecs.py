"""Frames, keyframes and layers: real encoder output, tables from the RFCs, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.api import Codec
from sfu.engine.reference import red
from sfu.engine.reference.codecs import CodecState, FrameInfo, describe, rewrite_vp8, rewrite_vp9
from tests.engine import packetize

VP8_KEY = bytes.fromhex("10000000") + b"\x9d\x01\x2a" + bytes(4)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def info_of(codec: Codec, payload: bytes, marker: bool = False) -> FrameInfo:
    info = describe(codec, payload, marker, None, CodecState())
    assert info is not None
    return info


def accepts(codec: Codec, payload: bytes) -> bool:
    return describe(codec, payload, False, None, CodecState()) is not None


# --- real encoders ---------------------------------------------------------------------------------------


def check_stream(codec: Codec, pictures: list[tuple[packetize.Picture, packetize.Payloads]]) -> None:
    """Keyframes are seen where the encoder made them and nowhere else; frames begin and end where they do."""
    assert sum(picture.is_keyframe for picture, _ in pictures) >= 2
    assert any(not picture.is_keyframe for picture, _ in pictures)
    assert any(len(payloads) > 3 for _, payloads in pictures)
    for picture, payloads in pictures:
        infos = [info_of(codec, payload, marker) for payload, marker in payloads]
        assert infos[0].is_keyframe == picture.is_keyframe
        assert infos[0].starts_frame
        assert [info.ends_frame for info in infos] == [False] * (len(infos) - 1) + [True]
        assert [info.ends_picture for info in infos] == [False] * (len(infos) - 1) + [True]
        assert all(info.spatial == 0 and info.temporal == 0 for info in infos)
        if codec is not Codec.H264:
            assert not any(info.is_keyframe or info.starts_frame for info in infos[1:])
        elif not picture.is_keyframe:
            assert not any(info.is_keyframe for info in infos)
        assert all(info.switching_point for info in infos if info.is_keyframe)


def test_vp8_from_libvpx() -> None:
    pictures = packetize.encode("vp8")
    packets = [(picture, packetize.vp8(picture, 32766 + n & 0x7FFF, n)) for n, picture in enumerate(pictures)]
    check_stream(Codec.VP8, packets)
    for number, (_, payloads) in enumerate(packets):
        for payload, marker in payloads:
            info = info_of(Codec.VP8, payload, marker)
            assert (info.picture_id, info.picture_id_bits) == ((32766 + number) & 0x7FFF, 15)
            assert (info.tl0picidx, info.keyidx) == (number, 5)


def test_vp9_from_libvpx() -> None:
    pictures = packetize.encode("vp9")
    packets = [(picture, packetize.vp9(picture, 32766 + n & 0x7FFF, n)) for n, picture in enumerate(pictures)]
    check_stream(Codec.VP9, packets)
    for number, (_, payloads) in enumerate(packets):
        for payload, _ in payloads:
            info = info_of(Codec.VP9, payload)
            assert (info.picture_id, info.tl0picidx) == ((32766 + number) & 0x7FFF, number)


@pytest.mark.parametrize("aggregate", [True, False])
def test_h264_from_x264(aggregate: bool) -> None:
    pictures = packetize.encode("h264")
    packets = [(picture, packetize.h264(picture, aggregate=aggregate)) for picture in pictures]
    check_stream(Codec.H264, packets)
    kinds = {payload[0] & 0x1F for _, payloads in packets for payload, _ in payloads}
    assert kinds >= ({24, 28} if aggregate else {7, 8, 28})


def test_h264_second_slice_of_an_idr_picture_is_no_beginning() -> None:
    picture = packetize.encode("h264")[0]
    slices = [unit for unit in packetize.split_nal_units(picture.data) if unit[0] & 0x1F == 5]
    assert len(slices) == 2
    assert [info_of(Codec.H264, unit).is_keyframe for unit in slices] == [True, False]


@pytest.mark.parametrize("counted", [True, False])
def test_av1_from_svt(counted: bool) -> None:
    pictures = packetize.encode("av1")
    packets = [(picture, packetize.av1(picture, counted=counted)) for picture in pictures]
    check_stream(Codec.AV1, packets)
    for _, payloads in packets:
        # Without the N bit a sequence header alone begins nothing, and the N bit alone does not either.
        first = payloads[0][0]
        assert not info_of(Codec.AV1, bytes((first[0] & ~0x08,)) + first[1:]).is_keyframe
    delta = next(payloads[0][0] for picture, payloads in packets if not picture.is_keyframe)
    assert not info_of(Codec.AV1, bytes((delta[0] | 0x08,)) + delta[1:]).is_keyframe


# --- VP8 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (VP8_KEY, {"is_keyframe": True, "starts_frame": True, "picture_id": None, "picture_id_bits": 0}),
        ("10000000", {"is_keyframe": False, "starts_frame": True}),  # key bit without the start code
        ("10010000 9d012a 00", {"is_keyframe": False, "starts_frame": True}),
        ("00000000 9d012a 00", {"is_keyframe": False, "starts_frame": False}),  # S not set
        ("11000000 9d012a 00", {"is_keyframe": False, "starts_frame": False}),  # partition 1
        ("9080 7f 01", {"picture_id": 127, "picture_id_bits": 7, "tl0picidx": None}),
        ("9080 ffff 01", {"picture_id": 32767, "picture_id_bits": 15}),
        ("9040 aa 01", {"picture_id": None, "tl0picidx": 170}),
        ("9020 40 01", {"temporal": 1, "switching_point": False}),
        ("9020 a0 01", {"temporal": 2, "switching_point": True}),
        ("9020 00 000000 9d012a", {"temporal": 0, "switching_point": True, "is_keyframe": True}),
        ("9010 9f 01", {"temporal": 0, "keyidx": 31, "switching_point": True}),
        ("90f0 8001 02 e5 01", {"picture_id": 1, "tl0picidx": 2, "temporal": 3, "switching_point": True, "keyidx": 5}),
        ("9000 01", {"picture_id": None, "tl0picidx": None, "temporal": 0}),
    ],
)
def test_vp8_descriptor(payload: bytes | str, expected: dict[str, object]) -> None:
    data = payload if isinstance(payload, bytes) else unhex(payload)
    info = info_of(Codec.VP8, data)
    assert {name: getattr(info, name) for name in expected} == expected


@pytest.mark.parametrize("head", ["10", "9080ffff", "908001", "90c0800102", "90f080010265", "903060", "9000"])
def test_vp8_truncated_at_each_byte(head: str) -> None:
    data = unhex(head)
    assert [accepts(Codec.VP8, data[:size]) for size in range(len(data) + 1)] == [False] * (len(data) + 1)
    assert accepts(Codec.VP8, data + b"\x01")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("90f0 8001 02 e5 0102030405", "90f0 9234 56 e5 0102030405"),
        ("90c0 8001 02 010203", "90c0 9234 56 010203"),
        ("9080 01 010203", "9080 34 010203"),
        ("9040 01 010203", "9040 56 010203"),
        ("9010 05 010203", "9010 05 010203"),
        ("9030 e5 01", "9030 e5 01"),
        ("9000 010203", "9000 010203"),
        ("10 0102030405060708", "10 0102030405060708"),
    ],
)
def test_rewrite_vp8(payload: str, expected: str) -> None:
    assert rewrite_vp8(unhex(payload), 0x1234, 0x56) == unhex(expected)


@given(st.binary(max_size=40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_rewrite_vp8_any_bytes(payload: bytes, picture_id: int, tl0picidx: int) -> None:
    before = describe(Codec.VP8, payload, False, None, CodecState())
    rewritten = rewrite_vp8(payload, picture_id, tl0picidx)
    assert len(rewritten) == len(payload)
    if before is None:
        return
    after = info_of(Codec.VP8, rewritten)
    assert after.picture_id == (None if before.picture_id is None else picture_id & (1 << before.picture_id_bits) - 1)
    assert after.tl0picidx == (None if before.tl0picidx is None else tl0picidx & 0xFF)
    for name in ("temporal", "switching_point", "keyidx", "is_keyframe", "starts_frame", "picture_id_bits"):
        assert getattr(after, name) == getattr(before, name)


# --- VP9 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("08 01", {"is_keyframe": True, "starts_frame": True, "ends_frame": False, "picture_id": None}),
        ("0c 01", {"is_keyframe": True, "ends_frame": True}),
        ("04 01", {"is_keyframe": False, "starts_frame": False, "ends_frame": True}),
        ("48 01", {"is_keyframe": False, "spatial_switching_point": False}),
        ("88 7f 01", {"picture_id": 127, "picture_id_bits": 7}),
        ("88 ffff 01", {"picture_id": 32767, "picture_id_bits": 15}),
        ("28 00 09 01", {"tl0picidx": 9, "temporal": 0, "spatial": 0, "is_keyframe": True, "switching_point": True}),
        ("28 02 09 01", {"spatial": 1, "is_keyframe": False, "spatial_switching_point": True}),
        ("68 03 09 01", {"spatial": 1, "inter_layer_predicted": True, "spatial_switching_point": False}),
        ("68 50 09 01", {"temporal": 2, "switching_point": True}),
        ("68 40 09 01", {"temporal": 2, "switching_point": False}),
        ("38 00 01", {"tl0picidx": None, "is_keyframe": True}),  # flexible, not predicted: no P_DIFF
        ("78 00 02 01", {"tl0picidx": None, "is_keyframe": False}),
        ("78 00 03 05 06 01", {"is_keyframe": False}),
        ("0a 18 0140 00b4 00 01", {"is_keyframe": True}),
        ("0a 08 02 04 01 00 01", {"is_keyframe": True}),
        ("ba 8001 12 58 014000b4 028001e0 05000300 00 01", {"spatial": 1}),
        ("20 0e 00 01", {"spatial": 7}),
    ],
)
def test_vp9_descriptor(payload: str, expected: dict[str, object]) -> None:
    info = info_of(Codec.VP9, unhex(payload))
    assert {name: getattr(info, name) for name in expected} == expected


@pytest.mark.parametrize(
    "head",
    ["0c", "8cffff", "8c7f", "2c0009", "a8800102 09", "7c000304", "0a10014000b4", "0a18014000b40100", "0a0802040100"],
)
def test_vp9_truncated_at_each_byte(head: str) -> None:
    data = unhex(head)
    assert [accepts(Codec.VP9, data[:size]) for size in range(len(data) + 1)] == [False] * (len(data) + 1)
    assert accepts(Codec.VP9, data + b"\x01")


def test_vp9_more_than_three_references() -> None:
    assert accepts(Codec.VP9, unhex("58 03 05 06 01"))
    assert not accepts(Codec.VP9, unhex("58 03 05 07 08 01"))


def test_vp9_fifty_layers_are_a_lie_that_has_no_room() -> None:
    assert not accepts(Codec.VP9, unhex("0a f8 ff") + bytes(20))


@given(st.binary(max_size=40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_rewrite_vp9_any_bytes(payload: bytes, picture_id: int, tl0picidx: int) -> None:
    before = describe(Codec.VP9, payload, False, None, CodecState())
    rewritten = rewrite_vp9(payload, picture_id, tl0picidx)
    assert len(rewritten) == len(payload)
    if before is None:
        return
    after = info_of(Codec.VP9, rewritten)
    if before.picture_id is None:
        assert rewritten == payload
        return
    assert after.picture_id == picture_id & (1 << before.picture_id_bits) - 1
    assert after.tl0picidx == (None if before.tl0picidx is None else tl0picidx & 0xFF)
    for name in ("temporal", "spatial", "is_keyframe", "starts_frame", "ends_frame", "picture_id_bits"):
        assert getattr(after, name) == getattr(before, name)


# --- H264 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "keyframe", "starts"),
    [
        ("67 42", True, True),
        ("65 88", True, True),
        ("65 08", False, True),
        ("68 ce", False, True),
        ("41 9a", False, True),
        ("09 f0", False, True),
        ("78 0002 6742 0002 68ce", True, True),
        ("78 0002 68ce 0002 6588", True, True),
        ("78 0002 09f0 0002 419a", False, True),
        ("7c 85 88", True, True),
        ("7c 05 88", False, False),
        ("7c 45 88", False, False),
        ("7c 87 42", True, True),
        ("7c 81 9a", False, True),
    ],
)
def test_h264_payload(payload: str, keyframe: bool, starts: bool) -> None:
    info = info_of(Codec.H264, unhex(payload), True)
    assert (info.is_keyframe, info.starts_frame, info.ends_frame) == (keyframe, starts, True)
    assert info.switching_point


@pytest.mark.parametrize(
    "payload",
    ["", "67", "60", "79 0000", "7a 0000", "7b 0000", "7d 85 88", "7e 00", "7f 00", "7c", "7c 85", "78", "78 00",
     "78 0000", "78 0003 6742", "78 0002 6742 00", "78 0002 6742 0001", "78 ffff 6742"],
)  # fmt: skip
def test_h264_malformed(payload: str) -> None:
    assert not accepts(Codec.H264, unhex(payload))


# --- the rest --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.RED, Codec.OTHER])
@pytest.mark.parametrize("payload", [b"", b"\0", b"anything"])
def test_every_packet_is_a_keyframe(codec: Codec, payload: bytes) -> None:
    info = info_of(codec, payload)
    assert info.is_keyframe
    assert info.starts_frame
    assert info.ends_frame
    assert (info.spatial, info.temporal) == (0, 0)


@pytest.mark.parametrize("codec", list(Codec))
@given(payload=st.binary(max_size=64), marker=st.booleans(), dd=st.none() | st.binary(max_size=40))
def test_any_bytes(codec: Codec, payload: bytes, marker: bool, dd: bytes | None) -> None:
    state = CodecState()
    for _ in range(2):
        info = describe(codec, payload, marker, dd, state)
        if info is not None:
            assert info.ends_picture == marker or codec in (Codec.OPUS, Codec.RED, Codec.OTHER)
            assert 0 <= info.spatial <= 7
            assert 0 <= info.temporal <= 7


@pytest.mark.parametrize("name", ["vp8", "vp9", "h264", "av1"])
def test_real_payloads_cut_at_every_byte(name: str) -> None:
    picture = packetize.encode(name)[0]
    packetizer = {
        "vp8": lambda: packetize.vp8(picture, 1, 1),
        "vp9": lambda: packetize.vp9(picture, 1, 1),
        "h264": lambda: packetize.h264(picture),
        "av1": lambda: packetize.av1(picture),
    }[name]
    for payload, marker in packetizer()[:3]:
        for size in range(len(payload)):
            describe(Codec(name), payload[:size], marker, None, CodecState())


# --- RED -------------------------------------------------------------------------------------------------


def build_red(blocks: list[tuple[int, int, bytes]], primary_type: int, primary: bytes) -> bytes:
    """RFC 2198 §3."""
    head = b"".join(
        bytes((0x80 | kind,)) + (offset << 10 | len(data)).to_bytes(3, "big") for kind, offset, data in blocks
    )
    return head + bytes((primary_type,)) + b"".join(data for _, _, data in blocks) + primary


red_blocks = st.lists(st.tuples(st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=60)), max_size=5)


@given(red_blocks, st.integers(0, 127), st.binary(max_size=60))
def test_red_round_trip(blocks: list[tuple[int, int, bytes]], primary_type: int, primary: bytes) -> None:
    data = build_red(blocks, primary_type, primary)
    assert red.parse(data) == [*blocks, (primary_type, 0, primary)]
    assert red.primary(data) == primary
    minimum = len(data) - len(primary)
    for size in range(len(data)):
        assert (red.parse(data[:size]) is not None) == (size >= minimum)
        assert red.primary(data[:size]) == (primary[: size - minimum] if size >= minimum else None)


@given(st.binary(max_size=80))
def test_red_any_bytes(data: bytes) -> None:
    blocks = red.parse(data)
    assert red.primary(data) == (None if blocks is None else blocks[-1].data)


@pytest.mark.parametrize("payload", ["", "ef", "ef0000", "ef000001", "ef00000163", "ef0003ff6f" + "00" * 1022])
def test_red_that_lies(payload: str) -> None:
    assert red.parse(unhex(payload)) is None
    assert red.primary(unhex(payload)) is None
