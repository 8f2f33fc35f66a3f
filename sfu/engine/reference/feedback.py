"""RTCP from peers: what publishers report and what subscribers ask for."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.engine.api import RembReceived
from sfu.engine.reference import routing
from sfu.engine.reference.core import Core
from sfu.engine.reference.forwarder import Forwarder
from sfu.engine.reference.rtcp import (
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    ReportBlock,
    SenderReport,
    parse_compound,
)
from sfu.engine.reference.stream import SenderReportReceived
from sfu.engine.reference.transport import Transport


def handle_rtcp(core: Core, now_ns: int, transport: Transport, data: bytes) -> None:
    """One datagram that looks like SRTCP. Whatever it names that is not this transport's own is ignored."""
    rx = transport.rx
    if rx is None:
        core.drops["no_keys"] += 1
        return
    if not transport.packet_bucket.allows(now_ns, 1):
        core.drops["policed"] += 1
        return
    compound = rx.unprotect_rtcp(data)
    if compound is None:
        core.drops[rx.rtcp_failure] += 1
        return
    transport.packet_bucket.take(1)
    packets = parse_compound(compound)
    if packets is None:
        core.drops["malformed"] += 1
        return
    for packet in packets:
        if isinstance(packet, SenderReport):
            _take_sender_report(now_ns, transport, packet)
            _take_report_blocks(now_ns, transport, packet.reports)
        elif isinstance(packet, ReceiverReport):
            _take_report_blocks(now_ns, transport, packet.reports)
        elif isinstance(packet, Nack):
            forwarder = transport.forwarders_by_ssrc.get(packet.media_ssrc)
            if forwarder is not None:
                forwarder.handle_nack(now_ns, packet.seqs)
        elif isinstance(packet, Pli):
            _want_keyframe(core, transport.forwarders_by_ssrc.get(packet.media_ssrc))
        elif isinstance(packet, Fir):
            for ssrc in dict.fromkeys(ssrc for ssrc, _ in packet.entries):
                _want_keyframe(core, transport.forwarders_by_ssrc.get(ssrc))
        elif isinstance(packet, Remb):
            _take_remb(core, transport, packet)
    routing.send_keyframe_requests(core, now_ns)


def _take_remb(core: Core, transport: Transport, remb: Remb) -> None:
    if not remb.ssrcs or any(ssrc in transport.forwarders_by_ssrc for ssrc in remb.ssrcs):
        transport.remb_bps = remb.bitrate_bps
        core.events.append(RembReceived(transport.handle, remb.bitrate_bps))


def _take_sender_report(now_ns: int, transport: Transport, report: SenderReport) -> None:
    binding = transport.bindings.get(report.ssrc)
    if binding is not None and not binding.is_rtx and binding.stream.ssrc == report.ssrc:
        binding.stream.sender_report = SenderReportReceived(report.ntp, report.rtp_timestamp, now_ns)


def _take_report_blocks(now_ns: int, transport: Transport, blocks: Sequence[ReportBlock]) -> None:
    for block in blocks:
        forwarder = transport.forwarders_by_ssrc.get(block.ssrc)
        if forwarder is not None:
            forwarder.reports.received(now_ns, block)


def _want_keyframe(core: Core, forwarder: Forwarder | None) -> None:
    if forwarder is None:
        return
    forwarder.plis_received += 1
    stream = forwarder.current or forwarder.desired
    if stream is not None:
        routing.want_keyframe(core, stream, is_asked=True)
