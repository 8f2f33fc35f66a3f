//! The parts of the engine that need no state of a call: wire formats, sequence numbers, cryptography.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod codecs;
mod common;
mod congestion_feedback;
mod dependency_descriptor;
mod fuzzing;
mod rtcp;
mod rtp;
mod seqnum;
mod srtp;
mod transport_feedback;
