"""A fault of the engine itself ends the transport that it happened for, and nothing else; and groups of transports."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.engine.api import PacketEngine, TransportConfig, TransportFailed
from sfu.errors import EngineError
from tests.engine.harness import AUDIO_TYPE, MS, SECOND, Bystanders, Net, Peer, Source, Vp8Source
from tests.engine.test_engine_consent import PWD, UFRAG, request


class Call:
    """An audio call whose publisher's transport is faulty."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.publisher = net.peer()
        self.subscriber = net.peer()
        self.track = self.publisher.publish_audio()
        self.subscriber.subscribe(self.track)
        self.source = Source(self.publisher, 2000, AUDIO_TYPE)
        self.source.send(b"before", step=960)
        assert len(self.subscriber.take_rtp()) == 1

    def break_it(self, peer: Peer) -> None:
        engine: Any = self.net.engine
        engine.inject_fault(peer.transport)


@pytest.mark.parametrize("by_time", [False, True])
def test_only_the_transport_ends(net: Net, by_time: bool) -> None:
    call, others = Call(net), Bystanders(net)
    others.talk()
    call.break_it(call.publisher)
    if by_time:
        net.advance(10 * MS)
    else:
        call.source.send(b"bad", step=960)
    assert net.take_events(TransportFailed) == [TransportFailed(call.publisher.transport)]
    assert net.engine.stats().faults == 1
    # It is heard no more, and fails no more.
    call.source.send(b"after", step=960)
    net.advance(2 * SECOND)
    others.talk(3)
    assert call.subscriber.take_rtp() == []
    assert net.drops == {"unknown_path": 1}
    assert (net.engine.stats().faults, net.take_events(TransportFailed)) == (1, [])


def test_a_subscriber_that_failed_gets_nothing_and_its_publisher_goes_on(net: Net) -> None:
    call = Call(net)
    second = net.peer()
    second.subscribe(call.track, ssrc=6000)
    call.break_it(call.subscriber)
    call.subscriber.send_raw(bytes((0x80, 200)) + bytes(40))
    assert net.take_events(TransportFailed) == [TransportFailed(call.subscriber.transport)]
    for _ in range(3):
        call.source.send(b"after", step=960)
    net.advance(2 * SECOND)
    assert call.subscriber.take_rtp() == []
    assert len(second.take_rtp()) == 3
    assert net.engine.stats().faults == 1


def test_a_fault_in_a_replay_ends_that_viewer_and_not_the_others(net: Net) -> None:
    call = Bystanders(net)
    publisher = net.peer()
    track = publisher.publish_video(keyframe_cache_bytes=65_536, pli=False)
    source = Vp8Source(publisher, 1000)
    source.frame(key=True, packets=2)
    source.frame(packets=2)
    bad, good = net.peer(), net.peer()
    for viewer in (bad, good):
        viewer.subscribe(track, ssrc=6000)
    engine: Any = net.engine
    engine.inject_fault(bad.transport)
    net.advance(SECOND)
    assert net.take_events(TransportFailed) == [TransportFailed(bad.transport)]
    assert (bad.take_rtp(), len(good.take_rtp())) == ([], 4)
    assert net.engine.stats().faults == 1
    call.talk(3)


def test_its_owner_can_still_work_on_it(net: Net) -> None:
    call = Call(net)
    call.break_it(call.publisher)
    call.source.send(b"bad", step=960)
    engine, handle = net.engine, call.publisher.transport
    late = net.peer()
    subscription = late.subscribe(call.track, ssrc=6000)
    engine.set_path(handle, call.publisher.path)
    engine.allow_path(handle, net.new_path())
    engine.set_ice(handle, UFRAG, PWD, "peer")
    call.publisher.send_raw(request())
    assert net.drops == {}, "STUN goes up; the path stays forgotten"
    call.source.send(b"after", step=960)
    assert net.drops == {"unknown_path": 1}
    engine.set_track_muted(call.track, True)
    engine.remove_subscription(subscription)
    # Its path may be another's by now.
    engine.set_path(late.transport, call.publisher.path)
    engine.remove_transport(handle)
    assert [one.transport for one in engine.stats().transports] == [call.subscriber.transport, late.transport]
    late.send_raw(bytes((0x80, 200)) + bytes(40))
    assert net.drops.get("unknown_path") == 1
    with pytest.raises(EngineError):
        engine.remove_transport(handle)


def test_tracks_are_for_their_own_group(engine: PacketEngine) -> None:
    net = Net(engine)
    one, two = (net.peer(config=TransportConfig(group=group)) for group in (1, 2))
    mate = net.peer(config=TransportConfig(group=1))
    track = one.publish_audio()
    with pytest.raises(EngineError) as caught:
        two.subscribe(track)
    assert caught.value.code == "other_group"
    assert engine.stats().subscriptions == []
    mate.subscribe(track)
    Source(one, 2000, AUDIO_TYPE).send(b"hello", step=960)
    assert len(mate.take_rtp()) == 1
    with pytest.raises(EngineError) as caught:
        engine.add_transport(TransportConfig(group=-1))
    assert caught.value.code == "invalid_config"
