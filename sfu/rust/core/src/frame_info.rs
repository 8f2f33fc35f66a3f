//! The result of [`crate::codecs::describe`], and the state that it keeps per inbound stream.

use crate::dependency_descriptor::{MAX_SPATIAL, TemplateStructure};

/// What one packet says of its frame. A "frame" is one spatial layer of a "picture" (one timestamp).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// First packet of a keyframe in the lowest spatial layer: a subscription can begin here. H264 may say so twice
    /// per keyframe (at the SPS and at the IDR slice): count keyframes by timestamp.
    pub is_keyframe: bool,
    /// First packet of this spatial layer's frame.
    pub starts_frame: bool,
    /// Last packet of this spatial layer's frame.
    pub ends_frame: bool,
    /// The marker bit: last packet of all layers with this timestamp.
    pub ends_picture: bool,
    /// Spatial layer, 0..=7.
    pub spatial: u8,
    /// Temporal layer, 0..=7.
    pub temporal: u8,
    /// Forwarding of this temporal layer may begin with this frame, for who had only lower ones: VP8 Y bit, VP9 U bit
    /// (senders set it on the frames of the higher layer), AV1 first frame after a switch indication. Always set on
    /// keyframes and where the stream has no temporal layers. Read it where `starts_frame` is set.
    pub switching_point: bool,
    /// This frame needs no earlier frame of its own spatial layer: forwarding of the layer may begin here, for who has
    /// the lower ones (VP9: not inter-picture predicted; AV1: needs its own picture only, and a switch indication).
    pub spatial_switching_point: bool,
    /// VP8, VP9.
    pub picture_id: Option<u16>,
    /// Width on the wire: 7, 15, or 0 without picture id.
    pub picture_id_bits: u8,
    /// VP8, VP9.
    pub tl0picidx: Option<u8>,
    /// VP8.
    pub keyidx: Option<u8>,
    /// VP9 D bit.
    pub inter_layer_predicted: bool,
    /// From the AV1 dependency descriptor.
    pub frame_number: Option<u16>,
    /// Bit i for decode target i, when this packet's dependency descriptor carries such a mask.
    pub active_decode_targets: Option<u32>,
}

/// Every packet is a whole frame and a keyframe.
pub const EVERY_PACKET: FrameInfo = FrameInfo {
    is_keyframe: true,
    starts_frame: true,
    ends_frame: true,
    ends_picture: true,
    spatial: 0,
    temporal: 0,
    switching_point: true,
    spatial_switching_point: true,
    picture_id: None,
    picture_id_bits: 0,
    tl0picidx: None,
    keyidx: None,
    inter_layer_predicted: false,
    frame_number: None,
    active_decode_targets: None,
};

/// What must be remembered between packets of one inbound stream. Only AV1 with a dependency descriptor needs it.
#[derive(Clone, Debug, Default)]
pub struct CodecState {
    /// The structure that came with the last keyframe.
    pub structure: Option<TemplateStructure>,
    /// By spatial layer a bitmask of temporal layers whose forwarding may begin with their next frame.
    pub raisable: [u8; MAX_SPATIAL as usize + 1],
}
