//! One media packet on its way through the engine: parsed once, shared by everything it is forwarded to.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use crate::api::{Codec, Extension, ExtensionIds, MAX_REDUNDANCY, MAX_REDUNDANCY_STEP};
use crate::codecs::FrameInfo;
use crate::dependency_descriptor::write_frame_number;
use crate::red::{Frames, build};
use crate::rtp::{EXTENSION_HEADER_BYTES, RtpHeader, abs_send_time, write_extensions};

/// Extensions that leave as they came. MID, transport-cc and abs-send-time are ours to set; RIDs end here.
const CARRIED: [Extension; 5] = [
    Extension::AudioLevel,
    Extension::VideoOrientation,
    Extension::PlayoutDelay,
    Extension::AbsCaptureTime,
    Extension::DependencyDescriptor,
];

/// How the extensions of one track become those of one subscriber. Subscribers share equal plans, and so the work that
/// a plan makes per packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtensionPlan {
    /// (id as it came, id to leave with).
    carried: SmallVec<[(u8, u8); CARRIED.len()]>,
    /// Id, or 0.
    abs_send_time: u8,
    /// Id with which dependency descriptors come, or 0.
    descriptor: u8,
}

impl ExtensionPlan {
    pub(crate) fn new(inbound: &ExtensionIds, outbound: &ExtensionIds) -> Self {
        let ids = CARRIED.iter().map(|extension| (inbound.get(*extension), outbound.get(*extension)));
        Self {
            carried: ids.filter(|(id_in, id_out)| *id_in != 0 && *id_out != 0).collect(),
            abs_send_time: outbound.get(Extension::AbsSendTime),
            descriptor: inbound.get(Extension::DependencyDescriptor),
        }
    }
}

impl ExtensionPlan {
    /// Id of abs-send-time, or 0.
    pub(crate) fn send_time_id(&self) -> u8 {
        self.abs_send_time
    }
}

/// A dependency descriptor that is written anew.
pub(crate) type Descriptor = SmallVec<[u8; 64]>;

/// Extension elements: (id, value).
pub(crate) type Elements<'a> = SmallVec<[(u8, &'a [u8]); 8]>;

/// The place of a payload in the buffer of its packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    pub(crate) fn of(self, data: &[u8]) -> &[u8] {
        data.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// A packet after decryption, RTX unwrap and description. `ext_seq` and `picture` count in the inbound stream.
#[derive(Debug)]
pub(crate) struct MediaPacket {
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) ext_seq: i64,
    pub(crate) timestamp: u32,
    pub(crate) info: FrameInfo,
    /// Extended picture id (VP8, VP9) or frame number (AV1); -1 without one.
    pub(crate) picture: i64,
    /// When it arrived, which is when it is forwarded to those who are live.
    pub(crate) now_ns: i64,
    /// The datagram, its payload decrypted.
    pub(crate) data: Vec<u8>,
    /// The header as it came.
    pub(crate) header: RtpHeader,
    pub(crate) payload: Span,
    /// The primary block of a RED payload.
    pub(crate) primary: Option<Span>,
    /// Of sound that somebody wants with redundancy.
    pub(crate) redundancy: Option<Box<Redundancy>>,
}

/// The payload type of the frames inside, and the packet with them.
type Made = OnceLock<(u8, Arc<MediaPacket>)>;

/// What a packet of sound may be sent with, and what was made of that.
#[derive(Debug, Default)]
pub(crate) struct Redundancy {
    /// The frames before it that are known.
    earlier: Frames,
    /// By the number of frames and how far they are apart, from 1 on.
    made: [[Made; MAX_REDUNDANCY_STEP]; MAX_REDUNDANCY],
}

impl Redundancy {
    pub(crate) fn new(earlier: Frames) -> Self {
        Self { earlier, ..Self::default() }
    }
}

impl MediaPacket {
    /// The same packet with so many of the frames before it, `step` apart, as RED (RFC 2198). Made once for all
    /// subscribers, unless they call the frames by different payload types.
    pub(crate) fn redundant(&self, frames: u8, step: u8, frame_type: u8) -> Arc<MediaPacket> {
        let make = || Arc::new(self.with_frames(frames, step, frame_type));
        let places = usize::from(frames).checked_sub(1).zip(usize::from(step).checked_sub(1));
        let known = self.redundancy.as_ref().zip(places);
        let known = known.and_then(|(one, (frames, step))| one.made.get(frames).and_then(|made| made.get(step)));
        let Some(known) = known else { return make() };
        let (made_for, made) = known.get_or_init(|| (frame_type, make()));
        if *made_for == frame_type { Arc::clone(made) } else { make() }
    }

