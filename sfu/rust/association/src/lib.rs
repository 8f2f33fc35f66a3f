//! The data channels of one peer: DTLS records, SCTP (RFC 9260, RFC 8831), and the channels' own protocol (RFC 8832).
//!
//! No sockets and no clock: packets and time go in, packets, events and the next due time come out. Tags and first
//! sequence numbers are random, from the operating system. The peer is authenticated by DTLS before it gets here, and
//! may still not stall, bloat or end the server: [`guard`] says which packets are looked at, and what an association
//! holds is bounded.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod association;
mod channels;
mod dcep;
mod flow;
pub mod fuzzing;
pub mod guard;
mod held;
pub mod records;
mod session;
mod wire;

pub use bytes::Bytes;

pub use association::{DataAssociation, MAX_FAULTS, MAX_PENDING_RESETS, MAX_STREAMS};
pub use channels::{Event, Kind, MAX_CHANNELS, Options, Sent};
pub use held::{MAX_WAITING_CHUNKS, RECEIVE_BUFFER_BYTES};
pub use session::{DataSession, MAX_WAITING_BYTES, MAX_WAITING_LOSSY_BYTES};
