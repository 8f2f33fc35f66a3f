//! Repair packets of video: FlexFEC in the flexible form of draft-ietf-payload-flexible-fec-scheme-03 §4.2.2.1, which is
//! what libwebrtc reads (RFC 8627 has another header).

use crate::api::{Codec, SubscriptionConfig};
use crate::core::Core;
use crate::header::{HeaderFields, HeaderWriter};
use crate::pictures::{Picture, write_picture};
use crate::rtp::{EXTENSION_HEADER_BYTES, FIXED_HEADER_BYTES, ONE_BYTE_PROFILE};
use crate::seqnum::EXT_SEQ_START;
use crate::transmit::RtpMade;
use crate::transport::{RetiredSsrc, Transport};

/// Of the header of a repair packet with the shortest mask.
const HEADER_BYTES: usize = 20;
/// Bits of that mask.
const MASK_BITS: i64 = 15;
/// A longer packet is not covered: its repair packet might be longer than what any line takes.
const MAX_COVERED_BYTES: usize = 1_300;

/// What is to be covered: a packet in the clear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covered<'a> {
    pub(crate) ext_seq: i64,
    pub(crate) header: &'a [u8],
    /// As it came; `picture` is written into it.
    pub(crate) payload: &'a [u8],
    pub(crate) picture: Option<(Codec, Picture)>,
    /// Ids of the header extensions that are set when a packet leaves, or 0: receivers take them for zeros.
    pub(crate) mutable: [u8; 2],
}

/// The repair packets of one subscription.
#[derive(Debug)]
pub(crate) struct FecStream {
    media_ssrc: u32,
    /// SSRC and payload type; None: the subscriber takes none.
    own: Option<(u32, u8)>,
    ext_seq: i64,
    pub(crate) packets_sent: u64,
    /// While there are some.
    group: Option<Box<Group>>,
}

impl FecStream {
    /// Its numbers begin by chance, or where that SSRC ended which this transport has used before.
    pub(crate) fn new(core: &mut Core, transport: &mut Transport, config: &SubscriptionConfig) -> Self {
        let mut ext_seq = EXT_SEQ_START;
        if let Some((ssrc, _)) = config.fec {
            ext_seq += core.random.next_u15();
            ext_seq = transport.resume_ssrc(ssrc).map_or(ext_seq, |last| last.ext_seq);
        }
        Self { media_ssrc: config.ssrc, own: config.fec, ext_seq, packets_sent: 0, group: None }
    }

    /// So many packets of a picture share a repair packet from now on; 0: there are none.
    pub(crate) fn set(&mut self, packets: u32) {
        self.group = (packets > 0 && self.own.is_some()).then(|| Box::new(Group::new(packets)));
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.group.is_some()
    }

    /// A packet leaves. The payload of the repair packet that is to follow it, if one is.
    pub(crate) fn cover(&mut self, packet: &Covered) -> Option<Vec<u8>> {
        self.group.as_mut()?.add(self.media_ssrc, packet)
    }

    /// `timestamp` is that of the picture.
    pub(crate) fn send(
        &mut self,
        core: &mut Core,
        transport: &mut Transport,
        writer: &HeaderWriter,
        (now_ns, timestamp): (i64, u32),
        payload: Vec<u8>,
    ) {
        let Some((ssrc, second)) = self.own else { return };
        self.ext_seq += 1;
        self.packets_sent += 1;
        let (ext_seq, seq) = (self.ext_seq, self.ext_seq as u16);
        let twcc_seq = writer.number(transport, now_ns, payload.len(), ssrc, ext_seq);
        let fields = HeaderFields { second, seq, timestamp, ssrc, twcc_seq, now_ns, frame_number: None };
        let header = writer.repair(&fields);
        transport.send_made(core, RtpMade { ssrc, ext_seq, header, payload });
    }

    /// New keys: the peer counts rollovers from zero again.
    pub(crate) fn rekey(&mut self) {
        self.ext_seq = EXT_SEQ_START + (self.ext_seq & 0xFFFF);
    }

    /// The subscription ends: remember where its numbers stood.
    pub(crate) fn retire(&self, transport: &mut Transport) {
        if let Some((ssrc, _)) = self.own {
            transport.retire_ssrc(ssrc, RetiredSsrc { ext_seq: self.ext_seq, last_sent: None });
        }
    }
}

