"""What leaves once a second per transport: receiver and sender reports (RFC 3550 §6.4), and the bitrates measured."""

from __future__ import annotations

from sfu.engine.reference.rtcp import build_rr, build_sdes, ns_to_short, ntp_short
from sfu.engine.reference.state import State
from sfu.engine.reference.transport import Transport

REPORT_INTERVAL_NS = 1_000_000_000
_MAX_COMPOUND_BYTES = 1_100
_MAX_REPORTS = 20
_SDES_CHUNK_BYTES = 10
"""SSRC, item header, terminator and padding of one name, at most."""
_SPREAD = 1_000


def run_reports(state: State, now_ns: int, transport: Transport) -> None:
    """Send the reports of `transport` when they are due. Transports are spread over the second by their SSRC."""
    due_ns = transport.next_report_at_ns
    if due_ns is None:
        transport.next_report_at_ns = now_ns + REPORT_INTERVAL_NS // _SPREAD * (1 + transport.local_ssrc % _SPREAD)
        return
    if now_ns < due_ns:
        return
    transport.next_report_at_ns = max(due_ns + REPORT_INTERVAL_NS, now_ns + REPORT_INTERVAL_NS // 2)
    _send_receiver_reports(state, now_ns, transport)
    _send_sender_reports(state, now_ns, transport)


def _send_sender_reports(state: State, now_ns: int, transport: Transport) -> None:
    """Several sender reports to a datagram, their names in one SDES behind them."""
    reports = b""
    names: list[tuple[int, str]] = []
    names_bytes = 0
    for handle in transport.forwarders:
        forwarder = state.forwarders[handle]
        forwarder.sample_bitrate()
        stream = None if forwarder.current is None else state.streams[forwarder.current]
        report = forwarder.build_sender_report(now_ns, stream)
        if not report:
            continue
        chunk_bytes = len(forwarder.config.cname.encode()) + _SDES_CHUNK_BYTES
        too_long = len(reports) + len(report) + names_bytes + chunk_bytes > _MAX_COMPOUND_BYTES
        if names and (too_long or len(names) == _MAX_REPORTS):
            transport.send_rtcp(state.core, reports + build_sdes(names))
            reports, names, names_bytes = b"", [], 0
        reports += report
        names.append((forwarder.ssrc, forwarder.config.cname))
        names_bytes += chunk_bytes
    if names:
        transport.send_rtcp(state.core, reports + build_sdes(names))


def _send_receiver_reports(state: State, now_ns: int, transport: Transport) -> None:
    blocks = []
    for handle in transport.tracks:
        for stream in state.streams_of(state.tracks[handle]):
            stream.sample_bitrate(now_ns)
            if stream.ssrc is None or stream.highest < 0:
                continue
            lsr = dlsr = 0
            report = stream.sender_report
            if report is not None:
                lsr = ntp_short(report.ntp)
                dlsr = ns_to_short(now_ns - report.arrived_at_ns)
            blocks.append(stream.reception.report(stream.ssrc, lsr, dlsr))
    if blocks:
        ssrc = transport.local_ssrc
        transport.send_rtcp(state.core, build_rr(ssrc, blocks) + build_sdes([(ssrc, f"{ssrc:08x}")]))
