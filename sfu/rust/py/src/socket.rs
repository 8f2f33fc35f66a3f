//! UDP sockets in batches: `recvmmsg` with `UDP_GRO` in, `sendmmsg` with `UDP_SEGMENT` (GSO) out.
//!
//! All `unsafe` of the sockets is in this file: the structures of the system calls point into buffers that the
//! caller's references keep alive for the time of the call.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};

/// Messages of one `recvmmsg`. Each may hold many datagrams when the kernel joined them (GRO).
pub(crate) const RECEIVE_MESSAGES: usize = 32;
/// Bytes for one message: the largest that a UDP length field allows, rounded up.
const RECEIVE_BYTES: usize = 65_536;
/// Messages of one `sendmmsg`.
pub(crate) const SEND_MESSAGES: usize = 32;
/// Bytes of one GSO send; the IP length field bounds it.
pub(crate) const MAX_GSO_BYTES: usize = 65_000;
/// Datagrams of one GSO send: `UDP_MAX_SEGMENTS` of Linux before 6.9.
pub(crate) const MAX_GSO_SEGMENTS: usize = 64;
/// How long a full send buffer may hold a sender up, in milliseconds, before what does not fit is given up.
const SEND_WAIT_MS: c_int = 1;
/// Room for one control message that carries an `int` or a `u16`.
const CONTROL_WORDS: usize = 8;

/// A bound, non-blocking UDP socket.
pub(crate) struct UdpSocket {
    fd: OwnedFd,
    local: SocketAddr,
    gso: AtomicBool,
}

impl UdpSocket {
    /// Takes over a bound socket. Asks for GRO and GSO; a kernel without them moves datagrams one by one.
    pub(crate) fn new(fd: OwnedFd, local: SocketAddr) -> Self {
        set_udp_option(&fd, libc::UDP_GRO, 1);
        // 0 leaves it to each send, and tells whether the kernel knows it.
        let has_gso = set_udp_option(&fd, libc::UDP_SEGMENT, 0);
        Self { fd, local, gso: AtomicBool::new(has_gso) }
    }

    /// The address that it is bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// False after the kernel, or the device of a route, refused GSO.
    pub(crate) fn has_gso(&self) -> bool {
        self.gso.load(Ordering::Relaxed)
    }

    /// Use GSO or leave it.
    pub(crate) fn set_gso(&self, gso: bool) {
        self.gso.store(gso, Ordering::Relaxed);
    }