    fn with_frames(&self, frames: u8, step: u8, frame_type: u8) -> MediaPacket {
        let earlier = self.redundancy.as_ref().map(|one| &one.earlier[..]).unwrap_or_default();
        let step = usize::from(step.max(1));
        let mut chosen: Frames =
            earlier.iter().rev().skip(step - 1).step_by(step).take(usize::from(frames)).cloned().collect();
        chosen.reverse();
        let mut data = self.data.get(..self.payload.start as usize).unwrap_or_default().to_vec();
        let start = data.len();
        build(&mut data, frame_type, self.timestamp, &chosen, self.primary.unwrap_or(self.payload).of(&self.data));
        let payload = Span::new(start, data.len());
        MediaPacket {
            codec: self.codec,
            payload_type: self.payload_type,
            marker: self.marker,
            ext_seq: self.ext_seq,
            timestamp: self.timestamp,
            info: self.info,
            picture: self.picture,
            now_ns: self.now_ns,
            data,
            header: self.header,
            payload,
            primary: None,
            redundancy: None,
        }
    }

    /// Append the extension elements that every subscriber with this plan gets to `elements`. `send_time` is that of
    /// abs-send-time, `descriptor` takes the place of the dependency descriptor.
    pub(crate) fn elements<'a>(
        &'a self,
        plan: &ExtensionPlan,
        send_time: &'a [u8; 3],
        descriptor: Option<&'a [u8]>,
        elements: &mut Elements<'a>,
    ) {
        for (inbound, outbound) in &plan.carried {
            if let Some(value) = self.header.extension(&self.data, *inbound) {
                let rewritten = descriptor.filter(|_| *inbound == plan.descriptor);
                elements.push((*outbound, rewritten.unwrap_or(value)));
            }
        }
        if plan.abs_send_time != 0 {
            elements.push((plan.abs_send_time, send_time));
        }
    }

    /// The dependency descriptor with another frame number; None when there is none.
    pub(crate) fn descriptor_with(&self, plan: &ExtensionPlan, frame_number: u16) -> Option<Descriptor> {
        let mut descriptor = Descriptor::from_slice(self.header.extension(&self.data, plan.descriptor)?);
        write_frame_number(&mut descriptor, frame_number);
        Some(descriptor)
    }

    /// `elements` in one-byte form, padded to 32 bits, without the profile; None when they need two-byte form. For a
    /// packet that leaves at `now_ns`.
    pub(crate) fn one_byte_block(&self, plan: &ExtensionPlan, now_ns: i64) -> Option<Block> {
        let send_time = abs_send_time(now_ns);
        let mut elements = Elements::new();
        self.elements(plan, &send_time, None, &mut elements);
        let mut whole = Vec::new();
        let is_one_byte = write_extensions(&mut whole, &elements).unwrap_or(false);
        is_one_byte.then(|| Block::from_slice(whole.get(EXTENSION_HEADER_BYTES..).unwrap_or_default()))
    }
}

/// Extension elements as they leave.
pub(crate) type Block = SmallVec<[u8; 32]>;

/// The blocks of one packet that leaves at one moment, worked out once per plan.
#[derive(Debug, Default)]
pub(crate) struct BlockCache {
    blocks: Vec<(Arc<ExtensionPlan>, Option<Block>)>,
}

impl BlockCache {
    /// Another packet comes, or the same one at another moment.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
    }

    pub(crate) fn get(&mut self, packet: &MediaPacket, plan: &Arc<ExtensionPlan>, now_ns: i64) -> Option<&Block> {
        let index = match self.blocks.iter().position(|(known, _)| Arc::ptr_eq(known, plan)) {
            Some(index) => index,
            None => {
                self.blocks.push((Arc::clone(plan), packet.one_byte_block(plan, now_ns)));
                self.blocks.len() - 1
            }
        };
        self.blocks.get(index)?.1.as_ref()
    }
}
