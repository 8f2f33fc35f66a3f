//! VP9 payload descriptor (RFC 9628 §4.2).

use crate::frame_info::FrameInfo;

const I: u8 = 0x80;
const P: u8 = 0x40;
const L: u8 = 0x20;
const F: u8 = 0x10;
const B: u8 = 0x08;
const E: u8 = 0x04;
const V: u8 = 0x02;
const MAX_REFERENCES: usize = 3;

/// `None` when the descriptor is cut off, lists more than three references, or nothing follows it.
#[must_use]
pub fn describe_vp9(payload: &[u8], marker: bool) -> Option<FrameInfo> {
    let (&first, mut rest) = payload.split_first()?;
    let starts = first & B != 0;
    let mut info = FrameInfo {
        starts_frame: starts,
        ends_frame: first & E != 0,
        ends_picture: marker,
        switching_point: true,
        ..FrameInfo::default()
    };
    if first & I != 0 {
        rest = read_picture_id(rest, &mut info)?;
    }
    if first & L != 0 {
        rest = read_layers(rest, first & F != 0, &mut info)?;
    }
    if first & F != 0 && first & P != 0 {
        rest = skip_references(rest)?;
    }
    if first & V != 0 {
        rest = skip_scalability_structure(rest)?;
    }
    if rest.is_empty() {
        return None;
    }
    if starts && first & P == 0 {
        info.spatial_switching_point = true;
        if info.spatial == 0 {
            info.is_keyframe = true;
            info.switching_point = true;
        }
    }
    Some(info)
}

fn read_picture_id<'a>(payload: &'a [u8], info: &mut FrameInfo) -> Option<&'a [u8]> {
    let (&high, rest) = payload.split_first()?;
    if high & 0x80 == 0 {
        info.picture_id = Some(u16::from(high));
        info.picture_id_bits = 7;
        return Some(rest);
    }
    let (&low, rest) = rest.split_first()?;
    info.picture_id = Some(u16::from_be_bytes([high & 0x7F, low]));
    info.picture_id_bits = 15;
    Some(rest)
}

fn read_layers<'a>(payload: &'a [u8], is_flexible: bool, info: &mut FrameInfo) -> Option<&'a [u8]> {
    let (&layers, rest) = payload.split_first()?;
    info.temporal = layers >> 5;
    info.switching_point = layers & 0x10 != 0;
    info.spatial = layers >> 1 & 0x07;
    info.inter_layer_predicted = layers & 0x01 != 0;
    if is_flexible {
        return Some(rest);
    }
    let (&tl0picidx, rest) = rest.split_first()?;
    info.tl0picidx = Some(tl0picidx);
    Some(rest)
}

/// Past the P_DIFF list; its N bit says that another follows.
fn skip_references(payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    for _ in 0..MAX_REFERENCES {
        let (&reference, after) = rest.split_first()?;
        if reference & 0x01 == 0 {
            return Some(after);
        }
        rest = after;
    }
    None
}

/// Past N_S, Y and G with what they announce (RFC 9628 §4.2.1).
fn skip_scalability_structure(payload: &[u8]) -> Option<&[u8]> {
    let (&head, mut rest) = payload.split_first()?;
    if head & 0x10 != 0 {
        rest = rest.get((usize::from(head >> 5) + 1) * 4..)?;
    }
    if head & 0x08 != 0 {
        let (&pictures, after) = rest.split_first()?;
        rest = after;
        for _ in 0..pictures {
            let (&picture, after) = rest.split_first()?;
            rest = after.get(usize::from(picture >> 2 & 0x03)..)?;
        }
    }
    Some(rest)
}

/// Write these values into `payload` where it has such fields; their widths stay, so the values are cut to fit.
///
/// For payloads that [`describe_vp9`] accepted; others stay as they are.
pub fn rewrite_vp9(payload: &mut [u8], picture_id: i64, tl0picidx: i64) {
    let Some((&mut first, fields)) = payload.split_first_mut() else { return };
    if first & I == 0 || fields.len() < 2 {
        return;
    }
    let id_bytes = 1 + usize::from(fields.first().is_some_and(|high| high & 0x80 != 0));
    // TL0PICIDX follows the layer indices, in non-flexible mode only.
    let has_tl0picidx = first & L != 0 && first & F == 0;
    let Some(fields) = fields.get_mut(..id_bytes + if has_tl0picidx { 2 } else { 0 }) else { return };
    let (id_field, tl0_field) = fields.split_at_mut_checked(id_bytes).unwrap_or_default();
    match id_field {
        [high, low] => [*high, *low] = (0x8000 | picture_id as u16).to_be_bytes(),
        [only] => *only = picture_id as u8 & 0x7F,
        _ => (),
    }
    if let [_, tl0_field] = tl0_field {
        *tl0_field = tl0picidx as u8;
    }
}
