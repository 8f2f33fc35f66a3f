//! One stream that a simulated subscriber receives, judged as a player would: what came, in which order, how late, what
//! had to be asked for again, and when the picture stood still.

use std::collections::VecDeque;

use ting_core::api::Codec;
use ting_core::codecs::{CodecState, FrameInfo, describe};
use ting_core::rtcp::ReportBlock;
use ting_core::seqnum::SeqExtender;

use super::figures::{ReceiverConfig, ReceiverFigures};
use super::histogram::Histogram;
use super::reception::Reception;
use super::stamp;

/// A packet that is missing is asked for after this long, for the case that it was only overtaken.
const FIRST_NACK_NS: u64 = 10_000_000;
/// And again at this interval.
const NACK_INTERVAL_NS: u64 = 100_000_000;
const MAX_NACKS: u8 = 8;
/// Then it is lost.
const GIVE_UP_NS: u64 = 1_000_000_000;
/// Packets that may wait behind a gap.
const MAX_WAITING: usize = 2048;
/// A keyframe that does not come is asked for again at this interval.
const PLI_INTERVAL_NS: u64 = 1_000_000_000;
/// The picture stands still when the time between two frames is this much longer than usual, and at least three times
/// as long (W3C webrtc-stats, freezeCount).
const FREEZE_EXTRA_NS: u64 = 150_000_000;
/// Assembled frames that wait for a decoder.
const MAX_SAMPLE_FRAMES: usize = 512;

/// A sequence number between the oldest that is missing and the newest that came.
#[derive(Clone, Default)]
struct Slot {
    packet: Option<Packet>,
    missed_at_ns: u64,
    asked_at_ns: u64,
    asks: u8,
}

#[derive(Clone, Default)]
struct Packet {
    keyframe: bool,
    marker: bool,
    timestamp: u32,
    payload: Vec<u8>,
}

pub(super) struct Receiver {
    pub(super) config: ReceiverConfig,
    pub(super) figures: ReceiverFigures,
    /// For SRTP: where the stream and its RTX stream are.
    pub(super) extender: SeqExtender,
    pub(super) rtx_extender: SeqExtender,
    /// Whole frames for a decoder: (keyframe, timestamp, payloads).
    pub(super) sampled: VecDeque<(bool, u32, Vec<Vec<u8>>)>,
    codec_state: CodecState,
    /// ext_seq of the first slot.
    next: i64,
    slots: VecDeque<Slot>,
    gaps: usize,
    is_video: bool,
    broken: bool,
    in_frame: Vec<Vec<u8>>,
    frame_is_key: bool,
    frame_timestamp: u32,
    last_frame_at_ns: u64,
    usual_gap_ns: u64,
    next_pli_ns: u64,
    reception: Reception,
}

impl Receiver {
    pub(super) fn new(config: ReceiverConfig, now_ns: u64) -> Self {
        let reception = Reception::new(config.clock_rate);
        let is_video = config.payloads.iter().any(|(_, codec)| !matches!(codec, Codec::Opus | Codec::Red));
        Self {
            figures: ReceiverFigures { created_at_ns: now_ns, ..ReceiverFigures::default() },
            config,
            extender: SeqExtender::default(),
            rtx_extender: SeqExtender::default(),
            sampled: VecDeque::new(),
            codec_state: CodecState::default(),
            next: 0,
            slots: VecDeque::new(),
            gaps: 0,
            is_video,
            broken: is_video,
            in_frame: Vec::new(),
            frame_is_key: false,
            frame_timestamp: 0,
            last_frame_at_ns: 0,
            usual_gap_ns: 0,
            next_pli_ns: now_ns + PLI_INTERVAL_NS,
            reception,
        }
    }

    /// An authentic packet: `payload` is decrypted and without padding.
    pub(super) fn receive(
        &mut self,
        now_ns: u64,
        ext_seq: i64,
        head: (u8, bool, u32),
        payload: &[u8],
        latency: &mut Histogram,
    ) {
        let (payload_type, marker, timestamp) = head;
        let Some((_, codec)) = self.config.payloads.iter().find(|(one, _)| *one == payload_type) else {
            self.figures.malformed += 1;
            return;
        };
        let Some(info) = describe(*codec, payload, marker, None, &mut self.codec_state) else {
            self.figures.malformed += 1;
            return;
        };
        if self.figures.packets == 0 {
            self.figures.first_packet_at_ns = now_ns;
            self.next = ext_seq;
            self.reception.begin(ext_seq);
        }
        if !self.take_slot(now_ns, ext_seq) {
            self.figures.duplicates += 1;
            return;
        }
        self.figures.packets += 1;
        self.figures.bytes += payload.len() as u64;
        self.figures.last_packet_at_ns = now_ns;
        if let Some(sent_ns) = stamp::read(payload) {
            latency.add(now_ns.saturating_sub(sent_ns) / 1000);
        }
        self.reception.measure_jitter(now_ns, timestamp);
        self.fill(ext_seq, &info, marker, timestamp, payload);
        self.advance(now_ns);
    }

