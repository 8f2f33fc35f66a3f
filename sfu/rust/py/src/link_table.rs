//! Which peers have data channels in the engine's threads, what each of those consists of, and when one is due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use ting_association::DataSession;
use ting_core::api::Path;

use crate::outbox::Run;

/// One peer's.
pub(crate) struct Link {
    pub(crate) transport: u64,
    pub(crate) state: Mutex<LinkState>,
}

pub(crate) struct LinkState {
    pub(crate) session: DataSession,
    /// Where datagrams go.
    pub(crate) path: Path,
    /// The event loop knows that events wait.
    pub(crate) is_told: bool,
    /// When the first thread looks at it next.
    pub(crate) armed_for_ns: Option<u64>,
    pub(crate) is_closed: bool,
    pub(crate) sealed: Vec<u8>,
    pub(crate) ends: Vec<usize>,
    pub(crate) runs: Vec<Run>,
}

/// All of a runtime, and when the first of them is due.
#[derive(Default)]
pub(crate) struct Links {
    by_transport: RwLock<HashMap<u64, Arc<Link>>>,
    count: AtomicUsize,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Timers {
    /// (when, transport). Of a link that was armed for earlier since then, the later ones mean nothing.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    /// What the first thread waits for at most; None: it does not wait for links.
    waits_until_ns: Option<u64>,
}

impl Links {
    /// The link of a transport.
    pub(crate) fn get(&self, transport: u64) -> Option<Arc<Link>> {
        self.by_transport.read().get(&transport).cloned()
    }

    /// For this transport from now on.
    pub(crate) fn add(&self, transport: u64, session: DataSession, path: Path) -> Arc<Link> {
        let state = LinkState {
            session,
            path,
            is_told: false,
            armed_for_ns: None,
            is_closed: false,
            sealed: Vec::new(),
            ends: Vec::new(),
            runs: Vec::new(),
        };
        let link = Arc::new(Link { transport, state: Mutex::new(state) });
        let mut all = self.by_transport.write();
        all.insert(transport, Arc::clone(&link));
        self.count.store(all.len(), Ordering::Release);
        link
    }

    /// It ends; another one may have its place by now.
    pub(crate) fn remove(&self, link: &Arc<Link>) {
        let mut all = self.by_transport.write();
        if all.get(&link.transport).is_some_and(|found| Arc::ptr_eq(found, link)) {
            all.remove(&link.transport);
        }
        self.count.store(all.len(), Ordering::Release);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Lets the first thread look at `transport` at `due_ns`. Whether it has to be woken for that.
    pub(crate) fn arm(&self, due_ns: u64, transport: u64) -> bool {
        let mut timers = self.timers.lock();
        timers.due.push(Reverse((due_ns, transport)));
        let is_earlier = timers.waits_until_ns.is_none_or(|until_ns| due_ns < until_ns);
        if is_earlier {
            timers.waits_until_ns = Some(due_ns);
        }
        is_earlier
    }

    /// Takes one that is due at `now_ns`, as it was armed; else when the next one is, until when the first thread waits.
    pub(crate) fn take_due(&self, now_ns: u64) -> Result<(u64, u64), Option<u64>> {
        let mut timers = self.timers.lock();
        let next = timers.due.peek().map(|Reverse((due_ns, _))| *due_ns);
        if next.is_none_or(|due_ns| due_ns > now_ns) {
            timers.waits_until_ns = next;
            return Err(next);
        }
        timers.due.pop().map(|Reverse(armed)| armed).ok_or(None)
    }

    /// How many times a link is armed, over all of them.
    #[cfg(test)]
    pub(crate) fn armed(&self) -> usize {
        self.timers.lock().due.len()
    }
}
