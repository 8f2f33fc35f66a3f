//! Picture ids and TL0PICIDX (VP8 RFC 7741, VP9 RFC 9628), and AV1 frame numbers, of one subscription.

use crate::api::Codec;
use crate::codecs::{rewrite_vp8, rewrite_vp9};
use crate::packet::MediaPacket;
use crate::sequence_map::SequenceMap;

/// Numbers to write into a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Low bits of the picture id (15 at most are on the wire) or frame number.
    id: u16,
    tl0picidx: u8,
}

impl Picture {
    /// The frame number to write into the dependency descriptor, if that is what this is.
    pub(crate) fn frame_number(self, codec: Codec) -> Option<u16> {
        (codec == Codec::Av1).then_some(self.id)
    }
}

/// Makes picture ids contiguous over switches, pauses and withheld pictures.
///
/// VP9 ids step over withheld pictures as the publisher's did: P_DIFF and the GOF count in them (RFC 9628 §4.2), so that
/// there only switches and pauses are smoothed. So it is with AV1, where frame differences count in frame numbers. The
/// first number sent is the publisher's own, so a subscription that never switches needs no rewriting at all.
#[derive(Debug, Default)]
pub(crate) struct PictureNumbers {
    map: Option<Box<SequenceMap>>,
    last_tl0picidx: Option<u8>,
    tl0picidx_offset: u8,
}

impl PictureNumbers {
    /// A source starts, or starts again, with this packet.
    pub(crate) fn begin(&mut self, packet: &MediaPacket) {
        if packet.picture < 0 {
            return;
        }
        let map = self.map.get_or_insert_with(|| Box::new(SequenceMap::new(packet.picture)));
        map.begin(packet.picture);
        if let Some(tl0picidx) = packet.info.tl0picidx {
            if let Some(last) = self.last_tl0picidx {
                self.tl0picidx_offset = last.wrapping_add(1).wrapping_sub(tl0picidx);
            }
            self.last_tl0picidx = Some(tl0picidx.wrapping_add(self.tl0picidx_offset));
        }
    }

    /// The packet, and with it its picture, does not go out.
    pub(crate) fn withhold(&mut self, packet: &MediaPacket) {
        if let Some(map) = &mut self.map
            && packet.codec == Codec::Vp8
            && packet.picture > map.highest_in
        {
            map.withhold(packet.picture);
        }
    }

    /// The numbers to write; None when the payload can leave as it is.
    pub(crate) fn place(&mut self, packet: &MediaPacket) -> Option<Picture> {
        let Some(map) = &mut self.map else {
            self.begin(packet);
            return None;
        };
        let is_newest = packet.picture > map.highest_in;
        let out = map.place(packet.picture).unwrap_or(packet.picture - map.offset);
        let id = out as u16;
        let Some(tl0picidx) = packet.info.tl0picidx else {
            return (out != packet.picture).then_some(Picture { id, tl0picidx: 0 });
        };
        let tl0picidx_out = tl0picidx.wrapping_add(self.tl0picidx_offset);
        if is_newest {
            self.last_tl0picidx = Some(tl0picidx_out);
        }
        let is_unchanged = out == packet.picture && tl0picidx_out == tl0picidx;
        (!is_unchanged).then_some(Picture { id, tl0picidx: tl0picidx_out })
    }
}

/// Write the numbers that `PictureNumbers::place` gave into `payload`.
pub(crate) fn write_picture(payload: &mut [u8], codec: Codec, picture: Picture) {
    let (id, tl0picidx) = (i64::from(picture.id), i64::from(picture.tl0picidx));
    match codec {
        Codec::Vp8 => rewrite_vp8(payload, id, tl0picidx),
        Codec::Vp9 => rewrite_vp9(payload, id, tl0picidx),
        // An AV1 frame number is in the dependency descriptor.
        _ => (),
    }
}
