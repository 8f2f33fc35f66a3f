"""Pictures that are encoded once: what the benchmark of bad lines publishes is what a camera would."""

from __future__ import annotations

import av
import numpy as np
import pytest
from livekit import rtc

from benchmarks.load.media import Layer
from benchmarks.recorded import SECONDS, RecordedPublisher, recorded
from tests.harness import pattern
from tests.harness.caller import Caller
from tests.harness.media import MEDIA_TIMEOUT_S, PatternReader
from tests.harness.server import ServerProcess, make_token
from tests.harness.waiting import eventually

SOURCE = 5
LAYERS = (Layer("q", 160, 90, 10, 60_000), Layer("h", 320, 180, 10, 200_000))


def test_every_picture_of_a_layer_can_be_read_and_keeps_its_bitrate() -> None:
    for layer, clip in zip(LAYERS, recorded(SOURCE, LAYERS), strict=True):
        decoder = av.CodecContext.create("vp8", "r")
        marks = []
        for _, _, packets in clip.frames:
            assert all(not stamped for _, stamped in packets)
            for frame in decoder.decode(av.Packet(b"".join(payload for payload, _ in packets))):
                picture = frame.to_ndarray(format="yuv420p")
                marks.append(pattern.read(np.ascontiguousarray(picture[: layer.height])))
        assert marks == [pattern.Mark(SOURCE, number) for number in range(SECONDS * layer.fps)]
        assert clip.bitrate_bps == pytest.approx(layer.bitrate_bps, rel=0.2)


async def assert_shows(reader: PatternReader, layer: Layer) -> None:
    """Ten pictures of that layer from now on. Numbers begin anew with a keyframe."""
    begin = len(reader.frames)

    def shown() -> int:
        marks = [frame.mark for frame in reader.frames[begin:] if frame.width == layer.width]
        return sum(mark is not None and mark.source == SOURCE for mark in marks)

    await reader.until(lambda: shown() >= 10, f"pictures of {layer.width} pixels", MEDIA_TIMEOUT_S)


async def test_what_nobody_wants_is_not_sent_and_begins_with_a_keyframe(server: ServerProcess, room: str) -> None:
    publisher = RecordedPublisher(server.url, make_token(room, "recorded"), recorded(SOURCE, LAYERS))
    receiver = Caller(server.url, room, "receiver")
    try:
        await publisher.join()
        await receiver.join()
        reader = await receiver.watch("recorded", keeps_all=True)
        _, publication = await receiver.subscribed("recorded", rtc.TrackKind.KIND_VIDEO)
        await assert_shows(reader, LAYERS[1])

        publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_LOW)
        await assert_shows(reader, LAYERS[0])

        def pauses() -> bool:
            return publisher.wanted() == [True, False]

        await eventually(pauses, "the upper layer to pause")
        _, upper = publisher.packets()
        lower, _ = publisher.packets()
        await eventually(lambda: publisher.packets()[0] > lower + 20, "the lower layer to go on")
        assert publisher.packets()[1] == upper

        publication.set_video_quality(rtc.VideoQuality.VIDEO_QUALITY_HIGH)
        await assert_shows(reader, LAYERS[1])
    finally:
        await receiver.leave()
        await publisher.leave()
