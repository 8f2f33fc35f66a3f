"""One association with a peer: keys, paths, SSRC bindings and counters."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sfu.engine.api import MAX_PATHS, Path, SrtpKeys, Transmit, TransportConfig
from sfu.engine.reference.congestion.brake import Brake
from sfu.engine.reference.congestion.estimate import Estimator
from sfu.engine.reference.congestion.rtp_numbers import RtpNumbers
from sfu.engine.reference.congestion_feedback import REPORT_WRAP_NS, CongestionFeedback
from sfu.engine.reference.consent import Ice
from sfu.engine.reference.core import Core
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.seqnum import ReplayWindow, SeqExtender
from sfu.engine.reference.slots import StreamSlot
from sfu.engine.reference.srtp import SrtpContext
from sfu.engine.reference.twcc import ArrivalRecorder
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

REPLAY_WINDOW = 1024
MAX_RETIRED_SSRCS = 4096
"""Outbound SSRCs whose last number is remembered under the present keys, so that no nonce is ever used twice."""


class RetiredSsrc(NamedTuple):
    """Where an SSRC that a subscription had stood at its end. `sent_at_ns` None: it never sent media."""

    ext_seq: int
    timestamp: int = 0
    sent_at_ns: int | None = None


class ReceiveContext:
    """SRTP state of one inbound SSRC under the present keys."""

    __slots__ = ("extender", "window")

    def __init__(self) -> None:
        self.extender = SeqExtender()
        self.window = ReplayWindow(REPLAY_WINDOW)


class Binding:
    """What an authenticated SSRC of a transport is: a stream's media or its RTX."""

    __slots__ = ("context", "is_rtx", "stream")

    def __init__(self, stream: StreamSlot, is_rtx: bool, context: ReceiveContext) -> None:
        self.stream = stream
        self.is_rtx = is_rtx
        self.context = context


