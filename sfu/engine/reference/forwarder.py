"""One subscription: rewrites, protects and queues the packets of a track for one subscriber."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sfu.engine.api import HIGHEST_LAYER, Codec, Extension, OutboundPayload, SubscriptionConfig, Transmit
from sfu.engine.reference.layers import LayerFilter
from sfu.engine.reference.packet import ONE_BYTE_PROFILE, ExtensionPlan, MediaPacket
from sfu.engine.reference.pictures import PictureNumbers, write_picture
from sfu.engine.reference.policing import TokenBucket
from sfu.engine.reference.retransmit import RetransmissionBuffer, SentPacket
from sfu.engine.reference.rtcp import SenderReport, build_sr, ntp_add_ns
from sfu.engine.reference.rtp import build_extensions, build_header
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.sequence_map import NO_PLACE, SequenceMap
from sfu.engine.reference.subscriber_reports import SubscriberReports
from sfu.engine.reference.timeline import Timeline
from sfu.engine.reference.transport import RetiredSsrc, Transport

if TYPE_CHECKING:
    from sfu.engine.reference.core import Core
    from sfu.engine.reference.keyframe_cache import Replay
    from sfu.engine.reference.stream import InboundStream
    from sfu.engine.reference.track import Track
    from sfu.ids import SubscriptionHandle

MAX_NACKED_PER_S = 10_000
"""Sequence numbers that one subscription may ask for in a second; the rest is not even looked up."""

_MASK = 0xFFFF_FFFF
_ONE_BYTE = int.from_bytes(ONE_BYTE_PROFILE, "big")
_PADDING_PAYLOAD = b"\x01"
_WRAP = 0x1_0000
_NS_PER_S = 1_000_000_000


@lru_cache(maxsize=64)
def _header_struct(mid_element_bytes: int, with_twcc: bool) -> struct.Struct:
    """Fixed header, one-byte extension header, MID element, transport-cc element, padding to 32 bits."""
    body = mid_element_bytes + (3 if with_twcc else 0)
    return struct.Struct(f"!BBHIIHH{mid_element_bytes}s{'BH' if with_twcc else ''}{-body % 4}x")


class Forwarder:
    """State of one subscription. `current` is the stream that it gets, `desired` the one that it should get."""

    __slots__ = (
        "_encoding",
        "_header_struct",
        "_header_words",
        "_last_payload_type",
        "_mid_element",
        "_nack_bucket",
        "_twcc_byte",
        "buffer",
        "bytes_per_s",
        "bytes_sampled",
        "bytes_sent",
        "config",
        "core",
        "current",
        "desired",
        "handle",
        "layers",
        "nack_misses",
        "nacks_received",
        "packets_sent",
        "paused",
        "payloads",
        "pictures",
        "plan",
        "plis_received",
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
        "timeline",
        "track",
        "transport",
    )

    def __init__(
        self, core: Core, handle: SubscriptionHandle, transport: Transport, track: Track, config: SubscriptionConfig
    ) -> None:
        self.core = core
        self.handle = handle
        self.transport = transport
        self.track = track
        self.config = config
        self.ssrc = config.ssrc
        self.payloads = dict(config.payloads)
        self.paused = True
        self.current: InboundStream | None = None
        self.desired: InboundStream | None = None
        self.replay: Replay | None = None
        """What it gets of its current stream is not the present yet."""
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
        self._resume()
        self.pictures = PictureNumbers()
        self.buffer = RetransmissionBuffer(config.cache_packets if config.nack else 0)
        self._nack_bucket = TokenBucket(MAX_NACKED_PER_S)
        self.reports = SubscriberReports()
        self.packets_sent = self.bytes_sent = self.retransmitted = 0
        self.nacks_received = self.nack_misses = self.plis_received = 0
        self.bytes_per_s = self.bytes_sampled = 0
        self._last_payload_type = 0
        self._prepare_header()
        self.refresh_plan()

    def _resume(self) -> None:
        """Go on where SSRCs that this transport has used before ended: a nonce must never repeat."""
        retired = self.transport.retired_ssrcs
        media = retired.pop(self.ssrc, None)
        if media is not None:
            self.sequence = SequenceMap(media.ext_seq + 1)
            if media.sent_at_ns is not None:
                self.timeline.resume(media.timestamp, media.sent_at_ns)
        rtx = None if self.config.rtx_ssrc is None else retired.pop(self.config.rtx_ssrc, None)
        if rtx is not None:
            self.rtx_ext_seq = rtx.ext_seq

    def _prepare_header(self) -> None:
        extensions = self.config.extensions
        mid_id = extensions.get(Extension.MID, 0)
        twcc_id = extensions.get(Extension.TRANSPORT_CC, 0)
        mid = self.config.mid.encode()
        self._encoding = (mid_id, mid, twcc_id)
        fits = mid_id <= 14 and twcc_id <= 14 and len(mid) <= 16
        self._mid_element = bytes((mid_id << 4 | len(mid) - 1,)) + mid if mid_id and mid and fits else b""
        self._twcc_byte = twcc_id << 4 | 1 if fits and twcc_id else 0
        size = len(self._mid_element) + (3 if twcc_id else 0)
        self._header_words = (size + 3) // 4 if fits else 0
        """0: no fixed part, or one that only the two-byte form can carry."""
        self._header_struct = _header_struct(len(self._mid_element), bool(twcc_id))

    def refresh_plan(self) -> None:
        """The track's extension ids may have changed."""
        self.plan: ExtensionPlan = self.track.plan(self.config.extensions)

    def begin(self, now_ns: int, stream: InboundStream, packet: MediaPacket) -> None:
        """`packet` is the first one of `stream` for this subscription."""
        self.current = stream
        self.replay = None
        self.layers.begin()
        self.sequence.begin(packet.ext_seq)
        self.timeline.begin(now_ns, stream, packet.timestamp)
        self.pictures.begin(packet)

    def forward(self, now_ns: int, packet: MediaPacket) -> None:
        """Send one packet of the current stream. The caller made sure that the transport is ready."""
        outbound = self.payloads.get(packet.payload_type)
        if outbound is None:
            self.core.drops["no_payload_for_subscriber"] += 1
            self.withhold(now_ns, packet)
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
                self.core.drops["too_old"] += 1
                return
        payload, picture = self._payload_for(packet, outbound)
        self._last_payload_type = second = outbound.payload_type
        info = packet.info
        if packet.marker or (info.ends_frame and info.spatial == self.layers.max_spatial):
            second |= 0x80
        header = self._header(now_ns, packet, second, ext_seq, timestamp, picture)
        transport = self.transport
        data = transport.tx.protect_rtp(header, payload, self.ssrc, ext_seq)  # type: ignore[union-attr]
        self.packets_sent += 1
        self.bytes_sent += len(payload)
        buffer = self.buffer
        if buffer.size:
            buffer.ring[ext_seq % buffer.size] = (ext_seq, header, packet, outbound, picture)
        transport.packets_sent += 1
        transport.bytes_sent += len(data)
        queue = transport.queue
        if not queue:
            self.core.pacer.add(queue)
        queue.append(Transmit(transport.path, data))  # type: ignore[arg-type]

    def _payload_for(self, packet: MediaPacket, outbound: OutboundPayload) -> tuple[bytes, tuple[int, int] | None]:
        """The payload to send, and the picture numbers written into it if any were."""
        if packet.picture >= 0:
            picture = self.pictures.place(packet)
            if picture is not None:
                return write_picture(packet.payload, packet.codec, picture), picture
        elif outbound.strip_red and packet.primary is not None:
            return packet.primary, None
        return packet.payload, None

    def _header(
        self,
        now_ns: int,
        packet: MediaPacket,
        second: int,
        ext_seq: int,
        timestamp: int,
        picture: tuple[int, int] | None,
    ) -> bytes:
        """The header with its extensions; takes a transport-cc number. `second` is marker and payload type."""
        ssrc = self.ssrc
        if picture is not None and packet.codec is Codec.AV1:
            return self._header_in_full(now_ns, packet, second, ext_seq, timestamp, ssrc, picture[0])
        block = packet.one_byte_block(self.plan, now_ns)
        words = self._header_words
        if block is None or not words:
            return self._header_in_full(now_ns, packet, second, ext_seq, timestamp, ssrc)
        words += len(block) >> 2
        if not self._twcc_byte:
            return (
                self._header_struct.pack(
                    0x90, second, ext_seq & 0xFFFF, timestamp, ssrc, _ONE_BYTE, words, self._mid_element
                )
                + block
            )
        transport = self.transport
        transport.twcc_seq = number = (transport.twcc_seq + 1) & 0xFFFF
        return self._header_struct.pack(
            0x90, second, ext_seq & 0xFFFF, timestamp, ssrc, _ONE_BYTE, words, self._mid_element,
            self._twcc_byte, number,
        ) + block  # fmt: skip

    def _header_in_full(
        self,
        now_ns: int,
        packet: MediaPacket | None,
        second: int,
        ext_seq: int,
        timestamp: int,
        ssrc: int,
        frame_number: int | None = None,
    ) -> bytes:
        """The header by the general builder: for two-byte extensions, other frame numbers, resends and padding (no
        packet)."""
        mid_id, mid, twcc_id = self._encoding
        elements = [(mid_id, mid)] if mid_id and mid else []
        if twcc_id:
            transport = self.transport
            transport.twcc_seq = (transport.twcc_seq + 1) & 0xFFFF
            elements.append((twcc_id, transport.twcc_seq.to_bytes(2, "big")))
        if packet is not None:
            elements += packet.elements(self.plan, now_ns, frame_number)
        return build_header(
            second & 0x7F,
            second >= 0x80,
            ext_seq & 0xFFFF,
            timestamp,
            ssrc,
            extension_block=build_extensions(elements),
            padding=packet is None,
        )

    def withhold(self, now_ns: int, packet: MediaPacket) -> None:
        """A packet of the current stream does not go out."""
        self.pictures.withhold(packet)
        self.withhold_seq(now_ns, packet.ext_seq)

    def withhold_seq(self, now_ns: int, in_seq: int) -> None:
        """Leave a number out. When its place was kept already because it is late, padding fills the place: a hole
        would look like a loss, and a decoder that needs unbroken numbers would wait for it."""
        ext_seq = self.sequence.withhold(in_seq)
        if ext_seq == NO_PLACE:
            return
        timestamp = self.timeline.last
        header = self._header_in_full(now_ns, None, self._last_payload_type, ext_seq, timestamp, self.ssrc)
        self._send(header, _PADDING_PAYLOAD, self.ssrc, ext_seq)

    def _send(self, header: bytes, payload: bytes, ssrc: int, ext_seq: int) -> None:
        transport = self.transport
        if transport.tx is not None:
            transport.send(transport.tx.protect_rtp(header, payload, ssrc, ext_seq))

    def handle_nack(self, now_ns: int, seqs: Sequence[int]) -> None:
        """The subscriber misses these (16 bits): resend what is held and what the limits allow."""
        self.nacks_received += 1
        if not self._nack_bucket.allows(now_ns, len(seqs)):
            self.core.drops["nack_limited"] += len(seqs)
            return
        self._nack_bucket.take(len(seqs))
        buffer = self.buffer
        if not buffer.size:
            self.nack_misses += len(seqs)
            return
        buffer.refill(now_ns, self.bytes_sent, self.bytes_per_s)
        highest = self.sequence.highest_out
        for seq in seqs:
            sent = buffer.find(highest + ((seq - highest + 0x8000) & 0xFFFF) - 0x8000)
            if sent is None:
                self.nack_misses += 1
            elif buffer.may_resend(now_ns, sent, self.reports.rtt_ns or 0):
                self._resend(now_ns, sent)
            else:
                self.core.drops["nack_limited"] += 1

    def _resend(self, now_ns: int, sent: SentPacket) -> None:
        ext_seq, sent_header, packet, outbound, picture = sent
        payload = packet.payload
        if picture is not None:
            payload = write_picture(payload, packet.codec, picture)
        elif outbound.strip_red and packet.primary is not None:
            payload = packet.primary
        self.retransmitted += 1
        rtx_ssrc, rtx_type = self.config.rtx_ssrc, outbound.rtx_payload_type
        if rtx_ssrc is None or rtx_type is None:
            # To the byte what it was: the same nonce must never protect anything else.
            self._send(sent_header, payload, self.ssrc, ext_seq)
            return
        timestamp = int.from_bytes(sent_header[4:8], "big")
        second = rtx_type | sent_header[1] & 0x80
        self.rtx_ext_seq += 1
        frame_number = picture[0] if picture is not None and packet.codec is Codec.AV1 else None
        header = self._header_in_full(now_ns, packet, second, self.rtx_ext_seq, timestamp, rtx_ssrc, frame_number)
        original_seq = (ext_seq & 0xFFFF).to_bytes(2, "big")
        self._send(header, original_seq + payload, rtx_ssrc, self.rtx_ext_seq)

    def rekey(self) -> None:
        """New keys: the peer counts rollovers from zero again."""
        self.sequence.rebase(EXT_SEQ_START, _WRAP)
        self.rtx_ext_seq = EXT_SEQ_START + (self.rtx_ext_seq & 0xFFFF)

    def retire(self) -> None:
        """The subscription ends: remember where its numbers stood."""
        last = RetiredSsrc(self.sequence.highest_out, self.timeline.last, self.timeline.last_at_ns)
        self.transport.retire_ssrc(self.ssrc, last)
        if self.config.rtx_ssrc is not None:
            self.transport.retire_ssrc(self.config.rtx_ssrc, RetiredSsrc(self.rtx_ext_seq))

    def build_sender_report(self, now_ns: int) -> bytes:
        """The SR of this subscription; empty while it sends nothing or the publisher has not reported."""
        stream = self.current
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
