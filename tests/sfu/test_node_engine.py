"""The node and its engine: consent that the engine keeps, and a fault that ends one participant's session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aioice.ice
import pytest
from aiortc.mediastreams import AudioStreamTrack

from sfu.api import LeaveReason, SessionEnded, TrackSource
from sfu.engine import engine_name
from sfu.errors import EngineError
from sfu.ids import Identity, RoomName
from tests.harness.raw_caller import RawCaller, all_joined
from tests.harness.waiting import eventually

ROOM, HALL = RoomName("den"), RoomName("hall")


@pytest.fixture(params=["reference", "rust"])
def kind(request: pytest.FixtureRequest) -> str:
    try:
        return engine_name(request.param)
    except EngineError:
        pytest.skip("the Rust engine is not built")


async def hears(caller: RawCaller) -> None:
    track = caller.tracks[0]
    first = await track.recv()
    assert (await track.recv()).pts > first.pts


async def connected(caller: RawCaller) -> None:
    for peer in (caller.publisher, caller.subscriber):
        await eventually(lambda peer=peer: peer.connectionState == "connected", "a connection")  # type: ignore[misc]


async def test_consent_is_kept_by_the_engine_alone(
    start_node: Callable[..., Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consent timeout of a second, checks every fifth of one: the control plane sees none and nobody is cut."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    node = await start_node(engine=kind, consent_timeout_s=1.0)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)

    def answered() -> float:
        return float(node.metrics()["ting_consent_checks_answered_total"])

    await eventually(lambda: answered() > 30, "checks that the engine answered")
    agents = [transport._agent for transport in node._transports]
    now_ns = node._runtime.now_ns()
    assert any(now_ns - (agent.last_check_ns or 0) > 1_000_000_000 for agent in agents), "Python has not heard of them"
    # Nor does it call them lost.
    assert all(transport.silent_for_s(now_ns / 1e9) < 1.0 for transport in node._transports)
    await hears(bob)
    assert not [event for caller in (ada, bob) for event in caller.events if isinstance(event, SessionEnded)]
    await asyncio.gather(ada.close(), bob.close())


async def test_a_fault_of_the_engine_ends_one_session(start_node: Callable[..., Any], kind: str) -> None:
    node = await start_node(engine=kind)
    ada, bob, eve = await all_joined(node, ROOM, ["ada", "bob", "eve"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 1)
    await hears(bob)
    await eve.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await bob.until(lambda: len(bob.tracks) == 2)
    await connected(eve)
    handle = node.find_session(ROOM, eve.session.info.participant_id).participant.publisher.transport.handle
    node._runtime.engine.inject_fault(handle)
    assert (await eve.event(SessionEnded)).reason is LeaveReason.MEDIA_FAILURE
    await hears(bob)
    assert [one.identity for one in node.participants(ROOM)] == ["ada", "bob"]
    metrics = node.metrics()
    assert metrics["ting_engine_faults_total"] == 1
    assert metrics['ting_io_total{counter="engine_faults"}'] == 1
    assert not [event for caller in (ada, bob) for event in caller.events if isinstance(event, SessionEnded)]
    # The client comes back, as clients do.
    (again,) = await all_joined(node, ROOM, ["eve"])
    await asyncio.gather(*(caller.close() for caller in (ada, bob, eve, again)))


async def test_rooms_are_apart_until_somebody_goes_between(start_node: Callable[..., Any], kind: str) -> None:
    """Each has a group of its own: in the Rust engine with two threads an engine. A move takes transports along, and a
    forwarded participant brings the rooms together."""
    node = await start_node(engine=kind, engine_threads=2)
    ada, bob = await all_joined(node, ROOM, ["ada", "bob"])
    eve, fay = await all_joined(node, HALL, ["eve", "fay"])
    await ada.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    await eve.publish(AudioStreamTrack(), TrackSource.MICROPHONE)
    for caller in (bob, fay):
        await caller.until(lambda caller=caller: len(caller.tracks) == 1)  # type: ignore[misc]
        await hears(caller)
    await connected(ada)
    callers = ((ROOM, ada), (HALL, eve))
    sessions = [node.find_session(room, caller.session.info.participant_id) for room, caller in callers]
    if kind == "rust":
        assert len({session.participant.subscriber.transport.handle % 2 for session in sessions}) == 2
    node.move_participant(ROOM, Identity("ada"), HALL, create=False)
    await fay.until(lambda: len(fay.tracks) == 2)
    await ada.until(lambda: len(ada.tracks) == 1)
    await hears(ada)
    assert (await fay.tracks[1].recv()).pts >= 0
    node.forward_participant(HALL, Identity("ada"), ROOM, create=False)
    # Together they stay, for who comes later too, and for another move.
    (gil,) = await all_joined(node, ROOM, ["gil"])
    await gil.until(lambda: len(gil.tracks) == 1)
    await hears(gil)
    node.move_participant(HALL, Identity("ada"), ROOM, create=False)
    (hal,) = await all_joined(node, ROOM, ["hal"])
    await hal.until(lambda: len(hal.tracks) == 1)
    await hears(hal)
    await hears(fay)
    await asyncio.gather(*(caller.close() for caller in (ada, bob, eve, fay, gil, hal)))
