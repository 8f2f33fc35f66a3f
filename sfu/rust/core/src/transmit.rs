//! What leaves the engine: datagrams that are decided on, and encrypted where they are sent from.

use crate::api::Path;

/// A datagram to send. Everything about it is fixed; only the encryption, which is the greater part of the work, is
/// left for whoever sends it, on any thread (`Transmit` is `Send`), straight into the send buffer.
pub struct Transmit {}

impl Transmit {
    /// Where to send it.
    #[must_use]
    pub fn path(&self) -> &Path {
        unimplemented!()
    }
    /// A small number that is equal for equal transports (reused after they are removed): what to sort by to get long
    /// runs for UDP GSO.
    #[must_use]
    pub fn destination(&self) -> u32 {
        0
    }
    /// Bytes of the sealed datagram.
    #[must_use]
    pub fn size(&self) -> usize {
        0
    }
    /// Append the sealed datagram (exactly `size` bytes) to `out`.
    pub fn seal_into(&self, out: &mut Vec<u8>) {
        let _ = out;
    }
}
