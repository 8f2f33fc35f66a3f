//! What threads wait with: a descriptor that others can make readable, and the clock.
//!
//! All `unsafe` of it is in this file: plain system calls on memory that lives through them.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A counter that file-descriptor waiters can wait for.
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    /// A non-blocking one at zero.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it returns is ours alone.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Make it readable.
    pub(crate) fn signal(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of a living integer. A counter that is full already is readable already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Make it not readable.
    pub(crate) fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes of a living integer.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until one of `entries` is ready or the time is over; None waits without end. Errors count as "nothing".
pub(crate) fn wait(entries: &mut [libc::pollfd], timeout_ns: Option<u64>) {
    let limit = timeout_ns.map(|nanoseconds| libc::timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), |limit| &raw const *limit);
    // SAFETY: entries and the limit live through the call; a null limit means none.
    let ready = unsafe { libc::ppoll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, limit, std::ptr::null()) };
    if ready < 0 {
        for entry in entries {
            entry.revents = 0;
        }
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds: the clock of Python's `time.monotonic_ns`.
pub(crate) fn now_ns() -> u64 {
    // SAFETY: all-zero bytes are a valid timespec, and the call writes into a living one.
    let time = unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
        time
    };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fd_is_readable_until_it_is_cleared() {
        let event = EventFd::new().expect("eventfd");
        let mut entries = [libc::pollfd { fd: event.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        wait(&mut entries, Some(0));
        assert_eq!(entries[0].revents, 0);
        event.signal();
        event.signal();
        wait(&mut entries, None);
        assert_eq!(entries[0].revents, libc::POLLIN);
        event.clear();
        wait(&mut entries, Some(0));
        assert_eq!(entries[0].revents, 0);
    }
}
