"""Data tracks between real SDK clients."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from livekit.rtc.participant import PublishDataTrackError

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

TIMEOUT_S = 10.0


async def remote_track(caller: Caller, name: str) -> rtc.RemoteDataTrack:
    return (await caller.wait_for("data_track_published", lambda track: track.info.name == name))[0]


async def push_until(track: rtc.LocalDataTrack, payload: bytes, arrived: asyncio.Future[rtc.DataTrackFrame]) -> None:
    """Lossy as they are, frames are repeated until one has arrived."""
    async with asyncio.timeout(TIMEOUT_S):
        while not arrived.done():
            track.try_push(rtc.DataTrackFrame(payload=payload, user_timestamp=7))
            await asyncio.wait({arrived}, timeout=0.05)


async def frame(stream: rtc.DataTrackStream, payload: bytes) -> rtc.DataTrackFrame:
    async for received in stream:
        if received.payload == payload:
            return received
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("size", [10, 5_000, 60_000])
async def test_frames_reach_who_subscribed(server: ServerProcess, join: Join, size: int) -> None:
    alice, bob, carol = [await join(server.url, name) for name in ("alice", "bob", "carol")]
    local = await alice.room.local_participant.publish_data_track(name="pose")
    other = await alice.room.local_participant.publish_data_track(name="other")
    assert local.info.sid.startswith("DTR_")
    payload = bytes(range(250)) * (size // 250) + bytes(size % 250)
    readers = []
    for caller in (bob, carol):
        track = await remote_track(caller, "pose")
        assert (track.info.sid, track.publisher_identity) == (local.info.sid, "alice")
        readers.append(asyncio.ensure_future(frame(track.subscribe(), payload)))
    noise = asyncio.ensure_future(frame((await remote_track(bob, "other")).subscribe(), b"other"))
    for reader in readers:
        await push_until(local, payload, reader)
        assert reader.result().user_timestamp == 7
    await push_until(other, b"other", noise)
    await local.unpublish()
    await bob.wait_for("data_track_unpublished")


async def test_a_late_joiner_finds_the_track_and_its_end(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice")
    local = await alice.room.local_participant.publish_data_track(name="pose")
    bob = await join(server.url, "bob")
    track = await remote_track(bob, "pose")
    reader = asyncio.ensure_future(frame(track.subscribe(), b"late"))
    await push_until(local, b"late", reader)
    await alice.room.disconnect()
    await bob.wait_for("data_track_unpublished")


async def test_refusals_have_their_reason(server: ServerProcess, join: Join) -> None:
    alice = await join(server.url, "alice")
    mute = await join(server.url, "mute", can_publish_data=False)
    first = await alice.room.local_participant.publish_data_track(name="pose")
    for caller, name, reason in (
        (alice, "pose", "name"),
        (alice, "x" * 257, "name"),
        (mute, "pose", "unauthorized"),
    ):
        with pytest.raises(PublishDataTrackError) as refusal:
            await caller.room.local_participant.publish_data_track(name=name)
        assert reason in refusal.value.message
    assert first.is_published()
