//! The load generator's thread: waits on all sockets at once, receives, and sends what is due.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::histogram::Histogram;
use super::peer::Peer;
use super::sender::Clip;
use crate::socket::ReceiveBatch;
use crate::waiting::{EventFd, now_ns};

/// Between two looks at NACKs, PLIs and reports.
const TICK_NS: u64 = 10_000_000;
/// Sockets handled per wait.
const MAX_EVENTS: usize = 256;
/// STUN and DTLS datagrams that may wait for Python.
const MAX_FOR_PYTHON: usize = 65_536;
/// Stands for the wake-up descriptor among the peers' numbers.
const WAKE: u64 = 0;

/// What thread and Python share.
pub(super) struct Shared {
    pub(super) world: Mutex<World>,
    /// Readable while something waits for Python.
    pub(super) ready: EventFd,
    epoll: OwnedFd,
    wake: EventFd,
    stop: AtomicBool,
    cpu_ns: AtomicU64,
}

/// Everything that the thread works on.
pub(super) struct World {
    pub(super) peers: BTreeMap<u64, Peer>,
    pub(super) last_peer: u64,
    pub(super) clips: Vec<Arc<Clip>>,
    pub(super) for_python: Vec<(u64, Vec<u8>)>,
    pub(super) latency: Histogram,
}

impl Shared {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it returns is ours alone.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let world = World {
            peers: BTreeMap::new(),
            last_peer: WAKE,
            clips: Vec::new(),
            for_python: Vec::new(),
            latency: Histogram::new(),
        };
        let shared = Self {
            world: Mutex::new(world),
            ready: EventFd::new()?,
            epoll,
            wake: EventFd::new()?,
            stop: AtomicBool::new(false),
            cpu_ns: AtomicU64::new(0),
        };
        shared.watch(shared.wake.as_raw_fd(), WAKE)?;
        Ok(shared)
    }

    /// Let `run` hear of a descriptor until it is closed.
    pub(super) fn watch(&self, fd: RawFd, id: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: id };
        // SAFETY: both descriptors are open, and the event lives through the call.
        let done = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Look again at what is due.
    pub(super) fn wake(&self) {
        self.wake.signal();
    }

    /// Let `run` return.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// CPU time of the thread, as of its last tick.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.load(Ordering::Relaxed)
    }

    fn wait<'a>(&self, events: &'a mut [libc::epoll_event], timeout_ns: u64) -> &'a [libc::epoll_event] {
        // Rounded down: a frame is sent up to a millisecond early rather than late.
        let timeout_ms = (timeout_ns / 1_000_000) as libc::c_int;
        // SAFETY: the events live through the call and their number is theirs.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as libc::c_int, timeout_ms)
        };
        events.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default()
    }
}

/// The loop. Returns after `Shared::stop`.
pub(super) fn run(shared: &Shared) {
    let mut batch = ReceiveBatch::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS];
    let mut next_tick_ns = 0;
    while !shared.stop.load(Ordering::Acquire) {
        let due_ns = {
            let mut world = shared.world.lock();
            let now = now_ns();
            if now >= next_tick_ns {
                next_tick_ns = now + TICK_NS;
                world.peers.values_mut().for_each(|peer| peer.tick(now));
                shared.cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
            }
            world.move_due(now);
            world.next_due_ns().map_or(next_tick_ns, |due_ns| due_ns.min(next_tick_ns))
        };
        shared.tell_python();
        let ready = shared.wait(&mut events, due_ns.saturating_sub(now_ns()));
        if ready.is_empty() {
            continue;
        }
        let mut world = shared.world.lock();
        for event in ready {
            if event.u64 == WAKE {
                shared.wake.clear();
            } else {
                world.receive(event.u64, &mut batch);
            }
        }
        drop(world);
        shared.tell_python();
    }
}

impl Shared {
    fn tell_python(&self) {
        if !self.world.lock().for_python.is_empty() {
            self.ready.signal();
        }
    }
}

impl World {
    fn receive(&mut self, id: u64, batch: &mut ReceiveBatch) {
        let Self { peers, for_python, latency, .. } = self;
        let Some(peer) = peers.get_mut(&id) else { return };
        if !matches!(batch.receive(&peer.socket), Ok(1..)) {
            return;
        }
        let now = now_ns();
        batch.for_each(|_, data| {
            if peer.inbound.is_clear() {
                handle(id, peer, now, data, latency, for_python);
            } else {
                peer.inbound.push(now, data);
            }
        });
    }

    /// What links held back until now, and frames that are due.
    fn move_due(&mut self, now: u64) {
        let Self { peers, for_python, latency, .. } = self;
        for (id, peer) in peers.iter_mut() {
            while let Some(mut data) = peer.inbound.pop(now) {
                handle(*id, peer, now, &mut data, latency, for_python);
            }
            peer.release(now);
            peer.send_due(now);
        }
    }

    fn next_due_ns(&self) -> Option<u64> {
        self.peers.values().filter_map(Peer::next_due_ns).min()
    }
}

fn handle(
    id: u64,
    peer: &mut Peer,
    now: u64,
    data: &mut [u8],
    latency: &mut Histogram,
    for_python: &mut Vec<(u64, Vec<u8>)>,
) {
    if !peer.handle(now, data, latency) && for_python.len() < MAX_FOR_PYTHON {
        for_python.push((id, data.to_vec()));
    }
}

fn thread_cpu_ns() -> u64 {
    // SAFETY: all-zero bytes are a valid timespec, and the call writes into a living one.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        time
    };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}
