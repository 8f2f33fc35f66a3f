//! What has to leave: sorted by destination, sealed straight into the send buffer, sent in GSO runs.

use std::net::SocketAddr;
use std::ops::Range;

use ting_core::api::{Path, Protocol};
use ting_core::transmit::Transmit;

use crate::counters::Counters;
use crate::events::Notice;
use crate::socket::{MAX_GSO_BYTES, MAX_GSO_SEGMENTS, Message, SEND_MESSAGES, SockName, UdpSocket};

/// Sealed bytes after which the buffer is sent, so that what the kernel copies is still in the cache.
const FLUSH_BYTES: usize = 256 * 1024;

/// One run of datagrams in the buffer: one path, equal sizes, at most one shorter datagram at its end.
pub(crate) struct Run {
    range: Range<usize>,
    remote: SockName,
    segment_bytes: usize,
    segments: usize,
}

impl Run {
    /// Of one datagram.
    pub(crate) fn new(range: Range<usize>, remote: SocketAddr) -> Self {
        Self { segment_bytes: range.len(), range, remote: SockName::new(remote), segments: 1 }
    }

    /// Takes the datagram behind it, which goes to the same place and ends at `end`, if it may.
    pub(crate) fn take(&mut self, end: usize) -> bool {
        let size = end.saturating_sub(self.range.end);
        let last = self.range.len().saturating_sub(self.segment_bytes.saturating_mul(self.segments.saturating_sub(1)));
        let takes = last == self.segment_bytes
            && size <= self.segment_bytes
            && size > 0
            && self.segments < MAX_GSO_SEGMENTS
            && self.range.len().saturating_add(size) <= MAX_GSO_BYTES;
        if takes {
            self.range.end = end;
            self.segments = self.segments.saturating_add(1);
        }
        takes
    }
}

/// The sockets that a thread sends from: its own, and those of the first thread where it has none.
pub(crate) struct Ports<'a> {
    /// This thread's.
    pub(crate) own: &'a [UdpSocket],
    /// The first thread's.
    pub(crate) first: &'a [UdpSocket],
}

impl Ports<'_> {
    /// The socket with this address.
    pub(crate) fn find(&self, local: SocketAddr) -> Option<&UdpSocket> {
        self.own.iter().chain(self.first).find(|socket| socket.local() == local)
    }
}

/// Buffers of one sending thread.
pub(crate) struct Outbox {
    /// Fill it, then call `flush`.
    pub(crate) transmits: Vec<Transmit>,
    /// Destination and index of each of them.
    order: Vec<(u32, u32)>,
    sealed: Vec<u8>,
    runs: Vec<Run>,
    /// Whether a full send buffer is still worth a wait: once in a flush, so that a network that takes nothing holds
    /// nobody up for long.
    may_wait: bool,
}

