"""Repair packets (FlexFEC-03), by a receiver that is written here: what is lost comes back bit for bit."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import reduce

import pytest
from pylibsrtp import Policy, Session

from sfu.engine.api import Codec, Extension, InboundLayer, PacketEngine
from sfu.engine.reference.rtp import RtpPacket
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle
from tests.engine import dd_writer
from tests.engine.harness import (
    EXTENSIONS,
    LIBSRTP_PROFILES,
    MS,
    SECOND,
    Net,
    Peer,
    Source,
    Vp8Source,
    assert_contiguous,
    make_keys,
)
from tests.engine.rtp_wire import parse_packet
from tests.engine.twin import TwinEngine

FEC_SSRC, FEC_TYPE = 5002, 47
MID_ID, TRANSPORT_CC_ID, SEND_TIME_ID = 9, 5, 6
STARTED_NS = SECOND
"""Longer than a line that says nothing is taken for one that may be narrow."""


def subscribe(subscriber: Peer, track: object, packets: int = 10, **overrides: object) -> SubscriptionHandle:
    fields = {"fec_ssrc": FEC_SSRC, "fec_payload_type": FEC_TYPE, **overrides}
    subscription = subscriber.subscribe(track, **fields)  # type: ignore[arg-type]
    subscriber.net.engine.set_fec(subscription, packets)
    return subscription


def watched(net: Net, packets: int = 10, **overrides: object) -> tuple[Vp8Source, Peer, SubscriptionHandle]:
    """A video that has begun, to a line of which nothing bad is known."""
    publisher, subscriber = net.peer(), net.peer()
    subscription = subscribe(subscriber, publisher.publish_video(), packets, **overrides)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    net.advance(STARTED_NS)
    subscriber.take_rtp()
    subscriber.datagrams.clear()
    return source, subscriber, subscription


def show(source: Vp8Source, packets: int, *, seed: int = 1, longest: int = 1000) -> None:
    """A picture of packets of different lengths."""
    chaos = random.Random(seed)
    for packet in source.make_frame(packets=packets):
        packet.payload += chaos.randbytes(chaos.randrange(longest))
        source.peer.send(packet)


def split(subscriber: Peer) -> tuple[list[RtpPacket], list[RtpPacket]]:
    """Media, and repair packets."""
    packets = subscriber.take_rtp()
    return [one for one in packets if one.ssrc == 5000], [one for one in packets if one.ssrc == FEC_SSRC]


def plain(subscriber: Peer) -> tuple[dict[int, bytes], list[bytes]]:
    """Media packets in the clear by their number, and repair packets: everything that came, decrypted once more."""
    keys = subscriber.keys
    policy = Policy(keys.tx_key + keys.tx_salt, Policy.SSRC_ANY_INBOUND, 0, LIBSRTP_PROFILES[keys.profile])
    session = Session(policy)
    packets = [session.unprotect(data) for data in subscriber.datagrams if not 192 <= data[1] <= 223]
    media = {int.from_bytes(one[2:4], "big"): one for one in packets if one[8:12] == (5000).to_bytes(4, "big")}
    return media, [one for one in packets if one[8:12] == FEC_SSRC.to_bytes(4, "big")]


def parsed(packet: bytes) -> RtpPacket:
    found = parse_packet(packet)
    assert found is not None
    return found


def blanked(packet: bytes) -> bytes:
    """With zeros for what is set only when a packet leaves, as libwebrtc does it before it compares."""
    for id in (TRANSPORT_CC_ID, SEND_TIME_ID):
        value = parsed(packet).extensions.get(id)
        if value is not None:
            before, after = packet[:12], packet[12:]
            element = next(
                head + value
                for head in (bytes((id << 4 | len(value) - 1,)), bytes((id, len(value))))
                if head + value in after
            )
            packet = before + after.replace(element, element[: -len(value)] + bytes(len(value)), 1)
    return packet


def xor(one: bytes, other: bytes) -> bytes:
    size = max(len(one), len(other))
    return bytes(a ^ b for a, b in zip(one.ljust(size, b"\0"), other.ljust(size, b"\0"), strict=True))


def members(repair: bytes) -> list[int]:
    """Numbers of the packets that share it (draft-ietf-payload-flexible-fec-scheme-03 §4.2.2.1)."""
    body = parsed(repair).payload
    assert body[0] >> 6 == 0, "neither a retransmission nor a fixed mask"
    assert body[8:16] == b"\1\0\0\0" + (5000).to_bytes(4, "big"), "one SSRC"
    base, mask = int.from_bytes(body[16:18], "big"), int.from_bytes(body[18:20], "big")
    assert mask >> 15, "the mask ends here"
    return [base + place & 0xFFFF for place in range(15) if mask >> 14 - place & 1]


def recover(repair: bytes, others: Mapping[int, bytes]) -> bytes:
    """The one member that is not among the others (§6.3.2)."""
    body = parsed(repair).payload
    (missing,) = (seq for seq in members(repair) if seq not in others)
    known = [blanked(others[seq]) for seq in members(repair) if seq in others]
    strings = [one[:2] + (len(one) - 12).to_bytes(2, "big") + one[4:8] for one in known]
    fields = reduce(xor, strings, body[:8])
    rest = reduce(xor, (one[12:] for one in known), body[20:])
    size = int.from_bytes(fields[2:4], "big")
    first = bytes((0x80 | fields[0] & 0x3F, fields[1]))
    return first + missing.to_bytes(2, "big") + fields[4:8] + (5000).to_bytes(4, "big") + rest[:size]


@pytest.mark.parametrize("mid", ["7", "a name of more than 16"])
@pytest.mark.parametrize("packets", [2, 5, 10])
def test_any_one_that_is_lost_comes_back(net: Net, mid: str, packets: int) -> None:
    """In headers of both forms."""
    source, subscriber, _ = watched(net, mid=mid)
    show(source, packets)
    media, (repair,) = plain(subscriber)
    assert members(repair) == sorted(media)
    for seq, packet in media.items():
        assert recover(repair, {other: one for other, one in media.items() if other != seq}) == blanked(packet)


def test_also_of_av1_whose_frame_numbers_are_written_anew(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    layers = (InboundLayer(ssrc=100), InboundLayer(ssrc=200))
    extensions = {**EXTENSIONS, Extension.DEPENDENCY_DESCRIPTOR: 12}
    track = publisher.publish_video(Codec.AV1, layers=layers, extensions=extensions)
    ids = {Extension.MID: MID_ID, Extension.TRANSPORT_CC: TRANSPORT_CC_ID, Extension.DEPENDENCY_DESCRIPTOR: 8}
    subscription = subscribe(subscriber, track, extensions=ids)
    low, high = Source(publisher, 100), Source(publisher, 200)
    net.engine.set_target_layer(subscription, 0, 255)
    show_av1(low, 10, key=True)
    net.advance(STARTED_NS)
    show_av1(low, 11)
    net.engine.set_target_layer(subscription, 1, 255)
    show_av1(high, 5_000, key=True)
    subscriber.datagrams.clear()
    show_av1(high, 5_001)
    media, (repair,) = plain(subscriber)
    assert len(media) == 4
    for seq, packet in media.items():
        assert b"\x00\x0d" in packet[12:40], "the number after those of the other layer"
        assert recover(repair, {other: one for other, one in media.items() if other != seq}) == blanked(packet)


def show_av1(source: Source, number: int, *, key: bool = False) -> None:
    for index in range(4):
        start, end = index == 0, index == 3
        frame = dd_writer.Frame(0 if key else 1, number, start=start, end=end)
        source.extensions = {12: dd_writer.write(frame, dd_writer.L1T3, attach=key and start)}
        source.send(bytes((0x10, 0x30)) + bytes(20 + index), marker=end, step=3000 if start else 0)


def test_a_picture_has_one_for_each_so_many_packets(net: Net) -> None:
    source, subscriber, _ = watched(net, packets=4)
    for packets, sizes in ((1, []), (2, [2]), (4, [4]), (5, [4, 1]), (11, [4, 4, 3])):
        show(source, packets)
        media, repairs = plain(subscriber)
        assert [len(members(one)) for one in repairs] == sizes
        assert len(media) == packets
        subscriber.datagrams.clear()
        media_packets, repair_packets = split(subscriber)
        assert {one.timestamp for one in repair_packets} <= {media_packets[0].timestamp}
        assert not any(one.marker for one in repair_packets)
        assert {one.payload_type for one in repair_packets} <= {FEC_TYPE}
    stats = net.engine.stats().subscriptions[0]
    assert (stats.packets_sent, stats.fec_packets_sent) == (1 + 1 + 2 + 4 + 5 + 11, 1 + 1 + 2 + 3)


def test_they_follow_at_once_and_count_on_the_line(net: Net) -> None:
    source, subscriber, _ = watched(net)
    for _ in range(3):
        show(source, 3)
    packets = subscriber.take_rtp()
    assert [one.ssrc for one in packets] == 3 * [5000, 5000, 5000, FEC_SSRC]
    numbers = [int.from_bytes(one.extensions[TRANSPORT_CC_ID], "big") for one in packets]
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    assert {one.extensions[MID_ID] for one in packets} == {b"7"}
    assert_contiguous([one for one in packets if one.ssrc == FEC_SSRC])
    assert_contiguous([one for one in packets if one.ssrc == 5000])


def test_there_are_none_before_they_are_wanted_and_none_after(net: Net) -> None:
    source, subscriber, subscription = watched(net, packets=0)
    counts = []
    for packets in (0, 2, 0, 15):
        net.engine.set_fec(subscription, packets)
        show(source, 4)
        counts.append(len(split(subscriber)[1]))
    assert counts == [0, 2, 0, 1]


def test_there_are_none_for_who_does_not_take_them(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscription = subscriber.subscribe(publisher.publish_video())
    net.engine.set_fec(subscription, 10)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True, packets=4)
    net.advance(STARTED_NS)
    show(source, 4)
    assert {one.ssrc for one in subscriber.rtp} == {5000}


def test_there_are_none_while_video_waits_for_its_turn(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    subscribe(subscriber, publisher.publish_video())
    source = Vp8Source(publisher, 1000)
    source.frame(key=True)
    net.advance(50 * MS)
    show(source, 4)
    net.advance(50 * MS)
    media, repairs = split(subscriber)
    assert (len(media), len(repairs)) == (5, 0)


def test_what_comes_late_or_never_is_left_out(net: Net) -> None:
    source, subscriber, _ = watched(net)
    first, second, third, late, last = source.make_frame(packets=5)
    source.make_frame()
    for packet in (first, second, last, late):
        source.peer.send(packet)
    media, (repair,) = plain(subscriber)
    base = min(media)
    assert members(repair) == [base, base + 1, base + 4]
    del media[base + 1]
    assert recover(repair, media)[-len(second.payload) + 6 :] == second.payload[6:]
    # A picture whose end was lost shares nothing with the next one.
    subscriber.datagrams.clear()
    for packet in source.make_frame(packets=3)[:2]:
        source.peer.send(packet)
    show(source, 3)
    media, (repair,) = plain(subscriber)
    assert members(repair) == sorted(media)[-3:]
    assert third.seq == first.seq + 2


def test_one_from_before_those_that_share_is_left_out(net: Net) -> None:
    source, subscriber, _ = watched(net)
    first, second, third, last = source.make_frame(packets=4)
    for packet in (second, third, first, last):
        source.peer.send(packet)
    media, (repair,) = plain(subscriber)
    assert members(repair) == sorted(media)[1:]


def test_a_hole_that_no_mask_spans_begins_anew(net: Net) -> None:
    source, subscriber, _ = watched(net, packets=15)
    packets = source.make_frame(packets=20)
    for packet in packets[:2] + packets[17:]:
        source.peer.send(packet)
    media, (repair,) = plain(subscriber)
    assert members(repair) == sorted(media)[-3:]


def test_a_packet_that_is_longer_than_a_repair_packet_may_be_is_left_out(net: Net) -> None:
    source, subscriber, _ = watched(net)
    packets = source.make_frame(packets=3)
    packets[1].payload += bytes(1300)
    for packet in packets:
        source.peer.send(packet)
    media, (repair,) = plain(subscriber)
    base = min(media)
    assert members(repair) == [base, base + 2]
    assert len(repair) < 200


def test_numbers_are_never_used_twice(net: Net) -> None:
    """libsrtp refuses an index that it has seen."""
    source, subscriber, subscription = watched(net)
    show(source, 3)
    last = split(subscriber)[1][-1].seq
    net.engine.remove_subscription(subscription)
    track = net.engine.stats().tracks[0].track
    subscribe(subscriber, track)
    source.frame(key=True)
    show(source, 3)
    assert split(subscriber)[1][0].seq == (last + 1) & 0xFFFF
    subscriber.use_keys(make_keys("others"))
    net.engine.set_srtp(subscriber.transport, subscriber.keys)
    source.frame(key=True)
    show(source, 3)
    assert split(subscriber)[1][0].seq == (last + 2) & 0xFFFF


@pytest.mark.parametrize("packets", [-1, 1, 16, 1 << 40])
def test_a_number_that_no_mask_has_is_refused(net: Net, packets: int) -> None:
    _, _, subscription = watched(net)
    with pytest.raises(EngineError) as refused:
        net.engine.set_fec(subscription, packets)
    assert refused.value.code == "invalid_config"


@pytest.mark.parametrize("fields", [{"fec_ssrc": 5000}, {"fec_ssrc": 5001}, {"fec_payload_type": 128}])
def test_ssrcs_are_different_and_payload_types_have_seven_bits(net: Net, fields: dict[str, int]) -> None:
    publisher, subscriber = net.peer(), net.peer()
    with pytest.raises(EngineError) as refused:
        subscribe(subscriber, publisher.publish_video(), **fields)
    assert refused.value.code == "invalid_config"


def test_an_ssrc_of_another_subscription_is_refused(net: Net) -> None:
    publisher, subscriber = net.peer(), net.peer()
    track = publisher.publish_video()
    subscribe(subscriber, track)
    for ssrc, fields in ((FEC_SSRC, {"rtx_ssrc": None, "fec_ssrc": None}), (6000, {})):
        with pytest.raises(EngineError) as refused:
            subscribe(subscriber, track, ssrc=ssrc, **fields)
        assert refused.value.code == "invalid_config"


class Pictures:
    """Pictures of many packets in two codecs, for subscribers whose headers are of every form."""

    FORMS = (
        {"mid": "7"},
        {"mid": "a name of more than 16"},
        {"extensions": {Extension.MID: 40, Extension.DEPENDENCY_DESCRIPTOR: 8, Extension.ABS_SEND_TIME: 6}},
    )

    def __init__(self, engine: PacketEngine, seed: int) -> None:
        self.net = Net(engine)
        self.chaos = random.Random(seed)
        publisher = self.net.peer()
        vp8 = publisher.publish_video()
        ids = {**EXTENSIONS, Extension.DEPENDENCY_DESCRIPTOR: 12}
        av1 = publisher.publish_video(Codec.AV1, layers=(InboundLayer(ssrc=100),), extensions=ids)
        self.viewers = [self.net.peer() for _ in self.FORMS]
        self.handles = [
            subscribe(viewer, track, self.chaos.choice((0, 3, 10)), ssrc=ssrc, fec_ssrc=ssrc + 2, ccfb=True, **form)
            for viewer, form in zip(self.viewers, self.FORMS, strict=True)
            for track, ssrc in ((vp8, 5000), (av1, 6000))
        ]
        self.vp8, self.av1 = Vp8Source(publisher, 1000), Source(publisher, 100)
        self.number = 0

    def step(self) -> None:
        chaos = self.chaos
        action = chaos.randrange(20)
        if action == 0:
            self.net.engine.set_fec(chaos.choice(self.handles), chaos.choice((0, 2, 3, 10, 15)))
        elif action == 1:
            viewer = chaos.choice(self.viewers)
            viewer.use_keys(make_keys(f"step {chaos.random()}"))
            self.net.engine.set_srtp(viewer.transport, viewer.keys)
        elif action < 5:
            self.net.advance(chaos.choice((10, 30, 300)) * MS)
        else:
            self.send(self.vp8_picture() if action < 13 else self.av1_picture())

    def vp8_picture(self) -> list[RtpPacket]:
        return self.vp8.make_frame(key=self.chaos.random() < 0.2, packets=self.chaos.randint(1, 20))

    def av1_picture(self) -> list[RtpPacket]:
        key, count = self.chaos.random() < 0.2, self.chaos.randint(1, 20)
        self.number += self.chaos.choice((1, 1, 3))
        packets = []
        for index in range(count):
            start, end = index == 0, index == count - 1
            frame = dd_writer.Frame(0 if key else 1, self.number & 0xFFFF, start=start, end=end)
            self.av1.extensions = {12: dd_writer.write(frame, dd_writer.L1T3, attach=key and start)}
            packets.append(self.av1.make(bytes((0x10, 0x30)) + bytes(20), marker=end, step=3000 if start else 0))
        return packets

    def send(self, packets: list[RtpPacket]) -> None:
        chaos = self.chaos
        for packet in packets:
            packet.payload += chaos.randbytes(chaos.choice((0, 9, 90)))
        if chaos.random() < 0.1:
            packets[chaos.randrange(len(packets))].payload += bytes(1_190)
        if chaos.random() < 0.3:
            packets.append(packets.pop(chaos.randrange(len(packets))))
        for packet in packets:
            if chaos.random() < 0.97:
                self.vp8.peer.send(packet)


@pytest.mark.usefixtures("both_engines")
@pytest.mark.parametrize("seed", range(3))
def test_both_engines_make_the_same(seed: int) -> None:
    pictures = Pictures(TwinEngine(seed=seed), seed)
    for _ in range(250):
        pictures.step()
    sent = [one.fec_packets_sent for one in pictures.net.engine.stats().subscriptions]
    assert sum(sent) > 300, sent