/// The packets that the next repair packet covers.
#[derive(Debug, Default)]
struct Group {
    /// As many packets share it at most.
    limit: u32,
    count: u32,
    first: i64,
    mask: u16,
    timestamp: [u8; 4],
    /// The picture that has had one last.
    repaired: Option<[u8; 4]>,
    /// XOR of the first bytes of each, its length in place of its number.
    head: [u8; 8],
    /// XOR of what is behind that.
    body: Vec<u8>,
    scratch: Vec<u8>,
}

impl Group {
    fn new(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }

    /// A packet leaves. The payload of a repair packet, when it was the last one that shares it: the last of its picture,
    /// or one of as many as may. A packet that comes late, or alone in its picture, is not covered.
    fn add(&mut self, ssrc: u32, packet: &Covered) -> Option<Vec<u8>> {
        let head: [u8; 8] = *packet.header.first_chunk()?;
        let [first, second, _, _, timestamp @ ..] = head;
        let place = packet.ext_seq - self.first;
        if self.count == 0 || timestamp != self.timestamp || place >= MASK_BITS {
            self.begin(packet.ext_seq, timestamp);
        } else if place < 0 {
            return None;
        }
        let size = packet.header.len() - FIXED_HEADER_BYTES.min(packet.header.len()) + packet.payload.len();
        if size <= MAX_COVERED_BYTES {
            let [high, low] = (size as u16).to_be_bytes();
            let [a, b, c, d] = timestamp;
            xor(&mut self.head, &[first & 0x3F, second, high, low, a, b, c, d]);
            self.cover(packet);
            self.count += 1;
            self.mask |= 0x4000 >> (packet.ext_seq - self.first);
        }
        if second < 0x80 && self.count < self.limit {
            return None;
        }
        // What is left over of a picture has one for itself: only the next picture would show that it is missing.
        let is_wanted = self.count > 1 || self.count == 1 && self.repaired == Some(timestamp);
        self.count = 0;
        is_wanted.then(|| {
            self.repaired = Some(timestamp);
            self.payload(ssrc)
        })
    }

    fn begin(&mut self, ext_seq: i64, timestamp: [u8; 4]) {
        self.first = ext_seq;
        self.timestamp = timestamp;
        self.count = 0;
        self.mask = 0;
        self.head = [0; 8];
        self.body.clear();
    }

    fn cover(&mut self, packet: &Covered) {
        self.scratch.clear();
        self.scratch.extend_from_slice(packet.header.get(FIXED_HEADER_BYTES..).unwrap_or_default());
        blank(&mut self.scratch, packet.mutable);
        let payload_at = self.scratch.len();
        self.scratch.extend_from_slice(packet.payload);
        if let (Some((codec, picture)), Some(payload)) = (packet.picture, self.scratch.get_mut(payload_at..)) {
            write_picture(payload, codec, picture);
        }
        if self.body.len() < self.scratch.len() {
            self.body.resize(self.scratch.len(), 0);
        }
        xor(&mut self.body, &self.scratch);
    }

    fn payload(&self, ssrc: u32) -> Vec<u8> {
        let mut payload = Vec::with_capacity(HEADER_BYTES + self.body.len());
        payload.extend_from_slice(&self.head);
        // One SSRC is covered.
        payload.extend_from_slice(&[1, 0, 0, 0]);
        payload.extend_from_slice(&ssrc.to_be_bytes());
        payload.extend_from_slice(&(self.first as u16).to_be_bytes());
        payload.extend_from_slice(&(0x8000 | self.mask).to_be_bytes());
        payload.extend_from_slice(&self.body);
        payload
    }
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (one, other) in into.iter_mut().zip(other) {
        *one ^= other;
    }
}

/// Zeros in place of the values of these elements of an extension block that we have written.
fn blank(block: &mut [u8], ids: [u8; 2]) {
    let Some((head, mut rest)) = block.split_first_chunk_mut::<EXTENSION_HEADER_BYTES>() else { return };
    let is_one_byte = head.first_chunk() == Some(&ONE_BYTE_PROFILE.to_be_bytes());
    while let Some((&mut first, after)) = rest.split_first_mut() {
        if first == 0 {
            rest = after;
            continue;
        }
        let (id, size, values) = if is_one_byte {
            (first >> 4, usize::from(first & 0x0F) + 1, after)
        } else {
            let Some((&mut size, after)) = after.split_first_mut() else { return };
            (first, usize::from(size), after)
        };
        let Some((value, after)) = values.split_at_mut_checked(size) else { return };
        if ids.contains(&id) {
            value.fill(0);
        }
        rest = after;
    }
}
