//! The engine's thread: receive a batch, let the engine work on it, send what comes out. It never takes the GIL.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use ting_core::api::{Path, Protocol};
use ting_core::engine::Engine;

use crate::counters::Counters;
use crate::engine::SharedEngine;
use crate::events::{Notice, Notices};
use crate::faults;
use crate::outbox::Outbox;
use crate::socket::{EventFd, RECEIVE_MESSAGES, ReceiveBatch, UdpSocket, now_ns, wait};

/// Frames from TCP connections that may wait for the engine.
const MAX_WAITING_FRAMES: usize = 4096;
/// Transmits after which a batch is sent before the rest of it is looked at: bounds memory and delay.
const MAX_PENDING_TRANSMITS: usize = 16_384;
/// Batches taken from one socket before the others and the clock get their turn.
const BATCHES_PER_TURN: usize = 4;
/// Shortest time between two notices of a panic, in ns. All are counted.
const FAULT_INTERVAL_NS: u64 = 1_000_000_000;

/// What the engine's thread shares with Python.
pub(crate) struct Shared {
    /// The engine. Commands take it between two batches.
    pub(crate) engine: SharedEngine,
    /// One per local address.
    pub(crate) sockets: Vec<UdpSocket>,
    /// To the event loop.
    pub(crate) notices: Notices,
    /// Figures.
    pub(crate) counters: Counters,
    frames: Mutex<VecDeque<(Path, Vec<u8>)>>,
    wake: EventFd,
    stop: AtomicBool,
}

impl Shared {
    /// For `run` to work on.
    pub(crate) fn new(engine: SharedEngine, sockets: Vec<UdpSocket>) -> std::io::Result<Self> {
        Ok(Self {
            engine,
            sockets,
            notices: Notices::new()?,
            counters: Counters::default(),
            frames: Mutex::new(VecDeque::new()),
            wake: EventFd::new()?,
            stop: AtomicBool::new(false),
        })
    }

    /// Look at the engine and the frames again.
    pub(crate) fn wake(&self) {
        self.wake.signal();
    }

    /// Let `run` return.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// Hand a frame of a TCP connection to the engine; it is counted and dropped when too many wait.
    pub(crate) fn push_frame(&self, path: Path, data: &[u8]) {
        let mut frames = self.frames.lock();
        if frames.len() >= MAX_WAITING_FRAMES {
            self.counters.tcp_frames_dropped.add(1);
            return;
        }
        frames.push_back((path, data.to_vec()));
        drop(frames);
        self.wake();
    }
}

