"""Peers around an engine on a virtual clock. SRTP of the peers is libsrtp's, not ours.

`Net` owns the clock and the engine. A `Peer` is one transport with keys and a path. A `Publisher` numbers the
packets of one stream; a `Subscriber` decrypts everything that arrives for one subscription and keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from sfu.engine.api import (
    Codec,
    Event,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    OutboundPayload,
    PacketEngine,
    Path,
    SrtpKeys,
    SrtpProfile,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket, parse_header
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle
from tests.engine.rtp_wire import parse_packet, serialize

MS = 1_000_000
SECOND = 1_000_000_000

KEY_BYTES = {SrtpProfile.AEAD_AES_128_GCM: 16, SrtpProfile.AEAD_AES_256_GCM: 32, SrtpProfile.AES128_CM_SHA1_80: 16}
SALT_BYTES = {SrtpProfile.AEAD_AES_128_GCM: 12, SrtpProfile.AEAD_AES_256_GCM: 12, SrtpProfile.AES128_CM_SHA1_80: 14}
LIBSRTP_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    SrtpProfile.AES128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}

EXTENSIONS = {
    Extension.AUDIO_LEVEL: 1,
    Extension.ABS_SEND_TIME: 2,
    Extension.TRANSPORT_CC: 3,
    Extension.MID: 4,
    Extension.RID: 10,
    Extension.REPAIRED_RID: 11,
}
VIDEO_TYPE, RTX_TYPE, AUDIO_TYPE, RED_TYPE = 96, 97, 111, 63
OUT_VIDEO_TYPE, OUT_RTX_TYPE, OUT_AUDIO_TYPE, OUT_RED_TYPE = 106, 107, 109, 64


def derive_bytes(label: str, size: int) -> bytes:
    return hashlib.sha512(label.encode()).digest()[:size]


def make_keys(label: str, profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM) -> SrtpKeys:
    """Keys as the engine takes them; all from the label."""
    key, salt = KEY_BYTES[profile], SALT_BYTES[profile]
    return SrtpKeys(
        profile,
        derive_bytes(f"{label} rx key", key),
        derive_bytes(f"{label} rx salt", salt),
        derive_bytes(f"{label} tx key", key),
        derive_bytes(f"{label} tx salt", salt),
    )


class Net:
    """The engine, its clock, and the peers by path."""

    def __init__(self, engine: PacketEngine) -> None:
        self.engine = engine
        self.now_ns = 1_000 * SECOND
        self.events: list[Event] = []
        self.peers: dict[Path, Peer] = {}
        self.astray: list[tuple[Path, bytes]] = []
        self.waits_until_due = False
        """The engine gets its time only when it says that it needs it."""
        self._next_port = 10_000

    def peer(
        self,
        *,
        config: TransportConfig | None = None,
        profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM,
        connect: bool = True,
    ) -> Peer:
        return Peer(self, config or TransportConfig(), profile, connect)

    def new_path(self, protocol: str = "udp") -> Path:
        self._next_port += 1
        return Path(protocol, ("192.0.2.1", 7882), ("198.51.100.7", self._next_port))

    def deliver(self, path: Path, data: bytes) -> None:
        self.engine.handle_datagram(self.now_ns, path, data)
        self.drain()

    def advance(self, duration_ns: int, step_ns: int = 10 * MS) -> None:
        """Let time pass, with a `handle_timeout` at every step, or at those where it is due."""
        end = self.now_ns + duration_ns
        while self.now_ns < end:
            self.now_ns = min(self.now_ns + step_ns, end)
            due_ns = self.engine.next_timeout_ns() if self.waits_until_due else self.now_ns
            if due_ns is not None and due_ns <= self.now_ns:
                self.engine.handle_timeout(self.now_ns)
            self.drain()

    def drain(self) -> None:
        while (transmit := self.engine.poll_transmit()) is not None:
            peer = self.peers.get(transmit.path)
            if peer is None:
                self.astray.append((transmit.path, transmit.data))
            else:
                peer.receive(transmit.data)
        while (event := self.engine.poll_event()) is not None:
            self.events.append(event)

    def take_events(self, *kinds: type) -> list[Event]:
        """Events of these kinds so far, in order; they are forgotten."""
        taken = [event for event in self.events if isinstance(event, kinds)]
        self.events = [event for event in self.events if not isinstance(event, kinds)]
        return taken

    @property
    def drops(self) -> dict[str, int]:
        """Drop counters that are not zero."""
        return {reason: count for reason, count in self.engine.stats().drops.items() if count}


class Peer:
    """The far side of one transport. What it receives must authenticate, or the test fails on the spot."""

    def __init__(self, net: Net, config: TransportConfig, profile: SrtpProfile, connect: bool) -> None:
        self.net = net
        self.transport: TransportHandle = net.engine.add_transport(config)
        self.path = net.new_path()
        self.rtp: list[RtpPacket] = []
        self.rtcp: list[rtcp.RtcpPacket] = []
        self.datagrams: list[bytes] = []
        self.repeats = 0
        self._seen: set[bytes] = set()
        self.received_at_ns: list[int] = []
        self.lose: Callable[[RtpPacket], bool] = lambda packet: False
        """Outgoing packets of the engine for which this is true never arrive."""
        self.profile = profile
        self.use_keys(make_keys(f"transport {self.transport}", profile))
        net.peers[self.path] = self
        if connect:
            net.engine.set_srtp(self.transport, self.keys)
            net.engine.set_path(self.transport, self.path)

    def use_keys(self, keys: SrtpKeys) -> None:
        self.keys = keys
        outgoing = Policy(keys.rx_key + keys.rx_salt, Policy.SSRC_ANY_OUTBOUND, 0, LIBSRTP_PROFILES[keys.profile])
        outgoing.allow_repeat_tx = True
        outgoing.window_size = 16_384
        incoming = Policy(keys.tx_key + keys.tx_salt, Policy.SSRC_ANY_INBOUND, 0, LIBSRTP_PROFILES[keys.profile])
        incoming.window_size = 16_384
        self._outgoing = Session(outgoing)
        self._incoming = Session(incoming)

    # --- out ----------------------------------------------------------------------------------------------

    def protect(self, packet: RtpPacket) -> bytes:
        return self._outgoing.protect(serialize(packet))

    def protect_with_padding_bit(self, packet: RtpPacket) -> bytes:
        """As if the last byte of the payload counted padding, whatever it is."""
        data = serialize(packet)
        return self._outgoing.protect(bytes((data[0] | 0x20,)) + data[1:])

    def send(self, packet: RtpPacket) -> None:
        self.net.deliver(self.path, self.protect(packet))

    def send_raw(self, data: bytes) -> None:
        self.net.deliver(self.path, data)

    def send_rtcp(self, *packets: bytes) -> None:
        self.net.deliver(self.path, self._outgoing.protect_rtcp(b"".join(packets)))

    # --- in -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        self.datagrams.append(data)
        if data in self._seen:
            # A resend without RTX: to the byte what was sent before, or libsrtp would not have it.
            self.repeats += 1
            return
        self._seen.add(data)
        if 192 <= data[1] <= 223:
            packets = rtcp.parse_compound(self._incoming.unprotect_rtcp(data))
            assert packets is not None
            assert not any(isinstance(packet, rtcp.Skipped) for packet in packets)
            self.rtcp.extend(packets)
            return
        clear = parse_header(data)
        assert clear is not None
        if self.lose(clear):
            return
        try:
            plain = self._incoming.unprotect(data)
        except SrtpError as error:
            raise AssertionError(f"the engine sent what does not authenticate: {error}") from error
        packet = parse_packet(plain)
        assert packet is not None
        self.rtp.append(packet)
        self.received_at_ns.append(self.net.now_ns)

    def take_rtp(self) -> list[RtpPacket]:
        packets, self.rtp, self.received_at_ns = self.rtp, [], []
        return packets

    def take_rtcp(self, *kinds: type) -> list[rtcp.RtcpPacket]:
        taken = [packet for packet in self.rtcp if not kinds or isinstance(packet, kinds)]
        self.rtcp = [packet for packet in self.rtcp if kinds and not isinstance(packet, kinds)]
        return taken

    # --- tracks and subscriptions ---------------------------------------------------------------------------

    def publish_video(
        self,
        codec: Codec = Codec.VP8,
        layers: Sequence[InboundLayer] = (InboundLayer(ssrc=1000, rtx_ssrc=1001),),
        **overrides: object,
    ) -> TrackHandle:
        fields: dict[str, object] = {
            "kind": Kind.VIDEO,
            "payloads": (InboundPayload(VIDEO_TYPE, codec, 90_000, RTX_TYPE),),
            "layers": layers,
            "extensions": EXTENSIONS,
            "nack": True,
        }
        return self.net.engine.add_track(self.transport, TrackConfig(**{**fields, **overrides}))  # type: ignore[arg-type]

    def publish_audio(self, ssrc: int | None = 2000, **overrides: object) -> TrackHandle:
        fields: dict[str, object] = {
            "kind": Kind.AUDIO,
            "payloads": (InboundPayload(AUDIO_TYPE, Codec.OPUS, 48_000), InboundPayload(RED_TYPE, Codec.RED, 48_000)),
            "layers": (InboundLayer(ssrc=ssrc),),
            "extensions": EXTENSIONS,
        }
        return self.net.engine.add_track(self.transport, TrackConfig(**{**fields, **overrides}))  # type: ignore[arg-type]

    def subscribe(
        self, track: TrackHandle, ssrc: int = 5000, *, start: bool = True, **overrides: object
    ) -> SubscriptionHandle:
        fields: dict[str, object] = {
            "ssrc": ssrc,
            "mid": "7",
            "cname": "publisher",
            "payloads": {
                VIDEO_TYPE: OutboundPayload(OUT_VIDEO_TYPE, OUT_RTX_TYPE),
                AUDIO_TYPE: OutboundPayload(OUT_AUDIO_TYPE),
                RED_TYPE: OutboundPayload(OUT_RED_TYPE),
            },
            "rtx_ssrc": ssrc + 1,
            "extensions": {Extension.MID: 9, Extension.TRANSPORT_CC: 5, Extension.ABS_SEND_TIME: 6},
            "nack": True,
        }
        config = SubscriptionConfig(**{**fields, **overrides})  # type: ignore[arg-type]
        subscription = self.net.engine.add_subscription(self.transport, track, config)
        if start:
            self.net.engine.set_subscription_paused(subscription, False)
        return subscription


@dataclass
class Source:
    """One RTP stream of a publisher: numbers packets and sends them."""

    peer: Peer
    ssrc: int
    payload_type: int = VIDEO_TYPE
    seq: int = 100
    timestamp: int = 50_000
    extensions: Mapping[int, bytes] = field(default_factory=dict)
    sent: list[RtpPacket] = field(default_factory=list)

    def make(self, payload: bytes, *, marker: bool = False, step: int = 0, padding: int = 0) -> RtpPacket:
        """The next packet, not sent yet. `step` moves the timestamp first."""
        self.timestamp = (self.timestamp + step) & 0xFFFF_FFFF
        packet = RtpPacket(
            self.payload_type,
            marker,
            self.seq,
            self.timestamp,
            self.ssrc,
            extensions=dict(self.extensions),
            payload=payload,
            padding_bytes=padding,
        )
        self.seq = (self.seq + 1) & 0xFFFF
        self.sent.append(packet)
        return packet

    def make_rtx(self, original: RtpPacket, seq: int) -> RtpPacket:
        """A packet of this stream once more (RFC 4588), under a number of RTX."""
        payload = original.seq.to_bytes(2, "big") + original.payload
        return RtpPacket(RTX_TYPE, original.marker, seq, original.timestamp, self.ssrc + 1, payload=payload)

    def send(self, payload: bytes, *, marker: bool = False, step: int = 0, padding: int = 0) -> RtpPacket:
        packet = self.make(payload, marker=marker, step=step, padding=padding)
        self.peer.send(packet)
        return packet

    def skip(self, count: int = 1) -> None:
        """Packets that the network loses."""
        self.seq = (self.seq + count) & 0xFFFF


@dataclass
class Vp8Source(Source):
    """VP8 frames with picture ids, TL0PICIDX and temporal layers."""

    picture_id: int = 500
    picture_bits: int = 15
    tl0picidx: int = 50

    def skip(self, count: int = 1) -> None:
        """Pictures of one packet each that the network loses."""
        super().skip(count)
        self.picture_id = (self.picture_id + count) % (1 << self.picture_bits)

    def skip_padding(self, count: int = 1) -> None:
        """Packets between two pictures, with nothing but padding, that the network loses."""
        super().skip(count)

    def frame(
        self, *, key: bool = False, temporal: int = 0, sync: bool = False, packets: int = 1, step: int = 3000
    ) -> list[RtpPacket]:
        """Make and send one frame."""
        made = self.make_frame(key=key, temporal=temporal, sync=sync, packets=packets, step=step)
        for packet in made:
            self.peer.send(packet)
        return made

    def make_frame(
        self, *, key: bool = False, temporal: int = 0, sync: bool = False, packets: int = 1, step: int = 3000
    ) -> list[RtpPacket]:
        self.picture_id = (self.picture_id + 1) % (1 << self.picture_bits)
        if temporal == 0:
            self.tl0picidx = (self.tl0picidx + 1) & 0xFF
        made = []
        for index in range(packets):
            payload = vp8_payload(
                first=index == 0,
                key=key,
                picture_id=self.picture_id,
                bits=self.picture_bits,
                tl0picidx=self.tl0picidx,
                temporal=temporal,
                sync=sync,
            )
            made.append(self.make(payload, marker=index == packets - 1, step=step if index == 0 else 0))
        return made


def vp8_payload(
    *, first: bool, key: bool, picture_id: int, bits: int, tl0picidx: int, temporal: int = 0, sync: bool = False
) -> bytes:
    """A VP8 payload descriptor with I, L, T (RFC 7741 §4.2) and the start of a frame header behind it."""
    head = bytes((0x80 | (0x10 if first else 0), 0xE0))
    head += (0x8000 | picture_id).to_bytes(2, "big") if bits == 15 else bytes((picture_id,))
    head += bytes((tl0picidx, temporal << 6 | (0x20 if sync else 0)))
    if first and key:
        return head + bytes((0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00)) + bytes(20)
    return head + bytes((0x11,)) + bytes(29)


@dataclass(frozen=True)
class Vp8Numbers:
    picture_id: int
    tl0picidx: int
    temporal: int


def parse_vp8(payload: bytes) -> Vp8Numbers:
    """Numbers of a payload that `vp8_payload` shaped."""
    assert payload[0] & 0x80
    assert payload[1] == 0xE0
    if payload[2] & 0x80:
        return Vp8Numbers(int.from_bytes(payload[2:4], "big") & 0x7FFF, payload[4], payload[5] >> 6)
    return Vp8Numbers(payload[2], payload[3], payload[4] >> 6)


def seqs_of(packets: Iterable[RtpPacket]) -> list[int]:
    return [packet.seq for packet in packets]


def assert_contiguous(packets: Sequence[RtpPacket]) -> None:
    """Sequence numbers go up by one, wrapping."""
    for before, after in pairwise(packets):
        assert after.seq == (before.seq + 1) & 0xFFFF, seqs_of(packets)


class Bystanders:
    """An audio call between two other transports of the same engine, which must go on whatever happens."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.publisher = net.peer()
        self.subscriber = net.peer()
        track = self.publisher.publish_audio(ssrc=77_000)
        self.subscriber.subscribe(track, ssrc=77_500)
        self.source = Source(self.publisher, 77_000, AUDIO_TYPE)
        self.count = 0

    def talk(self, packets: int = 1) -> None:
        """Send audio; every packet must arrive at once, in order."""
        for _ in range(packets):
            before = len(self.subscriber.rtp)
            self.count += 1
            payload = self.count.to_bytes(4, "big") * 10
            self.source.send(payload, step=960)
            arrived = self.subscriber.rtp[before:]
            assert [packet.payload for packet in arrived] == [payload]
        assert_contiguous(self.subscriber.rtp)
