"""When an engine needs its time: soon while something waits for the clock, seldom while nothing does, and no later than
it says. Whoever drives it sleeps until then."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from sfu.engine import create_engine
from sfu.engine.api import IDLE_TICK_NS, TICK_NS
from sfu.engine.reference import rtcp
from tests.engine.harness import AUDIO_TYPE, EXTENSIONS, MS, SECOND, Net, Source, Vp8Source
from tests.engine.test_engine_brake import Settled, narrow_from
from tests.engine.test_engine_congestion import Call, check_a_line_that_becomes_narrow, narrow_between
from tests.engine.test_engine_pacing import Show, assert_sound_is_whole


def wait_ns(net: Net) -> int:
    """How long a driver may sleep after the engine's last time, which was a moment ago."""
    due_ns = net.engine.next_timeout_ns()
    assert due_ns is not None
    return due_ns - net.now_ns


def idle(net: Net) -> None:
    """Time passes until nothing waits for the clock any more."""
    net.advance(SECOND)
    assert wait_ns(net) == IDLE_TICK_NS


def test_without_transports_nothing_is_due_and_the_first_one_is_at_once(net: Net) -> None:
    assert net.engine.next_timeout_ns() is None
    peer = net.peer()
    due_ns = net.engine.next_timeout_ns()
    assert due_ns is not None
    assert due_ns <= net.now_ns
    idle(net)
    net.engine.remove_transport(peer.transport)
    assert net.engine.next_timeout_ns() is None


def test_media_that_only_passes_needs_no_time(net: Net) -> None:
    publisher = net.peer()
    net.peer().subscribe(publisher.publish_audio(), rtx_ssrc=None)
    source = Source(publisher, 2000, AUDIO_TYPE)
    idle(net)
    for _ in range(3):
        source.send(bytes(80), step=960)
        assert wait_ns(net) == IDLE_TICK_NS


def test_feedback_for_a_publisher_is_in_time_and_nothing_else_is_asked_for_it(net: Net) -> None:
    publisher = net.peer()
    publisher.publish_audio(extensions=EXTENSIONS)
    source = Source(publisher, 2000, AUDIO_TYPE)
    net.waits_until_due = True
    told_ns = []
    for number in range(100):
        packet = source.make(bytes(80), step=960)
        packet.extensions = {3: number.to_bytes(2, "big")}
        publisher.send(packet)
        for _ in range(20):
            net.advance(MS, MS)
            if publisher.take_rtcp(rtcp.TransportFeedback):
                told_ns.append(net.now_ns)
    gaps = [after - before for before, after in pairwise(told_ns)]
    assert len(gaps) > 30
    assert all(50 * MS <= gap <= 60 * MS for gap in gaps)


def _lose_a_packet(net: Net) -> None:
    source = Vp8Source(net.peer(), 1000)
    source.peer.publish_video()
    source.frame(key=True)
    idle(net)
    source.skip()
    source.frame()


def _want_a_keyframe(net: Net) -> None:
    publisher = net.peer()
    track = publisher.publish_video()
    Vp8Source(publisher, 1000).frame(key=True)
    idle(net)
    net.engine.request_keyframe(track, 0)


def _begin_with_a_cached_keyframe(net: Net) -> None:
    publisher, viewer = net.peer(), net.peer()
    track = publisher.publish_video(keyframe_cache_bytes=512 * 1024)
    Vp8Source(publisher, 1000).frame(key=True)
    idle(net)
    viewer.subscribe(track)


def _give_feedback(net: Net) -> None:
    publisher, viewer = net.peer(), net.peer()
    viewer.subscribe(publisher.publish_audio(), rtx_ssrc=None, extensions={**EXTENSIONS})
    source = Source(publisher, 2000, AUDIO_TYPE)
    source.send(bytes(80), step=960)
    idle(net)
    source.send(bytes(80), step=960)
    viewer.send_rtcp(rtcp.build_transport_feedback(1, 5000, 0, [(0, net.now_ns)])[0])


@pytest.mark.parametrize("happen", [_lose_a_packet, _want_a_keyframe, _begin_with_a_cached_keyframe, _give_feedback])
def test_what_waits_for_the_clock_brings_it_forward(net: Net, happen: Callable[[Net], None]) -> None:
    happen(net)
    assert wait_ns(net) <= TICK_NS


def test_a_lost_packet_keeps_the_clock_awake_until_it_is_there_or_given_up(net: Net) -> None:
    source = Vp8Source(net.peer(), 1000)
    source.peer.publish_video()
    source.frame(key=True)
    idle(net)
    net.waits_until_due = True
    lost = source.make_frame()[0]
    source.frame()
    asked_ns = []
    for _ in range(100):
        net.advance(MS, MS)
        if source.peer.take_rtcp(rtcp.Nack):
            asked_ns.append(net.now_ns)
    assert asked_ns
    net.advance(20 * MS)
    assert wait_ns(net) <= TICK_NS
    source.peer.send(lost)
    net.waits_until_due = False
    idle(net)


# --- whole lives of an engine that gets its time only when it says so -------------------------------------------


def test_a_narrow_line_is_found_as_well(engine_kind: str) -> None:
    call = Call(create_engine(engine_kind, seed=1), narrow_between(2_000, 60_000))
    call.net.waits_until_due = True
    check_a_line_that_becomes_narrow(call)


def test_a_publisher_on_a_narrow_line_is_told_as_soon(engine_kind: str) -> None:
    told = []
    for waits in (False, True):
        call = Settled(create_engine(engine_kind, seed=1), narrow_from(2_000))
        call.net.waits_until_due = waits
        call.run(8_000)
        told.append(call.told)
    assert abs(told[1][0][0] - told[0][0][0]) <= 10
    assert len(told[1]) >= len(told[0]) // 2


def test_a_keyframe_is_spread_and_arrives_as_soon(engine_kind: str) -> None:
    took_ms = []
    for waits in (False, True):
        show = Show(create_engine(engine_kind, seed=1), 1_000_000)
        show.net.waits_until_due = waits
        show.until_limited()
        begin_ms, show.wants_keyframe = show.now_ms, True
        show.left.clear()
        show.sound_ms.clear()
        show.run(begin_ms + 1_000)
        keyframe = [at_ms for at_ms, packet in show.left if at_ms >= begin_ms]
        took_ms.append(keyframe[40] - begin_ms)
        assert_sound_is_whole(show)
    assert abs(took_ms[1] - took_ms[0]) <= 30
