"""The pattern must survive what a call does to pictures, and must not be found where it is not."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.harness import pattern


def luma(data: bytes, width: int, height: int) -> pattern.Luma:
    return np.frombuffer(data, dtype=np.uint8, count=width * height).reshape(height, width)


@pytest.mark.parametrize("size", [(160, 90), (320, 180), (640, 360), (1280, 720)])
@pytest.mark.parametrize("number", [0, 1, 255, 32768, 65535])
def test_reads_what_it_drew(size: tuple[int, int], number: int) -> None:
    mark = pattern.Mark(source=200, number=number)
    assert pattern.read(luma(pattern.draw(*size, mark), *size)) == mark


def test_survives_vp8_at_a_low_bitrate_and_half_the_size() -> None:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 90, "yuv420p"
    encoder.bit_rate, encoder.time_base, encoder.framerate = 80_000, Fraction(1, 15), 15
    encoder.options = {"deadline": "realtime", "lag-in-frames": "0"}
    decoder = av.CodecContext.create("vp8", "r")
    read = []
    for number in range(30):
        drawn = luma(pattern.draw(320, 180, pattern.Mark(7, number)), 320, 180)
        whole = np.vstack([drawn, np.full((90, 320), 128, dtype=np.uint8)])
        frame = av.VideoFrame.from_ndarray(whole, format="yuv420p").reformat(160, 90)
        frame.pts = number
        for packet in encoder.encode(frame):
            for picture in decoder.decode(packet):
                read.append(pattern.read(picture.to_ndarray()[:90, :160]))
    assert read == [pattern.Mark(7, number) for number in range(30)]


def test_refuses_other_pictures() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (180, 320), dtype=np.uint8)
    black, white = np.zeros((180, 320), dtype=np.uint8), np.full((180, 320), 255, dtype=np.uint8)
    assert [pattern.read(picture) for picture in (noise, black, white)] == [None, None, None]


def test_refuses_a_number_that_the_bar_contradicts() -> None:
    upper = luma(pattern.draw(320, 180, pattern.Mark(1, 4)), 320, 180)[:90]
    lower = luma(pattern.draw(320, 180, pattern.Mark(1, 9)), 320, 180)[90:]
    assert pattern.read(np.vstack([upper, lower])) is None
