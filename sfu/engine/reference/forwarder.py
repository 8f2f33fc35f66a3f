"""One subscription: rewrites, protects and queues the packets of a track for one subscriber."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sfu.engine.api import HIGHEST_LAYER, Codec, Extension, OutboundPayload, SubscriptionConfig, Transmit
from sfu.engine.reference.congestion.probe import PADDING_BYTES
from sfu.engine.reference.core import Core
from sfu.engine.reference.flexfec import FecStream
from sfu.engine.reference.header import HeaderWriter
from sfu.engine.reference.keyframe_cache import CachedPacket, Replay
from sfu.engine.reference.layers import LayerFilter
from sfu.engine.reference.packet import ExtensionPlan, MediaPacket
from sfu.engine.reference.pictures import PictureNumbers, write_picture
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.retransmit import TWICE_LOST, RetransmissionBuffer, SentPacket
from sfu.engine.reference.rtcp import SenderReport, build_sr, ntp_add_ns
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.sequence_map import NO_PLACE, SequenceMap
from sfu.engine.reference.slots import StreamSlot
from sfu.engine.reference.stream import InboundStream, SenderReportReceived
from sfu.engine.reference.subscriber_reports import SubscriberReports
from sfu.engine.reference.timeline import Source, Timeline
from sfu.engine.reference.transport import RetiredSsrc, Transport
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle

MAX_NACKED_PER_S = 10_000
"""Sequence numbers that one subscription may ask for in a second; the rest is not even looked up."""

_MASK = 0xFFFF_FFFF
_PADDING_PAYLOAD = b"\x01"
_PROBE_PAYLOAD = bytes(PADDING_BYTES - 1) + bytes((PADDING_BYTES,))
_WRAP = 0x1_0000
_NS_PER_S = 1_000_000_000


class Forwarder:
    """State of one subscription. `current` is the stream that it gets, `desired` the one that it should get."""

    __slots__ = (
        "_last_payload_type",
        "_nack_bucket",
        "buffer",
        "bytes_per_s",
        "bytes_sampled",
        "bytes_sent",
        "config",
        "current",
        "desired",
        "fec",
        "handle",
        "header",
        "layers",
        "nack_misses",
        "nacks_received",
        "packets_sent",
        "paused",
        "payloads",
        "pictures",
        "plan",
        "plis_received",
        "queue",
        "replay",
        "replayed_at_ns",
        "reported",
        "reports",
        "retransmitted",
        "rtx_ext_seq",
        "sequence",
        "ssrc",
        "target_spatial",
        "target_temporal",
        "thinned_at_ns",
        "timeline",
        "track",
        "transport",
    )

    def __init__(
        self,
        core: Core,
        handle: SubscriptionHandle,
        transport: Transport,
        track: TrackHandle,
        config: SubscriptionConfig,
        plan: ExtensionPlan,
    ) -> None:
        self.handle = handle
        self.transport: TransportHandle = transport.handle
        self.track = track
        self.config = config
        self.ssrc = config.ssrc
        self.payloads = dict(config.payloads)
        self.paused = True
        self.current: StreamSlot | None = None
        self.desired: StreamSlot | None = None
        self.replay: Replay | None = None
        """What it gets of its current stream is not the present yet."""
        self.queue: deque[CachedPacket] | None = None
        """What of its current stream waits for its turn; None where nothing ever waits."""
        self.thinned_at_ns: int | None = None
        """When too much waited last; while this is set, only the lowest temporal layer is sent."""
        self.replayed_at_ns: int | None = None
        """When the last replay began."""
        self.reported: tuple[int | None, int | None] = (None, None)
        self.target_spatial = HIGHEST_LAYER
        self.target_temporal = HIGHEST_LAYER
        self.layers = LayerFilter()
        random = core.random
        # Below 2^15, so that a receiver that misses the first packets still guesses the rollover counter (RFC 3711).
        self.sequence = SequenceMap(EXT_SEQ_START + random.next_bits(15))
        self.rtx_ext_seq = EXT_SEQ_START + random.next_bits(15)
        self.timeline = Timeline(random.next_bits(32))
        self._resume(transport)
        self.fec = FecStream(core, transport, config)
        """What repairs what is lost of it."""
        self.pictures = PictureNumbers()
        self.buffer = RetransmissionBuffer(config.cache_packets if config.nack else 0)
        self._nack_bucket = TokenBucket(MAX_NACKED_PER_S)
        self.reports = SubscriberReports()
        self.packets_sent = self.bytes_sent = self.retransmitted = 0
        self.nacks_received = self.nack_misses = self.plis_received = 0
        self.bytes_per_s = self.bytes_sampled = 0
        self._last_payload_type = 0
        self.header = HeaderWriter(config)
        self.plan = plan
        """How extensions of the track are carried over."""

    def _resume(self, transport: Transport) -> None:
        """Go on where SSRCs that this transport has used before ended: a nonce must never repeat."""
        retired = transport.retired_ssrcs
        media = retired.pop(self.ssrc, None)
        if media is not None:
            self.sequence = SequenceMap(media.ext_seq + 1)
            if media.sent_at_ns is not None:
                self.timeline.resume(media.timestamp, media.sent_at_ns)
        rtx = None if self.config.rtx_ssrc is None else retired.pop(self.config.rtx_ssrc, None)
        if rtx is not None:
            self.rtx_ext_seq = rtx.ext_seq

    def knows(self, payload_type: int) -> bool:
        """Whether the subscriber can have packets of this type."""
        return payload_type in self.payloads

    def begin(
        self, now_ns: int, stream: InboundStream, packet: MediaPacket, old_report: SenderReportReceived | None
    ) -> None:
        """`packet` is the first one of `stream` for this subscription. `old_report` is the last sender report of the
        stream that the timeline is for."""
        self.current = stream.slot
        self.replay = None
        self.layers.begin()
        self.sequence.begin(packet.ext_seq)
        source = Source(stream.slot, stream.clock_rate, stream.sender_report)
        self.timeline.begin(now_ns, source, old_report, packet.timestamp)
        self.pictures.begin(packet)

    def forward(self, core: Core, transport: Transport, now_ns: int, packet: MediaPacket) -> None:
        """Send one packet of the current stream. The caller made sure that the transport is ready."""
        outbound = self.payloads.get(packet.payload_type)
        if outbound is None:
            core.drops["no_payload_for_subscriber"] += 1
            self.withhold(core, transport, now_ns, packet)
            return
        timeline = self.timeline
        timestamp = (packet.timestamp + timeline.offset) & _MASK
        sequence = self.sequence
        in_seq = packet.ext_seq
        if in_seq > sequence.highest_in:
            sequence.highest_in = in_seq
            ext_seq = in_seq - sequence.offset
            timeline.advance(now_ns, timestamp)
        else:
            ext_seq = sequence.place(in_seq)
            if ext_seq == NO_PLACE:
                core.drops["too_old"] += 1
                return
        if outbound.redundancy and packet.picture < 0:
            packet = packet.redundant(outbound.redundancy, outbound.redundancy_step, outbound.frame_type)
        payload, picture = self._payload_for(packet, outbound)
        self._last_payload_type = second = outbound.payload_type
        info = packet.info
        if packet.marker or (info.ends_frame and info.spatial == self.layers.max_spatial):
            second |= 0x80
        ssrc = self.ssrc
        header = self.header.forwarded(transport, now_ns, packet, self.plan, second, ext_seq, timestamp, ssrc, picture)
        if self.header.has_twcc:
            transport.number_sent(now_ns, len(payload))
        elif self.header.has_ccfb:
            transport.number_rtp(now_ns, len(payload), ssrc, ext_seq)
        data = transport.tx.protect_rtp(header, payload, ssrc, ext_seq)  # type: ignore[union-attr]
        self.packets_sent += 1
        self.bytes_sent += len(payload)
        buffer = self.buffer
        if buffer.size:
            buffer.keep((ext_seq, header, packet, outbound, picture, now_ns), self.reports.rtt_ns or 0)
        transport.packets_sent += 1
        transport.bytes_sent += len(data)
        queue = transport.queue
        if not queue:
            core.outgoing.add(queue)
        queue.append(Transmit(transport.path, data))  # type: ignore[arg-type]
        if self.fec.is_on and not transport.is_paced:
            mutable = self.header.twcc_id, self.config.extensions.get(Extension.ABS_SEND_TIME, 0)
            repair = self.fec.cover(ext_seq, header, payload, mutable)
            if repair is not None:
                self.fec.send(core, transport, self.header, self.plan, now_ns, timestamp, repair)

    def _payload_for(self, packet: MediaPacket, outbound: OutboundPayload) -> tuple[bytes, tuple[int, int] | None]:
        """The payload to send, and the picture numbers written into it if any were."""
        if packet.picture >= 0:
            picture = self.pictures.place(packet)
            if picture is not None:
                return write_picture(packet.payload, packet.codec, picture), picture
        elif outbound.strip_red and packet.primary is not None:
            return packet.primary, None
        return packet.payload, None

    def withhold(self, core: Core, transport: Transport, now_ns: int, packet: MediaPacket) -> None:
        """A packet of the current stream does not go out."""
        self.pictures.withhold(packet)
        self.withhold_seq(core, transport, now_ns, packet.ext_seq)

    def withhold_seq(self, core: Core, transport: Transport, now_ns: int, in_seq: int) -> None:
        """Leave a number out. When its place was kept already because it is late, padding fills the place: a hole
        would look like a loss, and a decoder that needs unbroken numbers would wait for it."""
        ext_seq = self.sequence.withhold(in_seq)
        if ext_seq == NO_PLACE:
            return
        second, timestamp, ssrc = self._last_payload_type, self.timeline.last, self.ssrc
        header = self.header.in_full(transport, now_ns, None, self.plan, second, ext_seq, timestamp, ssrc)
        self.header.number(transport, now_ns, len(_PADDING_PAYLOAD), ssrc, ext_seq)
        transport.send_rtp(core, header, _PADDING_PAYLOAD, ssrc, ext_seq)

    def handle_nack(self, core: Core, transport: Transport, now_ns: int, seqs: Sequence[int]) -> None:
        """The subscriber misses these (16 bits): resend what is held and what the limits allow."""
        self.nacks_received += 1
        if not self._nack_bucket.allows(now_ns, len(seqs)):
            core.drops["nack_limited"] += len(seqs)
            return
        self._nack_bucket.take(len(seqs))
        buffer = self.buffer
        if not buffer.size or self.paused:
            # What is paused for want of room must not go on as resends.
            self.nack_misses += len(seqs)
            return
        lost = self.reports.fraction_lost
        buffer.refill(now_ns, self.bytes_sent, self.bytes_per_s, lost)
        is_twice = lost >= TWICE_LOST and transport.estimator is not None and not transport.is_paced
        highest = self.sequence.highest_out
        for seq in seqs:
            sent = buffer.find(highest + ((seq - highest + 0x8000) & 0xFFFF) - 0x8000)
            if sent is None:
                self.nack_misses += 1
            elif buffer.may_resend(now_ns, sent, self.reports.rtt_ns or 0):
                self.retransmitted += 1
                self._resend(core, transport, now_ns, sent)
                if is_twice and buffer.may_repeat(len(sent[2].payload)):
                    self._resend(core, transport, now_ns, sent)
            else:
                core.drops["nack_limited"] += 1

    def _resend(self, core: Core, transport: Transport, now_ns: int, sent: SentPacket) -> None:
        ext_seq, sent_header, packet, outbound, picture, _sent_at_ns = sent
        payload = packet.payload
        if picture is not None:
            payload = write_picture(payload, packet.codec, picture)
        elif outbound.strip_red and packet.primary is not None:
            payload = packet.primary
        rtx_ssrc, rtx_type = self.config.rtx_ssrc, outbound.rtx_payload_type
        if rtx_ssrc is None or rtx_type is None:
            # To the byte what it was: the same nonce must never protect anything else.
            transport.send_rtp(core, sent_header, payload, self.ssrc, ext_seq)
            return
        timestamp = int.from_bytes(sent_header[4:8], "big")
        second = rtx_type | sent_header[1] & 0x80
        self.rtx_ext_seq += 1
        frame_number = picture[0] if picture is not None and packet.codec is Codec.AV1 else None
        rtx_seq = self.rtx_ext_seq
        header = self.header.in_full(
            transport, now_ns, packet, self.plan, second, rtx_seq, timestamp, rtx_ssrc, frame_number=frame_number
        )
        self.header.number(transport, now_ns, len(payload), rtx_ssrc, rtx_seq)
        original_seq = (ext_seq & 0xFFFF).to_bytes(2, "big")
        transport.send_rtp(core, header, original_seq + payload, rtx_ssrc, rtx_seq)

    def rtx_payload_type(self) -> int | None:
        """Of padding that tells how much the line takes; None when this subscription cannot carry any: padding goes
        out as RTX, where receivers expect it, and the receiver has to report on it."""
        if self.config.rtx_ssrc is None or not (self.header.has_twcc or self.header.has_ccfb):
            return None
        return next((one.rtx_payload_type for one in self.payloads.values() if one.rtx_payload_type is not None), None)

    def send_padding(self, core: Core, transport: Transport, now_ns: int, packets: int) -> None:
        """RTX packets with nothing but `PADDING_BYTES` of padding."""
        rtx_ssrc, rtx_type = self.config.rtx_ssrc, self.rtx_payload_type()
        if rtx_ssrc is None or rtx_type is None:
            return
        for _ in range(packets):
            self.rtx_ext_seq += 1
            seq, timestamp = self.rtx_ext_seq, self.timeline.last
            header = self.header.in_full(transport, now_ns, None, self.plan, rtx_type, seq, timestamp, rtx_ssrc)
            self.header.number(transport, now_ns, PADDING_BYTES, rtx_ssrc, seq)
            transport.send_rtp(core, header, _PROBE_PAYLOAD, rtx_ssrc, seq)

    def rekey(self) -> None:
        """New keys: the peer counts rollovers from zero again."""
        self.sequence.rebase(EXT_SEQ_START, _WRAP)
        self.rtx_ext_seq = EXT_SEQ_START + (self.rtx_ext_seq & 0xFFFF)
        self.fec.rekey()
        self.buffer.clear()

    def retire(self, transport: Transport) -> None:
        """The subscription ends: remember where its numbers stood."""
        last = RetiredSsrc(self.sequence.highest_out, self.timeline.last, self.timeline.last_at_ns)
        transport.retire_ssrc(self.ssrc, last)
        if self.config.rtx_ssrc is not None:
            transport.retire_ssrc(self.config.rtx_ssrc, RetiredSsrc(self.rtx_ext_seq))
        self.fec.retire(transport)

    def build_sender_report(self, now_ns: int, stream: InboundStream | None) -> bytes:
        """The SR of this subscription, which gets `stream`; empty while it sends nothing or the publisher has not
        reported."""
        if stream is None or stream.sender_report is None or not self.packets_sent:
            return b""
        report = stream.sender_report
        elapsed_ns = now_ns - report.arrived_at_ns
        ntp = ntp_add_ns(report.ntp, elapsed_ns)
        passed = elapsed_ns * stream.clock_rate // _NS_PER_S
        self.reports.sent(now_ns, ntp)
        sender_report = SenderReport(
            ssrc=self.ssrc,
            ntp=ntp,
            rtp_timestamp=(report.rtp_timestamp + passed + self.timeline.offset) & _MASK,
            packet_count=self.packets_sent,
            octet_count=self.bytes_sent,
        )
        return build_sr(sender_report)

    def sample_bitrate(self) -> None:
        """Called once a second."""
        self.bytes_per_s = self.bytes_sent - self.bytes_sampled
        self.bytes_sampled = self.bytes_sent
