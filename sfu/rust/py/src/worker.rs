//! The engine's threads: receive a batch, let an engine work on it, send what comes out. They never take the GIL.
//!
//! Each thread reads its own sockets, holds one engine only while that decides, and encrypts and sends outside of its
//! lock. A large fan-out waits in its lanes until the socket has nothing more (`hold`), and is offered to threads that
//! are idle, lane by lane.

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;

use ting_core::api::{Event, Path, Protocol};
use ting_core::transmit::Transmit;

use crate::engine_guard::EngineGuard;
use crate::events::Notice;
use crate::hold::{Hold, LARGE_FAN_OUT};
use crate::sending::LaneSender;
use crate::shared::{Shared, ThreadState};
use crate::socket::{RECEIVE_MESSAGES, ReceiveBatch, UdpSocket};
use crate::waiting::{now_ns, wait};
/// Transmits after which a batch is sent before the rest of it is looked at: bounds memory and delay.
const MAX_PENDING_TRANSMITS: usize = 16_384;
/// Batches taken from one socket before the others and the clock get their turn.
const BATCHES_PER_TURN: usize = 4;

/// Which engine knows a path, as it was after so many moves.
#[derive(Clone, Copy)]
struct Found {
    path: Path,
    shard: usize,
    moves: u64,
}

