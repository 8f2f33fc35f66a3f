"""What is due by the clock: requests for what is missing, replays, feedback, reports."""

from __future__ import annotations

from sfu.engine.api import EstimateChanged, UplinkNarrowed
from sfu.engine.reference import pacing, routing
from sfu.engine.reference.congestion.estimate import Estimator
from sfu.engine.reference.inbound import send_nack
from sfu.engine.reference.replay import run_replays
from sfu.engine.reference.reports import run_reports
from sfu.engine.reference.rtcp import build_remb
from sfu.engine.reference.state import State
from sfu.engine.reference.track import Track
from sfu.engine.reference.transport import Transport


def run(state: State, now_ns: int) -> None:
    """Everything that is due, in the order of the handles."""
    for track in state.tracks.values():
        _run_track(state, now_ns, track)
    run_replays(state, now_ns)
    for transport in state.transports.values():
        _run_transport(state, now_ns, transport)
    routing.send_keyframe_requests(state, now_ns)


def _run_track(state: State, now_ns: int, track: Track) -> None:
    """Layers that have stopped, and NACKs."""
    if state.transports[track.transport].is_failed:
        return
    state.core.working_for = track.transport
    if len(track.streams) > 1:
        routing.refresh_activity(state, now_ns, track)
    for slot in track.streams:
        stream = state.streams[slot]
        if stream.nack:
            send_nack(state, now_ns, stream, packet_followed=False)
            if stream.nack:
                state.core.want_clock()


def _run_transport(state: State, now_ns: int, transport: Transport) -> None:
    """Transport-wide feedback, video that waits, probes, and reports."""
    if transport.is_failed:
        return
    state.core.working_for = transport.handle
    transport.work()
    if transport.arrivals.is_due(now_ns):
        for feedback in transport.arrivals.build(now_ns, transport.local_ssrc, transport.last_media_ssrc):
            transport.send_rtcp(state.core, feedback)
    feedback_by_ns = transport.arrivals.wanted_by_ns()
    if feedback_by_ns is not None:
        state.core.want_clock_by(feedback_by_ns)
    if transport.brake is not None:
        limit_bps = transport.brake.run(now_ns)
        if limit_bps is not None:
            remb = build_remb(transport.local_ssrc, limit_bps, transport.last_media_ssrc)
            transport.send_rtcp(state.core, remb)
        line_bps = transport.brake.take_news()
        if line_bps is not None:
            state.core.events.append(UplinkNarrowed(transport.handle, line_bps))
        if transport.brake.is_pressing:
            state.core.want_clock()
    pacing.run(state, now_ns, transport)
    if transport.estimator is not None:
        _run_estimator(state, now_ns, transport, transport.estimator)
    run_reports(state, now_ns, transport)


def _run_estimator(state: State, now_ns: int, transport: Transport, estimator: Estimator) -> None:
    """Probes, and what the control plane has to know."""
    packets = estimator.run(now_ns)
    if estimator.probe.is_running:
        state.core.want_clock()
    if packets and transport.is_ready:
        carriers = (state.forwarders[handle] for handle in transport.forwarders)
        carrier = next((one for one in carriers if one.rtx_payload_type() is not None), None)
        if carrier is not None:
            carrier.send_padding(state.core, transport, now_ns, packets)
    bitrate_bps = estimator.take_change(now_ns)
    if bitrate_bps is not None:
        state.core.events.append(EstimateChanged(transport.handle, bitrate_bps))
