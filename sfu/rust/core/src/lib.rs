//! The packet engine of Ting: a mirror of `sfu/engine/reference`, file by file and byte by byte.
//!
//! No sockets, no clock, no randomness: time is an argument, randomness comes from a seed. Input never panics.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod codecs;
pub mod codecs_av1;
pub mod codecs_h264;
pub mod codecs_vp8;
pub mod codecs_vp9;
pub mod dependency_descriptor;
pub mod engine;
pub mod frame_info;
pub mod red;
pub mod rtcp;
pub mod rtp;
pub mod seqnum;
pub mod srtp;
pub mod srtp_transforms;
pub mod transport_feedback;
pub mod transmit;