impl Outbox {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            transmits: Vec::new(),
            order: Vec::new(),
            sealed: Vec::with_capacity(FLUSH_BYTES + MAX_GSO_BYTES),
            runs: Vec::with_capacity(SEND_MESSAGES),
            may_wait: true,
        }
    }

    /// Sends everything. Frames for TCP go into `notices`.
    pub(crate) fn flush(&mut self, ports: &Ports<'_>, counters: &Counters, notices: &mut Vec<Notice>) {
        if self.transmits.is_empty() {
            return;
        }
        self.may_wait = true;
        self.sort();
        let order = std::mem::take(&mut self.order);
        let transmits = std::mem::take(&mut self.transmits);
        let mut current: Option<(Path, &UdpSocket)> = None;
        for (_, index) in &order {
            let Some(transmit) = transmits.get(*index as usize) else { continue };
            let path = transmit.path();
            if path.protocol == Protocol::Tcp {
                let mut frame = Vec::with_capacity(transmit.size());
                transmit.seal_into(&mut frame);
                notices.push(Notice::Frame(*path, frame));
                continue;
            }
            let is_same = current.is_some_and(|(before, _)| before == *path);
            if !is_same {
                let Some(socket) = ports.find(path.local) else {
                    counters.send_failures.add(1);
                    continue;
                };
                if let Some((_, before)) = current.filter(|(before, _)| before.local != path.local) {
                    self.send(before, counters);
                }
                current = Some((*path, socket));
            }
            let Some((_, socket)) = current else { continue };
            self.append(transmit, is_same, path.remote);
            if self.runs.len() >= SEND_MESSAGES || self.sealed.len() >= FLUSH_BYTES {
                self.send_all_but_the_open_run(socket, counters);
            }
        }
        if let Some((_, socket)) = current {
            self.send(socket, counters);
        }
        self.order = order;
        self.transmits = transmits;
        self.transmits.clear();
        self.order.clear();
    }

    /// Forgets everything: a panic came between.
    pub(crate) fn clear(&mut self) {
        self.transmits.clear();
        self.order.clear();
        self.sealed.clear();
        self.runs.clear();
    }

    /// By destination, and in the order of arrival within one.
    fn sort(&mut self) {
        self.order.clear();
        let numbers = 0_u32..;
        self.order.extend(self.transmits.iter().zip(numbers).map(|(transmit, index)| (transmit.destination(), index)));
        self.order.sort_unstable();
    }

    fn append(&mut self, transmit: &Transmit, is_same_path: bool, remote: SocketAddr) {
        let begin = self.sealed.len();
        transmit.seal_into(&mut self.sealed);
        let end = self.sealed.len();
        if is_same_path && self.runs.last_mut().is_some_and(|run| run.take(end)) {
            return;
        }
        self.runs.push(Run::new(begin..end, remote));
    }

    /// Sends what is complete; the last run may still grow.
    fn send_all_but_the_open_run(&mut self, socket: &UdpSocket, counters: &Counters) {
        if self.runs.len() < 2 {
            return;
        }
        let Some(open) = self.runs.pop() else { return };
        send_runs(socket, &self.sealed, &self.runs, counters, &mut self.may_wait);
        self.runs.clear();
        let size = open.range.len();
        self.sealed.drain(..open.range.start);
        self.runs.push(Run { range: 0..size, ..open });
    }

    fn send(&mut self, socket: &UdpSocket, counters: &Counters) {
        send_runs(socket, &self.sealed, &self.runs, counters, &mut self.may_wait);
        self.runs.clear();
        self.sealed.clear();
    }
}

/// Sends them all. `may_wait` as in `UdpSocket::send_messages`.
pub(crate) fn send_runs(socket: &UdpSocket, sealed: &[u8], runs: &[Run], counters: &Counters, may_wait: &mut bool) {
    let mut rest = runs;
    while !rest.is_empty() {
        if !socket.has_gso() && rest.iter().any(|run| run.segments > 1) {
            for run in rest {
                send_singly(socket, sealed, run, counters, may_wait);
            }
            return;
        }
        let messages: Vec<Message<'_>> = rest.iter().take(SEND_MESSAGES).map(|run| message(sealed, run)).collect();
        match socket.send_messages(&messages, may_wait) {
            Ok(sent) => {
                let (done, left) = rest.split_at(sent.min(rest.len()));
                for run in done {
                    counters.datagrams_sent.add(run.segments as u64);
                    counters.bytes_sent.add(run.range.len() as u64);
                    counters.gso_sends.add(u64::from(run.segments > 1));
                }
                rest = left;
            }
            Err(error) => {
                let Some((failed, left)) = rest.split_first() else { return };
                rest = left;
                let is_refused = matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE));
                if failed.segments > 1 && is_refused {
                    // EIO: the device cannot. The others say that a datagram does not fit this peer's path (udp(7)), and
                    // what has no route or no permission is one peer's trouble too: nobody else may lose GSO by it.
                    if error.raw_os_error() == Some(libc::EIO) {
                        socket.set_gso(false);
                    }
                    counters.gso_refused.add(1);
                    send_singly(socket, sealed, failed, counters, may_wait);
                } else {
                    counters.send_failures.add(failed.segments as u64);
                }
            }
        }
    }
}

fn message<'a>(sealed: &'a [u8], run: &Run) -> Message<'a> {
    let segment_bytes = if run.segments > 1 { u16::try_from(run.segment_bytes).unwrap_or(0) } else { 0 };
    Message { data: sealed.get(run.range.clone()).unwrap_or_default(), remote: run.remote, segment_bytes }
}

fn send_singly(socket: &UdpSocket, sealed: &[u8], run: &Run, counters: &Counters, may_wait: &mut bool) {
    let data = sealed.get(run.range.clone()).unwrap_or_default();
    for datagram in data.chunks(run.segment_bytes.max(1)) {
        let single = [Message { data: datagram, remote: run.remote, segment_bytes: 0 }];
        // EAGAIN like the rest: a datagram that does not fit now is a lost one, and RTP knows what to do then.
        if socket.send_messages(&single, may_wait).is_ok() {
            counters.datagrams_sent.add(1);
            counters.bytes_sent.add(datagram.len() as u64);
        } else {
            counters.send_failures.add(1);
        }
    }
}
