//! Counters of the sockets: written by the threads, read by Python at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Count `more`.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one thread counts for `io_stats`, with the names of `sfu.engine.driver`.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Datagrams that arrived over UDP.
    pub(crate) datagrams_received: Counter,
    /// Their bytes.
    pub(crate) bytes_received: Counter,
    /// Datagrams that left over UDP.
    pub(crate) datagrams_sent: Counter,
    /// Their bytes.
    pub(crate) bytes_sent: Counter,
    /// Datagrams that could not leave.
    pub(crate) send_failures: Counter,
    /// Failed receive calls.
    pub(crate) receive_failures: Counter,
    /// Runs that left as one.
    pub(crate) gso_sends: Counter,
    /// Times that the kernel or a device refused a run.
    pub(crate) gso_refused: Counter,
    /// Events and frames that found the queue to the event loop full.
    pub(crate) events_dropped: Counter,
    /// Datagrams that found their lane full.
    pub(crate) send_queue_drops: Counter,
    /// Lanes that were handed to another thread.
    pub(crate) handovers: Counter,
    /// Frames from TCP that found the queue to the engine full.
    pub(crate) tcp_frames_dropped: Counter,
    /// Panics of the engine.
    pub(crate) engine_faults: Counter,
}

impl Counters {
    /// All of them by name.
    pub(crate) fn all(&self) -> [(&'static str, u64); 13] {
        [
            ("datagrams_received", self.datagrams_received.get()),
            ("bytes_received", self.bytes_received.get()),
            ("datagrams_sent", self.datagrams_sent.get()),
            ("bytes_sent", self.bytes_sent.get()),
            ("send_failures", self.send_failures.get()),
            ("receive_failures", self.receive_failures.get()),
            ("gso_sends", self.gso_sends.get()),
            ("gso_refused", self.gso_refused.get()),
            ("events_dropped", self.events_dropped.get()),
            ("send_queue_drops", self.send_queue_drops.get()),
            ("handovers", self.handovers.get()),
            ("tcp_frames_dropped", self.tcp_frames_dropped.get()),
            ("engine_faults", self.engine_faults.get()),
        ]
    }
}
