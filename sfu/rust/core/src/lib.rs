//! The packet engine of Ting: a mirror of `sfu/engine/reference`, file by file and byte by byte.
//!
//! No sockets, no clock, no randomness: time is an argument, randomness comes from a seed. Input never panics.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
mod bindings;
mod clock;
pub mod codecs;
pub mod codecs_av1;
pub mod codecs_h264;
pub mod codecs_vp8;
pub mod codecs_vp9;
mod commands;
mod congestion;
pub mod congestion_feedback;
mod core;
mod demux;
pub mod dependency_descriptor;
pub mod engine;
mod fan_out;
mod feedback;
mod flexfec;
mod forwarder;
pub mod frame_info;
pub mod fuzzing;
pub mod fuzzing_engine;
mod handles;
mod header;
mod inbound;
mod keyframe_cache;
mod layers;
mod levels;
pub mod migration;
mod nack;
mod outgoing;
mod pacing;
mod packet;
mod picture_edges;
mod pictures;
mod policing;
mod prng;
mod reception;
pub mod red;
mod replay;
mod reports;
mod retransmit;
mod routing;
pub mod rtcp;
pub mod rtp;
pub mod seqnum;
mod sequence_map;
mod slab;
mod slots;
pub mod srtp;
pub mod srtp_transforms;
mod state;
mod statistics;
mod stream;
mod stun;
mod subscriber_reports;
mod timeline;
mod track;
pub mod transmit;
mod transport;
pub mod transport_feedback;
mod twcc;
mod validation;
