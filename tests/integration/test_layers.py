"""Simulcast: each subscriber gets the layer that it asked for."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from tests.harness.caller import Caller
from tests.harness.fixtures import Join
from tests.harness.media import PatternReader
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SIZE = (960, 540)
LOW, MEDIUM, HIGH = (
    rtc.VideoQuality.VIDEO_QUALITY_LOW, rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, rtc.VideoQuality.VIDEO_QUALITY_HIGH,
)  # fmt: skip
WIDTHS = {LOW: 320, MEDIUM: 640, HIGH: 960}
TIMEOUT_S = 20.0


async def publish(server: ServerProcess, join: Join) -> Caller:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(3, size=SIZE, fps=10, simulcast=True, bitrate_bps=1_500_000)
    return alice


async def expect(eye: PatternReader, quality: rtc.VideoQuality.ValueType) -> None:
    """Pictures become those of the layer, and stay so."""
    width = WIDTHS[quality]
    await eye.until(lambda: eye.frames and eye.frames[-1].width == width, f"pictures {width} wide", TIMEOUT_S)
    frames = await eye.assert_advances(3, frames=10)
    assert {frame.width for frame in frames} == {width}


async def test_layer_follows_track_setting(server: ServerProcess, join: Join) -> None:
    await publish(server, join)
    bob = await join(server.url, "bob")
    eye = await bob.watch("alice")
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    assert publication.simulcasted
    await expect(eye, HIGH)
    for quality in (LOW, MEDIUM, HIGH, LOW):
        publication.set_video_quality(quality)
        await expect(eye, quality)


async def test_subscribers_have_layers_of_their_own(server: ServerProcess, join: Join) -> None:
    await publish(server, join)
    bob, carol = await join(server.url, "bob"), await join(server.url, "carol")
    eyes = await asyncio.gather(bob.watch("alice"), carol.watch("alice"))
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    publication.set_video_quality(LOW)
    await asyncio.gather(expect(eyes[0], LOW), expect(eyes[1], HIGH))
