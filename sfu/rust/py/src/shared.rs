//! What the engine's threads have, and what they share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use ting_core::api::Path;

use crate::counters::Counters;
use crate::events::Notices;
use crate::lanes::Lanes;
use crate::link_table::Links;
use crate::shards::Shards;
use crate::socket::UdpSocket;
use crate::waiting::EventFd;

/// Frames from TCP connections that may wait for the engine.
const MAX_WAITING_FRAMES: usize = 4096;
/// Lanes for each thread that could empty one: the more, the more evenly the work is spread.
const LANES_PER_THREAD: usize = 2;
/// More lanes would make short runs of `sendmmsg`.
const MAX_LANES: usize = 16;
/// Shortest time between two notices of a panic, in ns. All are counted.
const FAULT_INTERVAL_NS: u64 = 1_000_000_000;

/// What one thread has of its own.
pub(crate) struct ThreadState {
    /// One per local address; those of the first thread at least.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Figures.
    pub(crate) counters: Counters,
    pub(crate) wake: Arc<EventFd>,
    /// It waits and would take a lane.
    pub(crate) idle: AtomicBool,
    /// (engine, lane) to look at.
    pub(crate) offers: Mutex<Vec<(usize, usize)>>,
}

/// What the engine's threads share with each other and with Python.
pub(crate) struct Shared {
    /// The engines. Commands take one between two batches.
    pub(crate) shards: Arc<Shards>,
    /// At least one.
    pub(crate) threads: Vec<ThreadState>,
    /// To the event loop.
    pub(crate) notices: Notices,
    /// By engine.
    pub(crate) lanes: Arc<[Lanes]>,
    /// The longest hold of a large fan-out.
    pub(crate) max_hold_ns: u64,
    /// Data channels.
    pub(crate) links: Links,
    frames: Mutex<VecDeque<(Path, Vec<u8>)>>,
    stop: AtomicBool,
    /// When a panic was told last; 0 before the first.
    last_fault_at_ns: AtomicU64,
}

impl Shared {
    /// For `run` to work on: one thread for each element of `sockets`. `max_queued` datagrams may wait in one lane, and a
    /// large fan-out for `max_hold_ns`.
    pub(crate) fn new(
        shards: Arc<Shards>,
        sockets: Vec<Vec<UdpSocket>>,
        max_queued: usize,
        max_hold_ns: u64,
    ) -> std::io::Result<Self> {
        let count = if sockets.len() > 1 { sockets.len().saturating_mul(LANES_PER_THREAD).min(MAX_LANES) } else { 1 };
        let lanes: Arc<[Lanes]> = (0..shards.len()).map(|_| Lanes::new(count, max_queued)).collect();
        shards.set_lanes(Arc::clone(&lanes));
        let mut threads = Vec::with_capacity(sockets.len());
        for sockets in sockets {
            threads.push(ThreadState {
                sockets,
                counters: Counters::default(),
                wake: Arc::new(EventFd::new()?),
                idle: AtomicBool::new(false),
                offers: Mutex::new(Vec::new()),
            });
        }
        shards.set_clocks(threads.iter().map(|thread: &ThreadState| Arc::clone(&thread.wake)).collect());
        Ok(Self {
            shards,
            threads,
            notices: Notices::new()?,
            lanes,
            links: Links::default(),
            frames: Mutex::new(VecDeque::new()),
            max_hold_ns,
            stop: AtomicBool::new(false),
            last_fault_at_ns: AtomicU64::new(0),
        })
    }

    /// The first thread: it has a socket for every address, and does what is nobody's in particular.
    pub(crate) fn first(&self) -> Option<&ThreadState> {
        self.threads.first()
    }

    /// Look at the engines again.
    pub(crate) fn wake(&self) {
        for thread in &self.threads {
            thread.wake.signal();
        }
    }

    /// Whether `stop` was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Frames of TCP connections that wait for the engine.
    pub(crate) fn take_frames(&self) -> VecDeque<(Path, Vec<u8>)> {
        std::mem::take(&mut *self.frames.lock())
    }

    /// Let `run` return.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether a panic should be told now: not more often than once in `FAULT_INTERVAL_NS`.
    pub(crate) fn may_tell_fault(&self, now_ns: u64) -> bool {
        let last = &self.last_fault_at_ns;
        let before = last.load(Ordering::Relaxed);
        let is_time = before == 0 || now_ns.saturating_sub(before) >= FAULT_INTERVAL_NS;
        is_time && last.compare_exchange(before, now_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Hand a frame of a TCP connection to the engine; it is counted and dropped when too many wait.
    pub(crate) fn push_frame(&self, path: Path, data: &[u8]) {
        let Some(first) = self.first() else { return };
        let mut frames = self.frames.lock();
        if frames.len() >= MAX_WAITING_FRAMES {
            first.counters.tcp_frames_dropped.add(1);
            return;
        }
        frames.push_back((path, data.to_vec()));
        drop(frames);
        first.wake.signal();
    }
}
