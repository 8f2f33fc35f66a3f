//! What leaves the engine: datagrams that are decided on, and encrypted where they are sent from.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::api::Path;
use crate::packet::{MediaPacket, Span};
use crate::pictures::{Picture, write_picture};
use crate::slots::TransportSlot;
use crate::srtp::SrtpContext;

/// The way out of a transport: its keys and its path.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) transport: TransportSlot,
    pub(crate) path: Path,
    pub(crate) srtp: Arc<SrtpContext>,
}

/// A header as it leaves.
pub(crate) type Header = SmallVec<[u8; 48]>;

/// An RTP packet in the clear, in parts.
#[derive(Debug)]
pub(crate) struct RtpOut {
    pub(crate) ssrc: u32,
    pub(crate) ext_seq: i64,
    pub(crate) header: Header,
    /// None: nothing but padding, as long as `payload`: for a packet that was withheld after its number had been kept for
    /// it, and to probe the line.
    pub(crate) packet: Option<Arc<MediaPacket>>,
    /// What of the packet is the payload.
    pub(crate) payload: Span,
    /// Numbers to write into the payload.
    pub(crate) picture: Option<Picture>,
    /// RTX (RFC 4588 §4): the sequence number in front of the payload.
    pub(crate) original_seq: Option<u16>,
}

/// An RTP packet in the clear that was made here.
#[derive(Debug)]
pub(crate) struct RtpMade {
    pub(crate) ssrc: u32,
    pub(crate) ext_seq: i64,
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
enum Body {
    Rtp(RtpOut),
    Made(RtpMade),
    Sealed(Vec<u8>),
}

/// A datagram to send. Everything about it is fixed; only the encryption of media, which is the greater part of the work,
/// is left for whoever sends it, on any thread (`Transmit` is `Send`), straight into the send buffer.
#[derive(Debug)]
pub struct Transmit {
    outlet: Arc<Outlet>,
    body: Body,
}

impl Transmit {
    pub(crate) fn rtp(outlet: &Arc<Outlet>, rtp: RtpOut) -> Self {
        Self { outlet: Arc::clone(outlet), body: Body::Rtp(rtp) }
    }

    pub(crate) fn made(outlet: &Arc<Outlet>, rtp: RtpMade) -> Self {
        Self { outlet: Arc::clone(outlet), body: Body::Made(rtp) }
    }

    /// `sealed` leaves as it is: RTCP that is protected already, STUN.
    pub(crate) fn sealed(outlet: &Arc<Outlet>, sealed: Vec<u8>) -> Self {
        Self { outlet: Arc::clone(outlet), body: Body::Sealed(sealed) }
    }

    /// Its transport lies in another slot now.
    pub(crate) fn set_transport(&mut self, transport: TransportSlot) {
        let Outlet { path, srtp, .. } = &*self.outlet;
        self.outlet = Arc::new(Outlet { transport, path: *path, srtp: Arc::clone(srtp) });
    }

    /// Whose it is.
    pub(crate) fn transport(&self) -> TransportSlot {
        self.outlet.transport
    }

    /// Where to send it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.outlet.path
    }

    /// A small number that is equal for equal transports (reused after they are removed): what to sort by to get long
    /// runs for UDP GSO.
    #[must_use]
    pub fn destination(&self) -> u32 {
        self.outlet.transport.number()
    }

    /// Bytes of the sealed datagram.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.body {
            Body::Sealed(sealed) => sealed.len(),
            Body::Made(rtp) => rtp.header.len() + rtp.payload.len() + self.outlet.srtp.rtp_overhead(),
            Body::Rtp(rtp) => {
                let original_seq = if rtp.original_seq.is_some() { 2 } else { 0 };
                rtp.header.len() + original_seq + rtp.payload.len() + self.outlet.srtp.rtp_overhead()
            }
        }
    }

    /// Append the sealed datagram (exactly `size` bytes) to `out`.
    pub fn seal_into(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::Sealed(sealed) => out.extend_from_slice(sealed),
            Body::Rtp(rtp) => self.seal_rtp(rtp, out),
            Body::Made(rtp) => {
                let start = out.len();
                out.reserve(self.size());
                out.extend_from_slice(&rtp.header);
                out.extend_from_slice(&rtp.payload);
                self.seal(out, start, &rtp.header, rtp.ssrc, rtp.ext_seq);
            }
        }
    }

    fn seal_rtp(&self, rtp: &RtpOut, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(self.size());
        out.extend_from_slice(&rtp.header);
        if let Some(seq) = rtp.original_seq {
            out.extend_from_slice(&seq.to_be_bytes());
        }
        let payload_at = out.len();
        match &rtp.packet {
            Some(packet) => out.extend_from_slice(rtp.payload.of(&packet.data)),
            None => {
                let padding = rtp.payload.len();
                out.resize(payload_at + padding.saturating_sub(1), 0);
                out.push(padding as u8);
            }
        }
        if let (Some(picture), Some(packet)) = (rtp.picture, &rtp.packet)
            && let Some(payload) = out.get_mut(payload_at..)
        {
            write_picture(payload, packet.codec, picture);
        }
        self.seal(out, start, &rtp.header, rtp.ssrc, rtp.ext_seq);
    }

    /// Encrypt the packet that begins at `start`.
    fn seal(&self, out: &mut Vec<u8>, start: usize, header: &Header, ssrc: u32, ext_seq: i64) {
        let tag = out.len() + self.outlet.srtp.rtp_overhead();
        out.resize(tag, 0);
        let datagram = out.get_mut(start..).unwrap_or_default();
        let sealed = self.outlet.srtp.protect_rtp(datagram, header.len(), ssrc, ext_seq);
        if sealed.is_none()
            && let Some(plain) = out.get_mut(start..)
        {
            // Nothing must ever leave in the clear, not even when the cipher fails.
            plain.fill(0);
        }
    }
}
