//! Headers of the packets of one subscription.

use smallvec::SmallVec;

use crate::api::{Extension, SubscriptionConfig};
use crate::packet::{Elements, ExtensionPlan, MediaPacket};
use crate::rtp::{FixedHeader, ONE_BYTE_PROFILE, abs_send_time, write_extensions, write_fixed_header};
use crate::transmit::Header;
use crate::transport::Transport;

/// What of a header is different for each packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderFields {
    /// Marker and payload type.
    pub(crate) second: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Transport-cc number; without meaning when the subscriber does not want it.
    pub(crate) twcc_seq: u16,
    /// When it leaves.
    pub(crate) now_ns: i64,
    /// What takes the place of the frame number in the dependency descriptor.
    pub(crate) frame_number: Option<u16>,
}

/// Writes headers with the extensions of one subscription: MID, transport-cc, and what a plan carries.
#[derive(Debug)]
pub(crate) struct HeaderWriter {
    mid_id: u8,
    mid: String,
    twcc_id: u8,
    has_ccfb: bool,
    /// The MID in one-byte form, room for a transport-cc element, and padding to 32 bits. None: no fixed part, or one
    /// that only the two-byte form can carry.
    fixed_part: Option<SmallVec<[u8; 24]>>,
    /// Where the transport-cc number goes in `fixed_part`.
    twcc_at: usize,
}

impl HeaderWriter {
    pub(crate) fn new(config: &SubscriptionConfig) -> Self {
        let mid_id = config.extensions.get(Extension::Mid);
        let twcc_id = config.extensions.get(Extension::TransportCc);
        let mid = config.mid.as_bytes();
        let fits = mid_id <= 14 && twcc_id <= 14 && mid.len() <= 16;
        let mut part = SmallVec::new();
        if mid_id != 0 && !mid.is_empty() && fits {
            part.push(mid_id << 4 | (mid.len() - 1) as u8);
            part.extend_from_slice(mid);
        }
        let twcc_at = part.len() + 1;
        if twcc_id != 0 && fits {
            part.extend_from_slice(&[twcc_id << 4 | 1, 0, 0]);
        }
        part.resize(part.len().next_multiple_of(4), 0);
        let fixed_part = (!part.is_empty()).then_some(part);
        Self { mid_id, mid: config.mid.clone(), twcc_id, has_ccfb: config.ccfb, fixed_part, twcc_at }
    }

    /// Id of the transport-cc number, or 0.
    pub(crate) fn twcc_id(&self) -> u8 {
        self.twcc_id
    }

    /// The transport-wide number that a packet with so much payload leaves with; 0 where its header has none.
    #[inline]
    pub(crate) fn number(
        &self,
        transport: &mut Transport,
        now_ns: i64,
        payload_bytes: usize,
        ssrc: u32,
        ext_seq: i64,
    ) -> u16 {
        if self.has_twcc() {
            return transport.take_twcc_seq(now_ns, payload_bytes);
        }
        if self.has_ccfb {
            transport.number_rtp(now_ns, payload_bytes, ssrc, ext_seq);
        }
        0
    }

    /// Whether each packet takes a transport-cc number.
    pub(crate) fn has_twcc(&self) -> bool {
        self.twcc_id != 0
    }

    /// The header of a packet that is forwarded (now, or again to the byte). `block` is that of `packet` and `plan`; it
    /// does not serve when there is another frame number.
    pub(crate) fn forwarded(
        &self,
        fields: &HeaderFields,
        packet: &MediaPacket,
        plan: &ExtensionPlan,
        block: Option<&[u8]>,
    ) -> Header {
        let (Some(block), Some(fixed_part), None) = (block, &self.fixed_part, fields.frame_number) else {
            return self.in_full(fields, Some((packet, plan)));
        };
        let words = ((fixed_part.len() + block.len()) / 4) as u16;
        let mut header = Header::new();
        let mut head = [0; 16];
        head[0] = 0x90;
        head[1] = fields.second;
        head[2..4].copy_from_slice(&fields.seq.to_be_bytes());
        head[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        head[12..14].copy_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
        head[14..].copy_from_slice(&words.to_be_bytes());
        header.extend_from_slice(&head);
        header.extend_from_slice(fixed_part);
        if self.twcc_id != 0
            && let Some(number) = header.get_mut(head.len() + self.twcc_at..head.len() + self.twcc_at + 2)
        {
            number.copy_from_slice(&fields.twcc_seq.to_be_bytes());
        }
        header.extend_from_slice(block);
        header
    }

    /// The header by the general builder: for two-byte extensions, other frame numbers, resends, and padding (no packet).
    pub(crate) fn in_full(&self, fields: &HeaderFields, packet: Option<(&MediaPacket, &ExtensionPlan)>) -> Header {
        self.whole(fields, packet, packet.is_none())
    }

    /// The header of a repair packet.
    pub(crate) fn repair(&self, fields: &HeaderFields) -> Header {
        self.whole(fields, None, false)
    }

    fn whole(
        &self,
        fields: &HeaderFields,
        packet: Option<(&MediaPacket, &ExtensionPlan)>,
        has_padding: bool,
    ) -> Header {
        let twcc_seq = fields.twcc_seq.to_be_bytes();
        let send_time = abs_send_time(fields.now_ns);
        let descriptor = packet.and_then(|(packet, plan)| packet.descriptor_with(plan, fields.frame_number?));
        let mut elements = Elements::new();
        if self.mid_id != 0 && !self.mid.is_empty() {
            elements.push((self.mid_id, self.mid.as_bytes()));
        }
        if self.twcc_id != 0 {
            elements.push((self.twcc_id, &twcc_seq));
        }
        if let Some((packet, plan)) = packet {
            packet.elements(plan, &send_time, descriptor.as_deref(), &mut elements);
        }
        let mut whole = Vec::new();
        let fixed = FixedHeader {
            payload_type: fields.second & 0x7F,
            marker: fields.second >= 0x80,
            has_padding,
            has_extensions: !elements.is_empty(),
            seq: fields.seq,
            timestamp: fields.timestamp,
            ssrc: fields.ssrc,
        };
        write_fixed_header(&mut whole, &fixed);
        // Ids are 1..=255 and values at most 255 bytes: configurations are checked, and so is what comes in.
        let _ = write_extensions(&mut whole, &elements);
        Header::from_vec(whole)
    }
}