class Transport:
    """State of one transport; output goes through it so that it is counted."""

    __slots__ = (
        "arrivals",
        "bindings",
        "bit_bucket",
        "brake",
        "bytes_received",
        "bytes_sent",
        "config",
        "contexts",
        "declared",
        "estimator",
        "feedback_bucket",
        "forwarders",
        "forwarders_by_ssrc",
        "handle",
        "has_mid",
        "ice",
        "is_failed",
        "is_faulty",
        "is_paced",
        "keys",
        "last_media_ssrc",
        "local_ssrc",
        "next_report_at_ns",
        "packet_bucket",
        "packets_received",
        "packets_sent",
        "path",
        "paths",
        "queue",
        "remb_bps",
        "retired_ssrcs",
        "rtp_numbers",
        "rx",
        "tracks",
        "twcc_seq",
        "tx",
        "wanted_bps",
    )

    def __init__(self, handle: TransportHandle, config: TransportConfig, local_ssrc: int) -> None:
        self.handle = handle
        self.config = config
        self.local_ssrc = local_ssrc
        self.keys: SrtpKeys | None = None
        self.rx: SrtpContext | None = None
        self.tx: SrtpContext | None = None
        self.path: Path | None = None
        self.ice: Ice | None = None
        self.is_failed = False
        """The engine failed while it worked for this transport: it has no paths any more and gets none."""
        self.is_faulty = False
        """A test asked for a fault."""
        self.paths: dict[Path, None] = {}
        self.queue: deque[Transmit] = deque()
        """Datagrams that wait for `poll_transmit`."""
        self.tracks: list[TrackHandle] = []
        self.forwarders: list[SubscriptionHandle] = []
        self.forwarders_by_ssrc: dict[int, SubscriptionHandle] = {}
        self.bindings: dict[int, Binding] = {}
        self.contexts: dict[int, ReceiveContext] = {}
        self.declared: dict[int, tuple[StreamSlot, bool]] = {}
        """(stream, is RTX) by SSRC. The first track to name one has it."""
        self.has_mid = False
        self.packet_bucket = TokenBucket(config.max_packets_per_s)
        self.bit_bucket = TokenBucket(config.max_bitrate_bps)
        self.feedback_bucket = TokenBucket(config.max_feedback_per_s)
        self.arrivals = ArrivalRecorder()
        self.brake: Brake | None = None
        """Once a packet with a send time has arrived whose publisher gets transport-wide feedback."""
        self.twcc_seq = 0
        self.estimator: Estimator | None = None
        """Once something leaves with a transport-wide number."""
        self.rtp_numbers: RtpNumbers | None = None
        """Once something leaves that the peer reports on by its RTP number."""
        self.is_paced = False
        """The line has shown a limit, or nothing is known of it yet: video to it waits for its turn."""
        self.wanted_bps = 0
        self.last_media_ssrc = 0
        self.retired_ssrcs: dict[int, RetiredSsrc] = {}
        self.next_report_at_ns: int | None = None
        self.remb_bps: int | None = None
        self.packets_received = 0
        self.bytes_received = 0
        self.packets_sent = 0
        self.bytes_sent = 0

    @property
    def is_ready(self) -> bool:
        """Keys and a path: only then anything leaves."""
        return self.tx is not None and self.path is not None

    def counters(self) -> tuple[int, int, int, int]:
        """Packets received and sent, bytes received and sent."""
        return self.packets_received, self.packets_sent, self.bytes_received, self.bytes_sent

    def install(self, keys: SrtpKeys) -> None:
        """Raises `EngineError` for keys of the wrong length, with nothing changed."""
        rx = SrtpContext(keys.profile, keys.rx_key, keys.rx_salt)
        tx = SrtpContext(keys.profile, keys.tx_key, keys.tx_salt)
        self.keys, self.rx, self.tx = keys, rx, tx
        self.contexts.clear()
        self.retired_ssrcs.clear()
        for ssrc, binding in self.bindings.items():
            binding.context = self.contexts[ssrc] = ReceiveContext()

    def add_path(self, path: Path) -> Path | None:
        """Allow `path`; returns the path that had to be forgotten for it."""
        if path in self.paths:
            return None
        forgotten = None
        if len(self.paths) >= MAX_PATHS:
            forgotten = next(old for old in self.paths if old != self.path)
            del self.paths[forgotten]
        self.paths[path] = None
        return forgotten

    def drop_path(self, path: Path) -> None:
        self.paths.pop(path, None)
        if self.path == path:
            self.path = None

    def context_of(self, ssrc: int) -> ReceiveContext:
        """The SRTP state of an SSRC: of a track that was removed as well, so that nothing can be replayed when the
        SSRC comes back and its rollover counter is still right."""
        return self.contexts.get(ssrc) or ReceiveContext()

    def bind(self, ssrc: int, binding: Binding) -> None:
        self.bindings[ssrc] = binding
        self.contexts[ssrc] = binding.context
        if len(self.contexts) > 2 * self.config.max_ssrcs:
            del self.contexts[next(old for old in self.contexts if old not in self.bindings)]

    def unbind(self, stream: StreamSlot) -> None:
        for ssrc in [ssrc for ssrc, binding in self.bindings.items() if binding.stream == stream]:
            del self.bindings[ssrc]

    def retire_ssrc(self, ssrc: int, last: RetiredSsrc) -> None:
        self.retired_ssrcs[ssrc] = last
        if len(self.retired_ssrcs) > MAX_RETIRED_SSRCS:
            del self.retired_ssrcs[next(iter(self.retired_ssrcs))]

    def number_sent(self, now_ns: int, payload_bytes: int) -> None:
        """The packet with the newest transport-wide number has that much payload."""
        if self.estimator is None:
            self.estimator = Estimator(self.twcc_seq)
            self.estimator.probe.wanted_bps = self.wanted_bps
        self.estimator.sent(now_ns, payload_bytes)

    def number_rtp(self, now_ns: int, payload_bytes: int, ssrc: int, ext_seq: int) -> None:
        """A packet with that much payload leaves, which takes a transport-wide number and does not carry it."""
        self.twcc_seq = number = (self.twcc_seq + 1) & 0xFFFF
        if self.rtp_numbers is None:
            self.rtp_numbers = RtpNumbers()
        self.rtp_numbers.add(ssrc, ext_seq & 0xFFFF, number)
        self.number_sent(now_ns, payload_bytes)

    def take_congestion_feedback(self, now_ns: int, feedback: CongestionFeedback) -> None:
        """What the peer says of packets by their RTP numbers."""
        if self.rtp_numbers is not None and self.estimator is not None:
            timed, untimed = self.rtp_numbers.resolve(self.twcc_seq, feedback.received)
            self.estimator.handle_feedback(now_ns, timed, REPORT_WRAP_NS, untimed)

    def watch_line(self, now_ns: int, size: int, send_time: bytes | None) -> None:
        """A packet with a transport-wide number has arrived, of `size` bytes on the line."""
        if self.brake is None:
            if send_time is None:
                return
            self.brake = Brake()
        self.brake.arrived(now_ns, size, send_time)

    def send(self, core: Core, data: bytes) -> None:
        """Queue a protected datagram on the current path."""
        path = self.path
        if path is not None:
            self.packets_sent += 1
            self.bytes_sent += len(data)
            self._queue(core, Transmit(path, data))

    def send_rtp(self, core: Core, header: bytes, payload: bytes, ssrc: int, ext_seq: int) -> None:
        """Protect and queue an RTP packet; nothing happens before keys and path are there."""
        if self.tx is not None:
            self.send(core, self.tx.protect_rtp(header, payload, ssrc, ext_seq))

    def _queue(self, core: Core, transmit: Transmit) -> None:
        if not self.queue:
            core.outgoing.add(self.queue)
        self.queue.append(transmit)

    def work(self) -> None:
        """Something is about to be done for this transport."""
        if self.is_faulty:
            raise RuntimeError("a fault that a test asked for")

    def answer_check(self, core: Core, now_ns: int, path: Path, data: bytes) -> bool:
        """Answer a binding request on the path that media takes; False: the control plane has to look at it."""
        if self.ice is None or self.tx is None or path != self.path:
            return False
        reply = self.ice.answer(now_ns, path.remote, data)
        if reply is None:
            return False
        core.checks_answered += 1
        self._queue(core, Transmit(path, reply))
        return True

    def send_rtcp(self, core: Core, compound: bytes) -> None:
        """Protect and queue a compound RTCP packet; nothing happens before keys and path are there."""
        if self.tx is not None and self.path is not None:
            data = self.tx.protect_rtcp(compound)
            if data is not None:
                self.send(core, data)
