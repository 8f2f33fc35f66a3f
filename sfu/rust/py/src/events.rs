//! The way from the engine's thread to the event loop: a bounded queue and a file descriptor to watch.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use parking_lot::Mutex;
use ting_core::api::{Event, Path};

use crate::waiting::EventFd;

/// STUN, DTLS and TCP frames that may wait for the event loop. Their senders repeat what is lost.
const MAX_WAITING_DATAGRAMS: usize = 4096;
/// Everything that may wait. Only a loop that no longer runs lets it come to this.
const MAX_WAITING: usize = 65_536;

/// Something for the event loop's thread.
pub(crate) enum Notice {
    /// What the engine has to say.
    Event(Event),
    /// A datagram to send over TCP, which is Python's.
    Frame(Path, Vec<u8>),
    /// The data channels of this transport have something.
    Data(u64),
    /// The engine panicked, with these words.
    Fault(String),
}

impl Notice {
    /// How many may wait before it.
    fn limit(&self) -> usize {
        match self {
            Self::Event(Event::StunReceived { .. } | Event::DtlsReceived { .. }) | Self::Frame(..) => {
                MAX_WAITING_DATAGRAMS
            }
            // One for each link at most, and not said again.
            Self::Data(_) => usize::MAX,
            _ => MAX_WAITING,
        }
    }
}

/// The queue. The descriptor is readable while something waits.
pub(crate) struct Notices {
    queue: Mutex<VecDeque<Notice>>,
    ready: EventFd,
}

impl Notices {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { queue: Mutex::new(VecDeque::new()), ready: EventFd::new()? })
    }

    /// Moves `notices` into the queue. Returns how many had no room and were dropped.
    pub(crate) fn push_all(&self, notices: &mut Vec<Notice>) -> u64 {
        if notices.is_empty() {
            return 0;
        }
        let mut lost = 0;
        let mut queue = self.queue.lock();
        let was_empty = queue.is_empty();
        for notice in notices.drain(..) {
            let limit = notice.limit();
            if queue.len() < limit {
                queue.push_back(notice);
            } else {
                lost += 1;
            }
        }
        drop(queue);
        if was_empty {
            self.ready.signal();
        }
        lost
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.lock().len()
    }

    /// Up to `limit` notices in order. The descriptor stays readable when more are left.
    pub(crate) fn take(&self, limit: usize) -> Vec<Notice> {
        let mut queue = self.queue.lock();
        let count = queue.len().min(limit);
        let taken = queue.drain(..count).collect();
        if queue.is_empty() {
            self.ready.clear();
        }
        taken
    }
}

impl AsRawFd for Notices {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting::wait;

    fn stun(index: u8) -> Notice {
        let address = "127.0.0.1:9".parse().unwrap();
        let path = Path { protocol: ting_core::api::Protocol::Udp, local: address, remote: address };
        Notice::Event(Event::StunReceived { path, data: vec![index] })
    }

    fn is_readable(notices: &Notices) -> bool {
        let mut entries = [libc::pollfd { fd: notices.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        wait(&mut entries, Some(0));
        entries.iter().all(|entry| entry.revents != 0)
    }

    #[test]
    fn readable_until_all_is_taken() {
        let notices = Notices::new().unwrap();
        assert!(!is_readable(&notices));
        assert_eq!(notices.push_all(&mut vec![stun(0), stun(1)]), 0);
        assert_eq!(notices.push_all(&mut vec![stun(2)]), 0);
        assert_eq!(notices.take(2).len(), 2);
        assert!(is_readable(&notices));
        assert_eq!(notices.take(2).len(), 1);
        assert!(!is_readable(&notices));
    }

    #[test]
    fn datagrams_are_dropped_before_anything_else() {
        let notices = Notices::new().unwrap();
        let mut flood: Vec<Notice> = (0..=MAX_WAITING_DATAGRAMS).map(|_| stun(0)).collect();
        assert_eq!(notices.push_all(&mut flood), 1);
        assert_eq!(notices.push_all(&mut vec![Notice::Fault("words".to_owned())]), 0);
        assert_eq!(notices.take(usize::MAX).len(), MAX_WAITING_DATAGRAMS + 1);
    }

    #[test]
    fn that_data_waits_is_never_dropped() {
        let notices = Notices::new().unwrap();
        let mut faults: Vec<Notice> = (0..=MAX_WAITING).map(|_| Notice::Fault(String::new())).collect();
        assert_eq!(notices.push_all(&mut faults), 1);
        assert_eq!(notices.push_all(&mut vec![Notice::Data(1)]), 0);
        assert!(matches!(notices.take(usize::MAX).last(), Some(Notice::Data(1))));
    }
}