    /// Makes room for `ext_seq`; false when it was here before, or is too old to matter.
    fn take_slot(&mut self, now_ns: u64, ext_seq: i64) -> bool {
        let Ok(index) = usize::try_from(ext_seq - self.next) else { return false };
        if index < self.slots.len() {
            let Some(slot) = self.slots.get(index) else { return false };
            if slot.packet.is_some() {
                return false;
            }
            self.gaps -= 1;
            if slot.asks > 0 {
                self.figures.recovered += 1;
            } else {
                self.figures.reordered += 1;
            }
            return true;
        }
        if index >= MAX_WAITING {
            self.lose_all(index);
            self.next = ext_seq;
            return self.take_slot(now_ns, ext_seq);
        }
        self.gaps += index - self.slots.len();
        self.slots.resize(index + 1, Slot { missed_at_ns: now_ns, ..Slot::default() });
        true
    }

    fn lose_all(&mut self, span: usize) {
        let held = self.slots.iter().filter(|slot| slot.packet.is_some()).count();
        self.figures.lost += (span - held) as u64;
        self.slots.clear();
        self.gaps = 0;
        self.break_off();
    }

    fn fill(&mut self, ext_seq: i64, info: &FrameInfo, marker: bool, timestamp: u32, payload: &[u8]) {
        let Ok(index) = usize::try_from(ext_seq - self.next) else { return };
        if let Some(slot) = self.slots.get_mut(index) {
            slot.packet = Some(Packet {
                keyframe: info.is_keyframe,
                marker,
                timestamp,
                payload: if self.config.sample { payload.to_vec() } else { Vec::new() },
            });
        }
    }

    /// Plays what is there without a gap.
    fn advance(&mut self, now_ns: u64) {
        while let Some(packet) = self.slots.front_mut().and_then(|slot| slot.packet.take()) {
            self.slots.pop_front();
            self.next += 1;
            self.play(now_ns, packet);
        }
    }

    fn play(&mut self, now_ns: u64, packet: Packet) {
        if !self.is_video {
            self.finish_frame(now_ns, packet.timestamp, vec![packet.payload]);
            return;
        }
        if packet.timestamp != self.frame_timestamp {
            self.frame_timestamp = packet.timestamp;
            self.in_frame.clear();
            self.frame_is_key = false;
        }
        if packet.keyframe {
            self.broken = false;
            self.frame_is_key = true;
        }
        if self.broken {
            return;
        }
        if self.config.sample {
            self.in_frame.push(packet.payload);
        }
        if packet.marker {
            let payloads = std::mem::take(&mut self.in_frame);
            self.figures.keyframes += u64::from(self.frame_is_key);
            self.finish_frame(now_ns, packet.timestamp, payloads);
            self.frame_is_key = false;
        }
    }

    fn finish_frame(&mut self, now_ns: u64, timestamp: u32, payloads: Vec<Vec<u8>>) {
        self.figures.frames += 1;
        if self.figures.first_frame_at_ns == 0 {
            self.figures.first_frame_at_ns = now_ns;
        } else {
            let gap_ns = now_ns - self.last_frame_at_ns;
            self.figures.longest_gap_ns = self.figures.longest_gap_ns.max(gap_ns);
            if gap_ns > (3 * self.usual_gap_ns).max(self.usual_gap_ns + FREEZE_EXTRA_NS) && self.usual_gap_ns > 0 {
                self.figures.freezes += 1;
                self.figures.frozen_ns += gap_ns;
            } else {
                self.usual_gap_ns = if self.usual_gap_ns == 0 { gap_ns } else { (7 * self.usual_gap_ns + gap_ns) / 8 };
            }
        }
        self.last_frame_at_ns = now_ns;
        if self.config.sample && self.sampled.len() < MAX_SAMPLE_FRAMES {
            self.sampled.push_back((self.frame_is_key, timestamp, payloads));
        }
    }

    fn break_off(&mut self) {
        self.broken = self.is_video;
        self.in_frame.clear();
        self.frame_is_key = false;
    }

    /// What is missing for too long is lost; returns the sequence numbers to ask for now.
    pub(super) fn nacks(&mut self, now_ns: u64) -> Vec<u16> {
        let mut wanted = Vec::new();
        if self.gaps == 0 {
            return wanted;
        }
        self.give_up(now_ns);
        if !self.config.nack {
            return wanted;
        }
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.packet.is_none()) {
            let due_ns =
                if slot.asks == 0 { slot.missed_at_ns + FIRST_NACK_NS } else { slot.asked_at_ns + NACK_INTERVAL_NS };
            if now_ns >= due_ns && slot.asks < MAX_NACKS {
                slot.asks += 1;
                slot.asked_at_ns = now_ns;
                wanted.push((self.next + index as i64) as u16);
            }
        }
        self.figures.nacks += wanted.len() as u64;
        wanted
    }

    fn give_up(&mut self, now_ns: u64) {
        let patience_ns = if self.config.nack { GIVE_UP_NS } else { FIRST_NACK_NS };
        while let Some(slot) = self.slots.front() {
            if slot.packet.is_some() || now_ns < slot.missed_at_ns + patience_ns {
                return;
            }
            self.slots.pop_front();
            self.next += 1;
            self.gaps -= 1;
            self.figures.lost += 1;
            self.break_off();
            self.advance(now_ns);
        }
    }

    /// Whether the picture waits for a keyframe that has to be asked for now.
    pub(super) fn wants_pli(&mut self, now_ns: u64) -> bool {
        if !self.broken || now_ns < self.next_pli_ns {
            return false;
        }
        self.next_pli_ns = now_ns + PLI_INTERVAL_NS;
        self.figures.plis += 1;
        true
    }

    /// A sender report of this stream came.
    pub(super) fn sender_report(&mut self, now_ns: u64, lsr: u32) {
        self.reception.sender_report(now_ns, lsr);
    }

    /// For a receiver report; None before the first packet.
    pub(super) fn report_block(&mut self, now_ns: u64) -> Option<ReportBlock> {
        let packets = self.figures.packets.cast_signed();
        self.reception.block(now_ns, self.config.ssrc, self.extender.highest?, packets)
    }

    /// Interarrival jitter in milliseconds.
    pub(super) fn jitter_ms(&self) -> f64 {
        self.reception.jitter_ms()
    }
}

