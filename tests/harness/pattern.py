"""A video picture that carries its own frame number and survives lossy coding and scaling.

The upper half is a grid of black and white cells: 8 bits of source, 16 bits of frame number, 8 bits of CRC. The lower
half holds a bar whose place follows from the frame number, so that number and picture check each other.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLUMNS, ROWS = 8, 4
BAR_STEPS = 16
BLACK, GREY, WHITE = 16, 90, 235

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a picture says of itself."""

    source: int
    number: int


def draw(width: int, height: int, mark: Mark) -> bytes:
    """An I420 picture of `mark`, width and height even."""
    luma = np.full((height, width), GREY, dtype=np.uint8)
    for index, bit in enumerate(_bits(mark)):
        top, bottom, left, right = _cell(width, height, index)
        luma[top:bottom, left:right] = WHITE if bit else BLACK
    left, right = _bar(width, mark.number)
    luma[height // 2 :, left:right] = WHITE
    return luma.tobytes() + bytes([128]) * (width * height // 2)


def read(luma: Luma) -> Mark | None:
    """The mark of a received picture; None when it cannot be read, or number and bar disagree."""
    height, width = luma.shape
    bits = []
    for index in range(COLUMNS * ROWS):
        top, bottom, left, right = _cell(width, height, index)
        down, across = (bottom - top) // 4, (right - left) // 4
        bits.append(bool(luma[top + down : bottom - down, left + across : right - across].mean() > 125))
    value = int.from_bytes(np.packbits(bits).tobytes(), "big")
    mark = Mark(source=value >> 24, number=(value >> 8) & 0xFFFF)
    if _bits(mark) != bits:
        return None
    row = luma[height * 5 // 8 : height * 7 // 8].mean(axis=0)
    left, right = _bar(width, mark.number)
    middle = (left + right) / 2
    bright = np.flatnonzero(row > 160)
    if not bright.size or abs(float(bright.mean()) - middle) > width / BAR_STEPS / 2:
        return None
    return mark


def _bits(mark: Mark) -> list[bool]:
    head = bytes([mark.source]) + mark.number.to_bytes(2, "big")
    data = head + bytes([zlib.crc32(head) & 0xFF])
    return [bool(bit) for bit in np.unpackbits(np.frombuffer(data, dtype=np.uint8))]


def _cell(width: int, height: int, index: int) -> tuple[int, int, int, int]:
    row, column = divmod(index, COLUMNS)
    half = height // 2
    return (
        row * half // ROWS, (row + 1) * half // ROWS,
        column * width // COLUMNS, (column + 1) * width // COLUMNS,
    )  # fmt: skip


def _bar(width: int, number: int) -> tuple[int, int]:
    step = number % BAR_STEPS
    return step * width // BAR_STEPS, (step + 1) * width // BAR_STEPS
