"""What simulated publishers send: clips that are encoded once and replayed, or synthetic packets of a given size.

Each clip begins with a keyframe and has no other; whoever needs one makes the sender begin the clip anew. Stamped
payloads end with room for the time of sending, where a decoder does not look: behind the last partition of a VP8
frame (RFC 6386 §9.5), in a filler NAL unit of H264 (T-REC H.264 §7.4.1), in the padding of an Opus packet (RFC 6716
§3.2.5).
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmarks.load.errors import LoadError, UsageError

STAMP_BYTES = 24
"""`ting_engine` writes a mark of 8 bytes and 16 hexadecimal digits."""
MAX_PAYLOAD_BYTES = 1100
CLIP_SECONDS = 4
AUDIO_PACKET_MS = 20
TRAVEL = 32
"""Pixels that the view moves to each side."""
NS_PER_S = 1_000_000_000

Frames = list[tuple[int, int, list[tuple[bytes, bool]]]]
"""(duration in ns, timestamp units, [(payload, stamped)])."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One encoding of a video. `rid` is empty without simulcast."""

    rid: str
    width: int
    height: int
    fps: int
    bitrate_bps: int


@dataclass(frozen=True, slots=True)
class Clip:
    """`codec` vp8, h264 or opus."""

    codec: str
    clock_rate: int
    frames: Frames
    layer: Layer | None = None
    is_decodable: bool = True

    @property
    def packets_per_s(self) -> float:
        return sum(len(packets) for _, _, packets in self.frames) * NS_PER_S / sum(frame[0] for frame in self.frames)

    @property
    def bitrate_bps(self) -> float:
        size = sum(len(payload) for _, _, packets in self.frames for payload, _ in packets)
        return size * 8 * NS_PER_S / sum(frame[0] for frame in self.frames)


PRESETS: dict[str, tuple[Layer, ...]] = {
    "180p": (Layer("", 320, 180, 20, 160_000),),
    "360p": (Layer("", 640, 360, 25, 500_000),),
    "720p": (Layer("", 1280, 720, 30, 1_500_000),),
    "simulcast": (
        Layer("q", 320, 180, 15, 160_000),
        Layer("h", 640, 360, 20, 450_000),
        Layer("f", 1280, 720, 30, 1_700_000),
    ),
}
_SYNTHETIC_VIDEO = re.compile(r"(\d{1,4})x(\d{1,3})@(\d{1,3})")
_SYNTHETIC_AUDIO = re.compile(r"(\d{1,4})@(\d{1,3})")


def video_clips(wish: str, codec: str) -> list[Clip]:
    """The clips of one video, lowest layer first. `wish` is a preset or BYTESxPACKETS@FPS. Raises `UsageError`."""
    if wish in PRESETS:
        return [_encoded_video(layer, codec) for layer in PRESETS[wish]]
    match = _SYNTHETIC_VIDEO.fullmatch(wish)
    if match is None:
        raise UsageError(f"--video {wish}: expected none, {', '.join(PRESETS)} or BYTESxPACKETS@FPS, as in 1200x6@30")
    size, count, fps = (int(value) for value in match.groups())
    if not (64 <= size <= 1300 and count and fps):
        raise UsageError(f"--video {wish}: packets have 64 to 1300 bytes, frames at least one packet")
    return [_synthetic_video(size, count, fps)]


