//! One inbound stream: sequence numbers seen, losses, jitter, keyframes, who receives it.

use crate::api::InboundLayer;
use crate::codecs::CodecState;
use crate::keyframe_cache::KeyframeCache;
use crate::layers::Tops;
use crate::nack::{MAX_GAP, NackRegister};
use crate::picture_edges::PictureEdges;
use crate::reception::ReceptionStatistics;
use crate::red::FrameHistory;
use crate::seqnum::extend_near;
use crate::slots::{ForwarderSlot, TrackSlot};

const MIN_SAMPLE_NS: i64 = 800_000_000;
/// Sequence numbers below the highest in which duplicates are told from late packets.
pub(crate) const WINDOW: i64 = 1024;

const NS_PER_S: u128 = 1_000_000_000;

/// What a sequence number is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The highest so far.
    New,
    /// Below the highest, and not seen yet.
    Late,
    /// Seen already.
    Duplicate,
    /// Left of the window.
    TooOld,
    /// A jump that needs `InboundStream::reset` first.
    Reset,
}

/// The last sender report of a stream and when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderReportReceived {
    /// Seconds since 1900 in 32.32 fixed point.
    pub(crate) ntp: u64,
    /// The same moment in timestamp units.
    pub(crate) rtp_timestamp: u32,
    /// By our clock.
    pub(crate) arrived_at_ns: i64,
}

/// One SSRC (with its RTX) of a track: a simulcast layer, or everything there is.
#[derive(Debug)]
pub(crate) struct InboundStream {
    pub(crate) track: TrackSlot,
    pub(crate) layer: u32,
    pub(crate) config: InboundLayer,
    pub(crate) ssrc: Option<u32>,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) started: bool,
    pub(crate) is_fresh: bool,
    pub(crate) last_packet_at_ns: i64,
    pub(crate) last_pli_at_ns: Option<i64>,
    pub(crate) plis_sent: u64,
    pub(crate) nacks_sent: u64,
    pub(crate) keyframes: u64,
    pub(crate) bitrate_bps: u64,
    bytes_sampled: u64,
    sampled_at_ns: Option<i64>,
    pub(crate) clock_rate: u32,
    pub(crate) reception: ReceptionStatistics,
    /// Subscriptions that get this stream now, in the order of their handles.
    pub(crate) receivers: Vec<ForwarderSlot>,
    /// Subscriptions that go over to this stream at its next keyframe.
    pub(crate) waiting: Vec<ForwarderSlot>,
    /// Subscriptions that get what this stream was a while ago, and are catching up.
    pub(crate) replaying: Vec<ForwarderSlot>,
    pub(crate) cache: KeyframeCache,
    /// Highest extended sequence number; -1 before the first.
    pub(crate) highest: i64,
    /// By ext_seq modulo `WINDOW`.
    seen: Vec<i64>,
    pub(crate) nack: NackRegister,
    pub(crate) edges: PictureEdges,
    pub(crate) codec_state: CodecState,
    pub(crate) frames: FrameHistory,
    picture_highest: i64,
    pub(crate) keyframe_timestamp: Option<u32>,
    pub(crate) top_temporal: u32,
    pub(crate) top_spatial: u32,
    pub(crate) sender_report: Option<SenderReportReceived>,
}

impl InboundStream {
    pub(crate) fn new(track: TrackSlot, layer: u32, config: InboundLayer) -> Self {
        Self {
            track,
            layer,
            ssrc: config.ssrc,
            rtx_ssrc: config.rtx_ssrc,
            config,
            started: false,
            is_fresh: false,
            last_packet_at_ns: 0,
            last_pli_at_ns: None,
            plis_sent: 0,
            nacks_sent: 0,
            keyframes: 0,
            bitrate_bps: 0,
            bytes_sampled: 0,
            sampled_at_ns: None,
            clock_rate: 90_000,
            reception: ReceptionStatistics::default(),
            receivers: Vec::new(),
            waiting: Vec::new(),
            replaying: Vec::new(),
            cache: KeyframeCache::default(),
            highest: -1,
            seen: vec![-1; WINDOW as usize],
            nack: NackRegister::default(),
            edges: PictureEdges::default(),
            codec_state: CodecState::default(),
            frames: FrameHistory::default(),
            picture_highest: -1,
            keyframe_timestamp: None,
            top_temporal: 0,
            top_spatial: 0,
            sender_report: None,
        }
    }

