"""Whom a publisher lets have its tracks, between real SDK clients."""

from __future__ import annotations

import pytest
from livekit import rtc
from livekit.rtc._proto.track_pb2 import ParticipantTrackPermission

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


def let(caller: Caller, *permissions: ParticipantTrackPermission, everyone: bool = False) -> None:
    caller.room.local_participant.set_track_subscription_permissions(
        allow_all_participants=everyone, participant_permissions=list(permissions)
    )


async def test_who_is_let_sees_and_who_is_not_no_longer(server: ServerProcess, join: Join) -> None:
    alice, bob, carol = [await join(server.url, name) for name in ("alice", "bob", "carol")]
    camera = await alice.publish_pattern(8)
    eyes = [await caller.watch("alice") for caller in (bob, carol)]
    for eye in eyes:
        await eye.assert_advances(8)
    let(alice, ParticipantTrackPermission(participant_identity="carol", allow_all=True))
    await eyes[0].quiet_for(0.5)
    await eyes[1].assert_advances(8)
    await alice.publish_tone(500)
    await (await carol.listen("alice")).assert_tone(500)
    # Carol has the microphone already, so bob, who was told of it before, would have it too.
    assert bob.publication("alice", rtc.TrackKind.KIND_AUDIO) is not None
    assert bob.count("track_subscribed") == 1
    let(alice, ParticipantTrackPermission(participant_identity="bob", allowed_track_sids=[camera.sid]))
    await bob.until(lambda: bob.count("track_subscribed") == 2, "the camera to come back")
    await (await bob.watch("alice")).assert_advances(8)
    await eyes[1].quiet_for(0.5)
    let(alice, everyone=True)
    await (await bob.listen("alice")).assert_tone(500)
    await carol.until(lambda: carol.count("track_subscribed") == 4, "both tracks to come back")
    await (await carol.watch("alice")).assert_advances(8)


async def test_one_who_comes_later_is_asked_for_no_less(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice")
    let(alice, ParticipantTrackPermission(participant_identity="carol", allow_all=True))
    await alice.publish_tone(500)
    bob, carol = await join(server.url, "bob"), await join(server.url, "carol")
    await (await carol.listen("alice")).assert_tone(500)
    await bob.until(lambda: bob.publication("alice", rtc.TrackKind.KIND_AUDIO), "alice's track to be known")
    assert bob.count("track_subscribed") == 0


async def test_a_wish_that_is_not_granted_is_when_it_may_be(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob", auto_subscribe=False)
    let(alice)
    await alice.publish_tone(500)
    publication = await bob.until(lambda: bob.publication("alice", rtc.TrackKind.KIND_AUDIO), "alice's track")
    publication.set_subscribed(True)
    let(alice, everyone=True)
    await (await bob.listen("alice")).assert_tone(500)