def audio_clip(wish: str) -> Clip:
    """`wish` is "opus" (a spoken-like tone) or BYTES@PER_SECOND. Raises `UsageError`."""
    if wish == "opus":
        return _encoded_audio()
    match = _SYNTHETIC_AUDIO.fullmatch(wish)
    if match is None:
        raise UsageError(f"--audio {wish}: expected opus or BYTES@PER_SECOND, as in 120@50")
    size, rate = (int(value) for value in match.groups())
    if not (STAMP_BYTES + 4 <= size <= 1300 and rate):
        raise UsageError(f"--audio {wish}: packets have {STAMP_BYTES + 4} to 1300 bytes")
    duration_ns = NS_PER_S // rate
    return Clip("opus", 48_000, [(duration_ns, 48_000 // rate, [(bytes(size), True)])], is_decodable=False)


# --- synthetic -------------------------------------------------------------------------------------------------


def _synthetic_video(size: int, count: int, fps: int) -> Clip:
    """Packets that an SFU takes for VP8: a keyframe header where one belongs, and filler."""
    layer = Layer("", 1280, 720, fps, size * count * fps * 8)

    def frame(key: bool) -> list[tuple[bytes, bool]]:
        # RFC 6386 §9.1: frame tag, start code, 1280 by 720.
        head = bytes((0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02)) if key else bytes((0x11, 2, 0))
        first = head + bytes(size - len(head))
        return [(first if index == 0 else bytes(size), True) for index in range(count)]

    duration_ns, ticks = NS_PER_S // fps, 90_000 // fps
    frames = [(duration_ns, ticks, frame(index == 0)) for index in range(CLIP_SECONDS * fps)]
    return Clip("vp8", 90_000, frames, layer, is_decodable=False)


# --- encoded ---------------------------------------------------------------------------------------------------


@functools.cache
def _encoded_video(layer: Layer, codec: str) -> Clip:
    av = _import_av()
    name = {"vp8": "libvpx", "h264": "libx264"}[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = layer.width, layer.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, layer.fps), Fraction(layer.fps)
    encoder.bit_rate = layer.bitrate_bps
    encoder.gop_size = CLIP_SECONDS * layer.fps * 2
    if codec == "vp8":
        encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    else:
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    frames: Frames = []
    duration_ns, ticks = NS_PER_S // layer.fps, 90_000 // layer.fps
    texture = _texture(layer)
    for index in range(CLIP_SECONDS * layer.fps):
        view = _window(layer, texture, index)
        picture = av.VideoFrame.from_ndarray(view, format="gray").reformat(format="yuv420p")
        picture.pts = index
        for packet in encoder.encode(picture):
            data = bytes(packet)
            packets = _split_vp8(data) if codec == "vp8" else _split_h264(data)
            frames.append((duration_ns, ticks, packets))
    if len(frames) < CLIP_SECONDS * layer.fps:
        raise LoadError(f"the {codec} encoder held frames back")
    return Clip(codec, 90_000, frames, layer)


def _texture(layer: Layer) -> Any:
    """A picture larger than the video, with enough detail to need its bitrate; the video looks at a part of it."""
    import numpy

    height, width = layer.height + 2 * TRAVEL, layer.width + 2 * TRAVEL
    rows, columns = numpy.arange(height)[:, None], numpy.arange(width)[None, :]
    grain = numpy.random.default_rng(1).integers(0, 60, (height // 6 + 1, width // 6 + 1))
    detail = grain.repeat(6, axis=0).repeat(6, axis=1)[:height, :width]
    return (90 + 40 * numpy.sin(columns / 23) + 40 * numpy.cos(rows / 17) + detail).astype(numpy.uint8)


def _window(layer: Layer, texture: Any, index: int) -> Any:
    across = round(TRAVEL + TRAVEL * math.sin(index / 11))
    down = round(TRAVEL + TRAVEL * math.cos(index / 7))
    return texture[down : down + layer.height, across : across + layer.width].copy()


def _split_vp8(frame: bytes) -> list[tuple[bytes, bool]]:
    frame += bytes(STAMP_BYTES)
    count = -(-len(frame) // MAX_PAYLOAD_BYTES)
    # Pieces of equal size, so that the stamp is never cut.
    size = -(-len(frame) // count)
    pieces = [frame[start : start + size] for start in range(0, len(frame), size)]
    if len(pieces) > 1 and len(pieces[-1]) < STAMP_BYTES:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return [(piece, index == len(pieces) - 1) for index, piece in enumerate(pieces)]


def _split_h264(access_unit: bytes) -> list[tuple[bytes, bool]]:
    """Single NAL units and FU-A (RFC 6184 §5.6, §5.8), then a filler NAL unit for the stamp."""
    packets: list[tuple[bytes, bool]] = []
    for unit in re.split(rb"\x00\x00\x00?\x01", access_unit):
        if not unit:
            continue
        if len(unit) <= MAX_PAYLOAD_BYTES:
            packets.append((unit, False))
            continue
        indicator, kind, body = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
        starts = range(0, len(body), MAX_PAYLOAD_BYTES)
        for start in starts:
            piece = body[start : start + MAX_PAYLOAD_BYTES]
            head = kind | (0x80 if start == 0 else 0) | (0x40 if start == starts[-1] else 0)
            packets.append((bytes((indicator, head)) + piece, False))
    packets.append((b"\x0c" + bytes(STAMP_BYTES), True))
    return packets


@functools.cache
def _encoded_audio() -> Clip:
    import numpy

    av = _import_av()
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate = 32_000
    size = 48 * AUDIO_PACKET_MS
    frames: Frames = []
    for index in range(CLIP_SECONDS * 1000 // AUDIO_PACKET_MS):
        time = (numpy.arange(size) + index * size) / 48_000
        loudness = 0.2 + 0.15 * numpy.sin(2 * numpy.pi * 3 * time)
        samples = (loudness * numpy.sin(2 * numpy.pi * 220 * time) * 32_767).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, index * size
        for packet in encoder.encode(frame):
            frames.append((AUDIO_PACKET_MS * 1_000_000, size, [(_with_padding(bytes(packet)), True)]))
    return Clip("opus", 48_000, frames)


def _with_padding(packet: bytes) -> bytes:
    """A packet of one frame (code 0) as a code 3 packet of one frame with padding (RFC 6716 §3.2.5)."""
    if packet[0] & 3:
        raise LoadError("the Opus encoder made packets of several frames")
    return bytes((packet[0] | 3, 0x41, STAMP_BYTES)) + packet[1:] + bytes(STAMP_BYTES)


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise LoadError("encoded media needs PyAV (pip install av); synthetic media does not") from error
    return av
