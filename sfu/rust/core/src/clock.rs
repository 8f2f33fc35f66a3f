//! What is due by the clock: requests for what is missing, replays, feedback, reports.

use crate::api::Event;
use crate::handles::Handles;
use crate::inbound::send_nack;
use crate::pacing;
use crate::replay::run_replays;
use crate::reports::run_reports;
use crate::routing;
use crate::rtcp::build_remb;
use crate::slots::{ForwarderSlot, TrackSlot, TransportSlot};
use crate::state::State;
use crate::transport::Transport;

/// Everything that is due, in the order of the handles.
pub(crate) fn run(state: &mut State, handles: &Handles, now_ns: i64) {
    for track in handles.tracks.slots() {
        run_track(state, now_ns, track);
    }
    run_replays(state, now_ns);
    for transport in handles.transports.slots() {
        run_transport(state, now_ns, transport);
    }
    routing::send_keyframe_requests(state, now_ns);
}

/// Layers that have stopped, and NACKs.
fn run_track(state: &mut State, now_ns: i64, slot: TrackSlot) {
    let Some(owner) = state.tracks.get(slot).map(|track| track.transport) else { return };
    if state.transports.get(owner).is_none_or(|one| one.is_failed) {
        return;
    }
    state.core.working_for = Some(owner);
    let streams = state.tracks.get(slot).map_or(0, |track| track.streams.len());
    if streams > 1 {
        routing::refresh_activity(state, now_ns, slot);
    }
    for layer in 0..streams {
        let stream = state.tracks.get(slot).and_then(|track| track.streams.get(layer)).copied();
        if let Some(stream) = stream
            && state.streams.get(stream).is_some_and(|stream| !stream.nack.is_empty())
        {
            send_nack(state, now_ns, stream, false);
            if state.streams.get(stream).is_some_and(|stream| !stream.nack.is_empty()) {
                state.core.want_clock();
            }
        }
    }
}

/// Transport-wide feedback, video that waits, probes, and reports.
fn run_transport(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let Some(transport) = state.transports.get_mut(slot).filter(|one| !one.is_failed) else { return };
    state.core.working_for = Some(slot);
    transport.work();
    if transport.arrivals.is_due(now_ns) {
        let (ours, theirs) = (transport.local_ssrc, transport.last_media_ssrc);
        for feedback in transport.arrivals.build(now_ns, ours, theirs) {
            transport.send_rtcp(&mut state.core, feedback);
        }
    }
    if let Some(at_ns) = transport.arrivals.wanted_by_ns() {
        state.core.want_clock_by(at_ns);
    }
    if let Some(limit_bps) = transport.brake.as_mut().and_then(|brake| brake.run(now_ns)) {
        let mut remb = Vec::new();
        build_remb(&mut remb, transport.local_ssrc, limit_bps.cast_unsigned(), transport.last_media_ssrc);
        transport.send_rtcp(&mut state.core, remb);
    }
    if let Some(line_bps) = transport.brake.as_mut().and_then(|brake| brake.take_news()) {
        let (transport, bitrate_bps) = (transport.handle, line_bps.cast_unsigned());
        state.core.events.push_back(Event::UplinkNarrowed { transport, bitrate_bps });
    }
    if state.transports.get(slot).is_some_and(Transport::has_pressing_brake) {
        state.core.want_clock();
    }
    pacing::run(state, now_ns, slot);
    run_estimator(state, now_ns, slot);
    run_reports(state, now_ns, slot);
}

/// Probes, and what the control plane has to know.
fn run_estimator(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let State { core, transports, forwarders, .. } = state;
    let Some(transport) = transports.get_mut(slot) else { return };
    let Some(packets) = transport.estimator.as_mut().map(|estimator| estimator.run(now_ns)) else { return };
    if transport.estimator.as_ref().is_some_and(|estimator| estimator.probe.is_running()) {
        core.want_clock();
    }
    if packets > 0 && transport.is_ready() {
        let can_carry = |slot: &&ForwarderSlot| {
            forwarders.get(**slot).is_some_and(|forwarder| forwarder.rtx_payload_type().is_some())
        };
        let carrier = transport.forwarders.iter().find(can_carry).copied();
        if let Some(carrier) = carrier.and_then(|slot| forwarders.get_mut(slot)) {
            carrier.send_padding(core, transport, now_ns, packets);
        }
    }
    if let Some(bitrate_bps) = transport.estimator.as_mut().and_then(|estimator| estimator.take_change(now_ns)) {
        core.events.push_back(Event::EstimateChanged { transport: transport.handle, bitrate_bps });
    }
}
