//! The way out: datagrams wait here until they are polled, one transport after the other.

use std::collections::VecDeque;

use crate::slots::TransportSlot;
use crate::transmit::Transmit;

/// What waits, in the order in which it was decided on.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    waiting: VecDeque<Transmit>,
    /// The transport that is being polled empty.
    current: Option<TransportSlot>,
}

impl Outgoing {
    pub(crate) fn push(&mut self, transmit: Transmit) {
        self.waiting.push_back(transmit);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes what waits for these transports, in order.
    pub(crate) fn take_of(&mut self, transports: &[TransportSlot]) -> Vec<Transmit> {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (taken, stays) = waiting.partition(|one: &Transmit| transports.contains(&one.transport()));
        self.waiting = stays;
        self.current = None;
        taken.into()
    }

    /// The next datagram: all of one transport, then all of the one that has waited longest.
    pub(crate) fn poll(&mut self) -> Option<Transmit> {
        let current = self.current.or_else(|| self.waiting.front().map(Transmit::transport))?;
        let position = self.waiting.iter().position(|one| one.transport() == current)?;
        let transmit = self.waiting.remove(position);
        let goes_on = self.waiting.iter().skip(position).any(|one| one.transport() == current);
        self.current = goes_on.then_some(current);
        transmit
    }

    /// Everything at once, appended to `out` in the order in which it was decided on.
    pub(crate) fn drain_into(&mut self, out: &mut Vec<Transmit>) {
        self.current = None;
        out.extend(self.waiting.drain(..));
    }
}
