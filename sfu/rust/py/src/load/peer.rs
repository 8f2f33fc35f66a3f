//! One transport of a simulated participant: a socket, the keys, what it sends and what it receives.

use std::net::SocketAddr;

use ting_core::api::{Codec, SrtpKeys};
use ting_core::rtcp::{RtcpPacket, build_nack, build_pli, build_rr, build_sdes, ntp_short, parse_compound};
use ting_core::rtp::parse_header;
use ting_core::srtp::SrtpContext;

use super::histogram::Histogram;
use super::link::Link;
use super::receiver::Receiver;
use super::sender::{Plain, Sender};
use crate::socket::UdpSocket;

/// Where a stream's receiver is, and whether the SSRC is that of its RTX.
type Route = (u32, usize, bool);

/// Figures of one transport.
#[derive(Clone, Copy, Default)]
pub(super) struct PeerFigures {
    pub(super) packets_received: u64,
    pub(super) bytes_received: u64,
    pub(super) auth_failures: u64,
    pub(super) unknown_ssrc: u64,
    pub(super) send_failures: u64,
}

pub(super) struct Peer {
    pub(super) socket: UdpSocket,
    pub(super) inbound: Link,
    pub(super) outbound: Link,
    pub(super) figures: PeerFigures,
    pub(super) senders: Vec<Sender>,
    pub(super) receivers: Vec<Receiver>,
    remote: SocketAddr,
    cname: String,
    keys: Option<(SrtpContext, SrtpContext)>,
    routes: Vec<Route>,
    twcc_seq: u16,
    next_report_ns: u64,
    plain: Vec<Plain>,
}

/// Between two reports of one transport.
const REPORT_INTERVAL_NS: u64 = 1_000_000_000;

impl Peer {
    pub(super) fn new(socket: UdpSocket, remote: SocketAddr, links: (Link, Link), cname: String, now_ns: u64) -> Self {
        let (inbound, outbound) = links;
        Self {
            socket,
            inbound,
            outbound,
            figures: PeerFigures::default(),
            senders: Vec::new(),
            receivers: Vec::new(),
            remote,
            cname,
            keys: None,
            routes: Vec::new(),
            twcc_seq: 0,
            next_report_ns: now_ns + REPORT_INTERVAL_NS,
            plain: Vec::new(),
        }
    }

    /// False when a key or salt has the wrong length.
    pub(super) fn set_keys(&mut self, keys: &SrtpKeys) -> bool {
        let rx = SrtpContext::new(keys.profile, &keys.rx_key, &keys.rx_salt);
        let tx = SrtpContext::new(keys.profile, &keys.tx_key, &keys.tx_salt);
        let (Ok(rx), Ok(tx)) = (rx, tx) else { return false };
        self.keys = Some((rx, tx));
        true
    }

    pub(super) fn add_receiver(&mut self, receiver: Receiver) -> usize {
        let index = self.receivers.len();
        self.routes.retain(|(ssrc, _, _)| *ssrc != receiver.config.ssrc && Some(*ssrc) != receiver.config.rtx_ssrc);
        self.routes.push((receiver.config.ssrc, index, false));
        self.routes.extend(receiver.config.rtx_ssrc.map(|ssrc| (ssrc, index, true)));
        self.receivers.push(receiver);
        index
    }

    /// Its stream is no longer expected; the figures stay.
    pub(super) fn end_receiver(&mut self, index: usize) {
        self.routes.retain(|(_, one, _)| *one != index);
    }

    // --- in -----------------------------------------------------------------------------------------------------

    /// A datagram that came through the link. Returns false when it is for Python: STUN or DTLS.
    pub(super) fn handle(&mut self, now_ns: u64, data: &mut [u8], latency: &mut Histogram) -> bool {
        let first = data.first().copied().unwrap_or(0);
        if !(128..192).contains(&first) {
            return false;
        }
        self.figures.packets_received += 1;
        self.figures.bytes_received += data.len() as u64;
        if matches!(data.get(1), Some(192..224)) {
            self.handle_rtcp(now_ns, data);
        } else {
            self.handle_rtp(now_ns, data, latency);
        }
        true
    }

    fn handle_rtp(&mut self, now_ns: u64, data: &mut [u8], latency: &mut Histogram) -> Option<()> {
        let (rx, _) = self.keys.as_ref()?;
        let header = parse_header(data)?;
        let Some((_, index, is_rtx)) = self.routes.iter().find(|(ssrc, _, _)| *ssrc == header.ssrc) else {
            self.figures.unknown_ssrc += 1;
            return None;
        };
        let receiver = self.receivers.get_mut(*index)?;
        let extender = if *is_rtx { &mut receiver.rtx_extender } else { &mut receiver.extender };
        let ext_seq = extender.extend(header.seq);
        let Some(length) = rx.unprotect_rtp(data, header.header_len, header.ssrc, ext_seq) else {
            self.figures.auth_failures += 1;
            return None;
        };
        extender.commit(ext_seq);
        let plaintext = data.get(header.header_len..header.header_len + length)?;
        let payload = header.strip_padding(plaintext).unwrap_or_default();
        if *is_rtx {
            // RFC 4588 §4: the original sequence number in front. Less is padding that probes for bandwidth.
            let (original, payload) = payload.split_first_chunk::<2>()?;
            let ext_seq = receiver.extender.extend(u16::from_be_bytes(*original));
            let payload_type = receiver.config.payloads.first()?.0;
            let head = (payload_type, header.marker, header.timestamp);
            receiver.receive(now_ns, ext_seq, head, payload, latency);
        } else {
            receiver.receive(now_ns, ext_seq, (header.payload_type, header.marker, header.timestamp), payload, latency);
        }
        Some(())
    }

