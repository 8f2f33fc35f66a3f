//! The engine's threads: receive a batch, let an engine work on it, send what comes out. They never take the GIL.
//!
//! Each thread reads its own sockets, holds one engine only while that decides, and encrypts and sends outside of its
//! lock. A large fan-out waits in its lanes until the socket has nothing more (`hold`), and is offered to threads that
//! are idle, lane by lane.

use std::collections::VecDeque;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use ting_core::api::{Path, Protocol, TICK_NS};
use ting_core::engine::Engine;
use ting_core::transmit::Transmit;

use crate::counters::Counters;
use crate::events::{Notice, Notices};
use crate::faults;
use crate::hold::{Hold, LARGE_FAN_OUT};
use crate::lanes::{Lane, Lanes};
use crate::outbox::{Outbox, Ports};
use crate::shards::Shards;
use crate::socket::{EventFd, RECEIVE_MESSAGES, ReceiveBatch, UdpSocket, now_ns, wait};

/// Frames from TCP connections that may wait for the engine.
const MAX_WAITING_FRAMES: usize = 4096;
/// Transmits after which a batch is sent before the rest of it is looked at: bounds memory and delay.
const MAX_PENDING_TRANSMITS: usize = 16_384;
/// Transmits of one decision from which on other threads are asked to help: they take longer to send than a thread takes
/// to wake up.
const HANDOVER_TRANSMITS: usize = 96;
/// Lanes for each thread that could empty one: the more, the more evenly the work is spread.
const LANES_PER_THREAD: usize = 2;
/// More lanes would make short runs of `sendmmsg`.
const MAX_LANES: usize = 16;
/// Batches taken from one socket before the others and the clock get their turn.
const BATCHES_PER_TURN: usize = 4;
/// A thread that is awake anyway gives an engine its time up to this long before that is due, in ns: while media flows,
/// nobody has to wake up for the clock alone.
const EARLY_NS: u64 = TICK_NS / 2;
/// Shortest time between two notices of a panic, in ns. All are counted.
const FAULT_INTERVAL_NS: u64 = 1_000_000_000;

/// Which engine knows a path, as it was after so many moves.
#[derive(Clone, Copy)]
struct Found {
    path: Path,
    shard: usize,
    moves: u64,
}

/// What one thread has of its own.
pub(crate) struct ThreadState {
    /// One per local address; those of the first thread at least.
    pub(crate) sockets: Vec<UdpSocket>,
    /// Figures.
    pub(crate) counters: Counters,
    wake: EventFd,
    /// It waits and would take a lane.
    idle: AtomicBool,
    /// (engine, lane) to look at.
    offers: Mutex<Vec<(usize, usize)>>,
}

