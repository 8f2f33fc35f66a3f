"""RTCP from peers: what publishers report and what subscribers ask for."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.engine.api import RembReceived
from sfu.engine.reference import routing
from sfu.engine.reference.rtcp import (
    CongestionFeedback,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    TransportFeedback,
    parse_compound,
)
from sfu.engine.reference.state import State
from sfu.engine.reference.stream import SenderReportReceived
from sfu.engine.reference.transport import Transport
from sfu.engine.reference.transport_feedback import count_congestion_feedback


def handle_rtcp(state: State, now_ns: int, transport: Transport, data: bytes) -> None:
    """One datagram that looks like SRTCP. Whatever it names that is not this transport's own is ignored."""
    drops = state.core.drops
    rx = transport.rx
    if rx is None:
        drops["no_keys"] += 1
        return
    if not transport.packet_bucket.allows(now_ns, 1):
        drops["policed"] += 1
        return
    compound = rx.unprotect_rtcp(data)
    if compound is None:
        drops[rx.rtcp_failure] += 1
        return
    transport.packet_bucket.take(1)
    feedback = count_congestion_feedback(compound)
    if feedback:
        if not transport.feedback_bucket.allows(now_ns, feedback):
            drops["feedback_limited"] += 1
            return
        transport.feedback_bucket.take(feedback)
    packets = parse_compound(compound)
    if packets is None:
        drops["malformed"] += 1
        return
    for packet in packets:
        _take_packet(state, now_ns, transport, packet)
    routing.send_keyframe_requests(state, now_ns)


def _take_packet(state: State, now_ns: int, transport: Transport, packet: RtcpPacket) -> None:
    if isinstance(packet, SenderReport):
        _take_sender_report(state, now_ns, transport, packet)
        _take_report_blocks(state, now_ns, transport, packet.reports)
    elif isinstance(packet, ReceiverReport):
        _take_report_blocks(state, now_ns, transport, packet.reports)
    elif isinstance(packet, Nack):
        handle = transport.forwarders_by_ssrc.get(packet.media_ssrc)
        if handle is not None:
            state.forwarders[handle].handle_nack(state.core, transport, now_ns, packet.seqs)
    elif isinstance(packet, Pli):
        _want_keyframe(state, transport, packet.media_ssrc)
    elif isinstance(packet, Fir):
        for ssrc in dict.fromkeys(ssrc for ssrc, _ in packet.entries):
            _want_keyframe(state, transport, ssrc)
    elif isinstance(packet, Remb):
        _take_remb(state, transport, packet)
    elif isinstance(packet, TransportFeedback) and transport.estimator is not None:
        transport.estimator.handle_feedback(now_ns, packet.received)
        state.core.want_clock()
    elif isinstance(packet, CongestionFeedback):
        transport.take_congestion_feedback(now_ns, packet)
        state.core.want_clock()


def _take_remb(state: State, transport: Transport, remb: Remb) -> None:
    if not remb.ssrcs or any(ssrc in transport.forwarders_by_ssrc for ssrc in remb.ssrcs):
        transport.remb_bps = remb.bitrate_bps
        state.core.events.append(RembReceived(transport.handle, remb.bitrate_bps))


def _take_sender_report(state: State, now_ns: int, transport: Transport, report: SenderReport) -> None:
    binding = transport.bindings.get(report.ssrc)
    if binding is None or binding.is_rtx:
        return
    stream = state.streams[binding.stream]
    if stream.ssrc == report.ssrc:
        stream.sender_report = SenderReportReceived(report.ntp, report.rtp_timestamp, now_ns)


def _take_report_blocks(state: State, now_ns: int, transport: Transport, blocks: Sequence[ReportBlock]) -> None:
    for block in blocks:
        handle = transport.forwarders_by_ssrc.get(block.ssrc)
        if handle is not None:
            state.forwarders[handle].reports.received(now_ns, block)


def _want_keyframe(state: State, transport: Transport, ssrc: int) -> None:
    """A subscriber asks for a keyframe of what it gets as `ssrc`."""
    handle = transport.forwarders_by_ssrc.get(ssrc)
    if handle is None:
        return
    forwarder = state.forwarders[handle]
    forwarder.plis_received += 1
    stream = forwarder.desired if forwarder.current is None else forwarder.current
    if stream is not None:
        routing.want_keyframe(state, state.streams[stream], is_asked=True)
