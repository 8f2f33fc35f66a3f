"""RTCP in and out: vectors, lies, round trips, and agreement with aiortc's parser."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import aiortc.rtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.reference import rtcp
from sfu.engine.reference.rtcp import (
    Bye,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    ReportBlock,
    Sdes,
    SdesChunk,
    SenderReport,
    Skipped,
)
from tests.engine import rtcp_wire

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rtcp.json").read_text())["compounds"]
BY_NAME = {vector["name"]: bytes.fromhex(vector["hex"]) for vector in VECTORS}

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
blocks = st.builds(ReportBlock, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32)


def only(data: bytes) -> rtcp.RtcpPacket:
    packets = rtcp.parse_compound(data)
    assert packets is not None
    assert len(packets) == 1
    return packets[0]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    packets = rtcp.parse_compound(bytes.fromhex(vector["hex"]))
    if vector["kinds"] is None:
        assert packets is None
        return
    assert packets is not None
    assert [
        type(packet).__name__ + ("!" if isinstance(packet, Skipped) and packet.malformed else "") for packet in packets
    ] == vector["kinds"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RR with one block", ReceiverReport(1, [ReportBlock(2, 128, -1, 65536, 3, 4, 255)])),
        ("SR", SenderReport(1, 0xE0000000_80000000, 2, 3, 255, [])),
        ("SDES", Sdes([SdesChunk(1, "abc")])),
        ("SDES chunk with no items", Sdes([SdesChunk(1, None)])),
        ("BYE with reason", Bye((1,))),
        ("NACK", Nack(1, 2, [100, 101, 102])),
        ("PLI", Pli(1, 2)),
        ("FIR", Fir(1, [(2, 7)])),
        ("REMB", Remb(1, 1000 << 4, (255,))),
    ],
)
def test_values(name: str, expected: rtcp.RtcpPacket) -> None:
    assert only(BY_NAME[name]) == expected


def test_sub_packets_are_capped() -> None:
    receiver_report = rtcp.build_rr(1, [])
    assert len(rtcp.parse_compound(receiver_report * rtcp.MAX_SUB_PACKETS) or []) == rtcp.MAX_SUB_PACKETS
    assert rtcp.parse_compound(receiver_report * (rtcp.MAX_SUB_PACKETS + 1)) is None
    assert rtcp.parse_compound(struct.pack("!BBH", 0x80, 207, 0) * 1000) is None


def test_nacks_are_capped_over_the_whole_compound() -> None:
    items = b"".join(struct.pack("!HH", 17 * index & 0xFFFF, 0xFFFF) for index in range(40))
    nack = rtcp_wire.packet(1, 205, struct.pack("!II", 1, 2) + items)
    one = only(nack)
    assert isinstance(one, Nack)
    assert one.seqs == list(range(680))
    packets = rtcp.parse_compound(nack * 3)
    assert packets is not None
    lengths = [len(packet.seqs) for packet in packets if isinstance(packet, Nack)]
    assert lengths == [680, rtcp.MAX_NACK_SEQS - 680, 0]


def test_a_nack_that_repeats_itself_is_one() -> None:
    nack = rtcp_wire.packet(1, 205, struct.pack("!II", 1, 2) + struct.pack("!HH", 65535, 0x0001) * 300)
    assert only(nack) == Nack(1, 2, [65535, 0])


@pytest.mark.parametrize(
    ("seqs", "items"),
    [
        ([5], [(5, 0)]),
        ([5, 6, 21], [(5, 0x8001)]),
        ([5, 22], [(5, 0), (22, 0)]),
        ([0xFFFF, 0, 15, 16], [(0xFFFF, 0x8001), (16, 0)]),
        ([5, 5], [(5, 0)]),
    ],
)
def test_nack_items(seqs: list[int], items: list[tuple[int, int]]) -> None:
    data = rtcp.build_nack(1, 2, seqs)
    assert list(struct.iter_unpack("!HH", data[12:])) == items


@given(u32, u32, u16, st.lists(st.integers(0, 40), max_size=60))
def test_nack_round_trip(sender: int, media: int, start: int, steps: list[int]) -> None:
    seqs = [start]
    for step in steps:
        seqs.append((seqs[-1] + step + 1) & 0xFFFF)
    assert only(rtcp.build_nack(sender, media, seqs)) == Nack(sender, media, seqs)


@given(u32, st.integers(0, (1 << 64) - 1), u32, u32, u32, st.lists(blocks, max_size=31))
def test_sender_report_round_trip(
    ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, reports: list[ReportBlock]
) -> None:
    report = SenderReport(ssrc, ntp, timestamp, packets, octets, reports)
    assert only(rtcp.build_sr(report)) == report


def test_counters_wrap_and_loss_saturates() -> None:
    wrapped = only(rtcp.build_sr(SenderReport(1, 2, 3, (1 << 32) + 4, (1 << 40) + 5)))
    assert wrapped == SenderReport(1, 2, 3, 4, 5, [])
    for lost, expected in ((1 << 30, 0x7FFFFF), (-(1 << 30), -0x800000)):
        parsed = only(rtcp.build_rr(1, [ReportBlock(1, 255, lost, 0, 0, 0, 0)]))
        assert isinstance(parsed, ReceiverReport)
        assert parsed.reports[0].packets_lost == expected


@given(u32, st.lists(blocks, max_size=70))
def test_receiver_reports_split_at_31_blocks(ssrc: int, reports: list[ReportBlock]) -> None:
    packets = rtcp.parse_compound(rtcp.build_rr(ssrc, reports))
    assert packets is not None
    assert len(packets) == max(1, -(-len(reports) // 31))
    found: list[ReportBlock] = []
    for packet in packets:
        assert isinstance(packet, ReceiverReport)
        assert packet.ssrc == ssrc
        found += packet.reports
    assert found == reports


@given(st.lists(st.tuples(u32, st.text(max_size=60)), max_size=31))
def test_sdes_round_trip(chunks: list[tuple[int, str]]) -> None:
    assert only(rtcp.build_sdes(chunks)) == Sdes([SdesChunk(ssrc, cname) for ssrc, cname in chunks])


@given(u32, u32, st.lists(st.tuples(u32, u8), min_size=1, max_size=20), st.lists(u32, max_size=31))
def test_pli_fir_bye_round_trip(sender: int, media: int, entries: list[tuple[int, int]], ssrcs: list[int]) -> None:
    compound = rtcp.build_pli(sender, media) + rtcp_wire.fir(sender, entries) + rtcp_wire.bye(ssrcs)
    assert rtcp.parse_compound(compound) == [Pli(sender, media), Fir(sender, entries), Bye(tuple(ssrcs))]


@given(u32, st.integers(0, (1 << 18) - 1), st.integers(0, 63), st.lists(u32, max_size=255))
def test_remb_is_exact_or_refused(sender: int, mantissa: int, exponent: int, ssrcs: list[int]) -> None:
    parsed = only(rtcp_wire.remb(sender, mantissa, exponent, ssrcs))
    if mantissa << exponent < 1 << 63:
        assert parsed == Remb(sender, mantissa << exponent, tuple(ssrcs))
    else:
        assert parsed == Skipped(206, malformed=True)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    rtcp.parse_compound(data)


@given(
    st.lists(
        st.tuples(st.integers(0, 31), st.sampled_from((200, 201, 202, 203, 205, 206, 207)), st.binary(max_size=80)),
        max_size=12,
    )
)
def test_any_bodies_in_sound_framing(parts: list[tuple[int, int, bytes]]) -> None:
    """The framing is sound, so every sub-packet has a result, and none takes its neighbour along."""
    data = b"".join(rtcp_wire.packet(count, kind, body + bytes(-len(body) % 4)) for count, kind, body in parts)
    packets = rtcp.parse_compound(data)
    assert len(packets or []) == len(parts)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_every_truncation(name: str) -> None:
    data = BY_NAME[name]
    for size in range(len(data)):
        rtcp.parse_compound(data[:size])
        # With the length corrected the body itself is cut.
        if size >= 4 and size % 4 == 0:
            fixed = data[:2] + struct.pack("!H", size // 4 - 1) + data[4:size]
            assert rtcp.parse_compound(fixed) is not None or data[0] >> 6 != 2


def test_aiortc_reads_the_same() -> None:
    """aiortc's parser is an independent implementation."""
    block = ReportBlock(7, 3, 9, 10, 11, 12, 13)
    compound = (
        rtcp.build_sr(SenderReport(1, 2 << 32, 3, 4, 5, [block]))
        + rtcp.build_sdes([(1, "name"), (2, "four"), (3, "x")])
        + rtcp.build_rr(1, [block, block])
        + rtcp.build_nack(1, 2, [65500, 65501, 65511, 65530])
        + rtcp.build_pli(1, 2)
    )
    sr, sdes, rr, nack, pli = aiortc.rtp.RtcpPacket.parse(compound)
    assert (sr.ssrc, sr.sender_info.ntp_timestamp, sr.sender_info.rtp_timestamp) == (1, 2 << 32, 3)
    assert (sr.sender_info.packet_count, sr.sender_info.octet_count) == (4, 5)
    for report in (sr.reports[0], *rr.reports):
        assert (report.ssrc, report.fraction_lost, report.packets_lost) == (7, 3, 9)
        assert (report.highest_sequence, report.jitter, report.lsr, report.dlsr) == (10, 11, 12, 13)
    assert [(chunk.ssrc, dict(chunk.items)[1]) for chunk in sdes.chunks] == [(1, b"name"), (2, b"four"), (3, b"x")]
    assert (nack.fmt, nack.ssrc, nack.media_ssrc, nack.lost) == (1, 1, 2, [65500, 65501, 65511, 65530])
    assert (pli.fmt, pli.ssrc, pli.media_ssrc) == (1, 1, 2)
    assert len(rtcp.parse_compound(b"".join(bytes(packet) for packet in (sr, sdes, rr, nack, pli))) or []) == 5


def test_ntp_time() -> None:
    second = 1 << 32
    assert rtcp.ntp_add_ns(5 * second, 1_500_000_000) == 6 * second + second // 2
    assert rtcp.ntp_add_ns((1 << 64) - second, 2_000_000_000) == second
    assert rtcp.ntp_diff_ns(6 * second + second // 2, 5 * second) == 1_500_000_000
    assert rtcp.ntp_diff_ns(second, (1 << 64) - second) == 2_000_000_000
    assert rtcp.ntp_diff_ns(5 * second, 6 * second) == -1_000_000_000
    assert rtcp.ntp_short(0x11112222_33334444) == 0x2222_3333
    assert rtcp.ns_to_short(1_500_000_000) == 0x18000
    assert rtcp.ns_to_short(10**18) == 0xFFFF_FFFF