/// What the engine's threads share with Python.
pub(crate) struct Shared {
    /// The engines. Commands take one between two batches.
    pub(crate) shards: Arc<Shards>,
    /// At least one.
    pub(crate) threads: Vec<ThreadState>,
    /// To the event loop.
    pub(crate) notices: Notices,
    lanes: Arc<[Lanes]>,
    frames: Mutex<VecDeque<(Path, Vec<u8>)>>,
    max_hold_ns: u64,
    stop: AtomicBool,
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
                wake: EventFd::new()?,
                idle: AtomicBool::new(false),
                offers: Mutex::new(Vec::new()),
            });
        }
        Ok(Self {
            shards,
            threads,
            notices: Notices::new()?,
            lanes,
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

    /// Let `run` return.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
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

/// The loop of thread `index`. Returns after `Shared::stop`.
pub(crate) fn run(shared: &Shared, index: usize) {
    let Some(mut worker) = Worker::new(shared, index) else { return };
    let own = worker.own;
    let mut batch = ReceiveBatch::new();
    let fds = std::iter::once(own.wake.as_raw_fd()).chain(own.sockets.iter().map(AsRawFd::as_raw_fd));
    let mut entries: Vec<libc::pollfd> = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    while !shared.stop.load(Ordering::Acquire) {
        let due_at_ns = [worker.handle_timeout(), worker.send_held()].into_iter().flatten().min();
        own.idle.store(true, Ordering::Release);
        wait(&mut entries, due_at_ns.map(|due| due.saturating_sub(now_ns())));
        own.idle.store(false, Ordering::Release);
        let ready = |entry: &libc::pollfd| entry.revents != 0;
        if entries.first().is_some_and(ready) {
            own.wake.clear();
            worker.take_offers();
            if index == 0 {
                worker.handle_frames();
            }
        }
        for (entry, socket) in entries.iter().skip(1).zip(&own.sockets) {
            if ready(entry) {
                worker.read(socket, &mut batch);
            }
        }
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    own: &'a ThreadState,
    index: usize,
    outbox: Outbox,
    transmits: Vec<Transmit>,
    notices: Vec<Notice>,
    sending: Vec<Notice>,
    /// Whether a socket is being read: what is decided may wait for what else is there.
    is_reading: bool,
    /// Engines whose lanes wait, and for how many transmits.
    held: Vec<usize>,
    held_transmits: usize,
    /// Whether something has come to it since the last look.
    has_more_held: bool,
    hold: Hold,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, index: usize) -> Option<Self> {
        Some(Self {
            shared,
            own: shared.threads.get(index)?,
            index,
            outbox: Outbox::new(),
            transmits: Vec::new(),
            notices: Vec::new(),
            sending: Vec::new(),
            is_reading: false,
            held: Vec::new(),
            held_transmits: 0,
            has_more_held: false,
            hold: Hold::new(shared.max_hold_ns),
        })
    }

    /// Gives the engines of this thread their time when that is due or nearly; returns when it is due next.
    fn handle_timeout(&mut self) -> Option<u64> {
        let shared = self.shared;
        let mut next: Option<u64> = None;
        for shard in (self.index..shared.shards.len()).step_by(shared.threads.len().max(1)) {
            let now = now_ns();
            let mut engine = self.lock(shard);
            let Some(mut due_at_ns) = engine.next_timeout_ns() else { continue };
            if due_at_ns <= now.saturating_add(EARLY_NS) {
                engine.handle_timeout(now);
                due_at_ns = engine.next_timeout_ns().unwrap_or(due_at_ns);
                self.finish(shard, engine);
            }
            next = Some(next.map_or(due_at_ns, |before| before.min(due_at_ns)));
        }
        next
    }

    fn handle_frames(&mut self) {
        let shared = self.shared;
        let frames = std::mem::take(&mut *shared.frames.lock());
        for (path, data) in &frames {
            let (shard, mut engine) = shared.shards.lock_path(path, 0);
            engine.handle_datagram(now_ns(), path, data);
            self.finish(shard, engine);
        }
    }

    fn read(&mut self, socket: &UdpSocket, batch: &mut ReceiveBatch) {
        self.is_reading = true;
        self.read_batches(socket, batch);
        self.is_reading = false;
    }

    fn read_batches(&mut self, socket: &UdpSocket, batch: &mut ReceiveBatch) {
        for _ in 0..BATCHES_PER_TURN {
            match batch.receive(socket) {
                Ok(0) => return,
                Ok(count) => {
                    self.handle_batch(socket, batch);
                    if count < RECEIVE_MESSAGES && self.held.is_empty() {
                        return;
                    }
                }
                Err(_) => {
                    self.own.counters.receive_failures.add(1);
                    return;
                }
            }
        }
    }

    fn handle_batch(&mut self, socket: &UdpSocket, batch: &mut ReceiveBatch) {
        let shared = self.shared;
        let shards = &*shared.shards;
        let (mut datagrams, mut bytes) = (0_u64, 0_u64);
        let now = now_ns();
        let mut open: Option<(usize, MutexGuard<'_, Engine>)> = None;
        let mut last: Option<Found> = None;
        batch.for_each(|remote, data| {
            let path = Path { protocol: Protocol::Udp, local: socket.local(), remote };
            datagrams = datagrams.wrapping_add(1);
            bytes = bytes.wrapping_add(data.len() as u64);
            let found = match last {
                Some(found) if found.path == path => found,
                _ => {
                    let moves = shards.moves();
                    // Nobody's path: any engine counts the drop, or hands STUN up.
                    Found { path, shard: shards.of_path(&path).unwrap_or(self.index), moves }
                }
            };
            last = Some(found);
            let (shard, mut engine) = match open.take() {
                Some((before, engine)) if before == found.shard => (before, engine),
                other => {
                    if let Some((before, engine)) = other {
                        self.finish(before, engine);
                    }
                    let engine = self.lock(found.shard);
                    if shards.moves() == found.moves {
                        (found.shard, engine)
                    } else {
                        drop(engine);
                        self.send_all();
                        let (shard, engine) = shards.lock_path(&path, self.index);
                        last = Some(Found { path, shard, moves: shards.moves() });
                        (shard, engine)
                    }
                }
            };
            engine.handle_datagram(now, &path, data);
            if engine.waiting_transmits() >= MAX_PENDING_TRANSMITS {
                self.finish(shard, engine);
            } else {
                open = Some((shard, engine));
            }
        });
        if let Some((shard, engine)) = open {
            self.finish(shard, engine);
        }
        // Last: who sees the count finds the rest done.
        self.own.counters.datagrams_received.add(datagrams);
        self.own.counters.bytes_received.add(bytes);
    }

    /// The engine with this number. Nothing is held while it is waited for: who has it may wait for the lanes.
    fn lock(&mut self, shard: usize) -> MutexGuard<'a, Engine> {
        let shards = &*self.shared.shards;
        if self.held.is_empty() {
            return shards.lock(shard);
        }
        if let Some(engine) = shards.try_lock(shard) {
            return engine;
        }
        self.send_all();
        shards.lock(shard)
    }

    /// The engine has decided: what it made goes into its lanes and to the event loop, and is sent once it is free, or
    /// held.
    fn finish(&mut self, shard: usize, mut engine: MutexGuard<'_, Engine>) {
        let shared = self.shared;
        while let Some(event) = engine.poll_event() {
            self.notices.push(Notice::Event(event));
        }
        engine.drain_transmits(&mut self.transmits);
        let count = self.transmits.len();
        let Some(lanes) = shared.lanes.get(shard) else { return };
        let is_held = count > 0 && (!self.held.is_empty() || self.is_reading && count >= LARGE_FAN_OUT);
        if let ([lane], true) = (lanes.all(), count > 0 && !is_held)
            && let Some(right) = lane.try_send_first()
        {
            drop(engine);
            self.tell();
            std::mem::swap(&mut self.outbox.transmits, &mut self.transmits);
            self.flush();
            drop(right);
            self.send_lane(lane);
            return;
        }
        let lost = if count > 0 { lanes.push_all(&mut self.transmits) } else { 0 };
        drop(engine);
        self.tell();
        if lost > 0 {
            self.own.counters.send_queue_drops.add(lost);
        }
        if is_held {
            self.keep(shard, count);
        } else if count > 0 {
            self.send(shard, count);
        }
    }

    fn keep(&mut self, shard: usize, count: usize) {
        if !self.held.contains(&shard) {
            self.held.push(shard);
        }
        self.held_transmits = self.held_transmits.saturating_add(count);
        self.has_more_held = true;
        if self.held_transmits >= MAX_PENDING_TRANSMITS {
            self.send_all();
        }
    }

    /// Sends what is held, unless more of the same is to be expected soon. Returns when it has to be sent then.
    fn send_held(&mut self) -> Option<u64> {
        if self.held.is_empty() {
            return None;
        }
        let until_ns = self.hold.until_ns(now_ns(), std::mem::take(&mut self.has_more_held));
        if until_ns.is_none() {
            self.send_all();
        }
        until_ns
    }

    fn send_all(&mut self) {
        let count = std::mem::take(&mut self.held_transmits);
        let mut held = std::mem::take(&mut self.held);
        for shard in held.drain(..) {
            self.send(shard, count);
        }
        self.held = held;
        self.hold.sent();
    }

    /// Events, and panics that were contained, go to the event loop.
    fn tell(&mut self) {
        if let Some((count, words)) = faults::take() {
            self.count_fault(count, words);
        }
        let lost = self.shared.notices.push_all(&mut self.notices);
        self.own.counters.events_dropped.add(lost);
    }

    fn count_fault(&mut self, count: u64, words: String) {
        self.own.counters.engine_faults.add(count);
        let (now, last) = (now_ns(), &self.shared.last_fault_at_ns);
        let before = last.load(Ordering::Relaxed);
        let is_time = before == 0 || now.saturating_sub(before) >= FAULT_INTERVAL_NS;
        if is_time && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.notices.push(Notice::Fault(words));
        }
    }

    // --- sending ------------------------------------------------------------------------------------------------

    /// Sends what waits in the lanes of an engine, `count` transmits or about so many.
    fn send(&mut self, shard: usize, count: usize) {
        let Some(lanes) = self.shared.lanes.get(shard) else { return };
        let all = lanes.all();
        if all.len() > 1 && count >= HANDOVER_TRANSMITS {
            self.offer(shard, all);
        }
        for lane in all {
            self.send_lane(lane);
        }
    }

    /// Asks idle threads to begin at the lanes that this one comes to last.
    fn offer(&self, shard: usize, lanes: &[Lane]) {
        let mut waiting = lanes.iter().enumerate().skip(1).rev().filter(|(_, lane)| !lane.is_empty());
        for thread in &self.shared.threads {
            if thread.idle.compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            let Some((lane, _)) = waiting.next() else {
                thread.idle.store(true, Ordering::Release);
                return;
            };
            thread.offers.lock().push((shard, lane));
            thread.wake.signal();
            self.own.counters.handovers.add(1);
        }
    }

    /// Sends the lanes that others offered: the offered one and those in front of it, until they meet.
    fn take_offers(&mut self) {
        let shared = self.shared;
        let offers = std::mem::take(&mut *self.own.offers.lock());
        for (shard, first) in offers {
            let Some(lanes) = shared.lanes.get(shard) else { continue };
            for lane in lanes.all().iter().take(first.saturating_add(1)).rev() {
                self.send_lane(lane);
            }
        }
    }

    /// Sends what waits in a lane, unless another thread is at it and will.
    fn send_lane(&mut self, lane: &Lane) {
        while !lane.is_empty() {
            let Some(right) = lane.try_send() else { return };
            while lane.take(&mut self.outbox.transmits) {
                self.flush();
            }
            drop(right);
            // What came between the last look and the release is nobody's else.
        }
    }

    fn flush(&mut self) {
        let shared = self.shared;
        let first = shared.first().map_or(&[][..], |first| &first.sockets);
        let ports = Ports { own: &self.own.sockets, first };
        let (outbox, sending, counters) = (&mut self.outbox, &mut self.sending, &self.own.counters);
        let done = catch_unwind(AssertUnwindSafe(|| outbox.flush(&ports, counters, sending)));
        if done.is_err() {
            self.outbox.clear();
            self.tell();
        }
        let lost = shared.notices.push_all(&mut self.sending);
        self.own.counters.events_dropped.add(lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_counted_and_told_once_a_second() {
        let shared = Shared::new(Arc::new(Shards::new(1, 1)), vec![Vec::new()], 1, 0).unwrap();
        let mut worker = Worker::new(&shared, 0).unwrap();
        worker.count_fault(2, "first".to_owned());
        worker.count_fault(1, "second".to_owned());
        worker.tell();
        assert!(shared.threads[0].counters.all().contains(&("engine_faults", 3)));
        let told = shared.notices.take(10);
        assert!(matches!(&told[..], [Notice::Fault(words)] if words == "first"));
    }
}
