"""Participants that change: name, metadata, attributes and rights, as the SDK sees it."""

from __future__ import annotations

import dataclasses

import pytest
from livekit import rtc

from sfu.api import ParticipantSession, Permissions
from sfu.ids import Identity, RoomName
from tests.harness.fixtures import Join
from tests.harness.server import EmbeddedServer, ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

VIDEO, AUDIO = rtc.TrackKind.KIND_VIDEO, rtc.TrackKind.KIND_AUDIO


def session_of(server: EmbeddedServer, room: str, identity: str) -> ParticipantSession:
    session = server.sfu.find_participant(RoomName(room), Identity(identity))
    assert session is not None
    return session


async def test_own_name_metadata_and_attributes(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice", can_update_own_metadata=True)
    bob = await join(server.url, "bob")
    me = alice.room.local_participant
    await me.set_name("Alice L.")
    await me.set_metadata('{"team": "red"}')
    await me.set_attributes({"hand": "up", "pet": "cat"})
    await me.set_attributes({"hand": ""})
    await bob.wait_for("participant_attributes_changed", lambda changed, _: changed == {"hand": ""})
    seen = bob.room.remote_participants["alice"]
    assert (seen.name, seen.metadata, seen.attributes) == ("Alice L.", '{"team": "red"}', {"pet": "cat"})
    await alice.until(lambda: me.attributes == {"pet": "cat"}, "the own attributes")
    assert (me.name, me.metadata) == ("Alice L.", '{"team": "red"}')


async def test_rights_change_during_the_call(embedded: EmbeddedServer, join: Join, room: str) -> None:
    alice, bob = await join(embedded.url, "alice"), await join(embedded.url, "bob")
    await alice.publish_tone(600)
    await alice.publish_pattern(7)
    ear, eye = await bob.listen("alice"), await bob.watch("alice")
    await ear.assert_tone(600)
    await eye.assert_advances(7)

    session_of(embedded, room, "alice").set_permissions(Permissions(can_publish=False))
    await alice.until(lambda: not alice.room.local_participant.permissions.can_publish, "no right to publish")
    await bob.until(lambda: not bob.room.remote_participants["alice"].track_publications, "no publications")

    # Allowed again, it publishes anew. This SDK goes on sending what it had: that must not be taken for the new track.
    session_of(embedded, room, "alice").set_permissions(Permissions())
    await alice.until(lambda: alice.room.local_participant.permissions.can_publish, "the right to publish")
    await alice.publish_tone(900)
    ear = await bob.listen("alice")
    await ear.assert_tone(900)

    begin = len(bob.events)
    session_of(embedded, room, "bob").set_permissions(dataclasses.replace(Permissions(), can_subscribe=False))
    assert embedded.sfu.metrics()["ting_subscriptions"] == 0
    session_of(embedded, room, "bob").set_permissions(Permissions())
    await bob.wait_for("track_subscribed", after=begin)
    await (await bob.listen("alice")).assert_tone(900)
