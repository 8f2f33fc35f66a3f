"""What the engine does by looking at packets works on encrypted ones: layers, keyframes, a picture for late viewers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from livekit import rtc

from sealed.media import MediaKeys
from tests.harness import tone
from tests.harness.caller import Caller
from tests.harness.sealed_page import key_of
from tests.harness.server import ServerProcess
from tests.integration.test_layers import HIGH, LAYERINGS, LOW, SIZE, Viewer

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

Keyed = Callable[..., Awaitable[Caller]]
ALL = ["alice", "bob", "cleo"]
EPOCH = 4


@pytest_asyncio.fixture(loop_scope="session")
async def keyed(server: ServerProcess, room: str) -> AsyncIterator[Keyed]:
    callers: list[tuple[Caller, MediaKeys]] = []

    async def join_one(name: str, secret: str = "right") -> Caller:
        caller = Caller(server.url, room, name)
        keys = MediaKeys(caller.room)
        await caller.join(encryption=keys.options)
        callers.append((caller, keys))
        await keys.set_epoch(EPOCH, key_of(secret, EPOCH), ALL)
        return caller

    yield join_one
    for caller, keys in reversed(callers):
        keys.close()
        await caller.leave()


@pytest.mark.parametrize("kind", ["vp8 simulcast", "h264 simulcast", "vp9 svc"])
async def test_layers_are_switched_and_who_comes_late_sees(keyed: Keyed, kind: str) -> None:
    layering = LAYERINGS[kind]
    alice, bob = await keyed("alice"), await keyed("bob")
    await alice.publish_pattern(
        3, size=SIZE, fps=10, codec=layering.codec, simulcast=True, bitrate_bps=1_500_000, **layering.options
    )
    eye = await bob.watch("alice")
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    viewer = Viewer(eye, publication, layering)
    for quality in (HIGH, LOW, HIGH):
        publication.set_video_quality(quality)
        await viewer.expect(quality)
    cleo = await keyed("cleo")
    late = await cleo.watch("alice")
    await late.until(lambda: any(frame.mark and frame.mark.source == 3 for frame in late.frames), "a picture", 20)


async def test_sound_is_heard_and_never_noise(keyed: Keyed) -> None:
    alice, bob, cleo = await keyed("alice"), await keyed("bob"), await keyed("cleo", secret="wrong")
    await alice.publish_tone(523)
    ear = await bob.listen("alice", timeout=20)
    await ear.assert_tone(523, timeout=20)
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_AUDIO)
    # Without redundancy: a packet of RFC 2198 is encrypted as a whole, and nobody could take it apart for who knows
    # only Opus.
    assert publication.mime_type.lower() == "audio/opus"
    deaf = await cleo.listen("alice", timeout=20)
    begin = await ear.received(1.0, timeout=20)
    assert tone.rms(ear.since(begin)) > tone.SILENCE_RMS
    heard = deaf.since(0)
    assert not heard.size or tone.rms(heard) < tone.SILENCE_RMS
