"""RTCP: compound packets in and out (RFC 3550 §6, RFC 4585, RFC 5104, RFC 5506, draft-alvestrand-rmcat-remb-03,
RFC 8888).

`parse_compound` returns None when the framing lies (version, lengths, too many sub-packets): drop the datagram as
malformed. Inside sound framing, a sub-packet of a known type whose body lies becomes `Skipped(malformed=True)`, an
unknown type `Skipped(malformed=False)`, and its neighbours count. Nothing raises. Builders return single packets
that are concatenated into a compound; their arguments are trusted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sfu.engine.reference.congestion_feedback import CongestionFeedback, parse_congestion_feedback
from sfu.engine.reference.ntp import ns_to_short, ntp_add_ns, ntp_diff_ns, ntp_short
from sfu.engine.reference.transport_feedback import (
    TransportFeedback,
    build_transport_feedback,
    parse_transport_feedback,
)

__all__ = [
    "CongestionFeedback",
    "TransportFeedback",
    "build_transport_feedback",
    "ns_to_short",
    "ntp_add_ns",
    "ntp_diff_ns",
    "ntp_short",
]

MAX_SUB_PACKETS = 64
"""Sub-packets of one compound; more is malformed. Reports and names of many streams may share 1,500 bytes: 57."""
MAX_NACK_SEQS = 1024
"""Sequence numbers taken from all NACKs of one compound; the rest is ignored."""
MAX_REPORT_BLOCKS = 31

PT_SR, PT_RR, PT_SDES, PT_BYE = 200, 201, 202, 203
PT_RTPFB, PT_PSFB = 205, 206
_FMT_NACK, _FMT_CCFB, _FMT_TWCC = 1, 11, 15
_FMT_PLI, _FMT_FIR, _FMT_AFB = 1, 4, 15
_SDES_CNAME = 1
_REMB_MANTISSA_BITS = 18
_MAX_REMB_BPS = (1 << 63) - 1

_HEADER = struct.Struct("!BBH")
_SSRC = struct.Struct("!I")
_FEEDBACK = struct.Struct("!II")
_SENDER_INFO = struct.Struct("!IQIII")
_REPORT_BLOCK = struct.Struct("!IIIIII")
_NACK_ITEM = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """RFC 3550 §6.4.1. `lsr` and `dlsr` in 1/65536 s, 0 when unknown; `jitter` in timestamp units."""

    ssrc: int
    fraction_lost: int
    packets_lost: int
    highest_seq: int
    jitter: int
    lsr: int
    dlsr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` is 64 bits: seconds since 1900 in 32.32 fixed point."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: Sequence[ReportBlock] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: Sequence[ReportBlock] = ()


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """`cname` None when the chunk has none; bytes that are not UTF-8 are replaced."""

    ssrc: int
    cname: str | None


@dataclass(frozen=True, slots=True)
class Sdes:
    chunks: Sequence[SdesChunk]


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK (RFC 4585 §6.2.1); `seqs` as listed, PID and BLP expanded, without repeats."""

    sender_ssrc: int
    media_ssrc: int
    seqs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Pli:
    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class Fir:
    """Full intra request (RFC 5104 §4.3.1); entries are (media SSRC, command sequence number)."""

    sender_ssrc: int
    entries: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Remb:
    """Bitrates above 2^63 - 1 are malformed."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: Sequence[int]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sub-packet of an unknown type (XR, APP, other feedback), or of a known one whose body lies."""

    packet_type: int
    malformed: bool


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | Sdes
    | Bye
    | Nack
    | Pli
    | Fir
    | Remb
    | TransportFeedback
    | CongestionFeedback
    | Skipped
)


def parse_compound(data: bytes) -> list[RtcpPacket] | None:
    """The sub-packets of a decrypted compound (or reduced-size, RFC 5506) packet. None when the framing lies."""
    packets: list[RtcpPacket] = []
    position = 0
    size = len(data)
    nack_budget = MAX_NACK_SEQS
    while position < size:
        if position + 4 > size or len(packets) >= MAX_SUB_PACKETS:
            return None
        first, packet_type, words = _HEADER.unpack_from(data, position)
        end = position + 4 + (words << 2)
        if first & 0xC0 != 0x80 or end > size:
            return None
        packet = _parse_one(packet_type, first & 0x1F, data[position + 4 : end], bool(first & 0x20))
        if isinstance(packet, Nack):
            if len(packet.seqs) > nack_budget:
                packet = Nack(packet.sender_ssrc, packet.media_ssrc, packet.seqs[:nack_budget])
            nack_budget -= len(packet.seqs)
        packets.append(packet)
        position = end
    return packets or None


