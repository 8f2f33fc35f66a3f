//! RTCP from peers: what publishers report and what subscribers ask for.

use crate::api::{DropReason, Event};
use crate::routing;
use crate::rtcp::{ReportBlock, RtcpPacket, SenderReport, parse_compound};
use crate::slots::TransportSlot;
use crate::srtp::RtcpFailure;
use crate::state::State;
use crate::stream::SenderReportReceived;
use crate::transport_feedback::{REFERENCE_WRAP_NS, count_congestion_feedback};

/// One datagram that looks like SRTCP. Whatever it names that is not this transport's own is ignored.
pub(crate) fn handle_rtcp(state: &mut State, now_ns: i64, slot: TransportSlot, data: &[u8]) {
    match receive(state, now_ns, slot, data) {
        Err(reason) => state.core.drop_one(reason),
        Ok(packets) => {
            for packet in &packets {
                take_packet(state, now_ns, slot, packet);
            }
            routing::send_keyframe_requests(state, now_ns);
        }
    }
}

fn receive(state: &mut State, now_ns: i64, slot: TransportSlot, data: &[u8]) -> Result<Vec<RtcpPacket>, DropReason> {
    let transport = state.transports.get_mut(slot).ok_or(DropReason::UnknownPath)?;
    let rx = transport.rx.as_mut().ok_or(DropReason::NoKeys)?;
    if !transport.packet_bucket.allows(now_ns, 1) {
        return Err(DropReason::Policed);
    }
    let mut plain = data.to_vec();
    let size = rx.unprotect_rtcp(&mut plain).map_err(|failure| match failure {
        RtcpFailure::Malformed => DropReason::Malformed,
        RtcpFailure::Replayed => DropReason::Replayed,
        RtcpFailure::TooOld => DropReason::TooOld,
        RtcpFailure::AuthFailed => DropReason::AuthFailed,
    })?;
    transport.packet_bucket.take(1);
    let compound = plain.get(..size).ok_or(DropReason::Malformed)?;
    let feedback = count_congestion_feedback(compound);
    if feedback > 0 {
        if !transport.feedback_bucket.allows(now_ns, feedback) {
            return Err(DropReason::FeedbackLimited);
        }
        transport.feedback_bucket.take(feedback);
    }
    parse_compound(compound).ok_or(DropReason::Malformed)
}

fn take_packet(state: &mut State, now_ns: i64, slot: TransportSlot, packet: &RtcpPacket) {
    match packet {
        RtcpPacket::SenderReport(report) => {
            take_sender_report(state, now_ns, slot, report);
            take_report_blocks(state, now_ns, slot, &report.reports);
        }
        RtcpPacket::ReceiverReport { reports, .. } => take_report_blocks(state, now_ns, slot, reports),
        RtcpPacket::Nack { media_ssrc, seqs, .. } => {
            let State { core, transports, forwarders, .. } = state;
            let Some(transport) = transports.get_mut(slot) else { return };
            let forwarder = transport.forwarders_by_ssrc.get(media_ssrc).copied();
            if let Some(forwarder) = forwarder.and_then(|slot| forwarders.get_mut(slot)) {
                forwarder.handle_nack(core, transport, now_ns, seqs);
            }
        }
        RtcpPacket::Pli { media_ssrc, .. } => want_keyframe(state, slot, *media_ssrc),
        RtcpPacket::Fir { entries, .. } => {
            let mut asked = Vec::with_capacity(entries.len());
            for (ssrc, _) in entries {
                if !asked.contains(ssrc) {
                    asked.push(*ssrc);
                    want_keyframe(state, slot, *ssrc);
                }
            }
        }
        RtcpPacket::Remb { bitrate_bps, ssrcs, .. } => take_remb(state, slot, *bitrate_bps, ssrcs),
        RtcpPacket::TransportFeedback(feedback) => {
            if let Some(estimator) = state.transports.get_mut(slot).and_then(|one| one.estimator.as_mut()) {
                estimator.handle_feedback(now_ns, &feedback.received, REFERENCE_WRAP_NS, &[]);
                state.core.want_clock();
            }
        }
        RtcpPacket::CongestionFeedback(feedback) => {
            if let Some(transport) = state.transports.get_mut(slot) {
                transport.take_congestion_feedback(now_ns, &feedback.received);
                state.core.want_clock();
            }
        }
        RtcpPacket::Sdes(_) | RtcpPacket::Bye(_) | RtcpPacket::Skipped { .. } => (),
    }
}

fn take_remb(state: &mut State, slot: TransportSlot, bitrate_bps: u64, ssrcs: &[u32]) {
    let Some(transport) = state.transports.get_mut(slot) else { return };
    if ssrcs.is_empty() || ssrcs.iter().any(|ssrc| transport.forwarders_by_ssrc.contains_key(ssrc)) {
        transport.remb_bps = Some(bitrate_bps);
        state.core.events.push_back(Event::RembReceived { transport: transport.handle, bitrate_bps });
    }
}

fn take_sender_report(state: &mut State, now_ns: i64, slot: TransportSlot, report: &SenderReport) {
    let Some(transport) = state.transports.get(slot) else { return };
    let Some(binding) = transport.bindings.get(&report.ssrc).filter(|binding| !binding.is_rtx) else { return };
    if let Some(stream) = state.streams.get_mut(binding.stream)
        && stream.ssrc == Some(report.ssrc)
    {
        stream.sender_report =
            Some(SenderReportReceived { ntp: report.ntp, rtp_timestamp: report.rtp_timestamp, arrived_at_ns: now_ns });
    }
}

fn take_report_blocks(state: &mut State, now_ns: i64, slot: TransportSlot, blocks: &[ReportBlock]) {
    let Some(transport) = state.transports.get(slot) else { return };
    for block in blocks {
        let forwarder = transport.forwarders_by_ssrc.get(&block.ssrc).and_then(|slot| state.forwarders.get_mut(*slot));
        if let Some(forwarder) = forwarder {
            forwarder.reports.received(now_ns, block);
        }
    }
}

/// A subscriber asks for a keyframe of what it gets as `ssrc`.
fn want_keyframe(state: &mut State, slot: TransportSlot, ssrc: u32) {
    let forwarder = state.transports.get(slot).and_then(|transport| transport.forwarders_by_ssrc.get(&ssrc));
    let Some(forwarder) = forwarder.and_then(|slot| state.forwarders.get_mut(*slot)) else { return };
    forwarder.counters.plis_received += 1;
    if let Some(stream) = forwarder.current.or(forwarder.desired) {
        routing::want_keyframe(state, stream, true);
    }
}
