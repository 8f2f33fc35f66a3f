"""RED (RFC 2198): passed on, taken apart, and made here as a subscriber's line needs it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from sfu.engine.api import MAX_RED_BYTES, OutboundPayload
from sfu.engine.reference import red, rtcp
from sfu.errors import EngineError
from tests.engine.harness import (
    AUDIO_TYPE,
    OUT_AUDIO_TYPE,
    OUT_RED_TYPE,
    RED_TYPE,
    Net,
    Source,
    assert_contiguous,
)


class TestRed:
    RED = bytes((0x80 | AUDIO_TYPE, 960 >> 6 & 0xFF, (960 & 0x3F) << 2, 4, AUDIO_TYPE)) + b"old!" + b"primary"

    def test_passes_through(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        subscriber.subscribe(publisher.publish_audio())
        Source(publisher, 2000, RED_TYPE).send(self.RED)
        assert [(packet.payload_type, packet.payload) for packet in subscriber.rtp] == [(OUT_RED_TYPE, self.RED)]

    def test_leaves_as_its_primary_block(self, net: Net) -> None:
        publisher, subscriber = net.peer(), net.peer()
        payloads = {RED_TYPE: OutboundPayload(OUT_AUDIO_TYPE, strip_red=True)}
        subscriber.subscribe(publisher.publish_audio(), payloads=payloads)
        source = Source(publisher, 2000, RED_TYPE)
        source.send(self.RED)
        assert [(packet.payload_type, packet.payload) for packet in subscriber.rtp] == [(OUT_AUDIO_TYPE, b"primary")]
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, [subscriber.rtp[0].seq]))
        assert (subscriber.repeats, len(subscriber.rtp)) == (1, 1)
        source.send(b"\xef\0\0")
        source.send(self.RED)
        assert net.drops == {"malformed": 1}
        assert_contiguous(subscriber.rtp)


class TestRedundancy:
    """RED that is made here."""

    ADDED: ClassVar = {AUDIO_TYPE: OutboundPayload(OUT_RED_TYPE, redundancy=2, frame_type=OUT_AUDIO_TYPE)}

    def heard(self, net: Net, payloads: dict[int, OutboundPayload], inbound: int = AUDIO_TYPE) -> tuple[Any, Any, Any]:
        publisher, subscriber = net.peer(), net.peer()
        subscription = subscriber.subscribe(publisher.publish_audio(), payloads=payloads)
        return Source(publisher, 2000, inbound), subscriber, subscription

    def blocks(self, packet: Any) -> list[tuple[int, int, bytes]]:
        """(payload type, how long before, data)."""
        parsed = red.parse(packet.payload)
        assert parsed is not None
        return [tuple(block) for block in parsed]

    def test_each_packet_has_the_frames_before_it(self, net: Net) -> None:
        source, subscriber, _ = self.heard(net, self.ADDED)
        for word in (b"one", b"two", b"three", b"four"):
            source.send(word)
            source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        kind = OUT_AUDIO_TYPE
        assert [self.blocks(packet) for packet in subscriber.rtp] == [
            [(kind, 0, b"one")],
            [(kind, 960, b"one"), (kind, 0, b"two")],
            [(kind, 1920, b"one"), (kind, 960, b"two"), (kind, 0, b"three")],
            [(kind, 1920, b"two"), (kind, 960, b"three"), (kind, 0, b"four")],
        ]
        assert {packet.payload_type for packet in subscriber.rtp} == {OUT_RED_TYPE}
        assert_contiguous(subscriber.rtp)

    def test_frames_may_be_further_apart_so_that_what_is_lost_in_a_row_comes_later(self, net: Net) -> None:
        kind = OUT_AUDIO_TYPE
        added = OutboundPayload(OUT_RED_TYPE, redundancy=2, redundancy_step=3, frame_type=kind)
        source, subscriber, _ = self.heard(net, {AUDIO_TYPE: added})
        for number in range(12):
            source.send(b"%d" % number)
            source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        told = [self.blocks(packet) for packet in subscriber.rtp]
        for number, blocks in enumerate(told):
            earlier = [(kind, 960 * back, b"%d" % (number - back)) for back in (6, 3) if number >= back]
            assert blocks == [*earlier, (kind, 0, b"%d" % number)]
        # Six packets in a row are lost: the next six have all of them.
        found = {data for blocks in told[8:] for _, _, data in blocks}
        assert {b"%d" % number for number in range(2, 8)} <= found

    def test_subscribers_may_have_them_differently_far_apart(self, net: Net) -> None:
        publisher, near, far = net.peer(), net.peer(), net.peer()
        track = publisher.publish_audio()
        for peer, step in ((near, 1), (far, 2)):
            added = OutboundPayload(OUT_RED_TYPE, redundancy=1, redundancy_step=step, frame_type=OUT_AUDIO_TYPE)
            peer.subscribe(track, payloads={AUDIO_TYPE: added})
        source = Source(publisher, 2000, AUDIO_TYPE)
        for word in (b"one", b"two", b"three"):
            source.send(word)
            source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        assert [self.blocks(peer.rtp[-1])[0][1:] for peer in (near, far)] == [(960, b"two"), (1920, b"one")]

    def test_a_lost_frame_is_taken_from_the_redundancy_of_its_publisher(self, net: Net) -> None:
        payloads = {RED_TYPE: OutboundPayload(OUT_RED_TYPE, redundancy=3, frame_type=OUT_AUDIO_TYPE)}
        source, subscriber, _ = self.heard(net, payloads, RED_TYPE)
        block = bytes((0x80 | AUDIO_TYPE, 960 >> 6 & 0xFF, (960 & 0x3F) << 2, 4, AUDIO_TYPE))
        source.send(bytes((AUDIO_TYPE,)) + b"one.")
        source.timestamp = source.timestamp + (960 * 2) & 0xFFFF_FFFF
        source.seq += 1
        source.send(block + b"two." + b"three")
        assert [data for _, _, data in self.blocks(subscriber.rtp[-1])] == [b"one.", b"two.", b"three"]

    def test_a_late_packet_has_what_was_before_it_and_nothing_newer(self, net: Net) -> None:
        source, subscriber, _ = self.heard(net, self.ADDED)
        source.send(b"one")
        late = (source.seq, source.timestamp + 960)
        source.seq, source.timestamp = source.seq + 1, source.timestamp + 1920
        source.send(b"three")
        source.seq, source.timestamp = late
        source.send(b"two")
        assert [data for _, _, data in self.blocks(subscriber.rtp[-1])] == [b"one", b"two"]
        source.seq, source.timestamp = late[0] + 2, late[1] + 1920
        source.send(b"four")
        assert [data for _, _, data in self.blocks(subscriber.rtp[-1])] == [b"two", b"three", b"four"]

    def test_a_resend_is_what_it_was_whatever_is_wanted_since(self, net: Net) -> None:
        source, subscriber, subscription = self.heard(net, self.ADDED)
        source.send(b"one")
        source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        source.send(b"two")
        before = subscriber.rtp[-1]
        net.engine.set_payloads(subscription, {AUDIO_TYPE: OutboundPayload(OUT_AUDIO_TYPE)})
        subscriber.send_rtcp(rtcp.build_nack(1, 5000, [before.seq]))
        assert subscriber.repeats == 1
        source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        source.send(b"three")
        assert (subscriber.rtp[-1].payload_type, subscriber.rtp[-1].payload) == (OUT_AUDIO_TYPE, b"three")
        assert_contiguous(subscriber.rtp)

    def test_what_does_not_fit_stays_out_oldest_first(self, net: Net) -> None:
        source, subscriber, _ = self.heard(net, self.ADDED)
        for word in (b"a" * 600, b"b" * 500, b"c" * 300, b"d" * 1024, b"e"):
            source.send(word)
            source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        sizes = [[len(data) for _, _, data in self.blocks(packet)] for packet in subscriber.rtp]
        assert sizes == [[600], [500], [500, 300], [1024], [500, 300, 1]]
        assert max(len(packet.payload) for packet in subscriber.rtp if len(packet.payload) < 1024) <= MAX_RED_BYTES

    def test_frames_too_long_ago_or_of_another_clock_stay_out(self, net: Net) -> None:
        source, subscriber, _ = self.heard(net, self.ADDED)
        source.send(b"one")
        for step in (1 << 14, 960, 1 << 31, 960):
            source.timestamp = source.timestamp + step & 0xFFFF_FFFF
            source.send(b"more")
        assert [len(self.blocks(packet)) for packet in subscriber.rtp] == [1, 1, 2, 1, 2]

    def test_every_subscriber_has_its_own(self, net: Net) -> None:
        """Frames are remembered from when the first of them wants redundancy."""
        publisher, plain, rich = net.peer(), net.peer(), net.peer()
        track = publisher.publish_audio()
        plain.subscribe(track, payloads={AUDIO_TYPE: OutboundPayload(OUT_AUDIO_TYPE)})
        subscription = rich.subscribe(track, payloads={AUDIO_TYPE: OutboundPayload(OUT_AUDIO_TYPE)})
        source = Source(publisher, 2000, AUDIO_TYPE)
        for word in (b"one", b"two", b"three"):
            if word == b"two":
                added = OutboundPayload(OUT_RED_TYPE, redundancy=1, frame_type=9)
                net.engine.set_payloads(subscription, {AUDIO_TYPE: added})
            source.send(word)
            source.timestamp = source.timestamp + 960 & 0xFFFF_FFFF
        assert [packet.payload for packet in plain.rtp] == [b"one", b"two", b"three"]
        assert rich.rtp[0].payload == b"one"
        told = [self.blocks(packet) for packet in rich.rtp[1:]]
        assert told == [[(9, 0, b"two")], [(9, 960, b"two"), (9, 0, b"three")]]

    @pytest.mark.parametrize(
        "payload",
        [
            OutboundPayload(OUT_RED_TYPE, redundancy=4),
            OutboundPayload(OUT_RED_TYPE, redundancy_step=0),
            OutboundPayload(OUT_RED_TYPE, redundancy_step=5),
            OutboundPayload(128),
            OutboundPayload(1, frame_type=128),
        ],
    )
    def test_what_cannot_be_is_refused(self, net: Net, payload: OutboundPayload) -> None:
        _, _, subscription = self.heard(net, self.ADDED)
        with pytest.raises(EngineError) as refused:
            net.engine.set_payloads(subscription, {AUDIO_TYPE: payload})
        assert refused.value.code == "invalid_config"
