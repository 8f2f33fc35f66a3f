"""Sessions that are renegotiated often, and rooms that are full."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import aiohttp
import pytest
from livekit import rtc
from livekit.protocol.rtc import LeaveRequest

from tests.harness.fixtures import Join
from tests.harness.proxy import SignalProxy
from tests.harness.raw import RawParticipant, split_sections
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def test_publishing_again_and_again_does_not_grow_the_sdp(server: ServerProcess, join: Join) -> None:
    """Media sections are used again, and what comes after twenty rounds still works."""
    sections: list[int] = []

    def count_sections(sdp: str) -> str:
        sections.append(len(split_sections(sdp)[1]))
        return sdp

    proxy = await SignalProxy(server.url, count_sections).start()
    try:
        alice, bob = await join(server.url, "alice"), await join(proxy.url, "bob")
        for _ in range(20):
            begin = len(bob.events)
            publication = await alice.publish_tone(500)
            await bob.wait_for("track_subscribed", after=begin)
            await alice.unpublish_newest(publication)
            await bob.wait_for("track_unsubscribed", after=begin)
        await alice.publish_pattern(2)
        await alice.publish_tone(700)
        await (await bob.watch("alice")).assert_advances(2)
        await (await bob.listen("alice")).assert_tone(700)
        await bob.leave()
    finally:
        await proxy.stop()
    # Data, and the three sounds and three pictures that the SDK begins with.
    assert max(sections) <= 7, sections


async def test_a_hundred_rounds_as_fast_as_they_come_are_all_answered(server: ServerProcess, join: Join) -> None:
    """More offers than `max_negotiations_per_s` allows are slowed; the SDK would wait in vain for a refused one."""
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    begin = len(bob.events)
    async with asyncio.timeout(100):
        for number in range(100):
            track = rtc.LocalAudioTrack.create_audio_track(f"round {number}", rtc.AudioSource(48_000, 1))
            publication = await alice.room.local_participant.publish_track(track)
            await alice.room.local_participant.unpublish_track(publication.sid)
    last = (await alice.publish_tone(500)).sid
    # The offers to who listens are slowed as well, and tracks that have gone are there until then.
    await bob.wait_for(
        "track_subscribed", lambda _track, publication, _who: publication.sid == last, after=begin, timeout=60
    )
    await bob.until(lambda: list(bob.room.remote_participants["alice"].track_publications) == [last], "the last", 60)
    await (await bob.listen("alice")).assert_tone(500)
    server.assert_healthy()


async def test_a_flood_of_offers_costs_its_sender_alone(server: ServerProcess, join: Join, room: str) -> None:
    """A client that sends offer after offer without waiting for answers is put out; the call beside it goes on."""
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(500)
    async with aiohttp.ClientSession() as http:
        flooder = RawParticipant(room, "flooder")
        await flooder.join(http, server.url)
        await flooder.flood_offers(90)
        await flooder.until(lambda: flooder.left is not None, "the end of the session")
        assert flooder.left
        assert flooder.left.action == LeaveRequest.DISCONNECT
        await flooder.freeze()
    await (await bob.listen("alice")).assert_tone(500)


async def test_thirty_participants_converge(server: ServerProcess, join: Join, room: str) -> None:
    """Twenty-eight that only signal, two real clients among them: everyone ends with everyone's tracks.

    They join ten at a time (one address may have twenty connections that wait for admission) and publish at once, so
    that every offer is overtaken by news. Real media for thirty would need more than a test machine; that the thirty
    sections are usable is proved by the real two, who must see and hear each other.
    """
    begin = time.monotonic()
    async with aiohttp.ClientSession() as http:
        raw = [RawParticipant(room, f"raw-{number}") for number in range(28)]
        door = asyncio.Semaphore(10)

        async def enter(one: RawParticipant) -> None:
            async with door:
                await one.join(http, server.url)

        await asyncio.gather(*(enter(one) for one in raw))
        alice, bob, *_ = await asyncio.gather(
            join(server.url, "alice"), join(server.url, "bob"), *(one.publish_camera_and_microphone() for one in raw)
        )
        sources = count(1)
        for caller, frequency in ((alice, 400), (bob, 700)):
            await caller.publish_pattern(next(sources))
            await caller.publish_tone(frequency)
        await asyncio.gather(*(one.until(lambda who=one: len(who.received) == 58, "58 tracks", 30) for one in raw))
        tracks = {track.sid for info in raw[0].others.values() for track in info.tracks}
        assert set(raw[0].received.values()) == tracks
        for caller, other, source, frequency in ((alice, "bob", 2, 700), (bob, "alice", 1, 400)):
            await caller.until(lambda who=caller: subscribed_tracks(who.room) == 58, "58 tracks", 30)
            await (await caller.watch(other)).assert_advances(source)
            await (await caller.listen(other)).assert_tone(frequency)
        # Debounced: far fewer offers than the 58 changes that there were.
        assert max(one.offers for one in raw) <= 30, [one.offers for one in raw]
        assert time.monotonic() - begin < 60
        await asyncio.gather(*(one.leave() for one in raw))
        await alice.until(lambda: len(alice.room.remote_participants) == 1, "the others to be gone")


def subscribed_tracks(room: rtc.Room) -> int:
    return sum(
        publication.track is not None
        for participant in room.remote_participants.values()
        for publication in participant.track_publications.values()
    )