#[cfg(test)]
mod tests {
    use ting_core::seqnum::EXT_SEQ_START;

    use super::*;

    const KEY: [u8; 10] = [0x90, 0x80, 0x80, 0x01, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a];
    const DELTA: [u8; 10] = [0x90, 0x80, 0x80, 0x02, 0x11, 0x02, 0x00, 0, 0, 0];
    const MS: u64 = 1_000_000;

    fn receiver() -> Receiver {
        let payloads = vec![(96, Codec::Vp8)];
        let config = ReceiverConfig { ssrc: 1, rtx_ssrc: None, payloads, clock_rate: 90_000, nack: true, sample: true };
        Receiver::new(config, 0)
    }

    fn feed(receiver: &mut Receiver, at_ms: u64, seq: i64, payload: &[u8]) {
        let head = (96, true, (at_ms * 90) as u32);
        receiver.receive(at_ms * MS, EXT_SEQ_START + seq, head, payload, &mut Histogram::new());
    }

    #[test]
    fn nothing_plays_before_a_keyframe() {
        let mut receiver = receiver();
        feed(&mut receiver, 0, 0, &DELTA);
        assert_eq!(receiver.figures.frames, 0);
        assert!(receiver.wants_pli(1_000 * MS));
        assert!(!receiver.wants_pli(1_001 * MS));
        feed(&mut receiver, 33, 1, &KEY);
        assert_eq!((receiver.figures.frames, receiver.figures.keyframes), (1, 1));
        assert!(!receiver.wants_pli(9_000 * MS));
    }

    #[test]
    fn a_gap_is_asked_for_and_healed() {
        let mut receiver = receiver();
        feed(&mut receiver, 0, 0, &KEY);
        feed(&mut receiver, 66, 2, &DELTA);
        assert_eq!(receiver.figures.frames, 1);
        assert_eq!(receiver.nacks(70 * MS), Vec::<u16>::new());
        assert_eq!(receiver.nacks(76 * MS), vec![1]);
        assert_eq!(receiver.nacks(77 * MS), Vec::<u16>::new());
        feed(&mut receiver, 90, 1, &DELTA);
        let figures = receiver.figures;
        assert_eq!((figures.frames, figures.recovered, figures.lost, figures.reordered), (3, 1, 0, 0));
        feed(&mut receiver, 91, 1, &DELTA);
        assert_eq!(receiver.figures.duplicates, 1);
    }

    #[test]
    fn what_never_comes_is_lost_and_the_picture_waits_for_a_keyframe() {
        let mut receiver = receiver();
        feed(&mut receiver, 0, 0, &KEY);
        feed(&mut receiver, 33, 2, &DELTA);
        receiver.nacks(1_040 * MS);
        assert_eq!((receiver.figures.lost, receiver.figures.frames), (1, 1));
        assert!(receiver.wants_pli(1_040 * MS));
        feed(&mut receiver, 1_100, 3, &DELTA);
        assert_eq!(receiver.figures.frames, 1);
        feed(&mut receiver, 1_133, 4, &KEY);
        assert_eq!(receiver.figures.frames, 2);
    }

    #[test]
    fn a_long_gap_between_frames_is_a_freeze() {
        let mut receiver = receiver();
        for (index, at_ms) in [0, 33, 66, 99, 132].into_iter().enumerate() {
            feed(&mut receiver, at_ms, index as i64, &KEY);
        }
        assert_eq!(receiver.figures.freezes, 0);
        feed(&mut receiver, 432, 5, &KEY);
        assert_eq!((receiver.figures.freezes, receiver.figures.frozen_ns), (1, 300 * MS));
    }

    #[test]
    fn a_jump_beyond_the_window_is_loss_and_not_memory() {
        let mut receiver = receiver();
        feed(&mut receiver, 0, 0, &KEY);
        feed(&mut receiver, 10, 30_000, &KEY);
        assert_eq!(receiver.figures.lost, 29_999);
        assert!(receiver.slots.len() <= MAX_WAITING);
    }
}
