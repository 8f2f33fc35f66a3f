"""AV1 aggregation headers and the dependency descriptor."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.api import Codec
from sfu.engine.reference.codecs import CodecState, FrameInfo, describe
from sfu.engine.reference.dependency_descriptor import parse_dependency_descriptor
from tests.engine import dd_writer
from tests.engine.dd_writer import L1T3, L2T2, Frame, FrameTemplate, Structure

PAYLOAD = b"\x10\x30data"
"""W 1, one frame OBU."""


def describe_av1(payload: bytes, dd: bytes | None = None, state: CodecState | None = None) -> FrameInfo | None:
    return describe(Codec.AV1, payload, False, dd, state or CodecState())


def follow(frames: list[tuple[Frame, bool]], structure: Structure) -> list[FrameInfo]:
    state = CodecState()
    infos = []
    for frame, attach in frames:
        info = describe_av1(PAYLOAD, dd_writer.write(frame, structure, attach=attach), state)
        assert info is not None
        infos.append(info)
    return infos


# --- aggregation header ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "keyframe", "starts"),
    [
        ("18 08aa", True, True),  # W 1, N, sequence header
        ("18 0aaa", True, True),  # with its size flag
        ("28 02 08aa 30bb", True, True),
        ("28 02 10aa 08bb", True, True),  # temporal delimiter in front
        ("38 02 08aa 01 30 30bb", True, True),
        ("08 02 08aa 02 30bb", True, True),  # W 0
        ("10 08aa", False, True),  # no N
        ("18 30aa", False, True),  # no sequence header
        ("90 08aa", False, False),  # continued: its first byte is no OBU header
        ("a0 02 08aa 08bb", False, False),
        ("50 30aa", False, True),
        ("08 8200 08aa", True, True),  # LEB128 with a needless byte
    ],
)
def test_aggregation_header(payload: str, keyframe: bool, starts: bool) -> None:
    info = describe_av1(bytes.fromhex(payload))
    assert info is not None
    assert (info.is_keyframe, info.starts_frame) == (keyframe, starts)


@pytest.mark.parametrize(
    "payload",
    ["", "10", "98 08aa", "20 05 08aa", "08 03 08aa", "08 80", "08 ffffffffffffffffff", "30 02 08aa",
     "30 01 08 05 08", "08 ff"],
)  # fmt: skip
def test_aggregation_lies(payload: str) -> None:
    assert describe_av1(bytes.fromhex(payload)) is None


# --- dependency descriptor --------------------------------------------------------------------------------


def test_layers_of_one_spatial_and_three_temporal() -> None:
    order = [(0, True), (3, False), (2, False), (4, False)] + [(1, False), (3, False), (2, False), (4, False)] * 2
    infos = follow([(Frame(template, n), attach) for n, (template, attach) in enumerate(order)], L1T3)
    assert [info.temporal for info in infos] == [0, 2, 1, 2] * 3
    assert [info.is_keyframe for info in infos] == [True] + [False] * 11
    assert [info.frame_number for info in infos] == list(range(12))
    # From the base layer up: the first T2 and the T1 after T0, and not the T2 that may need that T1.
    assert [info.switching_point for info in infos] == [True, True, True, False] * 3
    assert infos[0].active_decode_targets == 0b111
    assert infos[1].active_decode_targets is None


def test_only_the_first_frame_of_a_target_is_a_switching_point() -> None:
    frames = [(Frame(0, 0), True), (Frame(2, 2), False), (Frame(2, 3), False), (Frame(3, 4), False)]
    assert [info.switching_point for info in follow(frames, L1T3)] == [True, True, False, False]
    frames = [(Frame(0, 0), True), (Frame(3, 1), False), (Frame(3, 2), False), (Frame(2, 3), False)]
    assert [info.switching_point for info in follow(frames, L1T3)] == [True, True, False, True]


def test_no_switch_indication_no_switching_point() -> None:
    required = (dd_writer.REQUIRED,) * 3
    frames = [(Frame(0, 0), True), (Frame(3, 1), False), (Frame(1, 4, dtis=required), False), (Frame(3, 5), False)]
    assert [info.switching_point for info in follow(frames, L1T3)] == [True, True, True, False]


def test_spatial_layers() -> None:
    key = [(Frame(0, 10), True), (Frame(3, 11), False)]
    delta = [(Frame(1, 14), False), (Frame(4, 15), False), (Frame(2, 16), False), (Frame(5, 17), False)]
    # A frame of the higher layer that needs its own picture only: there one can join it.
    joining = [(Frame(1, 18), False), (Frame(4, 19, frame_diffs=(1,)), False)]
    # The nearest difference that leaves the picture: the higher layer of the picture before.
    staying = [(Frame(1, 20), False), (Frame(4, 21, frame_diffs=(1, 2)), False)]
    infos = follow(key + delta + joining + staying, L2T2)
    assert [(info.spatial, info.temporal) for info in infos] == [
        (0, 0), (1, 0), (0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 0), (0, 0), (1, 0),
    ]  # fmt: skip
    assert [info.is_keyframe for info in infos] == [True] + [False] * 9
    assert [info.spatial_switching_point for info in infos] == [True, True] + [False] * 5 + [True, False, False]


def test_packets_of_one_frame() -> None:
    frames = [
        (Frame(0, 0, start=True, end=False), True),
        (Frame(0, 0, start=False, end=False), False),
        (Frame(0, 0, start=False, end=True), False),
    ]
    infos = follow(frames, L1T3)
    assert [info.is_keyframe for info in infos] == [True, False, False]
    assert [info.starts_frame for info in infos] == [True, False, False]
    assert [info.ends_frame for info in infos] == [False, False, True]


def test_before_the_first_structure_nothing_is_known() -> None:
    state = CodecState()
    for dd in (dd_writer.write(Frame(3, 7), L1T3), dd_writer.write(Frame(3, 7, active_targets=3), L1T3)):
        info = describe_av1(PAYLOAD, dd, state)
        assert info is not None
        assert (info.is_keyframe, info.spatial, info.temporal, info.frame_number) == (False, 0, 0, 7)
        assert (info.starts_frame, info.ends_frame) == (True, True)
    assert state.structure is None


def test_a_template_of_another_structure_is_unknown() -> None:
    state = CodecState()
    assert describe_av1(PAYLOAD, dd_writer.write(Frame(0, 0), L1T3, attach=True), state)
    info = describe_av1(PAYLOAD, dd_writer.write(Frame(5, 1), L2T2), state)
    assert info is not None
    assert (info.spatial, info.temporal, info.is_keyframe) == (0, 0, False)
    assert state.structure is not None
    assert state.structure.id_offset == L1T3.id_offset


def test_an_attached_structure_without_its_own_template_is_a_lie() -> None:
    data = bytearray(dd_writer.write(Frame(0, 0), L1T3, attach=True))
    data[0] = data[0] & 0xC0 | 40
    assert parse_dependency_descriptor(bytes(data), None) is None


def test_an_encrypted_payload_is_not_looked_at() -> None:
    info = describe_av1(b"\xff\xff\xff", dd_writer.write(Frame(0, 0), L1T3, attach=True))
    assert info is not None
    assert info.is_keyframe


@pytest.mark.parametrize("structure", [L1T3, L2T2], ids=["L1T3", "L2T2"])
def test_truncated_at_each_byte(structure: Structure) -> None:
    data = dd_writer.write(Frame(0, 1, active_targets=1, frame_diffs=(1, 17, 300)), structure, attach=True)
    for size in range(len(data)):
        state = CodecState()
        info = describe_av1(PAYLOAD, data[:size], state)
        assert size == 3 or info is None
        assert state.structure is None


def test_fifty_spatial_layers() -> None:
    templates = [FrameTemplate(spatial, 0, (2,)) for spatial in range(50)]
    data = dd_writer.write(Frame(0, 1), Structure(1, templates), attach=True)
    assert parse_dependency_descriptor(data, None) is None


def test_temporal_layers_and_templates_have_a_limit() -> None:
    templates = [FrameTemplate(0, temporal, (2,)) for temporal in range(9)]
    assert parse_dependency_descriptor(dd_writer.write(Frame(0, 1), Structure(1, templates[:8]), attach=True), None)
    assert not parse_dependency_descriptor(dd_writer.write(Frame(0, 1), Structure(1, templates), attach=True), None)
    many = [FrameTemplate(0, 0, (2,)) for _ in range(65)]
    assert parse_dependency_descriptor(dd_writer.write(Frame(0, 1), Structure(1, many[:64]), attach=True), None)
    assert not parse_dependency_descriptor(dd_writer.write(Frame(0, 1), Structure(1, many), attach=True), None)


@st.composite
def structures(draw: st.DrawFn) -> Structure:
    target_count = draw(st.integers(1, 32))
    chain_count = draw(st.integers(0, min(target_count, 4)))
    layers = [(0, 0)]
    for step in draw(st.lists(st.integers(0, 2), max_size=20)):
        spatial, temporal = layers[-1]
        following = (spatial, temporal) if step == 0 else (spatial, temporal + 1) if step == 1 else (spatial + 1, 0)
        if following[0] <= 3 and following[1] <= 7:
            layers.append(following)
    dtis = st.lists(st.integers(0, 3), min_size=target_count, max_size=target_count)
    diffs = st.lists(st.integers(1, 16), max_size=4)
    chains = st.lists(st.integers(0, 15), min_size=chain_count, max_size=chain_count)
    return Structure(
        target_count,
        [FrameTemplate(spatial, temporal, draw(dtis), draw(diffs), draw(chains)) for spatial, temporal in layers],
        id_offset=draw(st.integers(0, 63)),
        chain_count=chain_count,
        protected_by=[draw(st.integers(0, chain_count - 1)) for _ in range(target_count)] if chain_count else (),
        resolutions=[(640, 360)] * (layers[-1][0] + 1) if draw(st.booleans()) else (),
    )


@given(st.data(), structures())
def test_what_is_written_is_read(data: st.DataObject, structure: Structure) -> None:
    dtis = st.lists(st.integers(0, 3), min_size=structure.target_count, max_size=structure.target_count)
    frame = Frame(
        data.draw(st.integers(0, len(structure.templates) - 1)),
        data.draw(st.integers(0, 0xFFFF)),
        start=data.draw(st.booleans()),
        end=data.draw(st.booleans()),
        active_targets=data.draw(st.none() | st.integers(0, (1 << structure.target_count) - 1)),
        dtis=data.draw(st.none() | dtis),
        frame_diffs=data.draw(st.none() | st.lists(st.integers(1, 4096), max_size=4)),
        chain_diffs=data.draw(st.none() | st.just([7] * structure.chain_count)),
    )
    attached = parse_dependency_descriptor(dd_writer.write(frame, structure, attach=True), None)
    assert attached is not None
    assert attached.structure is not None
    later = parse_dependency_descriptor(dd_writer.write(frame, structure), attached.structure)
    template = structure.templates[frame.template]
    everything = (1 << structure.target_count) - 1
    for parsed in (attached, later):
        assert parsed is not None
        assert (parsed.start_of_frame, parsed.end_of_frame, parsed.frame_number) == (
            frame.start,
            frame.end,
            frame.number,
        )
        assert (parsed.spatial, parsed.temporal) == (template.spatial, template.temporal)
        assert parsed.dtis == list(template.dtis if frame.dtis is None else frame.dtis)
        assert parsed.frame_diffs == list(template.frame_diffs if frame.frame_diffs is None else frame.frame_diffs)
        default = everything if parsed is attached else None
        assert parsed.active_decode_targets == (default if frame.active_targets is None else frame.active_targets)
    assert attached.attached_structure
    assert [(t.spatial, t.temporal, t.dtis) for t in attached.structure.templates] == [
        (t.spatial, t.temporal, list(t.dtis)) for t in structure.templates
    ]


def test_targets_are_derived_from_the_templates() -> None:
    parsed = parse_dependency_descriptor(dd_writer.write(Frame(0, 0), L2T2, attach=True), None)
    assert parsed is not None
    assert parsed.structure is not None
    assert parsed.structure.targets == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    descriptor = parse_dependency_descriptor(data, None)
    known = parse_dependency_descriptor(dd_writer.write(Frame(0, 0), L1T3, attach=True), None)
    assert known is not None
    again = parse_dependency_descriptor(data, known.structure)
    for parsed in (descriptor, again):
        if parsed is not None:
            assert parsed.spatial <= 3
            assert parsed.temporal <= 7


@given(st.binary(min_size=1, max_size=120), st.sampled_from((L1T3, dataclasses.replace(L2T2, chain_count=0))))
def test_any_bytes_behind_a_structure(tail: bytes, structure: Structure) -> None:
    """Flips in a sound descriptor reach deeper than random bytes do."""
    data = bytearray(dd_writer.write(Frame(0, 1, frame_diffs=(1, 20)), structure, attach=True))
    for index, byte in enumerate(tail):
        data[3 + (index * 7 + byte) % (len(data) - 3)] ^= byte
    parsed = parse_dependency_descriptor(bytes(data), None)
    if parsed is not None and parsed.structure is not None:
        assert len(parsed.structure.templates) <= 64
