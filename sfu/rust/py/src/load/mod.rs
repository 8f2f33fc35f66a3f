//! `LoadGenerator`: the media of many simulated participants, for `benchmarks/load`.
//!
//! Python signals, and does ICE and DTLS; what it negotiated is handed over here: sockets, keys, streams to send and
//! to receive. One thread then moves the media of all of them without the interpreter.

mod figures;
mod histogram;
mod link;
mod peer;
mod receiver;
mod reception;
mod sender;
mod stamp;
mod worker;

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use self::figures::ReceiverConfig;
use self::link::{Conditions, Link};
use self::peer::{Peer, codec_of};
use self::receiver::Receiver;
use self::sender::{Clip, Frame, Sender, SenderConfig};
use self::worker::{Shared, World, run};
use crate::convert;
use crate::socket::{UdpSocket, parse_address};
use crate::waiting::now_ns;

/// (duration in ns, timestamp units, [(payload, whether its last bytes are for a stamp)]).
type FrameTuple = (u64, u32, Vec<(Vec<u8>, bool)>);
/// (loss 0..1, delay ns, jitter ns, bit/s).
type LinkTuple = (f64, u64, u64, u64);
/// (keyframe, timestamp, payloads).
type SampledFrame<'py> = (bool, u32, Vec<Bound<'py, PyBytes>>);

/// Simulated participants' transports, from construction until `close`.
#[pyclass(frozen, module = "ting_engine")]
pub(crate) struct LoadGenerator {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl LoadGenerator {
    #[new]
    fn new() -> PyResult<Self> {
        let shared = Arc::new(Shared::new()?);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("ting-load".to_owned()).spawn(move || run(&theirs))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// A clip to be sent, by number. `codec` is vp8, h264 or opus; frames begin with a keyframe. VP8 payloads come
    /// without their payload descriptor.
    fn add_clip(&self, codec: &str, clock_rate: u32, frames: Vec<FrameTuple>) -> PyResult<usize> {
        if frames.is_empty() || frames.iter().any(|(duration_ns, _, packets)| *duration_ns == 0 || packets.is_empty()) {
            return Err(PyValueError::new_err("a clip has frames, and a frame has packets and a duration"));
        }
        let frames = frames.into_iter().map(|(duration_ns, ticks, packets)| Frame { duration_ns, ticks, packets });
        let (vp8, audio) = (codec == "vp8", codec == "opus");
        let clip = Clip { clock_rate, vp8, audio, frames: frames.collect() };
        let mut world = self.shared.world.lock();
        world.clips.push(Arc::new(clip));
        Ok(world.clips.len() - 1)
    }

    /// A transport over a bound, non-blocking UDP socket, which belongs to the generator from now on.
    fn add_peer(
        &self,
        fd: RawFd,
        remote: (String, u16),
        cname: String,
        inbound: LinkTuple,
        outbound: LinkTuple,
    ) -> PyResult<u64> {
        // SAFETY: the caller detached the descriptor; nobody else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let Some(remote) = parse_address(&remote.0, remote.1) else {
            return Err(PyValueError::new_err("the remote address is not an IP address"));
        };
        let socket = UdpSocket::new(fd, SocketAddr::from(([0, 0, 0, 0], 0)));
        let descriptor = socket.as_raw_fd();
        let mut world = self.shared.world.lock();
        world.last_peer += 1;
        let id = world.last_peer;
        let links = (Link::new(conditions(inbound), 2 * id), Link::new(conditions(outbound), 2 * id + 1));
        world.peers.insert(id, Peer::new(socket, remote, links, cname, now_ns()));
        self.shared.watch(descriptor, id)?;
        Ok(id)
    }

    /// Ends a transport; its figures are gone with it.
    fn remove_peer(&self, peer: u64) {
        self.shared.world.lock().peers.remove(&peer);
    }

    /// What the DTLS handshake agreed on: an `SrtpKeys`.
    fn set_keys(&self, peer: u64, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let keys = convert::srtp_keys(keys)?;
        let accepted = with_peer(&mut self.shared.world.lock(), peer, |peer| peer.set_keys(&keys))?;
        if accepted { Ok(()) } else { Err(PyValueError::new_err("the keys do not fit their profile")) }
    }

