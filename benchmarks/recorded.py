"""Numbered moving pictures that are encoded once, in advance, and published by who encodes nothing.

Eight encoders of two layers are more than two cores do, and what they leave out looks like a bad line. Here each
layer is a clip of `SECONDS`, made before anybody joins; a publisher of the load test sends it over ICE, DTLS and SRTP
of its own, begins it anew where somebody needs a keyframe, and leaves out layers that nobody wants (dynacast).
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import aiohttp
import av
import numpy as np

from benchmarks.load.livekit import LiveKitParticipant
from benchmarks.load.media import MAX_PAYLOAD_BYTES, NS_PER_S, Clip, Frames, Layer
from benchmarks.load.participant import Seat
from benchmarks.load.transport import Generator
from tests.harness import pattern

SECONDS = 8
"""Of a clip. Then it begins anew, with a keyframe."""
JOIN_TIMEOUT_S = 15.0
GRAIN, TRAVEL, NOISE = 8, 40, 4
"""Pixels of one grain of the background, pixels that it moves to each side, and how much each pixel changes by chance:
so that pictures need their bitrate and an encoder can still keep it."""
LIGHTEST = 110
"""The background, below what the bar is told by."""


@functools.cache
def recorded(source_id: int, layers: tuple[Layer, ...]) -> tuple[Clip, ...]:
    """The layers of one picture, lowest first, with the same numbers at the same time."""
    return tuple(_encoded(source_id, layer) for layer in layers)


def _encoded(source_id: int, layer: Layer) -> Clip:
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = layer.width, layer.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, layer.fps), Fraction(layer.fps)
    encoder.bit_rate = layer.bitrate_bps
    encoder.gop_size = SECONDS * layer.fps * 2
    rate = str(layer.bitrate_bps)
    encoder.options = {
        "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0", "max-intra-rate": "300",
        "minrate": rate, "maxrate": rate, "rc_buffer_size": rate, "undershoot-pct": "95", "qmin": "2", "qmax": "63",
    }  # fmt: skip
    scene = _Scene(source_id, layer)
    frames: Frames = []
    for number in range(SECONDS * layer.fps):
        picture = av.VideoFrame.from_ndarray(scene.draw(number), format="yuv420p")
        picture.pts = number
        for packet in encoder.encode(picture):
            frames.append((NS_PER_S // layer.fps, 90_000 // layer.fps, _split(bytes(packet))))
    assert len(frames) == SECONDS * layer.fps, "the encoder held frames back"
    return Clip("vp8", 90_000, frames, layer)


class _Scene:
    """The pattern, with a background that moves behind the bar."""

    def __init__(self, source_id: int, layer: Layer) -> None:
        self._source_id, self._width, self._height = source_id, layer.width, layer.height
        self._chance = np.random.default_rng(source_id)
        rows, columns = ((size + 2 * TRAVEL) // GRAIN + 1 for size in (self._height // 2, self._width))
        grain = self._chance.integers(60, LIGHTEST, (rows, columns), dtype=np.int16)
        self._texture = grain.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)

    def draw(self, number: int) -> np.typing.NDArray[np.uint8]:
        width, height = self._width, self._height
        data = pattern.draw(width, height, pattern.Mark(self._source_id, number))
        picture = np.frombuffer(data, dtype=np.uint8).reshape(height * 3 // 2, width).copy()
        lower = picture[height // 2 : height]
        across = round(TRAVEL + TRAVEL * math.sin(number / 11))
        down = round(TRAVEL + TRAVEL * math.cos(number / 7))
        view = self._texture[down : down + lower.shape[0], across : across + width]
        noise = self._chance.integers(-NOISE, NOISE + 1, lower.shape, dtype=np.int16)
        np.copyto(lower, (view + noise).astype(np.uint8), where=lower != pattern.WHITE)
        return picture


def _split(frame: bytes) -> list[tuple[bytes, bool]]:
    """Packets of about equal size, none of which ends with a stamp."""
    size = -(-len(frame) // -(-len(frame) // MAX_PAYLOAD_BYTES))
    return [(frame[start : start + size], False) for start in range(0, len(frame), size)]


class RecordedPublisher:
    """Joins, publishes one picture, and goes on until it leaves."""

    def __init__(self, url: str, token: str, clips: tuple[Clip, ...]) -> None:
        self._generator = Generator()
        self._http = aiohttp.ClientSession()
        seat = Seat(
            room=0, number=0, publish=(clips,), subscribe=False, sample=False, start_in_s=0.0, heeds_wishes=True
        )
        self._participant = LiveKitParticipant(
            self._generator, self._http, url, token, seat, nack=True, timeout_s=JOIN_TIMEOUT_S
        )

    async def join(self) -> RecordedPublisher:
        """Raises `LoadError`."""
        await self._participant.join()
        return self

    def packets(self) -> list[int]:
        """What was sent of each layer, lowest first."""
        return [sender["packets"] for sender in self._participant.figures().senders]

    def wanted(self) -> list[bool]:
        """Which layers somebody wants, lowest first."""
        return [sender["is_wanted"] for sender in self._participant.figures().senders]

    async def leave(self) -> None:
        await self._participant.leave()
        await self._http.close()
        self._generator.close()
