//! The benchmark's floor: encrypt for each destination and send, and nothing else. No engine can cost less.

use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use ting_core::api::SrtpProfile;
use ting_core::srtp::SrtpContext;

use crate::convert::engine_error;
use crate::socket::{Message, SEND_MESSAGES, SockName, UdpSocket, parse_address};

const HEADER_BYTES: usize = 28;

/// Protect `frames` frames of `run` packets for each destination and send them as GSO runs, one frame every
/// `interval_ns`. `fd` is a bound UDP socket and belongs to the call. Returns the number of packets that left.
#[pyfunction]
pub(crate) fn bare_loop(
    py: Python<'_>,
    fd: RawFd,
    destinations: Vec<(String, u16)>,
    payload_bytes: usize,
    run: usize,
    frames: u32,
    interval_ns: u64,
) -> PyResult<u64> {
    // SAFETY: the caller detached the descriptor; nobody else closes it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let remotes: Option<Vec<SocketAddr>> = destinations.iter().map(|(ip, port)| parse_address(ip, *port)).collect();
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let cipher = || SrtpContext::new(SrtpProfile::AeadAes128Gcm, &[1; 16], &[2; 12]).ok();
    let ciphers: Option<Vec<SrtpContext>> = destinations.iter().map(|_| cipher()).collect();
    let (Some(remotes), Some(ciphers)) = (remotes, ciphers) else {
        return Err(engine_error(py, "an address is not an IP address", "invalid_path"));
    };
    let socket = UdpSocket::new(fd, local);
    let load = Load { ciphers, payload: vec![0; payload_bytes], run };
    Ok(py.detach(|| load.send_frames(&socket, &remotes, frames, Duration::from_nanos(interval_ns))))
}

struct Load {
    ciphers: Vec<SrtpContext>,
    payload: Vec<u8>,
    run: usize,
}

impl Load {
    fn send_frames(&self, socket: &UdpSocket, remotes: &[SocketAddr], frames: u32, interval: Duration) -> u64 {
        let start = Instant::now();
        let mut sent = 0_u64;
        let mut sealed = Vec::new();
        for frame in 0..frames {
            std::thread::sleep(interval.saturating_mul(frame).saturating_sub(start.elapsed()));
            for (remotes, ciphers) in remotes.chunks(SEND_MESSAGES).zip(self.ciphers.chunks(SEND_MESSAGES)) {
                sent = sent.saturating_add(self.send_frame(socket, remotes, ciphers, frame, &mut sealed));
            }
        }
        sent
    }

    fn send_frame(
        &self,
        socket: &UdpSocket,
        remotes: &[SocketAddr],
        ciphers: &[SrtpContext],
        frame: u32,
        sealed: &mut Vec<u8>,
    ) -> u64 {
        sealed.clear();
        let mut size = 0;
        for cipher in ciphers {
            for index in 0..self.run {
                let begin = sealed.len();
                sealed.extend_from_slice(&[0x80; HEADER_BYTES]);
                sealed.extend_from_slice(&self.payload);
                sealed.resize(sealed.len().saturating_add(cipher.rtp_overhead()), 0);
                size = sealed.len().saturating_sub(begin);
                let ext_seq = i64::from(frame).saturating_mul(self.run as i64).saturating_add(index as i64);
                let packet = sealed.get_mut(begin..).unwrap_or_default();
                let _ = cipher.protect_rtp(packet, HEADER_BYTES, 1, ext_seq.saturating_add(0x1_0000));
            }
        }
        let segment_bytes = if self.run > 1 { u16::try_from(size).unwrap_or(0) } else { 0 };
        let runs = sealed.chunks(size.saturating_mul(self.run).max(1)).zip(remotes);
        let messages: Vec<Message<'_>> =
            runs.map(|(data, remote)| Message { data, remote: SockName::new(*remote), segment_bytes }).collect();
        let mut done = 0;
        while done < messages.len() {
            match socket.send_messages(messages.get(done..).unwrap_or_default(), &mut true) {
                Ok(sent) => done = done.saturating_add(sent.max(1)),
                Err(_) => return (done.saturating_mul(self.run)) as u64,
            }
        }
        (done.saturating_mul(self.run)) as u64
    }
}
