//! The way from a decision to the sockets: what is decided waits in lanes, and any thread may empty a lane.
//!
//! All datagrams of a transport go through one lane, and one thread at a time sends a lane's datagrams: so they leave in
//! the order in which they were decided on, whoever sends them. Threads never wait for each other here.

use parking_lot::{Mutex, MutexGuard};
use ting_core::transmit::Transmit;

/// One queue. Who holds `sender` sends what is in `waiting`.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Lane {
    waiting: Mutex<Vec<Transmit>>,
    sender: Mutex<()>,
}

impl Lane {
    /// The right to send; None while another thread has it, which then sends what waits as well.
    pub(crate) fn try_send(&self) -> Option<MutexGuard<'_, ()>> {
        self.sender.try_lock()
    }

    /// The same when nothing waits: then who has the right may send what was decided now, without queueing it. The caller
    /// holds the engine that decides.
    pub(crate) fn try_send_first(&self) -> Option<MutexGuard<'_, ()>> {
        let right = self.sender.try_lock()?;
        self.is_empty().then_some(right)
    }

    /// Moves what waits into `out`, which is empty. False when nothing does.
    pub(crate) fn take(&self, out: &mut Vec<Transmit>) -> bool {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut *waiting, out);
        !out.is_empty()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }
}

/// The lanes of one engine.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    max_waiting: usize,
}

impl Lanes {
    /// `count` lanes with room for `max_waiting` datagrams each.
    pub(crate) fn new(count: usize, max_waiting: usize) -> Self {
        Self { lanes: (0..count.max(1)).map(|_| Lane::default()).collect(), max_waiting }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Lane] {
        &self.lanes
    }

    /// Whether all that was decided on has left; the caller holds the engine that decides, so it stays so.
    pub(crate) fn are_idle(&self) -> bool {
        // A thread takes what waits only while it has the right to send, and keeps that until it is sent.
        self.lanes.iter().all(|lane| lane.is_empty() && !lane.sender.is_locked())
    }

    /// Moves `transmits` into their lanes; the caller holds the engine that decided on them. Returns how many had no room
    /// and were dropped: a network that takes nothing must not fill the memory.
    pub(crate) fn push_all(&self, transmits: &mut Vec<Transmit>) -> u64 {
        let mut lost = 0_u64;
        if let [lane] = self.lanes.as_slice() {
            let mut waiting = lane.waiting.lock();
            if waiting.is_empty() && transmits.len() <= self.max_waiting {
                std::mem::swap(&mut *waiting, transmits);
                return 0;
            }
            let room = self.max_waiting.saturating_sub(waiting.len()).min(transmits.len());
            lost = transmits.len().saturating_sub(room) as u64;
            waiting.extend(transmits.drain(..room));
            transmits.clear();
            return lost;
        }
        let mut open: Option<(usize, MutexGuard<'_, Vec<Transmit>>)> = None;
        for transmit in transmits.drain(..) {
            let index = (transmit.destination() as usize).checked_rem(self.lanes.len()).unwrap_or(0);
            if open.as_ref().is_none_or(|(before, _)| *before != index) {
                // One lock at a time: the one before is released first.
                drop(open.take());
                open = self.lanes.get(index).map(|lane| (index, lane.waiting.lock()));
            }
            let Some((_, waiting)) = &mut open else { continue };
            if waiting.len() < self.max_waiting {
                waiting.push(transmit);
            } else {
                lost = lost.saturating_add(1);
            }
        }
        lost
    }
}
