//! One stream that a simulated publisher sends: a clip in a loop, begun anew when somebody needs a keyframe.

use std::sync::Arc;

use ting_core::rtcp::{SenderReport, build_sdes, build_sr, ntp_add_ns};
use ting_core::rtp::{FixedHeader, abs_send_time, write_extensions, write_fixed_header};
use ting_core::seqnum::{EXT_SEQ_START, extend_near};

use super::stamp;

/// Packets kept for NACKs.
const HISTORY: usize = 1024;
/// Shortest time between two keyframes that were asked for.
const KEYFRAME_INTERVAL_NS: u64 = 300_000_000;
/// Frames this late are left out, so that a generator that was held up does not send everything at once.
const MAX_LATE_NS: u64 = 500_000_000;
/// Any moment will do: receivers compare NTP times of one publisher only.
const NTP_BASE: u64 = 0xE800_0000_0000_0000;

/// Encoded media, ready to be sent.
pub(super) struct Clip {
    /// Of RTP timestamps, in Hz.
    pub(super) clock_rate: u32,
    /// The payloads want a VP8 payload descriptor in front (RFC 7741 §4.2), with a running picture id.
    pub(super) vp8: bool,
    /// No marker bits: one would begin a talkspurt (RFC 3551 §4.1).
    pub(super) audio: bool,
    /// Never empty; the first frame is a keyframe.
    pub(super) frames: Vec<Frame>,
}

/// What one RTP timestamp carries.
pub(super) struct Frame {
    /// Until the next frame.
    pub(super) duration_ns: u64,
    /// The same in units of the clock.
    pub(super) ticks: u32,
    /// Payloads, and whether each ends with room for a stamp.
    pub(super) packets: Vec<(Vec<u8>, bool)>,
}

/// How to send a clip.
pub(super) struct SenderConfig {
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    /// SSRC and payload type of RTX (RFC 4588).
    pub(super) rtx: Option<(u32, u8)>,
    /// Elements that are the same in every packet.
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    /// Id of abs-send-time, 0 for none.
    pub(super) abs_send_time_id: u8,
    /// Id of transport-cc, 0 for none.
    pub(super) twcc_id: u8,
}

/// Figures of one sender.
#[derive(Clone, Copy, Default)]
pub(super) struct SenderFigures {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) retransmitted: u64,
    pub(super) keyframe_requests: u64,
    pub(super) max_late_ns: u64,
    pub(super) frames_left_out: u64,
}

/// A packet that is complete but for its protection.
pub(super) struct Plain {
    pub(super) data: Vec<u8>,
    pub(super) header_len: usize,
    pub(super) ssrc: u32,
    pub(super) ext_seq: i64,
}

pub(super) struct Sender {
    pub(super) config: SenderConfig,
    pub(super) figures: SenderFigures,
    pub(super) due_ns: u64,
    /// Somebody wants it: else nothing is sent.
    pub(super) is_wanted: bool,
    clip: Arc<Clip>,
    next_frame: usize,
    ext_seq: i64,
    rtx_ext_seq: i64,
    timestamp: u32,
    timestamp_at_ns: u64,
    picture_id: u16,
    restarted_at_ns: u64,
    history: Vec<Option<(i64, usize, Vec<u8>)>>,
}

impl Sender {
    pub(super) fn new(config: SenderConfig, clip: Arc<Clip>, start_ns: u64) -> Self {
        let first = EXT_SEQ_START + i64::from(config.ssrc & 0x7FFF);
        Self {
            due_ns: start_ns,
            is_wanted: true,
            clip,
            next_frame: 0,
            ext_seq: first,
            rtx_ext_seq: first,
            timestamp: config.ssrc.rotate_left(16),
            timestamp_at_ns: start_ns,
            picture_id: 0,
            restarted_at_ns: 0,
            history: (0..HISTORY).map(|_| None).collect(),
            figures: SenderFigures::default(),
            config,
        }
    }

    /// The packets of the frame that is due. `twcc_seq` is the transport's counter.
    pub(super) fn send_frame(&mut self, now_ns: u64, twcc_seq: &mut u16, out: &mut Vec<Plain>) {
        let clip = Arc::clone(&self.clip);
        let late_ns = now_ns.saturating_sub(self.due_ns);
        self.figures.max_late_ns = self.figures.max_late_ns.max(late_ns);
        let Some(frame) = clip.frames.get(self.next_frame) else { return };
        self.timestamp_at_ns = now_ns;
        if !self.is_wanted {
            self.advance(frame);
            return;
        }
        let last = frame.packets.len().saturating_sub(1);
        for (index, (payload, has_stamp)) in frame.packets.iter().enumerate() {
            let marker = index == last && !clip.audio;
            let starts_vp8_frame = clip.vp8.then_some(index == 0);
            out.push(self.packet(now_ns, twcc_seq, starts_vp8_frame, payload, marker, *has_stamp));
        }
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7FFF;
        self.advance(frame);
        if late_ns > MAX_LATE_NS {
            // The clip goes on from a keyframe, as an encoder does that was held up.
            self.figures.frames_left_out += late_ns / frame.duration_ns.max(1);
            self.due_ns = now_ns + frame.duration_ns;
            self.next_frame = 0;
        }
    }

    fn advance(&mut self, frame: &Frame) {
        self.next_frame = (self.next_frame + 1) % self.clip.frames.len().max(1);
        self.timestamp = self.timestamp.wrapping_add(frame.ticks);
        self.due_ns += frame.duration_ns;
    }

