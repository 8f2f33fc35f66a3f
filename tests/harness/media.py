"""Media of the `livekit` SDK: sources that make patterns and tones, readers that check what arrived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2 as ffi
from livekit.rtc._proto.video_frame_pb2 import VideoStreamType

from tests.harness import pattern, tone

MEDIA_TIMEOUT_S = 10.0
QUEUED_FRAMES = 30


class PatternSource:
    """A camera that shows the pattern, its number going up by one per frame."""

    def __init__(self, source_id: int, size: tuple[int, int], fps: int, *, noisy: bool = False) -> None:
        """`noisy`: colours change so much that the encoder needs all the bitrate it may have."""
        self.source = rtc.VideoSource(*size)
        self._noise = np.random.default_rng(source_id) if noisy else None
        self.number = 0
        self.shown_at_s: dict[int, float] = {}
        """By number, when each picture was last shown, as `SeenFrame.at_s`."""
        self._source_id = source_id
        self._size = size
        self._interval_s = 1 / fps
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.source.aclose()

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            data = pattern.draw(*self._size, pattern.Mark(self._source_id, self.number))
            if self._noise is not None:
                luma_bytes = self._size[0] * self._size[1]
                data = data[:luma_bytes] + self._noise.bytes(len(data) - luma_bytes)
            self.shown_at_s[self.number] = time.monotonic()
            self.source.capture_frame(rtc.VideoFrame(*self._size, rtc.VideoBufferType.I420, data))
            self.number = (self.number + 1) % 0x10000
            due = max(due + self._interval_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())


class SoundSource:
    """A microphone. `make` gives the samples of one channel: (number of the first, how many)."""

    def __init__(self, *channels: Callable[[int, int], npt.NDArray[np.int16]]) -> None:
        self.source = rtc.AudioSource(tone.SAMPLE_RATE, len(channels), queue_size_ms=200)
        self._channels = channels
        self._task = asyncio.create_task(self._run())

    @classmethod
    def tones(cls, *frequencies_hz: float) -> SoundSource:
        """One steady tone per channel."""
        return cls(*(partial(tone.sine, frequency_hz) for frequency_hz in frequencies_hz))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.source.aclose()

    async def _run(self) -> None:
        first = 0
        while True:
            channels = [make(first, tone.CHUNK) for make in self._channels]
            data = np.stack(channels, axis=1).tobytes()
            # Waits while the queue is full: that is the clock of this loop.
            await self.source.capture_frame(rtc.AudioFrame(data, tone.SAMPLE_RATE, len(channels), tone.CHUNK))
            first += tone.CHUNK


@dataclass(frozen=True, slots=True)
class SeenFrame:
    at_s: float
    width: int
    height: int
    mark: pattern.Mark | None


class _KeepingVideoStream(rtc.VideoStream):
    """Keeps what was decoded until it is read: by itself the SDK keeps one picture, and drops it for the next one. Its
    protocol has a field for that, its Python does not."""

    def _create_owned_stream(self) -> Any:
        assert self._track is not None
        request = ffi.FfiRequest()
        stream = request.new_video_stream
        stream.track_handle = self._track._ffi_handle.handle
        stream.type = VideoStreamType.VIDEO_STREAM_NATIVE
        stream.format = rtc.VideoBufferType.I420
        stream.normalize_stride = True
        stream.queue_size_frames = QUEUED_FRAMES
        return FfiClient.instance.request(request).new_video_stream.stream


class PatternReader:
    """Reads the pattern out of every frame of a remote video track; `frames` keeps what was seen."""

    def __init__(self, track: rtc.Track, *, keeps_all: bool = False) -> None:
        """`keeps_all`: every picture that was decoded is seen, also where the next one came at once."""
        self.frames: list[SeenFrame] = []
        make = _KeepingVideoStream if keeps_all else rtc.VideoStream
        self._stream = make(track, format=rtc.VideoBufferType.I420)
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()

    async def assert_advances(
        self, source_id: int, frames: int = 10, timeout: float = MEDIA_TIMEOUT_S, width: int | None = None
    ) -> list[SeenFrame]:
        """Wait for that many new frames with this source's pattern, in order, at least nine of ten readable."""
        begin = len(self.frames)

        def good() -> dict[int, SeenFrame]:
            return {
                frame.mark.number: frame
                for frame in self.frames[begin:]
                if frame.mark and frame.mark.source == source_id and (width is None or frame.width == width)
            }

        await self.until(lambda: len(good()) >= frames, f"{frames} frames of source {source_id}", timeout)
        seen = self.frames[begin:]
        foreign = {frame.mark.source for frame in seen if frame.mark} - {source_id}
        assert not foreign, f"patterns of {foreign} in the track of source {source_id}"
        unreadable = sum(frame.mark is None for frame in seen)
        assert unreadable * 10 <= len(seen), f"{unreadable} of {len(seen)} frames cannot be read"
        numbers = [frame.mark.number for frame in seen if frame.mark]
        assert numbers == sorted(numbers), f"frames out of order: {numbers}"
        return list(good().values())

    async def until(self, probe: Callable[[], object], what: str, timeout: float = MEDIA_TIMEOUT_S) -> None:
        """Evaluate `probe` at every frame until it is true."""
        try:
            async with asyncio.timeout(timeout):
                while not probe():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            last = self.frames[-3:]
            raise AssertionError(
                f"waited {timeout} s for {what}; {len(self.frames)} frames came, last {last}"
            ) from None

    async def quiet_for(self, seconds: float, timeout: float = MEDIA_TIMEOUT_S) -> None:
        """Return once no frame came for that long; AssertionError when frames never stop."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._arrived.clear()
                    try:
                        await asyncio.wait_for(self._arrived.wait(), seconds)
                    except TimeoutError:
                        return
        except TimeoutError:
            raise AssertionError(f"frames still arrive after {timeout} s") from None

    async def _run(self) -> None:
        async for event in self._stream:
            frame = event.frame
            size = frame.width * frame.height
            luma = np.frombuffer(frame.data, dtype=np.uint8, count=size).reshape(frame.height, frame.width)
            self.frames.append(SeenFrame(time.monotonic(), frame.width, frame.height, pattern.read(luma)))
            self._arrived.set()


class SoundReader:
    """Collects the samples of a remote audio track, one array per channel."""

    def __init__(self, track: rtc.Track, channels: int = 1) -> None:
        self.track = track
        self._channels = channels
        self._chunks: list[npt.NDArray[np.int16]] = []
        self._total = 0
        self._stream = rtc.AudioStream(track, sample_rate=tone.SAMPLE_RATE, num_channels=channels)
        self._arrived = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()

    @property
    def position(self) -> int:
        """Samples received so far, per channel."""
        return self._total

    def since(self, position: int, channel: int = 0) -> tone.Samples:
        """Everything that was received from `position` on."""
        if not self._chunks:
            return np.zeros(0)
        whole = np.concatenate(self._chunks)
        self._chunks = [whole]
        return whole[position:, channel].astype(np.float64) / 32768

    async def received(self, seconds: float, timeout: float | None = None) -> int:
        """Wait for that much more sound and return the position where it began."""
        begin, wanted = self._total, self._total + int(seconds * tone.SAMPLE_RATE)
        await self.until(lambda: self._total >= wanted, f"{seconds} s of sound", timeout or seconds + MEDIA_TIMEOUT_S)
        return begin

    async def assert_tone(self, frequency_hz: float, timeout: float = MEDIA_TIMEOUT_S, channel: int = 0) -> None:
        """Wait for half a second in which the strongest frequency is within 2 % of this one, above silence."""
        length = tone.SAMPLE_RATE // 2

        def matches(latest: tone.Samples) -> bool:
            return tone.rms(latest) > tone.SILENCE_RMS and (
                abs(tone.dominant_hz(latest) - frequency_hz) <= 0.02 * frequency_hz
            )

        await self._until_latest(matches, length, f"a tone of {frequency_hz} Hz", timeout, channel)

    async def assert_shares(self, frequencies_hz: Sequence[float], timeout: float = MEDIA_TIMEOUT_S) -> None:
        """Wait for a second in which each frequency has between 30 and 70 % of the energy."""

        def matches(latest: tone.Samples) -> bool:
            return all(0.3 < tone.share(latest, frequency_hz) < 0.7 for frequency_hz in frequencies_hz)

        await self._until_latest(matches, tone.SAMPLE_RATE, f"as much of each of {frequencies_hz} Hz", timeout)

    def longest_gap_ms(self, position: int) -> int:
        """The longest time without anything new of the melody, from `position` on."""
        return tone.longest_gap_ms(self.since(position))

    async def assert_silent(self, seconds: float = 0.5, timeout: float = MEDIA_TIMEOUT_S) -> None:
        """Wait for a stretch of silence of that length."""
        length = int(seconds * tone.SAMPLE_RATE)
        await self._until_latest(
            lambda latest: tone.rms(latest) < tone.SILENCE_RMS, length, f"{seconds} s of silence", timeout
        )

    async def _until_latest(
        self, matches: Callable[[tone.Samples], bool], length: int, what: str, timeout: float, channel: int = 0
    ) -> None:
        """Until the newest `length` samples match, all of them received from now on; looked at ten times a second."""
        due = self._total + length

        def probe() -> bool:
            nonlocal due
            if self._total < due:
                return False
            due = self._total + tone.SAMPLE_RATE // 10
            return matches(self.since(self._total - length, channel))

        await self.until(probe, what, timeout)

    async def until(self, probe: Callable[[], object], what: str, timeout: float = MEDIA_TIMEOUT_S) -> None:
        """Evaluate `probe` at every piece of sound until it is true."""
        try:
            async with asyncio.timeout(timeout):
                while not probe():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            latest = self.since(max(0, self._total - tone.SAMPLE_RATE // 2))
            heard = (
                f"level {tone.rms(latest):.3f}, {tone.dominant_hz(latest):.0f} Hz" if latest.size > 100 else "nothing"
            )
            raise AssertionError(f"waited {timeout} s for {what}; heard last: {heard}") from None

    async def _run(self) -> None:
        async for event in self._stream:
            frame = event.frame
            # A copy: the frame's memory is the SDK's.
            self._chunks.append(np.array(frame.data, dtype=np.int16).reshape(-1, self._channels))
            self._total += frame.samples_per_channel
            self._arrived.set()