    /// Sends one datagram at once or not at all.
    pub(crate) fn send_to(&self, data: &[u8], remote: SocketAddr) -> io::Result<()> {
        let name = SockName::new(remote);
        // SAFETY: data and name live through the call, and their lengths are theirs.
        let sent = unsafe {
            libc::sendto(self.fd.as_raw_fd(), data.as_ptr().cast(), data.len(), 0, name.as_ptr().cast(), name.len)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends messages, each one datagram or one GSO run. Returns how many left; an error is that of the first. A full
    /// send buffer is waited for only while `may_wait`, and once.
    pub(crate) fn send_messages(&self, messages: &[Message<'_>], may_wait: &mut bool) -> io::Result<usize> {
        let count = messages.len().min(SEND_MESSAGES);
        // SAFETY: all-zero bytes are valid values of these C structures.
        let (mut headers, mut vectors, mut controls): (
            [mmsghdr; SEND_MESSAGES],
            [iovec; SEND_MESSAGES],
            [[u64; CONTROL_WORDS]; SEND_MESSAGES],
        ) = unsafe { zeroed() };
        let slots = headers.iter_mut().zip(vectors.iter_mut().zip(controls.iter_mut()));
        for (message, (header, (vector, control))) in messages.iter().zip(slots) {
            vector.iov_base = message.data.as_ptr().cast_mut().cast();
            vector.iov_len = message.data.len();
            let head = &mut header.msg_hdr;
            head.msg_name = message.remote.as_ptr().cast_mut().cast();
            head.msg_namelen = message.remote.len;
            head.msg_iov = vector;
            head.msg_iovlen = 1;
            if message.segment_bytes > 0 {
                head.msg_control = control.as_mut_ptr().cast();
                head.msg_controllen = size_of_val(control) as _;
                put_segment_size(head, message.segment_bytes);
            }
        }
        loop {
            // SAFETY: the headers point into `messages`, `vectors` and `controls`, which outlive the call.
            let sent = unsafe { libc::sendmmsg(self.fd.as_raw_fd(), headers.as_mut_ptr(), count as libc::c_uint, 0) };
            if let Ok(sent) = usize::try_from(sent) {
                return Ok(sent);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if std::mem::take(may_wait) && self.wait_writable() => {}
                _ => return Err(error),
            }
        }
    }

    /// True when the send buffer had room again within `SEND_WAIT_MS`.
    fn wait_writable(&self) -> bool {
        let mut entry = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one entry, alive through the call.
        unsafe { libc::poll(&raw mut entry, 1, SEND_WAIT_MS) == 1 }
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn set_udp_option(fd: &OwnedFd, option: c_int, value: c_int) -> bool {
    // SAFETY: the option value points to an int that lives through the call.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_UDP,
            option,
            (&raw const value).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    };
    done == 0
}

/// One datagram to send, or one run of datagrams of `segment_bytes` each (the last may be shorter).
pub(crate) struct Message<'a> {
    /// The bytes of all datagrams, one after another.
    pub(crate) data: &'a [u8],
    /// Where to.
    pub(crate) remote: SockName,
    /// 0 for a single datagram.
    pub(crate) segment_bytes: u16,
}

fn put_segment_size(head: &mut libc::msghdr, segment_bytes: u16) {
    // SAFETY: the control buffer holds CONTROL_WORDS words, more than CMSG_SPACE of a u16, and is aligned.
    unsafe {
        head.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
        let control = libc::CMSG_FIRSTHDR(head);
        if let Some(entry) = control.as_mut() {
            entry.cmsg_level = libc::SOL_UDP;
            entry.cmsg_type = libc::UDP_SEGMENT;
            entry.cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
            libc::CMSG_DATA(control).cast::<u16>().write_unaligned(segment_bytes);
        }
    }
}

/// A socket address as the kernel wants it.
#[derive(Clone, Copy)]
pub(crate) struct SockName {
    storage: Storage,
    len: socklen_t,
}

#[derive(Clone, Copy)]
enum Storage {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
}

impl SockName {
    /// The name of `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        // SAFETY: all-zero bytes are valid values of these C structures.
        let (mut v4, mut v6): (libc::sockaddr_in, libc::sockaddr_in6) = unsafe { zeroed() };
        match address {
            SocketAddr::V4(name) => {
                v4.sin_family = libc::AF_INET as _;
                v4.sin_port = name.port().to_be();
                v4.sin_addr.s_addr = u32::from(*name.ip()).to_be();
                Self { storage: Storage::V4(v4), len: size_of_val(&v4) as socklen_t }
            }
            SocketAddr::V6(name) => {
                v6.sin6_family = libc::AF_INET6 as _;
                v6.sin6_port = name.port().to_be();
                v6.sin6_addr.s6_addr = name.ip().octets();
                v6.sin6_scope_id = name.scope_id();
                Self { storage: Storage::V6(v6), len: size_of_val(&v6) as socklen_t }
            }
        }
    }

    fn as_ptr(&self) -> *const libc::sockaddr {
        match &self.storage {
            Storage::V4(name) => (&raw const *name).cast(),
            Storage::V6(name) => (&raw const *name).cast(),
        }
    }
}

/// Buffers of `recvmmsg` and what the last call put into them.
pub(crate) struct ReceiveBatch {
    buffers: Box<[u8]>,
    messages: Vec<Received>,
}

/// One received message: `bytes` in all, cut into datagrams of `segment_bytes`.
#[derive(Clone, Copy)]
struct Received {
    remote: Option<SocketAddr>,
    bytes: usize,
    segment_bytes: usize,
}

impl Received {
    /// The kernel wrote header and name.
    fn new(header: &mmsghdr, name: &sockaddr_storage) -> Self {
        let bytes = (header.msg_len as usize).min(RECEIVE_BYTES);
        let segment_bytes = segment_size(&header.msg_hdr).unwrap_or(bytes).max(1);
        Self { remote: address_of(name), bytes, segment_bytes }
    }
}

impl ReceiveBatch {
    /// Buffers for `RECEIVE_MESSAGES` messages; the pages are touched as they are needed.
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![0; RECEIVE_MESSAGES * RECEIVE_BYTES].into_boxed_slice(),
            messages: Vec::with_capacity(RECEIVE_MESSAGES),
        }
    }