    fn packet(
        &mut self,
        now_ns: u64,
        twcc_seq: &mut u16,
        starts_vp8_frame: Option<bool>,
        payload: &[u8],
        marker: bool,
        has_stamp: bool,
    ) -> Plain {
        let mut data = Vec::with_capacity(payload.len() + 64);
        let config = &self.config;
        let mut elements: Vec<(u8, &[u8])> = config.extensions.iter().map(|(id, value)| (*id, &value[..])).collect();
        let sent_at = abs_send_time(now_ns.cast_signed());
        let twcc = twcc_seq.to_be_bytes();
        if config.abs_send_time_id > 0 {
            elements.push((config.abs_send_time_id, &sent_at));
        }
        if config.twcc_id > 0 {
            elements.push((config.twcc_id, &twcc));
            *twcc_seq = twcc_seq.wrapping_add(1);
        }
        let header = FixedHeader {
            payload_type: config.payload_type,
            marker,
            has_extensions: !elements.is_empty(),
            seq: self.ext_seq as u16,
            timestamp: self.timestamp,
            ssrc: config.ssrc,
            ..FixedHeader::default()
        };
        write_fixed_header(&mut data, &header);
        // Ids come from a negotiated description: what is out of range leaves the packet without extensions.
        let _ = write_extensions(&mut data, &elements);
        let header_len = data.len();
        if let Some(starts) = starts_vp8_frame {
            // X and S; then I; then 15 bits of picture id.
            data.extend_from_slice(&[if starts { 0x90 } else { 0x80 }, 0x80]);
            data.extend_from_slice(&(self.picture_id | 0x8000).to_be_bytes());
        }
        data.extend_from_slice(payload);
        if has_stamp {
            stamp::write(&mut data, now_ns);
        }
        self.keep(data, header_len)
    }

    /// The packet gets the next number, and is remembered for a NACK.
    fn keep(&mut self, data: Vec<u8>, header_len: usize) -> Plain {
        let ext_seq = self.ext_seq;
        self.ext_seq += 1;
        self.figures.packets += 1;
        self.figures.bytes += (data.len() - header_len) as u64;
        if let Some(place) = self.history.get_mut(ext_seq as usize % HISTORY) {
            *place = Some((ext_seq, header_len, data.clone()));
        }
        Plain { data, header_len, ssrc: self.config.ssrc, ext_seq }
    }

    /// Answers a NACK for one sequence number, by RTX where it was negotiated.
    pub(super) fn resend(&mut self, seq: u16) -> Option<Plain> {
        let ext_seq = extend_near(self.ext_seq, seq);
        let (kept, header_len, data) = self.history.get(ext_seq as usize % HISTORY)?.as_ref()?;
        if *kept != ext_seq {
            return None;
        }
        self.figures.retransmitted += 1;
        let Some((ssrc, payload_type)) = self.config.rtx else {
            let ssrc = self.config.ssrc;
            return Some(Plain { data: data.clone(), header_len: *header_len, ssrc, ext_seq });
        };
        let (header, payload) = data.split_at_checked(*header_len)?;
        let mut copy = header.to_vec();
        copy.get_mut(1..2)?.copy_from_slice(&[header.get(1)? & 0x80 | payload_type]);
        copy.get_mut(2..4)?.copy_from_slice(&(self.rtx_ext_seq as u16).to_be_bytes());
        copy.get_mut(8..12)?.copy_from_slice(&ssrc.to_be_bytes());
        copy.extend_from_slice(&seq.to_be_bytes());
        copy.extend_from_slice(payload);
        let ext_seq = self.rtx_ext_seq;
        self.rtx_ext_seq += 1;
        Some(Plain { data: copy, header_len: *header_len, ssrc, ext_seq })
    }

    /// A PLI or FIR came: the next frame is a keyframe, unless one was just sent.
    pub(super) fn request_keyframe(&mut self, now_ns: u64) {
        self.figures.keyframe_requests += 1;
        if now_ns.saturating_sub(self.restarted_at_ns) >= KEYFRAME_INTERVAL_NS {
            self.restarted_at_ns = now_ns;
            self.next_frame = 0;
        }
    }

    /// What nobody wants is not sent; once it is wanted again it begins with a keyframe, as an encoder does.
    pub(super) fn set_wanted(&mut self, is_wanted: bool) {
        if is_wanted && !self.is_wanted {
            self.next_frame = 0;
        }
        self.is_wanted = is_wanted;
    }

    /// Appends a sender report and its SDES (RFC 3550 §6.4.1).
    pub(super) fn report(&self, now_ns: u64, cname: &str, out: &mut Vec<u8>) {
        let since_ns = now_ns.saturating_sub(self.timestamp_at_ns);
        let ticks = (u128::from(since_ns) * u128::from(self.clip.clock_rate) / 1_000_000_000) as u32;
        let last = self.last_timestamp();
        let report = SenderReport {
            ssrc: self.config.ssrc,
            ntp: ntp_add_ns(NTP_BASE, now_ns.cast_signed()),
            rtp_timestamp: last.wrapping_add(ticks),
            packet_count: self.figures.packets,
            octet_count: self.figures.bytes,
            reports: Vec::new(),
        };
        build_sr(out, &report);
        build_sdes(out, &[(self.config.ssrc, cname)]);
    }

    fn last_timestamp(&self) -> u32 {
        let before = self.next_frame.checked_sub(1).unwrap_or(self.clip.frames.len() - 1);
        self.timestamp.wrapping_sub(self.clip.frames.get(before).map_or(0, |frame| frame.ticks))
    }
}