def _parse_one(packet_type: int, count: int, body: bytes, has_padding: bool) -> RtcpPacket:
    parser = _PARSERS.get(packet_type) or _FEEDBACK_PARSERS.get((packet_type, count))
    if parser is None:
        return Skipped(packet_type, malformed=False)
    if has_padding:
        padding = body[-1] if body else 0
        if padding == 0 or padding > len(body):
            return Skipped(packet_type, malformed=True)
        body = body[:-padding]
    return parser(body, count) or Skipped(packet_type, malformed=True)


def _parse_report_blocks(body: bytes, start: int, count: int) -> list[ReportBlock] | None:
    if start + count * _REPORT_BLOCK.size > len(body):
        return None
    blocks = []
    for position in range(start, start + count * _REPORT_BLOCK.size, _REPORT_BLOCK.size):
        ssrc, loss, highest_seq, jitter, lsr, dlsr = _REPORT_BLOCK.unpack_from(body, position)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest_seq, jitter, lsr, dlsr))
    return blocks


def _parse_sr(body: bytes, count: int) -> SenderReport | None:
    if len(body) < _SENDER_INFO.size:
        return None
    reports = _parse_report_blocks(body, _SENDER_INFO.size, count)
    if reports is None:
        return None
    ssrc, ntp, rtp_timestamp, packet_count, octet_count = _SENDER_INFO.unpack_from(body)
    return SenderReport(ssrc, ntp, rtp_timestamp, packet_count, octet_count, reports)


def _parse_rr(body: bytes, count: int) -> ReceiverReport | None:
    if len(body) < 4:
        return None
    reports = _parse_report_blocks(body, 4, count)
    return None if reports is None else ReceiverReport(_SSRC.unpack_from(body)[0], reports)


def _parse_sdes(body: bytes, count: int) -> Sdes | None:
    chunks = []
    position = 0
    for _ in range(count):
        if position + 4 > len(body):
            return None
        (ssrc,) = _SSRC.unpack_from(body, position)
        items = _parse_sdes_items(body, position + 4)
        if items is None:
            return None
        cname, position = items
        chunks.append(SdesChunk(ssrc, cname))
    return Sdes(chunks)


def _parse_sdes_items(body: bytes, position: int) -> tuple[str | None, int] | None:
    """(CNAME, where the next chunk starts). A chunk without its terminating null byte is malformed."""
    cname: str | None = None
    size = len(body)
    while position < size:
        item = body[position]
        if item == 0:
            following = (position + 4) & ~3
            return (cname, following) if following <= size else None
        if position + 2 > size:
            return None
        end = position + 2 + body[position + 1]
        if end > size:
            return None
        if item == _SDES_CNAME and cname is None:
            cname = body[position + 2 : end].decode("utf-8", "replace")
        position = end
    return None


def _parse_bye(body: bytes, count: int) -> Bye | None:
    if count << 2 > len(body):
        return None
    return Bye(struct.unpack_from(f"!{count}I", body))


def _parse_nack(body: bytes, _count: int) -> Nack | None:
    if len(body) < _FEEDBACK.size + _NACK_ITEM.size or len(body) & 3:
        return None
    sender_ssrc, media_ssrc = _FEEDBACK.unpack_from(body)
    # A dict keeps the order and drops repeats: an attacker's favourite.
    seqs: dict[int, None] = {}
    for position in range(_FEEDBACK.size, len(body), _NACK_ITEM.size):
        pid, blp = _NACK_ITEM.unpack_from(body, position)
        seqs[pid] = None
        while blp:
            low = blp & -blp
            seqs[(pid + low.bit_length()) & 0xFFFF] = None
            blp ^= low
        if len(seqs) >= MAX_NACK_SEQS:
            break
    return Nack(sender_ssrc, media_ssrc, list(seqs)[:MAX_NACK_SEQS])


def _parse_pli(body: bytes, _count: int) -> Pli | None:
    if len(body) < _FEEDBACK.size:
        return None
    return Pli(*_FEEDBACK.unpack_from(body))


def _parse_fir(body: bytes, _count: int) -> Fir | None:
    if len(body) < _FEEDBACK.size + 8 or len(body) & 7:
        return None
    entries = [
        (_SSRC.unpack_from(body, position)[0], body[position + 4]) for position in range(_FEEDBACK.size, len(body), 8)
    ]
    return Fir(_SSRC.unpack_from(body)[0], entries)


def _parse_afb(body: bytes, _count: int) -> Remb | Skipped | None:
    if body[8:12] != b"REMB":
        return Skipped(PT_PSFB, malformed=len(body) < 8)
    if len(body) < 16 or 16 + (body[12] << 2) > len(body):
        return None
    word = int.from_bytes(body[13:16], "big")
    bitrate_bps = (word & 0x3FFFF) << (word >> 18)
    if bitrate_bps > _MAX_REMB_BPS:
        return None
    return Remb(_SSRC.unpack_from(body)[0], bitrate_bps, struct.unpack_from(f"!{body[12]}I", body, 16))