    /// Forget the past of the sequence: what comes next has nothing to do with it.
    pub(crate) fn reset(&mut self) {
        self.highest = -1;
        self.seen.fill(-1);
        self.nack = NackRegister::default();
        self.edges = PictureEdges::default();
        self.codec_state = CodecState::default();
        self.frames = FrameHistory::default();
        self.picture_highest = -1;
        self.keyframe_timestamp = None;
        self.top_temporal = 0;
        self.top_spatial = 0;
        self.sender_report = None;
        self.cache.clear();
    }

    pub(crate) fn tops(&self) -> Tops {
        Tops { spatial: self.top_spatial, temporal: self.top_temporal }
    }

    /// Tell what `ext_seq` is, and remember it if it is `New` or `Late`. `highest` is for the caller to move, once it has
    /// looked at the gap.
    pub(crate) fn register(&mut self, ext_seq: i64) -> Arrival {
        let highest = self.highest;
        let Some(seen) = self.seen.get_mut(ext_seq.rem_euclid(WINDOW) as usize) else { return Arrival::TooOld };
        if ext_seq > highest {
            if highest < 0 {
                self.reception.begin(ext_seq);
            } else if ext_seq - highest - 1 > MAX_GAP {
                return Arrival::Reset;
            }
            *seen = ext_seq;
            return Arrival::New;
        }
        if ext_seq <= highest - WINDOW {
            return Arrival::TooOld;
        }
        if *seen == ext_seq {
            return Arrival::Duplicate;
        }
        *seen = ext_seq;
        Arrival::Late
    }

    /// The extended number nearest to the highest one (for the OSN of RTX).
    pub(crate) fn extend_seq(&self, seq: u16) -> i64 {
        extend_near(self.highest, seq)
    }

    /// The extended picture id nearest to the highest one; the first starts a wrap above zero.
    pub(crate) fn extend_picture(&mut self, picture_id: u16, bits: u8) -> i64 {
        let size = 1_i64 << bits.min(16);
        let id = i64::from(picture_id);
        let highest = self.picture_highest;
        let picture =
            if highest < 0 { size + id } else { highest + ((id - highest + size / 2) & (size - 1)) - size / 2 };
        self.picture_highest = highest.max(picture);
        picture
    }

    /// A packet has come after none did: the bitrate counts from here when it is the first one.
    pub(crate) fn begin_samples(&mut self, now_ns: i64) {
        self.sampled_at_ns.get_or_insert(now_ns);
    }

    /// Measure the bitrate since the last call, which was about a second ago. Of less time it says nothing: a stream begins
    /// with a keyframe.
    pub(crate) fn sample_bitrate(&mut self, now_ns: i64) {
        let Some(sampled_at_ns) = self.sampled_at_ns else { return };
        let elapsed_ns = now_ns - sampled_at_ns;
        if elapsed_ns >= MIN_SAMPLE_NS {
            let received = self.reception.bytes_received;
            let bits_ns = u128::from(received - self.bytes_sampled) * 8 * NS_PER_S;
            self.bitrate_bps = (bits_ns / elapsed_ns.unsigned_abs() as u128) as u64;
            self.bytes_sampled = received;
            self.sampled_at_ns = Some(now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slot;

    #[test]
    fn register_tells_new_late_duplicate_old_and_jumps() {
        for start in [0, 65_535, 1 << 32] {
            let mut stream = InboundStream::new(TrackSlot::at(0), 0, InboundLayer::default());
            for (offset, arrival) in [
                (0, Arrival::New),
                (0, Arrival::Duplicate),
                (2, Arrival::New),
                (1, Arrival::Late),
                (1, Arrival::Duplicate),
                (2 + MAX_GAP + 2, Arrival::Reset),
                (2 + MAX_GAP + 1, Arrival::New),
                (2 + 2 * (MAX_GAP + 1), Arrival::New),
                (5, Arrival::Late),
                (4, Arrival::TooOld),
            ] {
                assert_eq!(stream.register(start + offset), arrival, "{offset}");
                if arrival == Arrival::New {
                    stream.highest = start + offset;
                }
            }
        }
    }

    #[test]
    fn picture_ids_go_on_over_wraps() {
        for (bits, size) in [(7, 128), (15, 32_768)] {
            let mut stream = InboundStream::new(TrackSlot::at(0), 0, InboundLayer::default());
            let last = (size - 1) as u16;
            assert_eq!(stream.extend_picture(last, bits), 2 * size - 1);
            assert_eq!(stream.extend_picture(0, bits), 2 * size);
            assert_eq!(stream.extend_picture(last, bits), 2 * size - 1);
            assert_eq!(stream.extend_picture(1, bits), 2 * size + 1);
        }
    }
}
