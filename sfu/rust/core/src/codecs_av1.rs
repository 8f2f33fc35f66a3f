//! AV1 payloads: aggregation header and OBU types ("RTP Payload Format For AV1" §4.4, AV1 specification §5.3).
//!
//! With a dependency descriptor the descriptor alone decides (the payload may be encrypted end to end); without one
//! there are no layers, and a keyframe is a new coded video sequence (N bit) whose first packet carries a sequence
//! header.

use crate::dependency_descriptor::{Template, parse_dependency_descriptor};
use crate::frame_info::{CodecState, FrameInfo};

const OBU_SEQUENCE_HEADER: u8 = 1;
const Z: u8 = 0x80;
const N: u8 = 0x08;
const MAX_LEB128_BYTES: u32 = 8;

/// `None` when the aggregation header or the descriptor lies. A descriptor that carries a structure is remembered.
#[must_use]
pub fn describe_av1(
    payload: &[u8],
    marker: bool,
    dd_extension: Option<&[u8]>,
    state: &mut CodecState,
) -> Option<FrameInfo> {
    if payload.len() < 2 {
        return None;
    }
    let Some(dd_extension) = dd_extension else { return without_descriptor(payload, marker) };
    let mut descriptor = parse_dependency_descriptor(dd_extension, state.structure.as_ref())?;
    let starts = descriptor.start_of_frame;
    let mut info = FrameInfo {
        starts_frame: starts,
        ends_frame: descriptor.end_of_frame,
        ends_picture: marker,
        switching_point: true,
        frame_number: Some(descriptor.frame_number),
        ..FrameInfo::default()
    };
    let is_attached = descriptor.attached.is_some();
    if is_attached {
        state.structure = descriptor.attached.take();
    }
    let (Some(structure), Some(index)) = (&state.structure, descriptor.template) else {
        // Joined in the middle: no layers are known before the next keyframe, which brings its structure.
        return Some(info);
    };
    let template = structure.templates.get(index)?;
    let switches = descriptor.switch_temporals(structure);
    let diffs = descriptor.frame_diffs(template);
    info.spatial = template.spatial;
    info.temporal = template.temporal;
    info.is_keyframe = starts && is_attached && diffs.count == 0 && template.spatial == 0;
    info.switching_point = starts && follow_switches(template, switches, &mut state.raisable);
    // The frame needs nothing but lower spatial layers of its own picture, nor will later ones. Frame numbers count
    // the layers of a picture one by one, so a difference up to the layer's index stays inside.
    info.spatial_switching_point =
        starts && diffs.max <= u16::from(template.spatial) && switches >> template.temporal & 1 != 0;
    info.active_decode_targets = descriptor.active_decode_targets;
    Some(info)
}

/// Whether forwarding of this frame's temporal layer may begin with it, for who had only lower ones.
///
/// A switch indication promises that later frames of a decode target need nothing older. So the first frame of a
/// target that comes after the indication, which sits on the base layer, needs the base layer only.
fn follow_switches(template: &Template, switches: u8, raisable: &mut [u8]) -> bool {
    let Some(raisable) = raisable.get_mut(usize::from(template.spatial)) else { return false };
    if template.temporal == 0 {
        *raisable = switches;
        return true;
    }
    let before = *raisable;
    // From now on the targets at and above this layer have a frame that others may not have got.
    *raisable &= (1 << template.temporal) - 1;
    before >> template.temporal & 1 != 0
}

fn without_descriptor(payload: &[u8], marker: bool) -> Option<FrameInfo> {
    let (&head, elements) = payload.split_first()?;
    let has_sequence_header = find_sequence_header(head, elements)?;
    let keyframe = head & N != 0 && has_sequence_header;
    Some(FrameInfo {
        is_keyframe: keyframe,
        starts_frame: head & Z == 0,
        ends_frame: marker,
        ends_picture: marker,
        switching_point: true,
        spatial_switching_point: keyframe,
        ..FrameInfo::default()
    })
}

/// Whether an OBU element of this packet is a sequence header. `None` when an element length lies.
///
/// Aggregation header: Z Y W W N - - -. W counts the elements (the last has no length field); 0 means that each has
/// one. Z set: the first element continues an older one (its first byte tells no type, but then N is not set).
fn find_sequence_header(head: u8, elements: &[u8]) -> Option<bool> {
    let count = u32::from(head >> 4 & 0x03);
    if head & Z != 0 && head & N != 0 {
        return None;
    }
    let mut rest = elements;
    let mut index = 0;
    let mut found = false;
    while !rest.is_empty() {
        index += 1;
        let element = if index == count {
            std::mem::take(&mut rest)
        } else {
            let (length, after) = read_leb128(rest)?;
            let (element, after) = after.split_at_checked(length)?;
            rest = after;
            element
        };
        found = found || element.first().is_some_and(|byte| byte >> 3 & 0x0F == OBU_SEQUENCE_HEADER);
    }
    (index >= count).then_some(found)
}

/// (value, what follows it); at most eight bytes (AV1 specification §4.10.5).
fn read_leb128(payload: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    let mut rest = payload;
    for index in 0..MAX_LEB128_BYTES {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte < 0x80 {
            return Some((usize::try_from(value).ok()?, rest));
        }
    }
    None
}