    /// Takes what has arrived; returns the number of messages, 0 when there was none.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.messages.clear();
        // SAFETY: all-zero bytes are valid values of these C structures.
        let (mut headers, mut vectors, mut names, mut controls): (
            [mmsghdr; RECEIVE_MESSAGES],
            [iovec; RECEIVE_MESSAGES],
            [sockaddr_storage; RECEIVE_MESSAGES],
            [[u64; CONTROL_WORDS]; RECEIVE_MESSAGES],
        ) = unsafe { zeroed() };
        let slots = headers.iter_mut().zip(vectors.iter_mut());
        let sides = names.iter_mut().zip(controls.iter_mut());
        let buffers = self.buffers.chunks_exact_mut(RECEIVE_BYTES);
        for (((header, vector), (name, control)), buffer) in slots.zip(sides).zip(buffers) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            let head = &mut header.msg_hdr;
            head.msg_name = (&raw mut *name).cast();
            head.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            head.msg_iov = vector;
            head.msg_iovlen = 1;
            head.msg_control = control.as_mut_ptr().cast();
            head.msg_controllen = size_of_val(control) as _;
        }
        // SAFETY: the headers point into arrays and buffers that outlive the call, with their true lengths.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                RECEIVE_MESSAGES as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        };
        self.messages
            .extend(headers.iter().zip(&names).take(received).map(|(header, name)| Received::new(header, name)));
        Ok(received)
    }

    /// Calls `handle` with the sender and the bytes of every datagram, in order of arrival.
    pub(crate) fn for_each(&mut self, mut handle: impl FnMut(SocketAddr, &mut [u8])) {
        let buffers = self.buffers.chunks_exact_mut(RECEIVE_BYTES);
        for (message, buffer) in self.messages.iter().zip(buffers) {
            let (Some(remote), Some(data)) = (message.remote, buffer.get_mut(..message.bytes)) else {
                continue;
            };
            if data.is_empty() {
                handle(remote, data);
                continue;
            }
            for datagram in data.chunks_mut(message.segment_bytes) {
                handle(remote, datagram);
            }
        }
    }
}

/// The size of the datagrams that the kernel joined; None when it joined none.
fn segment_size(head: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel wrote the control buffer and its length; the CMSG functions stay inside of it.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(head);
        while let Some(entry) = control.as_ref() {
            if entry.cmsg_level == libc::SOL_UDP && entry.cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(control).cast::<c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|size| *size > 0);
            }
            control = libc::CMSG_NXTHDR(head, control);
        }
    }
    None
}

fn address_of(name: &sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which structure the kernel wrote; sockaddr_storage is large and aligned enough.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            // No zone: the rest of the house does not know it.
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, 0).into())
        }
        _ => None,
    }
}

/// `address` and `port` as one; None when the text is no IP address.
pub(crate) fn parse_address(address: &str, port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = address.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as StdSocket;

    fn socket() -> UdpSocket {
        let bound = StdSocket::bind("127.0.0.1:0").expect("bind");
        bound.set_nonblocking(true).expect("non-blocking");
        let local = bound.local_addr().expect("name");
        UdpSocket::new(OwnedFd::from(bound), local)
    }

    fn received(batch: &mut ReceiveBatch, socket: &UdpSocket) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut all = Vec::new();
        while batch.receive(socket).expect("receive") > 0 {
            batch.for_each(|remote, data| all.push((remote, data.to_vec())));
        }
        all
    }

    #[test]
    fn runs_arrive_as_the_datagrams_that_they_were() {
        let (from, to) = (socket(), socket());
        let mut run: Vec<u8> = (0..5).flat_map(|index| vec![index; 100]).collect();
        run.extend([9; 40]);
        let remote = SockName::new(to.local());
        let messages = [
            Message { data: &run, remote, segment_bytes: 100 },
            Message { data: b"", remote, segment_bytes: 0 },
            Message { data: &[7; 1600], remote, segment_bytes: 0 },
        ];
        assert_eq!(from.send_messages(&messages, &mut true).expect("send"), 3);
        let mut expected: Vec<(SocketAddr, Vec<u8>)> =
            run.chunks(100).map(|data| (from.local(), data.to_vec())).collect();
        expected.push((from.local(), Vec::new()));
        expected.push((from.local(), vec![7; 1600]));
        assert_eq!(received(&mut ReceiveBatch::new(), &to), expected);
    }

    #[test]
    fn more_than_one_batch_arrives_in_order() {
        let (from, to) = (socket(), socket());
        for index in 0..=255_u8 {
            from.send_to(&[index; 3], to.local()).expect("send");
        }
        let all = received(&mut ReceiveBatch::new(), &to);
        let firsts: Vec<u8> = all.iter().filter_map(|(_, data)| data.first().copied()).collect();
        assert_eq!(firsts, (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn the_wrong_family_is_an_error_and_not_more() {
        let from = socket();
        let name: SocketAddr = "[2001:db8::1]:9".parse().expect("address");
        assert!(from.send_to(b"x", name).is_err());
        let message = Message { data: b"x", remote: SockName::new(name), segment_bytes: 0 };
        assert!(from.send_messages(&[message], &mut true).is_err());
    }
}
