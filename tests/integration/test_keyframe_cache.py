"""A viewer who comes between two keyframes sees a picture at once, also where nobody can be asked for a keyframe."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiortc import MediaStreamTrack
from av import VideoFrame
from livekit import rtc

from sfu.node import Node
from tests.harness import pattern
from tests.harness.ffmpeg_whip import FfmpegPublisher
from tests.harness.fixtures import Join
from tests.harness.media import PatternReader
from tests.harness.raw_caller import RawCaller
from tests.harness.server import EmbeddedServer, make_token
from tests.harness.whip import whip_url

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

GOP_FRAMES = 150
TIMEOUT_S = 20.0


def plis_sent(server: EmbeddedServer) -> int:
    stats = cast(Node, server.sfu)._runtime.commands.stats()
    return sum(layer.plis_sent for track in stats.tracks for layer in track.layers)


def number(reader: PatternReader) -> int:
    """Of the newest picture; -1 before the first."""
    return next((frame.mark.number for frame in reversed(reader.frames) if frame.mark), -1)


async def next_number(track: MediaStreamTrack) -> int:
    """Of the next picture that carries one."""
    while True:
        frame = await track.recv()
        assert isinstance(frame, VideoFrame)
        if mark := pattern.read(frame.to_ndarray(format="gray")):
            return mark.number


async def test_late_viewer_of_a_publisher_that_takes_no_pli(embedded: EmbeddedServer, join: Join, room: str) -> None:
    """FFmpeg offers no PLI and sends ten seconds between keyframes. Pictures from before the viewer came are the proof:
    without a cache the first one would be of a keyframe that was sent later."""
    early = await join(embedded.url, "early")
    url, token = whip_url(embedded.url, room), make_token(room, "ffmpeg")
    ffmpeg = await FfmpegPublisher(url, token, 61, 440, gop=str(GOP_FRAMES)).start()
    eye = await early.watch("ffmpeg")
    # A third of the way to the next keyframe, with time left for the other to join.
    await eye.until(lambda: 30 <= number(eye) % GOP_FRAMES < 60, "the middle of a group of pictures", TIMEOUT_S)
    before = number(eye)
    late = await join(embedded.url, "late")
    late_eye = await late.watch("ffmpeg")
    await late_eye.until(lambda: number(late_eye) >= 0, "the first picture")
    first = next(frame.mark.number for frame in late_eye.frames if frame.mark)
    assert before - before % GOP_FRAMES <= first < before
    # It catches up, and goes on.
    await late_eye.until(lambda: number(late_eye) >= number(eye) - 3, "the present")
    await late_eye.assert_advances(61, frames=10)
    assert plis_sent(embedded) == 0
    await ffmpeg.stop()


async def test_late_viewer_of_a_publisher_that_takes_pli(embedded: EmbeddedServer, join: Join, room: str) -> None:
    """Its keyframe is old: it is shown all the same, and a new one asked for. The new one comes within a few pictures,
    so the late viewer is one that keeps what it decodes from the first packet on (an SDK's stream begins when somebody
    listens)."""
    alice = await join(embedded.url, "alice")
    await alice.publish_pattern(62, codec=rtc.VideoCodec.VP8)
    eye = await (await join(embedded.url, "early")).watch("alice")
    await eye.until(lambda: len(eye.frames) >= 25, "more than a second of pictures")
    asked, before = plis_sent(embedded), number(eye)
    late = await RawCaller(embedded.sfu).join(room, "late")
    async with asyncio.timeout(TIMEOUT_S):
        await late.until(lambda: bool(late.tracks))
        first = last = await next_number(late.tracks[0])
        while last < before + 15:
            last = await next_number(late.tracks[0])
    assert first < before
    assert plis_sent(embedded) > asked
    late.session.leave()
    await late.close()
