//! What the SFU must know of a payload without decoding it: frames, keyframes, layers.
//!
//! Payload formats: VP8 RFC 7741, VP9 RFC 9628, H264 RFC 6184, AV1 and its dependency descriptor "RTP Payload Format
//! For AV1" (AOMedia).

use crate::api::Codec;
use crate::codecs_av1::describe_av1;
use crate::codecs_h264::describe_h264;
use crate::codecs_vp8::describe_vp8;
use crate::codecs_vp9::describe_vp9;
use crate::frame_info::EVERY_PACKET;

pub use crate::codecs_vp8::rewrite_vp8;
pub use crate::codecs_vp9::rewrite_vp9;
pub use crate::frame_info::{CodecState, FrameInfo};

/// What `payload` (padding stripped) says of itself. `None` when malformed: drop the packet.
///
/// Called once per authenticated packet. `dd_extension` is the value of the dependency descriptor extension (AV1
/// only), `state` is one [`CodecState`] per inbound stream.
#[must_use]
pub fn describe(
    codec: Codec,
    payload: &[u8],
    marker: bool,
    dd_extension: Option<&[u8]>,
    state: &mut CodecState,
) -> Option<FrameInfo> {
    match codec {
        Codec::Vp8 => describe_vp8(payload, marker),
        Codec::Vp9 => describe_vp9(payload, marker),
        Codec::H264 => describe_h264(payload, marker),
        Codec::Av1 => describe_av1(payload, marker, dd_extension, state),
        Codec::Opus | Codec::Red | Codec::Other => Some(EVERY_PACKET),
    }
}
