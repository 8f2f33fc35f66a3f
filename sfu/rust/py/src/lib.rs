//! `ting_engine`: Ting's packet engine as a Python extension.
//!
//! Everything that knows packets is in `ting-core`; here are the binding, the sockets and the threads.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod convert;
mod counters;
mod data_link;
mod engine;
mod engine_guard;
mod events;
mod fan_out;
mod faults;
mod floor;
mod groups;
mod hold;
mod lanes;
mod link_table;
mod links;
mod load;
mod outbox;
mod runtime;
mod sending;
mod shards;
mod shared;
mod socket;
mod waiting;
mod worker;

use pyo3::prelude::*;

/// The Rust packet engine of Ting. `sfu.engine` is its only user.
#[pymodule(gil_used = false)]
mod ting_engine {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::data_link::DataLink;
    #[pymodule_export]
    use crate::engine::PacketEngine;
    #[pymodule_export]
    use crate::floor::bare_loop;
    #[pymodule_export]
    use crate::load::LoadGenerator;
    #[pymodule_export]
    use crate::runtime::Runtime;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("SOURCE_HASH", env!("TING_SOURCE_HASH"))?;
        module.add("VERSION", env!("CARGO_PKG_VERSION"))
    }
}