    /// Begin to send a clip `start_in_ns` from now. `rtx` is (ssrc, payload type). Returns the sender's index.
    #[pyo3(signature = (peer, clip, start_in_ns, ssrc, payload_type, rtx, extensions, abs_send_time_id, twcc_id))]
    #[expect(clippy::too_many_arguments, reason = "one call from Python, with keywords")]
    fn add_sender(
        &self,
        peer: u64,
        clip: usize,
        start_in_ns: u64,
        ssrc: u32,
        payload_type: u8,
        rtx: Option<(u32, u8)>,
        extensions: Vec<(u8, Vec<u8>)>,
        abs_send_time_id: u8,
        twcc_id: u8,
    ) -> PyResult<usize> {
        let config = SenderConfig { ssrc, payload_type, rtx, extensions, abs_send_time_id, twcc_id };
        let mut world = self.shared.world.lock();
        let clip = world.clips.get(clip).cloned().ok_or_else(|| PyValueError::new_err("no such clip"))?;
        let sender = Sender::new(config, clip, now_ns() + start_in_ns);
        let index = with_peer(&mut world, peer, |peer| {
            peer.senders.push(sender);
            peer.senders.len() - 1
        })?;
        drop(world);
        self.shared.wake();
        Ok(index)
    }

    /// Whether somebody wants what a sender sends: else it pauses, and begins with a keyframe when it goes on.
    fn set_wanted(&self, peer: u64, sender: usize, is_wanted: bool) -> PyResult<()> {
        with_peer(&mut self.shared.world.lock(), peer, |peer| {
            if let Some(sender) = peer.senders.get_mut(sender) {
                sender.set_wanted(is_wanted);
            }
        })
    }

    /// Expect a stream. `payloads` are (payload type, codec name). Returns the receiver's index.
    #[pyo3(signature = (peer, ssrc, rtx_ssrc, payloads, clock_rate, nack, sample))]
    #[expect(clippy::too_many_arguments, reason = "one call from Python, with keywords")]
    fn add_receiver(
        &self,
        peer: u64,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        payloads: Vec<(u8, String)>,
        clock_rate: u32,
        nack: bool,
        sample: bool,
    ) -> PyResult<usize> {
        let payloads = payloads.iter().map(|(payload_type, name)| (*payload_type, codec_of(name))).collect();
        let config = ReceiverConfig { ssrc, rtx_ssrc, payloads, clock_rate, nack, sample };
        let receiver = Receiver::new(config, now_ns());
        with_peer(&mut self.shared.world.lock(), peer, |peer| peer.add_receiver(receiver))
    }

    /// Its stream is no longer expected; the figures stay.
    fn end_receiver(&self, peer: u64, receiver: usize) -> PyResult<()> {
        with_peer(&mut self.shared.world.lock(), peer, |peer| peer.end_receiver(receiver))
    }

    /// Send a STUN or DTLS datagram.
    fn send(&self, peer: u64, data: &[u8]) -> PyResult<()> {
        let held = with_peer(&mut self.shared.world.lock(), peer, |peer| {
            peer.send(now_ns(), data);
            !peer.outbound.is_clear()
        })?;
        if held {
            self.shared.wake();
        }
        Ok(())
    }

    /// The descriptor that is readable while `take` has something.
    fn event_fd(&self) -> RawFd {
        self.shared.ready.as_raw_fd()
    }

    /// STUN and DTLS datagrams that came: (peer, bytes).
    fn take<'py>(&self, py: Python<'py>) -> Vec<(u64, Bound<'py, PyBytes>)> {
        self.shared.ready.clear();
        let waiting = std::mem::take(&mut self.shared.world.lock().for_python);
        waiting.into_iter().map(|(peer, data)| (peer, PyBytes::new(py, &data))).collect()
    }

