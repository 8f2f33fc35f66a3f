"""Simulcast: each subscriber gets the layer that it asked for."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest

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


async def test_layer_follows_the_size_of_the_view(server: ServerProcess, join: Join) -> None:
    """What clients with an adaptive stream send; this SDK has it below its Python surface only."""
    await publish(server, join)
    bob = await join(server.url, "bob")
    eye = await bob.watch("alice")
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    await expect(eye, HIGH)
    for width, height, quality in ((300, 170, LOW), (600, 340, MEDIUM), (1920, 1080, HIGH)):
        request = FfiRequest()
        request.update_remote_track_publication_dimension.track_publication_handle = publication._ffi_handle.handle
        request.update_remote_track_publication_dimension.width = width
        request.update_remote_track_publication_dimension.height = height
        FfiClient.instance.request(request)
        await expect(eye, quality)


async def test_a_disabled_track_rests(server: ServerProcess, join: Join) -> None:
    await publish(server, join)
    bob = await join(server.url, "bob")
    eye = await bob.watch("alice")
    _, publication = await bob.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
    await expect(eye, HIGH)
    for enabled in (False, True):
        request = FfiRequest()
        request.enable_remote_track_publication.track_publication_handle = publication._ffi_handle.handle
        request.enable_remote_track_publication.enabled = enabled
        FfiClient.instance.request(request)
        await (eye.assert_advances(3) if enabled else eye.quiet_for(1.0))
