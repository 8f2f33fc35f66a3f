//! H.264 payloads: single NAL units, STAP-A, FU-A (RFC 6184 §5.6, §5.7.1, §5.8).

use crate::frame_info::FrameInfo;

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const LAST_SINGLE_NAL: u8 = 23;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// `None` for empty or cut off payloads and for packet types that packetization mode 1 does not have.
///
/// A keyframe is an SPS, or the first slice of an IDR picture (first_mb_in_slice 0): senders whose parameter sets
/// travel in SDP send no SPS. `starts_frame` is false only for continued fragments: H.264 marks no first packet.
#[must_use]
pub fn describe_h264(payload: &[u8], marker: bool) -> Option<FrameInfo> {
    let (&head, rest) = payload.split_first()?;
    let mut starts = true;
    let keyframe = match head & 0x1F {
        FU_A => {
            // A fragment has at least its two headers and one byte.
            let [fragment, first_byte, ..] = *rest else { return None };
            starts = fragment >= 0x80;
            starts && begins_keyframe(fragment & 0x1F, first_byte)
        }
        STAP_A => stap_has_keyframe(rest)?,
        nal_type @ 1..=LAST_SINGLE_NAL => begins_keyframe(nal_type, *rest.first()?),
        _ => return None,
    };
    Some(FrameInfo {
        is_keyframe: keyframe,
        starts_frame: starts,
        ends_frame: marker,
        ends_picture: marker,
        switching_point: true,
        spatial_switching_point: keyframe,
        ..FrameInfo::default()
    })
}

/// `first_byte` follows the NAL header. Its top bit set in a slice means first_mb_in_slice 0.
fn begins_keyframe(nal_type: u8, first_byte: u8) -> bool {
    nal_type == NAL_SPS || (nal_type == NAL_IDR && first_byte >= 0x80)
}

/// `None` when a NAL unit size lies or is 0, or there is no NAL unit.
fn stap_has_keyframe(units: &[u8]) -> Option<bool> {
    if units.is_empty() {
        return None;
    }
    let mut rest = units;
    let mut found = false;
    while !rest.is_empty() {
        let (size, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        if let [head, first_byte, ..] = *unit {
            found = found || begins_keyframe(head & 0x1F, first_byte);
        } else if unit.is_empty() {
            return None;
        }
        rest = after;
    }
    Some(found)
}
