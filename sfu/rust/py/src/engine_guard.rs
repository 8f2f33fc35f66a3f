//! An engine behind its lock, and the thread that gives it its time: no wake-up of that may be lost.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use ting_core::engine::Engine;

use crate::waiting::EventFd;

/// One engine, alone on its cache lines.
#[repr(align(128))]
pub(crate) struct Shard {
    engine: Mutex<Engine>,
    /// When the thread that gives it its time will look at it by itself; 0: before it waits for anything. It changes only
    /// while the engine is locked, but for going back to 0.
    look_at_ns: AtomicU64,
}

impl Shard {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine: Mutex::new(engine), look_at_ns: AtomicU64::new(0) }
    }

    /// The engine, once it is free. `clock` wakes the thread that gives it its time.
    pub(crate) fn lock<'a>(&'a self, clock: Option<&'a EventFd>) -> EngineGuard<'a> {
        EngineGuard { engine: self.engine.lock(), shard: self, clock }
    }

    /// The same, if it is free now.
    pub(crate) fn try_lock<'a>(&'a self, clock: Option<&'a EventFd>) -> Option<EngineGuard<'a>> {
        Some(EngineGuard { engine: self.engine.try_lock()?, shard: self, clock })
    }

    /// The thread that gives it its time is awake, and looks before it waits for anything.
    pub(crate) fn will_look(&self) {
        self.look_at_ns.store(0, Ordering::Relaxed);
    }
}

/// An engine that is locked. Whoever had it and lets it go wakes the thread that gives it its time, when that would look
/// too late.
pub(crate) struct EngineGuard<'a> {
    engine: MutexGuard<'a, Engine>,
    shard: &'a Shard,
    clock: Option<&'a EventFd>,
}

impl EngineGuard<'_> {
    /// Whoever calls this will look at `at_ns` and is woken up before, when it has to be earlier. None: nothing is due.
    pub(crate) fn look_at(&self, at_ns: Option<u64>) {
        self.shard.look_at_ns.store(at_ns.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Deref for EngineGuard<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for EngineGuard<'_> {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

impl Drop for EngineGuard<'_> {
    fn drop(&mut self) {
        let look_at_ns = &self.shard.look_at_ns;
        if let Some(clock) = self.clock
            && let Some(due_at_ns) = self.engine.next_timeout_ns()
            && due_at_ns < look_at_ns.load(Ordering::Relaxed)
        {
            look_at_ns.store(due_at_ns, Ordering::Relaxed);
            clock.signal();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    use ting_core::api::{Path, Protocol, TransportConfig};

    use super::*;
    use crate::shards::{Kind, Shards};
    use crate::waiting::wait;

    /// Whether the thread was woken; it clears that.
    fn is_woken(clock: &EventFd) -> bool {
        let mut entries = [libc::pollfd { fd: clock.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        wait(&mut entries, Some(0));
        clock.clear();
        entries[0].revents != 0
    }

    #[test]
    fn who_makes_an_engine_due_earlier_wakes_its_thread_unless_that_will_look_anyway() {
        let shards = Shards::new(1, 2);
        let clocks: Vec<Arc<EventFd>> = (0..2).map(|_| Arc::new(EventFd::new().unwrap())).collect();
        shards.set_clocks(clocks.clone());
        let woken = || [is_woken(&clocks[0]), is_woken(&clocks[1])];
        let look = |index: usize| {
            let mut engine = shards.lock(index);
            engine.handle_timeout(1_000_000_000);
            engine.look_at(engine.next_timeout_ns());
        };
        let transport = shards.add_transport(TransportConfig { group: 7, ..TransportConfig::default() }).unwrap();
        assert_eq!(woken(), [false, false], "nobody has waited yet");
        let home = shards.home_of(Kind::Transport, transport);
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let path = Path { protocol: Protocol::Udp, local: nobody, remote: nobody };
        // It becomes an event, and such are taken by the clock at the latest.
        let want = |index: usize| shards.lock(index).handle_datagram(1_000_000_000, &path, &[0; 20]);
        look(0);
        look(1);
        shards.stats();
        assert_eq!(woken(), [false, false], "nothing is due earlier");
        want(home);
        assert_eq!(woken(), [home == 0, home == 1]);
        want(home);
        assert_eq!(woken(), [false, false], "once is enough");
        shards.remove_transport(transport).unwrap();
        look(home);
        shards.add_transport(TransportConfig { group: 7, ..TransportConfig::default() }).unwrap();
        assert_eq!(woken().into_iter().filter(|woken| *woken).count(), 1, "it waited without end");
        for index in 0..2 {
            look(index);
            shards.will_look(index);
            want(index);
        }
        assert_eq!(woken(), [false, false], "they are awake");
    }
}
