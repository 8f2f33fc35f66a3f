"""Simulcast and SVC: each subscriber gets the layer that it asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest

from tests.harness.fixtures import Join
from tests.harness.media import PatternReader
from tests.harness.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SIZE = (960, 540)
TIMEOUT_S = 20.0
LOW, MEDIUM, HIGH = (
    rtc.VideoQuality.VIDEO_QUALITY_LOW, rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, rtc.VideoQuality.VIDEO_QUALITY_HIGH,
)  # fmt: skip


@dataclass(frozen=True)
class Layering:
    """How a camera is sent, and how wide its three layers are (what the SDK makes of 960 x 540)."""

    codec: rtc.VideoCodec.ValueType
    widths: tuple[int, int, int]
    options: dict[str, Any] = field(default_factory=dict)


VP8 = Layering(rtc.VideoCodec.VP8, (320, 640, 960))
LAYERINGS = {
    "vp8 simulcast": VP8,
    "h264 simulcast": Layering(rtc.VideoCodec.H264, (320, 640, 960)),
    "vp9 svc": Layering(rtc.VideoCodec.VP9, (240, 480, 960), {"scalability_mode": "L3T3_KEY"}),
    "av1 svc": Layering(rtc.VideoCodec.AV1, (240, 480, 960), {"scalability_mode": "L3T3_KEY"}),
}


class Viewer:
    """Someone who watches alice and may ask for another layer."""

    def __init__(self, eye: PatternReader, publication: rtc.RemoteTrackPublication, layering: Layering) -> None:
        self.eye, self.publication, self.widths = eye, publication, layering.widths

    async def expect(self, quality: int) -> None:
        """Pictures become those of the layer and stay so: ten in a row."""
        width = self.widths[quality]
        frames, before = self.eye.frames, len(self.eye.frames)

        def settled() -> bool:
            last = frames[max(before, len(frames) - 10) :]
            return len(last) == 10 and {frame.width for frame in last} == {width}

        await self.eye.until(settled, f"ten pictures {width} wide in a row", TIMEOUT_S)

    def ask_for_size(self, width: int, height: int) -> None:
        """What clients with an adaptive stream do; this SDK has it below its Python surface only."""
        request = FfiRequest()
        request.update_remote_track_publication_dimension.track_publication_handle = self._handle
        request.update_remote_track_publication_dimension.width = width
        request.update_remote_track_publication_dimension.height = height
        FfiClient.instance.request(request)

    def enable(self, enabled: bool) -> None:
        request = FfiRequest()
        request.enable_remote_track_publication.track_publication_handle = self._handle
        request.enable_remote_track_publication.enabled = enabled
        FfiClient.instance.request(request)

    @property
    def _handle(self) -> int:
        return self.publication._ffi_handle.handle


async def watch_alice(server: ServerProcess, join: Join, layering: Layering, *names: str) -> list[Viewer]:
    alice = await join(server.url, "alice")
    await alice.publish_pattern(
        3, size=SIZE, fps=10, codec=layering.codec, simulcast=True, bitrate_bps=1_500_000, **layering.options
    )
    viewers = []
    for name in names:
        caller = await join(server.url, name)
        eye = await caller.watch("alice")
        _, publication = await caller.subscribed("alice", rtc.TrackKind.KIND_VIDEO)
        viewers.append(Viewer(eye, publication, layering))
    return viewers


@pytest.mark.parametrize("kind", LAYERINGS)
async def test_layer_follows_the_size_of_the_view(server: ServerProcess, join: Join, kind: str) -> None:
    (bob,) = await watch_alice(server, join, LAYERINGS[kind], "bob")
    await bob.expect(HIGH)
    low, medium, _ = bob.widths
    for width, quality in ((low, LOW), (1920, HIGH), (medium, MEDIUM), (low - 20, LOW)):
        bob.ask_for_size(width, width * 9 // 16)
        await bob.expect(quality)


async def test_layer_follows_the_quality(server: ServerProcess, join: Join) -> None:
    (bob,) = await watch_alice(server, join, VP8, "bob")
    assert bob.publication.simulcasted
    for quality in (HIGH, LOW, MEDIUM, HIGH):
        bob.publication.set_video_quality(quality)
        await bob.expect(quality)


async def test_subscribers_have_layers_of_their_own(server: ServerProcess, join: Join) -> None:
    bob, carol = await watch_alice(server, join, VP8, "bob", "carol")
    await asyncio.gather(bob.expect(HIGH), carol.expect(HIGH))
    bob.publication.set_video_quality(LOW)
    await asyncio.gather(bob.expect(LOW), carol.expect(HIGH))


async def test_a_disabled_track_rests(server: ServerProcess, join: Join) -> None:
    (bob,) = await watch_alice(server, join, VP8, "bob")
    await bob.expect(HIGH)
    bob.enable(False)
    await bob.eye.quiet_for(1.0)
    bob.enable(True)
    await bob.expect(HIGH)