def _parse_twcc(body: bytes, _count: int) -> TransportFeedback | None:
    return parse_transport_feedback(body)


def _parse_ccfb(body: bytes, _count: int) -> CongestionFeedback | None:
    return parse_congestion_feedback(body)


_PARSERS: Final[dict[int, Callable[[bytes, int], RtcpPacket | None]]] = {
    PT_SR: _parse_sr,
    PT_RR: _parse_rr,
    PT_SDES: _parse_sdes,
    PT_BYE: _parse_bye,
}
_FEEDBACK_PARSERS: Final[dict[tuple[int, int], Callable[[bytes, int], RtcpPacket | None]]] = {
    (PT_RTPFB, _FMT_NACK): _parse_nack,
    (PT_RTPFB, _FMT_CCFB): _parse_ccfb,
    (PT_RTPFB, _FMT_TWCC): _parse_twcc,
    (PT_PSFB, _FMT_PLI): _parse_pli,
    (PT_PSFB, _FMT_FIR): _parse_fir,
    (PT_PSFB, _FMT_AFB): _parse_afb,
}


# --- builders ---------------------------------------------------------------------------------------------


def _packet(count: int, packet_type: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, packet_type, len(body) >> 2) + body


def _report_blocks(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        _REPORT_BLOCK.pack(
            report.ssrc,
            report.fraction_lost << 24 | max(-0x800000, min(report.packets_lost, 0x7FFFFF)) & 0xFFFFFF,
            report.highest_seq,
            report.jitter,
            report.lsr,
            report.dlsr,
        )
        for report in reports
    )


def build_sr(report: SenderReport) -> bytes:
    """A sender report with at most 31 report blocks. Counters wrap at 32 bits."""
    info = _SENDER_INFO.pack(
        report.ssrc,
        report.ntp,
        report.rtp_timestamp,
        report.packet_count & 0xFFFF_FFFF,
        report.octet_count & 0xFFFF_FFFF,
    )
    return _packet(len(report.reports), PT_SR, info + _report_blocks(report.reports))


def build_rr(ssrc: int, reports: Sequence[ReportBlock]) -> bytes:
    """Receiver reports: one packet, or as many as 31 blocks each make."""
    head = _SSRC.pack(ssrc)
    groups = [reports[start : start + MAX_REPORT_BLOCKS] for start in range(0, len(reports), MAX_REPORT_BLOCKS)]
    return b"".join(_packet(len(group), PT_RR, head + _report_blocks(group)) for group in groups or [()])


def build_sdes(chunks: Iterable[tuple[int, str]]) -> bytes:
    """SDES with one CNAME per (ssrc, cname); at most 31 chunks, names of at most 255 bytes of UTF-8."""
    body = bytearray()
    count = 0
    for ssrc, cname in chunks:
        name = cname.encode()
        body += _SSRC.pack(ssrc) + bytes((_SDES_CNAME, len(name))) + name
        body += bytes(4 - len(body) % 4)
        count += 1
    return _packet(count, PT_SDES, bytes(body))


def build_nack(sender_ssrc: int, media_ssrc: int, seqs: Sequence[int]) -> bytes:
    """Generic NACK for `seqs` (16 bits, in rising order on the circle, not empty): PIDs with bitmaps of the next 16."""
    items: list[tuple[int, int]] = []
    for seq in seqs:
        if items:
            pid, blp = items[-1]
            distance = (seq - pid) & 0xFFFF
            if distance <= 16:
                items[-1] = (pid, blp | (1 << distance) >> 1)
                continue
        items.append((seq, 0))
    body = b"".join(_NACK_ITEM.pack(*item) for item in items)
    return _packet(_FMT_NACK, PT_RTPFB, _FEEDBACK.pack(sender_ssrc, media_ssrc) + body)


def build_pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    return _packet(_FMT_PLI, PT_PSFB, _FEEDBACK.pack(sender_ssrc, media_ssrc))


def build_remb(sender_ssrc: int, bitrate_bps: int, media_ssrc: int) -> bytes:
    """The bitrate rounded down to 18 bits (draft-alvestrand-rmcat-remb-03 §2.2)."""
    exponent = max(0, bitrate_bps.bit_length() - _REMB_MANTISSA_BITS)
    value = exponent << _REMB_MANTISSA_BITS | bitrate_bps >> exponent
    body = b"REMB" + bytes((1,)) + value.to_bytes(3, "big") + _SSRC.pack(media_ssrc)
    return _packet(_FMT_AFB, PT_PSFB, _FEEDBACK.pack(sender_ssrc, 0) + body)
