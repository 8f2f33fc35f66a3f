//! The engine contract in Rust: configurations, events, statistics and errors.
//!
//! What each of them means is written in the docstring of `sfu/engine/api/__init__.py`, the specification of both engines.

mod config;
mod drops;
mod error;
mod events;
mod limits;
mod stats;

pub use config::*;
pub use drops::*;
pub use error::*;
pub use events::*;
pub use limits::*;
pub use stats::*;
