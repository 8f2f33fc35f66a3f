"""Pictures and sound of unmodified clients arrive as they were sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from livekit import rtc
from livekit.protocol.rtc import SignalRequest

from tests.harness.fixtures import Join
from tests.harness.proxy import SignalProxy
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

CODECS = {
    "vp8": (rtc.VideoCodec.VP8, "video/VP8"),
    "h264": (rtc.VideoCodec.H264, "video/H264"),
    "vp9": (rtc.VideoCodec.VP9, "video/VP9"),
    "av1": (rtc.VideoCodec.AV1, "video/AV1"),
}


@pytest.mark.parametrize("codec", CODECS)
async def test_video_pattern_arrives(server: ServerProcess, join: Join, codec: str) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    number, mime_type = CODECS[codec]
    await alice.publish_pattern(17, codec=number)
    eye = await bob.watch("alice")
    frames = await eye.assert_advances(17, frames=20)
    assert {(frame.width, frame.height) for frame in frames} == {(320, 180)}
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    assert publication.mime_type.lower() == mime_type.lower()


@pytest.mark.parametrize("options", [{}, {"red": False, "dtx": False}], ids=["red", "plain opus"])
async def test_tone_arrives(server: ServerProcess, join: Join, options: dict[str, bool]) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(523, **options)
    ear = await bob.listen("alice")
    await ear.assert_tone(523)


async def test_stereo_is_negotiated_and_both_sides_arrive(server: ServerProcess, join: Join) -> None:
    """This SDK offers stereo but never announces it, so the announcement is put in on the way. As a receiver it plays
    stereo packets as their mono mix, so what can be heard is that both sides are in them."""
    answers: list[str] = []
    offers: list[str] = []

    def announce_stereo(request: SignalRequest) -> None:
        if request.WhichOneof("message") == "add_track":
            request.add_track.stereo = True

    publishing = await SignalProxy(server.url, rewrite=record(answers), edit=announce_stereo).start()
    subscribing = await SignalProxy(server.url, rewrite=record(offers)).start()
    alice, bob = await join(publishing.url, "alice"), await join(subscribing.url, "bob")
    await alice.publish_tone(440, 1100)
    ear = await bob.listen("alice")
    await ear.assert_shares((440, 1100))
    assert "stereo=1" in answers[-1]
    assert "sprop-stereo=1" in offers[-1]
    for caller, proxy in ((alice, publishing), (bob, subscribing)):
        await caller.leave()
        await proxy.stop()


def record(descriptions: list[str]) -> Callable[[str], str]:
    def rewrite(sdp: str) -> str:
        descriptions.append(sdp)
        return sdp

    return rewrite


async def test_both_ways_in_one_call(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await asyncio.gather(
        alice.publish_pattern(1), alice.publish_tone(400), bob.publish_pattern(2), bob.publish_tone(700)
    )
    checks = []
    for caller, other, source, frequency in ((alice, "bob", 2, 700), (bob, "alice", 1, 400)):
        checks.append((await caller.watch(other)).assert_advances(source, frames=20))
        checks.append((await caller.listen(other)).assert_tone(frequency))
    await asyncio.gather(*checks)


async def test_a_late_joiner_sees_a_picture_soon(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_pattern(5)
    await (await bob.watch("alice")).assert_advances(5, frames=30)
    carol = await join(server.url, "carol")
    joined = time.monotonic()
    eye = await carol.watch("alice")
    await eye.assert_advances(5, frames=5)
    # Not the encoder's own keyframe interval (minutes): the server asked for one.
    assert eye.frames[0].at_s - joined < 3.0


async def test_two_publishers_and_five_subscribers(server: ServerProcess, join: Join) -> None:
    publishers = {"alice": (1, 400), "bob": (2, 700)}
    callers = {name: await join(server.url, name) for name in publishers}
    for name, (source, frequency) in publishers.items():
        await callers[name].publish_pattern(source, fps=10)
        await callers[name].publish_tone(frequency)
    watchers = await asyncio.gather(*(join(server.url, f"watcher-{number}") for number in range(5)))
    checks = []
    for watcher in watchers:
        for name, (source, frequency) in publishers.items():
            checks.append((await watcher.watch(name)).assert_advances(source, frames=15, timeout=20))
            checks.append((await watcher.listen(name)).assert_tone(frequency, timeout=20))
    await asyncio.gather(*checks)


async def test_the_speaker_is_named(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    publication = await alice.publish_tone(500)
    heard = await bob.wait_for("active_speakers_changed", bool)
    assert [speaker.identity for speaker in heard[0]] == ["alice"]
    alice_begin = len(bob.events)
    await alice.room.local_participant.unpublish_track(publication.sid)
    await bob.wait_for("active_speakers_changed", lambda speakers: not speakers, after=alice_begin)