    /// Whole frames of a receiver that samples: (keyframe, timestamp, payloads).
    fn take_frames<'py>(&self, py: Python<'py>, peer: u64, receiver: usize) -> PyResult<Vec<SampledFrame<'py>>> {
        let frames = with_peer(&mut self.shared.world.lock(), peer, |peer| {
            peer.receivers.get_mut(receiver).map(|one| std::mem::take(&mut one.sampled)).unwrap_or_default()
        })?;
        let as_bytes = |payloads: Vec<Vec<u8>>| payloads.iter().map(|data| PyBytes::new(py, data)).collect();
        Ok(frames.into_iter().map(|(key, timestamp, payloads)| (key, timestamp, as_bytes(payloads))).collect())
    }

    /// Figures of one peer: its own, and a list each for its senders and receivers.
    fn peer_stats<'py>(&self, py: Python<'py>, peer: u64) -> PyResult<Bound<'py, PyDict>> {
        let mut world = self.shared.world.lock();
        let peer = world.peers.get_mut(&peer).ok_or_else(|| PyValueError::new_err("no such peer"))?;
        peer_dict(py, peer)
    }

    /// Sums over every peer that is there, for a live view: packets and bytes received, packets sent, lost.
    fn totals(&self) -> (u64, u64, u64, u64) {
        let world = self.shared.world.lock();
        let mut sums = (0, 0, 0, 0);
        for peer in world.peers.values() {
            for receiver in &peer.receivers {
                sums.0 += receiver.figures.packets;
                sums.1 += receiver.figures.bytes;
                sums.3 += receiver.figures.lost;
            }
            sums.2 += peer.senders.iter().map(|sender| sender.figures.packets).sum::<u64>();
        }
        sums
    }

    /// Latency of stamped packets since the last call: [(lower bound in µs, packets)].
    fn take_latencies(&self) -> Vec<(u64, u64)> {
        let mut world = self.shared.world.lock();
        std::mem::replace(&mut world.latency, histogram::Histogram::new()).buckets()
    }

    /// CPU time of the thread in ns.
    fn cpu_ns(&self) -> u64 {
        self.shared.cpu_ns()
    }

    /// End the thread and close every socket. Idempotent.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        self.shared.stop();
        let joined = py.detach(|| thread.join());
        self.shared.world.lock().peers.clear();
        joined.map_err(|_| PyOSError::new_err("the load generator's thread panicked"))
    }
}

impl Drop for LoadGenerator {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn conditions((loss, delay_ns, jitter_ns, rate_bps): LinkTuple) -> Conditions {
    Conditions { loss, delay_ns, jitter_ns, rate_bps }
}

fn with_peer<T>(world: &mut World, peer: u64, work: impl FnOnce(&mut Peer) -> T) -> PyResult<T> {
    world.peers.get_mut(&peer).map(work).ok_or_else(|| PyValueError::new_err("no such peer"))
}

fn peer_dict<'py>(py: Python<'py>, peer: &mut Peer) -> PyResult<Bound<'py, PyDict>> {
    let (senders, receivers) = (PyList::empty(py), PyList::empty(py));
    for sender in &peer.senders {
        let figures = sender.figures;
        let one = PyDict::new(py);
        one.set_item("ssrc", sender.config.ssrc)?;
        one.set_item("packets", figures.packets)?;
        one.set_item("bytes", figures.bytes)?;
        one.set_item("retransmitted", figures.retransmitted)?;
        one.set_item("keyframe_requests", figures.keyframe_requests)?;
        one.set_item("max_late_ns", figures.max_late_ns)?;
        one.set_item("frames_left_out", figures.frames_left_out)?;
        one.set_item("is_wanted", sender.is_wanted)?;
        senders.append(one)?;
    }
    for receiver in &peer.receivers {
        receivers.append(receiver_dict(py, receiver)?)?;
    }
    let all = PyDict::new(py);
    let figures = peer.figures;
    all.set_item("packets_received", figures.packets_received)?;
    all.set_item("bytes_received", figures.bytes_received)?;
    all.set_item("auth_failures", figures.auth_failures)?;
    all.set_item("unknown_ssrc", figures.unknown_ssrc)?;
    all.set_item("send_failures", figures.send_failures)?;
    all.set_item("link_drops", peer.inbound.dropped + peer.outbound.dropped)?;
    all.set_item("senders", senders)?;
    all.set_item("receivers", receivers)?;
    Ok(all)
}

fn receiver_dict<'py>(py: Python<'py>, receiver: &Receiver) -> PyResult<Bound<'py, PyDict>> {
    let figures = receiver.figures;
    let one = PyDict::new(py);
    for (name, value) in [
        ("ssrc", u64::from(receiver.config.ssrc)),
        ("packets", figures.packets),
        ("bytes", figures.bytes),
        ("lost", figures.lost),
        ("recovered", figures.recovered),
        ("duplicates", figures.duplicates),
        ("reordered", figures.reordered),
        ("malformed", figures.malformed),
        ("nacks", figures.nacks),
        ("plis", figures.plis),
        ("frames", figures.frames),
        ("keyframes", figures.keyframes),
        ("freezes", figures.freezes),
        ("frozen_ns", figures.frozen_ns),
        ("longest_gap_ns", figures.longest_gap_ns),
        ("created_at_ns", figures.created_at_ns),
        ("first_packet_at_ns", figures.first_packet_at_ns),
        ("first_frame_at_ns", figures.first_frame_at_ns),
        ("last_packet_at_ns", figures.last_packet_at_ns),
    ] {
        one.set_item(name, value)?;
    }
    one.set_item("jitter_ms", receiver.jitter_ms())?;
    Ok(one)
}
