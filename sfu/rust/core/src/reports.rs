//! What leaves once a second per transport: receiver and sender reports (RFC 3550 §6.4), and the bitrates measured.

use crate::rtcp::{build_rr, build_sdes, ns_to_short, ntp_short};
use crate::slots::{ForwarderSlot, TransportSlot};
use crate::state::State;

/// Time between two reports of a transport.
pub(crate) const REPORT_INTERVAL_NS: i64 = 1_000_000_000;
const MAX_COMPOUND_BYTES: usize = 1_100;
const MAX_REPORTS: usize = 20;
/// SSRC, item header, terminator and padding of one name, at most.
const SDES_CHUNK_BYTES: usize = 10;
const SPREAD: i64 = 1_000;

/// Send the reports of the transport in `slot` when they are due. Transports are spread over the second by their SSRC.
pub(crate) fn run_reports(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let Some(transport) = state.transports.get_mut(slot) else { return };
    let Some(due_ns) = transport.next_report_at_ns else {
        let share = 1 + i64::from(transport.local_ssrc) % SPREAD;
        transport.next_report_at_ns = Some(now_ns + REPORT_INTERVAL_NS / SPREAD * share);
        return;
    };
    if now_ns < due_ns {
        return;
    }
    transport.next_report_at_ns = Some((due_ns + REPORT_INTERVAL_NS).max(now_ns + REPORT_INTERVAL_NS / 2));
    send_receiver_reports(state, now_ns, slot);
    send_sender_reports(state, now_ns, slot);
}

/// Several sender reports to a datagram, their names in one SDES behind them.
fn send_sender_reports(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let Some(transport) = state.transports.get_mut(slot) else { return };
    let mut reports = Vec::new();
    let mut names: Vec<ForwarderSlot> = Vec::new();
    let mut names_bytes = 0;
    for forwarder_slot in transport.forwarders.clone() {
        let Some(forwarder) = state.forwarders.get_mut(forwarder_slot) else { continue };
        forwarder.sample_bitrate();
        let mut report = Vec::new();
        let stream = forwarder.current.and_then(|slot| state.streams.get(slot));
        forwarder.build_sender_report(now_ns, stream, &mut report);
        if report.is_empty() {
            continue;
        }
        let chunk_bytes = forwarder.config.cname.len() + SDES_CHUNK_BYTES;
        let is_too_long = reports.len() + report.len() + names_bytes + chunk_bytes > MAX_COMPOUND_BYTES;
        if !names.is_empty() && (is_too_long || names.len() == MAX_REPORTS) {
            send_named(state, slot, std::mem::take(&mut reports), &std::mem::take(&mut names));
            names_bytes = 0;
        }
        reports.extend_from_slice(&report);
        names.push(forwarder_slot);
        names_bytes += chunk_bytes;
    }
    if !names.is_empty() {
        send_named(state, slot, reports, &names);
    }
}

fn send_named(state: &mut State, slot: TransportSlot, mut compound: Vec<u8>, forwarders: &[ForwarderSlot]) {
    let configs = forwarders.iter().filter_map(|slot| state.forwarders.get(*slot)).map(|forwarder| &forwarder.config);
    let names: Vec<(u32, &str)> = configs.map(|config| (config.ssrc, config.cname.as_str())).collect();
    build_sdes(&mut compound, &names);
    if let Some(transport) = state.transports.get_mut(slot) {
        transport.send_rtcp(&mut state.core, compound);
    }
}

fn send_receiver_reports(state: &mut State, now_ns: i64, slot: TransportSlot) {
    let State { core, transports, tracks, streams, .. } = state;
    let Some(transport) = transports.get_mut(slot) else { return };
    let mut blocks = Vec::new();
    for track in transport.tracks.iter().filter_map(|slot| tracks.get(*slot)) {
        for stream_slot in &track.streams {
            let Some(stream) = streams.get_mut(*stream_slot) else { continue };
            stream.sample_bitrate(now_ns);
            let Some(ssrc) = stream.ssrc.filter(|_| stream.highest >= 0) else { continue };
            let (lsr, dlsr) = stream
                .sender_report
                .map_or((0, 0), |report| (ntp_short(report.ntp), ns_to_short(now_ns - report.arrived_at_ns)));
            blocks.push(stream.reception.report(ssrc, lsr, dlsr));
        }
    }
    if !blocks.is_empty() {
        let ssrc = transport.local_ssrc;
        let mut compound = Vec::new();
        build_rr(&mut compound, ssrc, &blocks);
        build_sdes(&mut compound, &[(ssrc, &format!("{ssrc:08x}"))]);
        transport.send_rtcp(core, compound);
    }
}