/// The loop. Returns after `Shared::stop`.
pub(crate) fn run(shared: &Shared) {
    let mut worker = Worker::new(shared);
    let mut batch = ReceiveBatch::new();
    let fds = std::iter::once(shared.wake.as_raw_fd()).chain(shared.sockets.iter().map(AsRawFd::as_raw_fd));
    let mut entries: Vec<libc::pollfd> = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    while !shared.stop.load(Ordering::Acquire) {
        let due_at_ns = worker.handle_timeout();
        wait(&mut entries, due_at_ns.map(|due| due.saturating_sub(now_ns())));
        let ready = |entry: &libc::pollfd| entry.revents != 0;
        if entries.first().is_some_and(ready) {
            shared.wake.clear();
            worker.handle_frames();
        }
        for (entry, socket) in entries.iter().skip(1).zip(&shared.sockets) {
            if ready(entry) {
                worker.read(socket, &mut batch);
            }
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    outbox: Outbox,
    notices: Vec<Notice>,
    last_fault_at_ns: Option<u64>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, outbox: Outbox::new(), notices: Vec::new(), last_fault_at_ns: None }
    }

    /// Gives the engine its time when that is due; returns when it is due next.
    fn handle_timeout(&mut self) -> Option<u64> {
        let now = now_ns();
        let shared = self.shared;
        let mut engine = shared.engine.lock();
        let due_at_ns = engine.next_timeout_ns()?;
        if due_at_ns > now {
            return Some(due_at_ns);
        }
        self.guard(now, || engine.handle_timeout(now));
        let next = engine.next_timeout_ns();
        self.collect(&mut engine);
        drop(engine);
        self.flush();
        // An engine that fails every time must not keep the thread busy.
        next.map(|next| next.max(now.saturating_add(1_000_000)))
    }

    fn handle_frames(&mut self) {
        let shared = self.shared;
        let frames = std::mem::take(&mut *shared.frames.lock());
        if frames.is_empty() {
            return;
        }
        let mut engine = shared.engine.lock();
        for (path, data) in &frames {
            let now = now_ns();
            self.guard(now, || engine.handle_datagram(now, path, data));
            self.collect(&mut engine);
        }
        drop(engine);
        self.flush();
    }

    fn read(&mut self, socket: &UdpSocket, batch: &mut ReceiveBatch) {
        for _ in 0..BATCHES_PER_TURN {
            match batch.receive(socket) {
                Ok(0) => return,
                Ok(count) => {
                    self.handle_batch(socket, batch);
                    if count < RECEIVE_MESSAGES {
                        return;
                    }
                }
                Err(_) => {
                    self.shared.counters.receive_failures.add(1);
                    return;
                }
            }
        }
    }

    fn handle_batch(&mut self, socket: &UdpSocket, batch: &mut ReceiveBatch) {
        let shared = self.shared;
        let (mut datagrams, mut bytes) = (0_u64, 0_u64);
        let mut engine = shared.engine.lock();
        let now = now_ns();
        batch.for_each(|remote, data| {
            let path = Path { protocol: Protocol::Udp, local: socket.local(), remote };
            datagrams = datagrams.wrapping_add(1);
            bytes = bytes.wrapping_add(data.len() as u64);
            self.guard(now, || engine.handle_datagram(now, &path, data));
            self.collect(&mut engine);
            if self.outbox.transmits.len() >= MAX_PENDING_TRANSMITS {
                parking_lot::MutexGuard::unlocked(&mut engine, || self.flush());
            }
        });
        drop(engine);
        self.flush();
        // Last: who sees the count finds the rest done.
        shared.counters.datagrams_received.add(datagrams);
        shared.counters.bytes_received.add(bytes);
    }

    /// What the engine has made so far.
    fn collect(&mut self, engine: &mut Engine) {
        engine.drain_transmits(&mut self.outbox.transmits);
        while let Some(event) = engine.poll_event() {
            self.notices.push(Notice::Event(event));
        }
    }

    /// Sends and tells it.
    fn flush(&mut self) {
        let shared = self.shared;
        self.outbox.flush(&shared.sockets, &shared.counters, &mut self.notices);
        let lost = shared.notices.push_all(&mut self.notices);
        shared.counters.events_dropped.add(lost);
    }

    /// A panic ends the work on this datagram and nothing else.
    fn guard(&mut self, now: u64, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_ok() {
            return;
        }
        self.shared.counters.engine_faults.add(1);
        let words = faults::take();
        let is_time = self.last_fault_at_ns.is_none_or(|last| now.saturating_sub(last) >= FAULT_INTERVAL_NS);
        if is_time {
            self.last_fault_at_ns = Some(now);
            self.notices.push(Notice::Fault(words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_panic_is_counted_told_once_a_second_and_survived() {
        faults::install_hook();
        let shared = Shared::new(Arc::new(Mutex::new(Engine::new(1))), Vec::new()).unwrap();
        let told = std::thread::Builder::new().name(faults::THREAD_NAME.to_owned()).spawn(move || {
            let mut worker = Worker::new(&shared);
            for now in [0, 1, FAULT_INTERVAL_NS] {
                worker.guard(now, || panic!("a fault at {now}"));
            }
            worker.guard(FAULT_INTERVAL_NS + 1, || ());
            worker.flush();
            (shared.counters.all(), shared.notices.take(10))
        });
        let (counters, notices) = told.unwrap().join().unwrap();
        assert!(counters.contains(&("engine_faults", 3)));
        let words: Vec<String> = notices
            .into_iter()
            .filter_map(|notice| match notice {
                Notice::Fault(words) => Some(words),
                _ => None,
            })
            .collect();
        assert_eq!(words.len(), 2);
        assert!(words[0].contains("a fault at 0") && words[0].contains("worker.rs"), "{words:?}");
    }
}
