"""Data between participants of a real node: doubles, channels that a reconnect replaces, data tracks, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection

from sfu.api import DataKind, LeaveReason, SessionEnded, SubscriberOffer
from sfu.ids import ParticipantId
from tests.harness.raw_caller import RawCaller, all_joined
from tests.sfu.test_node import close_all

StartNode = Callable[..., Any]


def reliable(caller: RawCaller) -> list[bytes]:
    return [payload for label, payload in caller.messages if label == "_reliable"]


async def renew(caller: RawCaller, received: dict[ParticipantId, int]) -> RTCPeerConnection:
    """Resume with another peer connection, as a client whose own was lost; gives the old one."""
    old, caller.subscriber = caller.subscriber, RTCPeerConnection()
    caller.subscriber.on("track", caller._handle_track)
    caller.subscriber.on("datachannel", caller._handle_channel)
    caller.channels.clear()
    offers = len(caller.offers)
    caller.session.signal_lost()
    caller.session.resume(caller.sink)
    caller.session.replay_data(received)
    await caller.until(lambda: len(caller.offers) > offers)
    return old


async def test_doubles_of_a_sender_go_nowhere(start_node: StartNode) -> None:
    node = await start_node()
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    assert alice.session.last_sequence == 0
    for sequence in (1, 2, 2, 1, 3):
        alice.session.send_data(DataKind.RELIABLE, b"%d" % sequence, (), sequence)
    alice.session.send_data(DataKind.LOSSY, b"lossy", (), 1)
    alice.session.send_data(DataKind.RELIABLE, b"uncounted")
    await bob.until(lambda: b"uncounted" in reliable(bob) and ("_lossy", b"lossy") in bob.messages)
    assert reliable(bob) == [b"1", b"2", b"3", b"uncounted"]
    assert alice.session.last_sequence == 3
    assert node.metrics()['ting_control_events_total{event="data_duplicates"}'] == 2
    await close_all(alice, bob)


async def test_a_client_with_another_connection_gets_what_it_lacks(start_node: StartNode) -> None:
    node = await start_node()
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    for sequence in range(1, 6):
        alice.session.send_data(DataKind.RELIABLE, b"%d" % sequence, (), sequence)
    await bob.until(lambda: len(reliable(bob)) == 5)
    bob.messages.clear()
    bob.channels["_reliable"].remove_all_listeners("message")
    old = await renew(bob, {alice.session.info.participant_id: 3})
    for sequence in range(6, 9):
        alice.session.send_data(DataKind.RELIABLE, b"%d" % sequence, (), sequence)
    await bob.until(lambda: b"8" in reliable(bob))
    assert reliable(bob) == [b"4", b"5", b"6", b"7", b"8"]
    await old.close()
    await close_all(alice, bob)


async def test_what_is_not_here_any_more_means_a_full_reconnect(start_node: StartNode) -> None:
    node = await start_node(max_data_replay_messages=3)
    alice, bob = await all_joined(node, "den", ["alice", "bob"])
    alice.session.send_data(DataKind.RELIABLE, b"0")
    await bob.until(lambda: reliable(bob) == [b"0"])
    for sequence in range(1, 11):
        alice.session.send_data(DataKind.RELIABLE, b"%d" % sequence, (), sequence)
    await bob.until(lambda: len(reliable(bob)) == 11)
    old = await renew(bob, {alice.session.info.participant_id: 2})
    assert (await bob.event(SessionEnded)).reason is LeaveReason.STATE_MISMATCH
    assert not [event for event in alice.events if isinstance(event, SessionEnded)]
    assert [event for event in bob.events if isinstance(event, SubscriberOffer)]
    await old.close()
    await close_all(alice, bob)