    fn handle_rtcp(&mut self, now_ns: u64, data: &mut [u8]) -> Option<()> {
        let (rx, _) = self.keys.as_mut()?;
        let Ok(length) = rx.unprotect_rtcp(data) else {
            self.figures.auth_failures += 1;
            return None;
        };
        for packet in parse_compound(data.get(..length)?)? {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    let receiver = self.receivers.iter_mut().find(|one| one.config.ssrc == report.ssrc);
                    if let Some(receiver) = receiver {
                        receiver.sender_report(now_ns, ntp_short(report.ntp));
                    }
                }
                RtcpPacket::Nack { media_ssrc, seqs, .. } => self.resend(now_ns, media_ssrc, &seqs),
                RtcpPacket::Pli { media_ssrc, .. } => self.request_keyframe(now_ns, media_ssrc),
                RtcpPacket::Fir { entries, .. } => {
                    entries.iter().for_each(|(ssrc, _)| self.request_keyframe(now_ns, *ssrc));
                }
                _ => {}
            }
        }
        Some(())
    }

    fn request_keyframe(&mut self, now_ns: u64, ssrc: u32) {
        if let Some(sender) = self.senders.iter_mut().find(|sender| sender.config.ssrc == ssrc) {
            sender.request_keyframe(now_ns);
        }
    }

    fn resend(&mut self, now_ns: u64, ssrc: u32, seqs: &[u16]) {
        let Some(sender) = self.senders.iter_mut().find(|sender| sender.config.ssrc == ssrc) else { return };
        let mut packets: Vec<Plain> = seqs.iter().filter_map(|seq| sender.resend(*seq)).collect();
        self.send_packets(now_ns, &mut packets);
    }

    // --- out ----------------------------------------------------------------------------------------------------

    /// Sends every frame that is due.
    pub(super) fn send_due(&mut self, now_ns: u64) {
        if self.keys.is_none() {
            return;
        }
        let mut packets = std::mem::take(&mut self.plain);
        for sender in &mut self.senders {
            if sender.due_ns <= now_ns {
                sender.send_frame(now_ns, &mut self.twcc_seq, &mut packets);
            }
        }
        self.send_packets(now_ns, &mut packets);
        self.plain = packets;
    }

    fn send_packets(&mut self, now_ns: u64, packets: &mut Vec<Plain>) {
        for mut packet in packets.drain(..) {
            let Some((_, tx)) = self.keys.as_ref() else { return };
            packet.data.resize(packet.data.len() + tx.rtp_overhead(), 0);
            if tx.protect_rtp(&mut packet.data, packet.header_len, packet.ssrc, packet.ext_seq).is_some() {
                self.send(now_ns, &packet.data);
            }
        }
    }

    /// Sends a datagram through the link.
    pub(super) fn send(&mut self, now_ns: u64, data: &[u8]) {
        if self.outbound.is_clear() {
            self.send_now(data);
        } else {
            self.outbound.push(now_ns, data);
        }
    }

    fn send_now(&mut self, data: &[u8]) {
        if self.socket.send_to(data, self.remote).is_err() {
            self.figures.send_failures += 1;
        }
    }

    /// Sends what the link has held back until now.
    pub(super) fn release(&mut self, now_ns: u64) {
        while let Some(data) = self.outbound.pop(now_ns) {
            self.send_now(&data);
        }
    }

    /// NACKs and PLIs that are due, and reports every second.
    pub(super) fn tick(&mut self, now_ns: u64) {
        let Some((_, tx)) = self.keys.as_mut() else { return };
        let mut compounds = Vec::new();
        for receiver in &mut self.receivers {
            let ssrc = receiver.config.ssrc;
            let wanted = receiver.nacks(now_ns);
            if !wanted.is_empty() {
                let mut packet = Vec::new();
                build_nack(&mut packet, 1, ssrc, &wanted);
                compounds.push(packet);
            }
            if receiver.wants_pli(now_ns) {
                let mut packet = Vec::new();
                build_pli(&mut packet, 1, ssrc);
                compounds.push(packet);
            }
        }
        if now_ns >= self.next_report_ns {
            self.next_report_ns = now_ns + REPORT_INTERVAL_NS;
            let blocks: Vec<_> = self.receivers.iter_mut().filter_map(|one| one.report_block(now_ns)).collect();
            if !blocks.is_empty() {
                let mut packet = Vec::new();
                build_rr(&mut packet, 1, &blocks);
                build_sdes(&mut packet, &[(1, &self.cname)]);
                compounds.push(packet);
            }
            for sender in self.senders.iter().filter(|sender| sender.figures.packets > 0) {
                let mut packet = Vec::new();
                sender.report(now_ns, &self.cname, &mut packet);
                compounds.push(packet);
            }
        }
        let protected: Vec<_> =
            compounds.into_iter().filter_map(|mut one| tx.protect_rtcp(&mut one).then_some(one)).collect();
        for packet in protected {
            self.send(now_ns, &packet);
        }
    }

    /// When `send_due` or a link has something next.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let senders = self.senders.iter().map(|sender| sender.due_ns).filter(|_| self.keys.is_some()).min();
        let links = [self.inbound.next_due_ns(), self.outbound.next_due_ns()];
        links.into_iter().flatten().chain(senders).min()
    }
}

/// The codec of a name as the SDP side writes it.
pub(super) fn codec_of(name: &str) -> Codec {
    match name {
        "opus" => Codec::Opus,
        "vp8" => Codec::Vp8,
        "vp9" => Codec::Vp9,
        "h264" => Codec::H264,
        _ => Codec::Other,
    }
}