/// The loop of thread `index`. Returns after `Shared::stop`.
pub(crate) fn run(shared: &Shared, index: usize) {
    let Some(mut worker) = Worker::new(shared, index) else { return };
    let own = worker.own;
    let mut batch = ReceiveBatch::new();
    let fds = std::iter::once(own.wake.as_raw_fd()).chain(own.sockets.iter().map(AsRawFd::as_raw_fd));
    let mut entries: Vec<libc::pollfd> = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect();
    while !shared.is_stopped() {
        let due = [worker.handle_timeout(), worker.handle_links(), worker.send_held()];
        let due_at_ns = due.into_iter().flatten().min();
        own.idle.store(true, Ordering::Release);
        wait(&mut entries, due_at_ns.map(|due| due.saturating_sub(now_ns())));
        own.idle.store(false, Ordering::Release);
        worker.own_shards().for_each(|shard| shared.shards.will_look(shard));
        let ready = |entry: &libc::pollfd| entry.revents != 0;
        if entries.first().is_some_and(ready) {
            own.wake.clear();
            worker.sender.take_offers();
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
    sender: LaneSender<'a>,
    transmits: Vec<Transmit>,
    notices: Vec<Notice>,
    /// What an engine handed up of DTLS.
    dtls: Vec<Event>,
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
        let own = shared.threads.get(index)?;
        Some(Self {
            shared,
            own,
            index,
            sender: LaneSender::new(shared, own),
            transmits: Vec::new(),
            notices: Vec::new(),
            dtls: Vec::new(),
            is_reading: false,
            held: Vec::new(),
            held_transmits: 0,
            has_more_held: false,
            hold: Hold::new(shared.max_hold_ns),
        })
    }

    /// The engines that this thread gives their time.
    fn own_shards(&self) -> impl Iterator<Item = usize> + use<> {
        (self.index..self.shared.shards.len()).step_by(self.shared.threads.len().max(1))
    }

    /// Gives the engines of this thread their time when that is due or nearly; returns when it is due next. What makes it
    /// due earlier from now on wakes the thread.
    fn handle_timeout(&mut self) -> Option<u64> {
        let mut next: Option<u64> = None;
        for shard in self.own_shards() {
            let now = now_ns();
            let mut engine = self.lock(shard);
            if engine.is_timeout_near(now) {
                engine.handle_timeout(now);
                self.finish(shard, engine);
                engine = self.lock(shard);
            }
            let due_at_ns = engine.next_timeout_ns();
            engine.look_at(due_at_ns);
            next = next.into_iter().chain(due_at_ns).min();
        }
        next
    }

    /// Gives data channels their time, in the first thread; returns when that is due next.
    fn handle_links(&mut self) -> Option<u64> {
        if self.index > 0 {
            return None;
        }
        let next = self.shared.links.handle_due(self.shared, self.own, &mut self.notices);
        self.tell();
        next
    }

    fn handle_frames(&mut self) {
        let shared = self.shared;
        for (path, data) in &shared.take_frames() {
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
        let (mut datagrams, mut bytes) = (0_u64, 0_u64);
        let now = now_ns();
        let mut open: Option<(usize, EngineGuard<'_>)> = None;
        let mut last: Option<Found> = None;
        batch.for_each(|remote, data| {
            let path = Path { protocol: Protocol::Udp, local: socket.local(), remote };
            datagrams = datagrams.wrapping_add(1);
            bytes = bytes.wrapping_add(data.len() as u64);
            let found = match last {
                Some(found) if found.path == path => found,
                _ => self.find(path),
            };
            let (found, mut engine) = match open.take() {
                Some((before, engine)) if before == found.shard => (found, engine),
                other => {
                    if let Some((before, engine)) = other {
                        self.finish(before, engine);
                    }
                    self.lock_found(found)
                }
            };
            last = Some(found);
            let shard = found.shard;
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

    /// Which engine has a path now.
    fn find(&self, path: Path) -> Found {
        let shards = &*self.shared.shards;
        let moves = shards.moves();
        // Nobody's path: any engine counts the drop, or hands STUN up.
        Found { path, shard: shards.of_path(&path).unwrap_or(self.index), moves }
    }

    /// The engine that was found, or, when something has moved since, the one that has the path now.
    fn lock_found(&mut self, found: Found) -> (Found, EngineGuard<'a>) {
        let shards = &*self.shared.shards;
        let engine = self.lock(found.shard);
        if shards.moves() == found.moves {
            return (found, engine);
        }
        drop(engine);
        self.send_all();
        let (shard, engine) = shards.lock_path(&found.path, self.index);
        (Found { shard, moves: shards.moves(), ..found }, engine)
    }

    /// The engine with this number. Nothing is held while it is waited for: who has it may wait for the lanes.
    fn lock(&mut self, shard: usize) -> EngineGuard<'a> {
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

    /// The engine has decided: what it made is sent or told, media first.
    fn finish(&mut self, shard: usize, engine: EngineGuard<'_>) {
        self.send_decided(shard, engine);
        self.handle_dtls();
    }

    /// What it made goes into its lanes and to the event loop, and is sent once it is free, or held.
    fn send_decided(&mut self, shard: usize, mut engine: EngineGuard<'_>) {
        let shared = self.shared;
        while let Some(event) = engine.poll_event() {
            match event {
                Event::DtlsReceived { .. } => self.dtls.push(event),
                _ => self.notices.push(Notice::Event(event)),
            }
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
            self.sender.send_now(&mut self.transmits);
            drop(right);
            self.sender.send_lane(lane);
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
            self.sender.send(shard, count);
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
            self.sender.send(shard, count);
        }
        self.held = held;
        self.hold.sent();
    }

    /// DTLS goes to the data channels, else to the event loop. No engine is locked.
    fn handle_dtls(&mut self) {
        if self.dtls.is_empty() {
            return;
        }
        self.shared.links.handle_dtls(self.shared, self.own, &mut self.notices, &mut self.dtls);
        self.notices.extend(self.dtls.drain(..).map(Notice::Event));
        self.tell();
    }

    /// Events, and panics that were contained, go to the event loop.
    fn tell(&mut self) {
        let lost = self.shared.notices.push_all(&mut self.notices);
        self.own.counters.events_dropped.add(lost);
        self.sender.tell_faults();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ting_core::api::TransportConfig;

    use super::*;
    use crate::shards::{Kind, Shards};

    /// Something that waits for the clock: an event.
    fn want(shards: &Shards, transport: u64) {
        let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let path = Path { protocol: Protocol::Udp, local: nobody, remote: nobody };
        shards.lock_home(Kind::Transport, transport).handle_datagram(now_ns(), &path, &[0; 20]);
    }

    #[test]
    fn no_wake_up_is_lost() {
        for threads in [1, 2] {
            let shards = Arc::new(Shards::new(1, threads));
            let sockets = (0..threads).map(|_| Vec::new()).collect();
            let shared = Shared::new(Arc::clone(&shards), sockets, 1, 0).unwrap();
            std::thread::scope(|scope| {
                for index in 0..threads {
                    let shared = &shared;
                    scope.spawn(move || run(shared, index));
                }
                for round in 0..100 {
                    // The threads wait without end, or just begin to.
                    let config = TransportConfig { group: round, ..TransportConfig::default() };
                    let transport = shards.add_transport(config).unwrap();
                    want(&shards, transport);
                    let due = || shards.lock_home(Kind::Transport, transport).next_timeout_ns().unwrap();
                    let (before_ns, begin_ns) = (due(), now_ns());
                    while due() == before_ns {
                        assert!(now_ns() - begin_ns < 20_000_000_000, "round {round} of {threads} threads");
                        std::thread::yield_now();
                    }
                    shards.remove_transport(transport).unwrap();
                }
                shared.stop();
            });
        }
    }

    #[test]
    fn without_transports_nothing_is_due() {
        let shards = Arc::new(Shards::new(1, 2));
        let shared = Shared::new(Arc::clone(&shards), vec![Vec::new()], 1, 0).unwrap();
        let mut worker = Worker::new(&shared, 0).unwrap();
        assert_eq!(worker.handle_timeout(), None);
        let handles: Vec<u64> = [1, 2]
            .map(|group| shards.add_transport(TransportConfig { group, ..TransportConfig::default() }).unwrap())
            .into();
        assert!(worker.handle_timeout().is_some());
        for handle in handles {
            assert!(worker.handle_timeout().is_some());
            shards.remove_transport(handle).unwrap();
        }
        assert_eq!(worker.handle_timeout(), None);
        assert_eq!(worker.send_held(), None);
    }
}
