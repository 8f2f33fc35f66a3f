"""The same random calls into both engines: transmits, events, results, errors and statistics are equal step by step."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.engine.api import (
    Codec,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    OutboundPayload,
    SrtpProfile,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference import rtcp
from sfu.engine.reference.rtp import RtpPacket
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle
from tests.engine import dd_writer, rtcp_wire
from tests.engine.harness import (
    AUDIO_TYPE,
    EXTENSIONS,
    MS,
    RTX_TYPE,
    VIDEO_TYPE,
    Net,
    Peer,
    Source,
    make_keys,
    vp8_payload,
)
from tests.engine.rtcp_wire import bye, fir, packet, remb
from tests.engine.test_engine_stateful import ACTIONS as WORLD_ACTIONS
from tests.engine.test_engine_stateful import World
from tests.engine.twin import TwinEngine

SHAPES = ("vp8", "simulcast", "vp9", "av1", "h264", "opus", "red", "other")
CODECS = {
    "vp8": Codec.VP8, "simulcast": Codec.VP8, "vp9": Codec.VP9, "av1": Codec.AV1, "h264": Codec.H264,
    "opus": Codec.OPUS, "red": Codec.RED, "other": Codec.OTHER,
}  # fmt: skip
IDS = (
    {},
    {Extension.MID: 4, Extension.TRANSPORT_CC: 3, Extension.AUDIO_LEVEL: 1, Extension.ABS_SEND_TIME: 2},
    {
        Extension.MID: 4, Extension.RID: 10, Extension.REPAIRED_RID: 11, Extension.TRANSPORT_CC: 3,
        Extension.DEPENDENCY_DESCRIPTOR: 12, Extension.VIDEO_ORIENTATION: 13, Extension.PLAYOUT_DELAY: 6,
    },
    {Extension.DEPENDENCY_DESCRIPTOR: 12, Extension.ABS_CAPTURE_TIME: 200, Extension.MID: 40, Extension.AUDIO_LEVEL: 1},
    {Extension.TRANSPORT_CC: 15, Extension.ABS_SEND_TIME: 14, Extension.DEPENDENCY_DESCRIPTOR: 7},
    {Extension.MID: 15, Extension.TRANSPORT_CC: 3, Extension.AUDIO_LEVEL: 1, Extension.REPAIRED_RID: 2},
)  # fmt: skip
"""Extension ids of either side: none, one-byte forms, and some that only the two-byte form can carry."""
ACTIONS = (
    *("media",) * 30, *("late",) * 5, *("tick",) * 6, *("nack",) * 5, *("rtcp",) * 4, *("rtx",) * 3, *("report",) * 3,
    "mutate", "mutate", "replay", "lose", "rtcp_noise", "wait", "target", "target", "pause", "pause", "mute",
    "subscribe", "unsubscribe", "publish", "unpublish", "configure", "keyframe", "join", "leave", "rekey", "move",
    "forget", "levels", "stats", "misuse", "stun", *("feedback",) * 6, "want", "payloads", "payloads", "fec", "fec",
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("both_engines")


def flip(chaos: random.Random, data: bytes) -> bytes:
    """`data` with a bit flipped, or shorter."""
    if not data or chaos.random() < 0.3:
        return data[: chaos.randrange(len(data) + 1)]
    place = chaos.randrange(min(len(data), 40))
    return data[:place] + bytes((data[place] ^ 1 << chaos.randrange(8),)) + data[place + 1 :]


class Numbers:
    """Sequence numbers of one SSRC. libsrtp sends none twice: an SSRC that comes back, or is there twice, goes on."""

    def __init__(self, seqs: dict[tuple[int, int], int], transport: int, ssrc: int, first: int) -> None:
        self.seqs, self.key = seqs, (transport, ssrc)
        seqs.setdefault(self.key, first)

    def take(self, skipped: int = 0) -> int:
        seq = (self.seqs[self.key] + skipped) & 0xFFFF
        self.seqs[self.key] = (seq + 1) & 0xFFFF
        return seq


class Sender:
    """One stream of a track: where its numbers are, and what its payloads look like."""

    def __init__(
        self,
        chaos: random.Random,
        seqs: dict[tuple[int, int], int],
        peer: Peer,
        track: TrackHandle,
        shape: str,
        layer: int,
        config: TrackConfig,
    ) -> None:
        self.chaos, self.peer, self.track, self.shape, self.config = chaos, peer, track, shape, config
        named = config.layers[layer].ssrc
        self.ssrc = named if named is not None else chaos.getrandbits(32)
        self.rid = config.layers[layer].rid
        self.rtx_ssrc = config.layers[layer].rtx_ssrc
        self.seq = Numbers(seqs, peer.transport, self.ssrc, chaos.choice((0, 1, 30_000, 65_530)))
        self.timestamp = chaos.choice((0, 1 << 31, 0xFFFF_FF00))
        self.picture = chaos.choice((0, 100, 32_760))
        self.tl0picidx = 250
        self.sent: list[RtpPacket] = []

    def make(self) -> RtpPacket:
        chaos = self.chaos
        if chaos.random() < 0.5:
            self.timestamp = (self.timestamp + 3000) & 0xFFFF_FFFF
            self.picture = (self.picture + 1) & 0x7FFF
        extensions: dict[int, bytes] = {}
        payload = self.payload(extensions)
        if chaos.random() < 0.05:
            # What only the authenticated publisher itself can send.
            payload = flip(chaos, payload)
            extensions = {number: flip(chaos, value) for number, value in extensions.items()}
        made = RtpPacket(
            self.config.payloads[0].payload_type,
            chaos.random() < 0.5,
            self.seq.take(),
            self.timestamp,
            self.ssrc,
            csrc=chaos.randbytes(4 * chaos.randrange(3)) if chaos.random() < 0.1 else b"",
            extensions=extensions,
            payload=payload,
            padding_bytes=chaos.randrange(1, 9) if chaos.random() < 0.1 else 0,
        )
        self.sent = [*self.sent[-30:], made]
        return made

    def payload(self, extensions: dict[int, bytes]) -> bytes:
        chaos, ids = self.chaos, self.config.extensions
        for extension, size in (
            (Extension.AUDIO_LEVEL, 1), (Extension.TRANSPORT_CC, 2), (Extension.VIDEO_ORIENTATION, 1),
            (Extension.PLAYOUT_DELAY, 3), (Extension.ABS_CAPTURE_TIME, chaos.choice((0, 8, 16, 17))),
        ):  # fmt: skip
            if extension in ids and chaos.random() < 0.8:
                extensions[ids[extension]] = chaos.randbytes(size)
        if Extension.MID in ids and self.config.mid is not None:
            extensions[ids[Extension.MID]] = self.config.mid.encode()
        if Extension.RID in ids and self.rid is not None:
            extensions[ids[Extension.RID]] = self.rid.encode()
        if chaos.random() < 0.04:
            return chaos.randbytes(chaos.randrange(6))
        key, temporal = chaos.random() < 0.15, chaos.randrange(3)
        if self.shape in ("vp8", "simulcast"):
            self.tl0picidx = (self.tl0picidx + (temporal == 0)) & 0xFF
            return vp8_payload(
                first=chaos.random() < 0.8, key=key, picture_id=self.picture & 0x7F if self.ssrc & 1 else self.picture,
                bits=7 if self.ssrc & 1 else 15, tl0picidx=self.tl0picidx, temporal=temporal, sync=chaos.random() < 0.4,
            )  # fmt: skip
        if self.shape == "vp9":
            first = 0xA0 | (0 if key else 0x40) | chaos.choice((0x00, 0x08, 0x08, 0x0C, 0x04))
            layers = temporal << 5 | (0x10 if chaos.random() < 0.5 else 0) | chaos.randrange(3) << 1
            head = bytes((first, 0x80 | self.picture >> 8, self.picture & 0xFF, layers, self.tl0picidx))
            return head + chaos.randbytes(9)
        if self.shape == "av1":
            structure = dd_writer.L2T2 if self.ssrc & 1 else dd_writer.L1T3
            template = 0 if key else chaos.randrange(len(structure.templates))
            if Extension.DEPENDENCY_DESCRIPTOR in ids and chaos.random() < 0.95:
                frame = dd_writer.Frame(template, self.picture, start=chaos.random() < 0.8, end=chaos.random() < 0.8)
                extensions[ids[Extension.DEPENDENCY_DESCRIPTOR]] = dd_writer.write(frame, structure, attach=key)
            return bytes((0x18 if key else 0x10, 0x0A if key else 0x30)) + chaos.randbytes(8)
        if self.shape == "h264":
            return bytes(
                (chaos.choice((0x65, 0x67, 0x41, 0x7C, 0x78)), chaos.choice((0x88, 0x85, 0x00)))
            ) + chaos.randbytes(9)
        if self.shape == "red":
            return bytes((0x80 | 111, 0x03, 0xC0, 0x04, 111)) + chaos.randbytes(chaos.randrange(3, 9))
        return chaos.randbytes(chaos.randrange(1, 40))


class Life:
    """Peers with every kind of track, subscription and configuration, and an action for each name."""

    def __init__(self, seed: int) -> None:
        self.chaos = random.Random(seed)
        self.twin = TwinEngine(seed=seed)
        self.net = Net(self.twin)
        self.peers: list[Peer] = []
        self.tracks: dict[TrackHandle, list[Sender]] = {}
        self.subscriptions: dict[SubscriptionHandle, tuple[Peer, SubscriptionConfig]] = {}
        self.held: list[tuple[Peer, bytes]] = []
        self.delivered: list[tuple[Peer, bytes]] = []
        self.seqs: dict[tuple[int, int], int] = {}
        self.next_ssrc = 5000
        self.keys = 0
        for _ in range(3):
            self.do_join()
        for _ in range(3):
            self.do_publish()
            self.do_subscribe()

    def act(self, name: str) -> None:
        getattr(self, f"do_{name}")()

    def sender(self) -> Sender | None:
        senders = [sender for senders in self.tracks.values() for sender in senders]
        return self.chaos.choice(senders) if senders else None

    def subscription(self) -> SubscriptionHandle | None:
        return self.chaos.choice(list(self.subscriptions)) if self.subscriptions else None

    def deliver(self, peer: Peer, data: bytes) -> None:
        if peer in self.peers:
            self.delivered = [*self.delivered[-30:], (peer, data)]
            self.net.deliver(peer.path, data)

    # --- peers --------------------------------------------------------------------------------------------------

    def do_join(self) -> None:
        if len(self.peers) < 5:
            config = TransportConfig(
                max_ssrcs=self.chaos.choice((2, 5, 64)),
                max_packets_per_s=self.chaos.choice((0, 0, 20_000, 20)),
                max_bitrate_bps=self.chaos.choice((0, 0, 0, 100_000)),
            )
            profile = self.chaos.choice(list(SrtpProfile))
            self.peers.append(self.net.peer(config=config, profile=profile, connect=self.chaos.random() < 0.9))

    def do_leave(self) -> None:
        if len(self.peers) > 2 and self.chaos.random() < 0.3:
            peer = self.peers.pop(self.chaos.randrange(len(self.peers)))
            self.net.engine.remove_transport(peer.transport)
            gone = [track for track, senders in self.tracks.items() if senders[0].peer is peer]
            for track in gone:
                del self.tracks[track]
            stats = self.net.engine.stats()
            left = {one.subscription for one in stats.subscriptions}
            self.subscriptions = {handle: one for handle, one in self.subscriptions.items() if handle in left}

    def do_rekey(self) -> None:
        peer = self.chaos.choice(self.peers)
        self.keys += self.chaos.random() < 0.8
        peer.take_rtp()
        peer.use_keys(make_keys(f"{peer.transport} {self.keys}", peer.profile))
        self.net.engine.set_srtp(peer.transport, peer.keys)

    def do_move(self) -> None:
        peer = self.chaos.choice(self.peers)
        peer.path = self.net.new_path(self.chaos.choice(("udp", "tcp")))
        self.net.peers[peer.path] = peer
        command = self.chaos.choice((self.net.engine.set_path, self.net.engine.allow_path))
        command(peer.transport, peer.path)

    def do_forget(self) -> None:
        peer = self.chaos.choice(self.peers)
        self.net.engine.forget_path(peer.path)
        if self.chaos.random() < 0.9:
            self.net.engine.set_path(peer.transport, peer.path)

    # --- tracks -------------------------------------------------------------------------------------------------

    def make_config(self, shape: str) -> TrackConfig:
        chaos = self.chaos
        is_audio = shape in ("opus", "red")
        names = ("l", "h") if shape == "simulcast" else ("s",)
        self.next_ssrc += 10
        base = self.next_ssrc + chaos.randrange(2)
        declared, rids = chaos.random() < 0.7, chaos.random() < 0.5
        layers = [
            InboundLayer(
                base + 2 * index if declared else None,
                base + 2 * index + 100_000 if declared and chaos.random() < 0.8 else None,
                rid if rids else None,
            )
            for index, rid in enumerate(names)
        ]
        if chaos.random() < 0.05:
            layers *= 2
        payload_type = chaos.choice((96, 98))
        payload = InboundPayload(payload_type, CODECS[shape], 48_000 if is_audio else 90_000, chaos.choice((97, None)))
        return TrackConfig(
            kind=Kind.AUDIO if is_audio else Kind.VIDEO,
            payloads=(payload,),
            layers=layers,
            mid=chaos.choice((None, "0", "1")),
            extensions=chaos.choice(IDS),
            nack=chaos.random() < 0.7,
            max_bitrate_bps=chaos.choice((0, 0, 0, 50_000)),
            pli=chaos.random() < 0.8,
            keyframe_cache_bytes=chaos.choice((0, 300, 3_000, 1 << 20)),
        )

    def do_publish(self) -> None:
        if len(self.tracks) < 6:
            peer, shape = self.chaos.choice(self.peers), self.chaos.choice(SHAPES)
            config = self.make_config(shape)
            track = self.net.engine.add_track(peer.transport, config)
            self.use(peer, track, shape, config)

    def use(self, peer: Peer, track: TrackHandle, shape: str, config: TrackConfig) -> None:
        layers = range(len(config.layers))
        self.tracks[track] = [Sender(self.chaos, self.seqs, peer, track, shape, layer, config) for layer in layers]

    def do_configure(self) -> None:
        sender = self.sender()
        if sender is not None:
            shape = sender.shape if self.chaos.random() < 0.8 else self.chaos.choice(SHAPES)
            config = self.make_config(shape)
            if self.chaos.random() < 0.5 and shape == sender.shape:
                config = TrackConfig(
                    kind=config.kind, payloads=config.payloads, layers=sender.config.layers, mid=config.mid,
                    extensions=config.extensions, nack=config.nack, pli=config.pli,
                    keyframe_cache_bytes=config.keyframe_cache_bytes,
                )  # fmt: skip
            self.net.engine.set_track_config(sender.track, config)
            if self.chaos.random() < 0.8:
                self.use(sender.peer, sender.track, shape, config)

    def do_unpublish(self) -> None:
        sender = self.sender()
        if sender is not None and self.chaos.random() < 0.4:
            self.net.engine.remove_track(sender.track)
            del self.tracks[sender.track]
            left = {one.subscription for one in self.net.engine.stats().subscriptions}
            self.subscriptions = {handle: one for handle, one in self.subscriptions.items() if handle in left}

    def do_mute(self) -> None:
        sender = self.sender()
        if sender is not None:
            self.net.engine.set_track_muted(sender.track, self.chaos.random() < 0.3)

    def do_keyframe(self) -> None:
        sender = self.sender()
        if sender is not None and self.chaos.random() < 0.9:
            self.net.engine.request_keyframe(sender.track, 0)

    # --- media --------------------------------------------------------------------------------------------------

    def do_media(self) -> None:
        sender = self.sender()
        for _ in range(self.chaos.randrange(1, 4)):
            if sender is not None:
                data = sender.peer.protect(sender.make())
                roll = self.chaos.random()
                if roll < 0.1:
                    self.held.append((sender.peer, data))
                elif roll > 0.03:
                    self.deliver(sender.peer, data)

    def do_late(self) -> None:
        if self.held:
            self.deliver(*self.held.pop(self.chaos.randrange(len(self.held))))

    def do_lose(self) -> None:
        sender = self.sender()
        if sender is not None:
            sender.seq.take(self.chaos.choice((0, 1, 20, 255, 257, 511, 513, 1_200)))

    def do_rtx(self) -> None:
        sender = self.sender()
        if sender is not None and sender.sent:
            original = self.chaos.choice(sender.sent)
            ssrc = sender.rtx_ssrc if sender.rtx_ssrc is not None else self.chaos.getrandbits(32)
            seq = Numbers(self.seqs, sender.peer.transport, ssrc, 65_530).take()
            payload = original.seq.to_bytes(2, "big") + original.payload
            extensions = dict(original.extensions)
            ids = sender.config.extensions
            if Extension.REPAIRED_RID in ids and sender.rid is not None:
                extensions[ids[Extension.REPAIRED_RID]] = sender.rid.encode()
            payload = payload[: self.chaos.choice((0, 1, 2, 9999, 9999, 9999))]
            made = RtpPacket(97, original.marker, seq, original.timestamp, ssrc, extensions=extensions, payload=payload)
            self.deliver(sender.peer, sender.peer.protect(made))

    def do_mutate(self) -> None:
        if self.delivered:
            peer, data = self.chaos.choice(self.delivered)
            if peer in self.peers:
                self.net.deliver(peer.path, flip(self.chaos, data))

    def do_replay(self) -> None:
        if self.delivered:
            peer, data = self.chaos.choice(self.delivered)
            self.net.deliver(peer.path, data)

    def do_stun(self) -> None:
        path = self.chaos.choice([peer.path for peer in self.peers] + [self.net.new_path()])
        self.net.deliver(
            path, self.chaos.choice((b"", b"\x00\x01", b"\x16\xfe\xfd", b"\x80", bytes(1501), b"\xff" * 9))
        )

    # --- subscriptions --------------------------------------------------------------------------------------------

    def do_subscribe(self) -> None:
        if len(self.subscriptions) >= 8 or not self.tracks:
            return
        chaos = self.chaos
        peer, track = chaos.choice(self.peers), chaos.choice(list(self.tracks))
        self.next_ssrc += 10
        outbound = self.outbound()
        config = SubscriptionConfig(
            ssrc=self.next_ssrc if chaos.random() < 0.9 else 4_000,
            mid=chaos.choice(("0", "", "7", "x" * 16, "y" * 17, "z" * 200)),
            cname=chaos.choice(("publisher", "", "c" * 255)),
            payloads={96: outbound, 98: outbound} if chaos.random() < 0.9 else {98: outbound},
            rtx_ssrc=self.next_ssrc + 5 if chaos.random() < 0.7 else None,
            extensions=chaos.choice(IDS),
            nack=chaos.random() < 0.8,
            cache_packets=chaos.choice((0, 1, 8, 512)),
            ccfb=chaos.random() < 0.5,
            fec_ssrc=self.next_ssrc + 7 if chaos.random() < 0.5 else None,
            fec_payload_type=47,
        )
        try:
            handle = self.net.engine.add_subscription(peer.transport, track, config)
        except EngineError:
            return
        self.net.engine.set_subscription_paused(handle, False)
        self.subscriptions[handle] = (peer, config)

    def do_payloads(self) -> None:
        handle = self.subscription()
        if handle is not None:
            self.net.engine.set_payloads(handle, {96: self.outbound(), 98: self.outbound()})

    def do_fec(self) -> None:
        handle = self.subscription()
        if handle is not None:
            self.net.engine.set_fec(handle, self.chaos.choice((0, 2, 3, 15)))

    def outbound(self) -> OutboundPayload:
        chaos = self.chaos
        redundancy, step = chaos.choice(((0, 1), (0, 2), (1, 1), (2, 1), (3, 1), (1, 4), (3, 2)))
        return OutboundPayload(
            chaos.choice((100, 105)), chaos.choice((106, None)), chaos.random() < 0.5, redundancy, step,
            chaos.choice((0, 98)),
        )  # fmt: skip

    def do_unsubscribe(self) -> None:
        handle = self.subscription()
        if handle is not None:
            self.net.engine.remove_subscription(handle)
            del self.subscriptions[handle]

    def do_target(self) -> None:
        handle = self.subscription()
        if handle is not None:
            layers = (0, 1, 2, 255, 1 << 20)
            self.net.engine.set_target_layer(handle, self.chaos.choice(layers), self.chaos.choice(layers))

    def do_pause(self) -> None:
        handle = self.subscription()
        if handle is not None:
            self.net.engine.set_subscription_paused(handle, self.chaos.random() < 0.3)

    # --- RTCP ---------------------------------------------------------------------------------------------------

    def do_nack(self) -> None:
        handle = self.subscription()
        if handle is not None:
            peer, config = self.subscriptions[handle]
            seen = [one.seq for one in peer.rtp[-60:] if one.ssrc == config.ssrc] or [0]
            first = self.chaos.choice(seen)
            seqs = [(first + step) & 0xFFFF for step in range(self.chaos.choice((1, 3, 40)))]
            for _ in range(self.chaos.choice((1, 1, 12))):
                peer.send_rtcp(rtcp.build_nack(1, config.ssrc, seqs))

    def do_feedback(self) -> None:
        """Of the newest transport-wide numbers of a subscriber, or of any; of its RTP numbers where it has none."""
        handle, chaos = self.subscription(), self.chaos
        if handle is not None:
            peer, config = self.subscriptions[handle]
            if config.ccfb and Extension.TRANSPORT_CC not in config.extensions:
                self.report_by_rtp_numbers(peer, config)
                return
            number = config.extensions.get(Extension.TRANSPORT_CC, 0)
            seen = [int.from_bytes(one.extensions[number], "big") for one in peer.rtp[-60:] if number in one.extensions]
            if not seen or chaos.random() < 0.1:
                seen = [chaos.getrandbits(16) for _ in range(5)]
            numbers = sorted({one for one in seen if chaos.random() < 0.8})
            now_ns = self.net.now_ns + chaos.choice((0, 0, 0, 30, 300, 100_000)) * MS
            arrivals = [(one, now_ns + index * chaos.choice((0, 1, 5)) * MS) for index, one in enumerate(numbers)]
            peer.send_rtcp(*rtcp.build_transport_feedback(1, config.ssrc, 0, sorted(arrivals)), rtcp.build_pli(1, 1))

    def report_by_rtp_numbers(self, peer: Peer, config: SubscriptionConfig) -> None:
        chaos, now_ns = self.chaos, self.net.now_ns
        seqs = [one.seq for one in peer.rtp[-60:] if one.ssrc == config.ssrc] or [chaos.getrandbits(15)]
        first = chaos.choice(seqs)
        ages_ns = (0, 0, 5, 30, 300, 9_000, -1)
        arrivals = [
            (ssrc, seq, now_ns - chaos.choice(ages_ns) * MS)
            for ssrc in (config.ssrc, config.rtx_ssrc or 1)
            for seq in range(first, min(first + 60, 0x10000))
            if chaos.random() < 0.8
        ]
        peer.send_rtcp(rtcp_wire.ccfb(1, now_ns, arrivals), rtcp.build_pli(1, 1))

    def do_want(self) -> None:
        bitrate_bps = self.chaos.choice((0, 100_000, 3_000_000, 1 << 40))
        peer = self.chaos.choice(self.peers)
        with contextlib.suppress(EngineError):
            self.net.engine.set_wanted_bitrate(peer.transport, bitrate_bps)

    def do_report(self) -> None:
        sender = self.sender()
        if sender is not None and sender.peer in self.peers:
            ntp = self.chaos.choice((self.net.now_ns << 2, 0, (1 << 64) - 1))
            report = rtcp.SenderReport(sender.ssrc, ntp, sender.timestamp, 1, 1)
            sender.peer.send_rtcp(rtcp.build_sr(report), rtcp.build_sdes([(sender.ssrc, "me")]))

    def do_rtcp(self) -> None:
        chaos = self.chaos
        handle = self.subscription()
        peer, ssrc = self.chaos.choice(self.peers), chaos.getrandbits(32)
        sent = 0
        if handle is not None:
            peer, config = self.subscriptions[handle]
            ssrc = config.ssrc
            ours = [one for one in peer.rtcp if isinstance(one, rtcp.SenderReport) and one.ssrc == ssrc]
            sent = (ours[-1].ntp >> 16) & 0xFFFF_FFFF if ours else 0
        block = rtcp.ReportBlock(ssrc, chaos.randrange(256), -5, 0, 0, sent, chaos.choice((0, 655, 1 << 31)))
        peer.send_rtcp(
            chaos.choice(
                (
                    rtcp.build_rr(1, [block]),
                    rtcp.build_sr(rtcp.SenderReport(1, 2, 3, 4, 5, [block])),
                    rtcp.build_pli(1, ssrc),
                    fir(1, [(ssrc, 1), (ssrc, 2)]),
                    remb(1, chaos.getrandbits(18), chaos.randrange(64), chaos.choice(([], [ssrc], [1]))),
                    bye([ssrc]),
                    packet(15, 205, chaos.randbytes(24)),
                    rtcp.build_pli(1, ssrc) + packet(1, 205, chaos.randbytes(12)) + packet(7, 207, b""),
                )
            )
        )

    def do_rtcp_noise(self) -> None:
        chaos = self.chaos
        peer = chaos.choice(self.peers)
        kinds = (200, 201, 202, 203, 205, 206, 207)
        bodies = [
            packet(chaos.randrange(32), chaos.choice(kinds), chaos.randbytes(4 * chaos.randrange(1, 8)))
            for _ in range(chaos.randrange(1, 4))
        ]
        peer.send_rtcp(*bodies, chaos.choice((b"", b"", chaos.randbytes(4))))

    # --- time and figures -----------------------------------------------------------------------------------------

    def do_tick(self) -> None:
        self.net.advance(self.chaos.choice((1, 10, 30)) * MS)

    def do_wait(self) -> None:
        self.net.advance(self.chaos.choice((500, 1_100, 2_500)) * MS, self.chaos.choice((10, 100)) * MS)

    def do_levels(self) -> None:
        self.net.engine.audio_levels()

    def do_stats(self) -> None:
        self.net.engine.stats()
        self.net.engine.next_timeout_ns()

    def do_misuse(self) -> None:
        engine, chaos = self.net.engine, self.chaos
        nobody = TransportHandle(9_999)
        config = TrackConfig(kind=Kind.AUDIO, payloads=(), layers=())
        with pytest.raises(EngineError):
            chaos.choice(
                (
                    lambda: engine.remove_transport(nobody),
                    lambda: engine.remove_track(TrackHandle(0)),
                    lambda: engine.remove_subscription(SubscriptionHandle(9_999)),
                    lambda: engine.add_track(nobody, config),
                    lambda: engine.add_track(self.peers[0].transport, config),
                    lambda: engine.add_transport(TransportConfig(max_ssrcs=0)),
                    lambda: engine.set_track_muted(TrackHandle(9_999), True),
                    lambda: engine.set_path(nobody, self.peers[0].path),
                    lambda: engine.set_target_layer(SubscriptionHandle(0), 0, 0),
                )
            )()


@given(st.integers(0, 2**32), st.lists(st.sampled_from(ACTIONS), min_size=30, max_size=250))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_lives(seed: int, actions: list[str]) -> None:
    life = Life(seed)
    for name in actions:
        life.act(name)
    life.do_stats()
    for peer in life.peers:
        life.net.engine.remove_transport(peer.transport)
    life.do_stats()


@pytest.mark.parametrize("seed", range(4))
def test_long_lives(seed: int) -> None:
    life = Life(seed)
    for _ in range(3_000):
        life.act(life.chaos.choice(ACTIONS))
        if len(life.net.peers) > 200:
            life.net.peers = {peer.path: peer for peer in life.peers}
    stats = life.net.engine.stats()
    assert stats.packets_sent > 500
    assert stats.packets_received > 500


@pytest.mark.parametrize("seed", [11, 12])
def test_lives_of_the_suite(seed: int) -> None:
    """The random lives that each engine passes alone, as one."""
    world = World(TwinEngine(seed=seed), seed)
    for _ in range(4_000):
        world.act(world.chaos.choice(WORLD_ACTIONS))
        if len(world.net.peers) > 200:
            known = {peer.path for peer in world.publishers + world.subscribers}
            world.net.peers = {path: peer for path, peer in world.net.peers.items() if path in known}
    world.check()


@pytest.mark.parametrize("cname", ["", "n" * 60])
def test_reports_of_many_subscriptions(cname: str) -> None:
    """More than fit into one compound, by number or by size."""
    net = Net(TwinEngine(seed=3))
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_audio()
    for ssrc in range(5000, 5090, 2):
        subscriber.subscribe(track, ssrc, cname=cname)
    source = Source(publisher, 2000, AUDIO_TYPE)
    source.send(b"hello")
    publisher.send_rtcp(rtcp.build_sr(rtcp.SenderReport(2000, 1 << 40, 50_000, 1, 5)))
    net.advance(2_000 * MS)
    reports = [one for one in subscriber.rtcp if isinstance(one, rtcp.SenderReport)]
    assert {one.ssrc for one in reports} == set(range(5000, 5090, 2))


@pytest.mark.parametrize("payload_type", [VIDEO_TYPE, RTX_TYPE])
@pytest.mark.parametrize("number", [EXTENSIONS[Extension.RID], EXTENSIONS[Extension.REPAIRED_RID]])
def test_rids_and_payload_types(number: int, payload_type: int) -> None:
    """A repaired RID is of RTX, whatever the payload type says; a RID is of what the payload type says."""
    net = Net(TwinEngine(seed=4))
    publisher = net.peer()
    publisher.publish_video(layers=(InboundLayer(rid="l"), InboundLayer(rid="h")), mid="0")
    extensions = {EXTENSIONS[Extension.MID]: b"0", number: b"h"}
    source = Source(publisher, 77, payload_type, extensions=extensions)
    source.send(b"\x10" + bytes(20))
    is_wrong = number == EXTENSIONS[Extension.REPAIRED_RID] and payload_type == VIDEO_TYPE
    assert net.drops.get("unknown_payload_type", 0) == is_wrong


def test_a_difference_is_noticed() -> None:
    twin = TwinEngine(seed=1)
    twin.add_transport(TransportConfig())  # type: ignore[attr-defined]
    twin.engines[1].add_transport(TransportConfig())
    with pytest.raises(AssertionError, match="call 2, stats"):
        twin.stats()
