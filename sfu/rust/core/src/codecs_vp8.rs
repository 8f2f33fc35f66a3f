//! VP8 payload descriptor and keyframes (RFC 7741 §4.2, RFC 6386 §9.1).

use crate::frame_info::FrameInfo;

const START_CODE: [u8; 3] = [0x9D, 0x01, 0x2A];

/// `None` when the descriptor is cut off or nothing follows it.
///
/// A keyframe needs its start code as well as the P bit, so that a flipped bit starts nobody's decoder. End-to-end
/// encryption leaves these first bytes in the clear.
#[must_use]
pub fn describe_vp8(payload: &[u8], marker: bool) -> Option<FrameInfo> {
    let mut info =
        FrameInfo { ends_frame: marker, ends_picture: marker, switching_point: true, ..FrameInfo::default() };
    let (&first, mut rest) = payload.split_first()?;
    if first & 0x80 != 0 {
        rest = read_extension(rest, &mut info)?;
    }
    let (&frame_tag, after) = rest.split_first()?;
    // S set and PID 0: the first packet of the frame, with the frame header in front.
    if first & 0x17 == 0x10 {
        info.starts_frame = true;
        if frame_tag & 0x01 == 0 && after.get(2..5) == Some(&START_CODE[..]) {
            info.is_keyframe = true;
            info.switching_point = true;
            info.spatial_switching_point = true;
        }
    }
    Some(info)
}

/// The fields that the X bit announces; returns what follows them.
fn read_extension<'a>(payload: &'a [u8], info: &mut FrameInfo) -> Option<&'a [u8]> {
    let (&flags, mut rest) = payload.split_first()?;
    if flags & 0x80 != 0 {
        let (&high, after) = rest.split_first()?;
        rest = after;
        if high & 0x80 != 0 {
            let (&low, after) = rest.split_first()?;
            rest = after;
            info.picture_id = Some(u16::from_be_bytes([high & 0x7F, low]));
            info.picture_id_bits = 15;
        } else {
            info.picture_id = Some(u16::from(high));
            info.picture_id_bits = 7;
        }
    }
    if flags & 0x40 != 0 {
        let (&tl0picidx, after) = rest.split_first()?;
        rest = after;
        info.tl0picidx = Some(tl0picidx);
    }
    if flags & 0x30 != 0 {
        let (&layers, after) = rest.split_first()?;
        rest = after;
        if flags & 0x20 != 0 {
            info.temporal = layers >> 6;
            info.switching_point = layers & 0x20 != 0;
        }
        if flags & 0x10 != 0 {
            info.keyidx = Some(layers & 0x1F);
        }
    }
    Some(rest)
}

/// Write these values into `payload` where it has such fields; their widths stay, so the values are cut to fit.
///
/// For payloads that [`describe_vp8`] accepted; others stay as they are.
pub fn rewrite_vp8(payload: &mut [u8], picture_id: i64, tl0picidx: i64) {
    if payload.len() < 3 {
        return;
    }
    let Some((&mut [first, flags], fields)) = payload.split_first_chunk_mut::<2>() else { return };
    if first & 0x80 == 0 {
        return;
    }
    let (id_bytes, tl0_bytes) = (picture_id_bytes(flags, fields), usize::from(flags & 0x40 != 0));
    let Some(fields) = fields.get_mut(..id_bytes + tl0_bytes) else { return };
    let (id_field, tl0_field) = fields.split_at_mut_checked(id_bytes).unwrap_or_default();
    match id_field {
        [high, low] => [*high, *low] = (0x8000 | picture_id as u16).to_be_bytes(),
        [only] => *only = picture_id as u8 & 0x7F,
        _ => (),
    }
    if let [only] = tl0_field {
        *only = tl0picidx as u8;
    }
}

fn picture_id_bytes(flags: u8, fields: &[u8]) -> usize {
    match fields.first() {
        Some(byte) if flags & 0x80 != 0 => 1 + usize::from(byte >> 7),
        _ => 0,
    }
}
