"""Sine tones: make them, and tell from received samples which frequency they have and where they stop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
CHUNK = SAMPLE_RATE // 100
"""Samples of the 10 ms in which sound is made and judged."""
SILENCE_RMS = 0.01
"""Of full scale. What a codec makes of silence stays well below, the tones here lie at 0.18."""

Samples = npt.NDArray[np.float64]


def sine(frequency_hz: float, first: int, count: int, amplitude: float = 0.25) -> npt.NDArray[np.int16]:
    """`count` samples of a tone that runs on from sample number `first`."""
    phase = 2 * np.pi * frequency_hz * (np.arange(first, first + count) % SAMPLE_RATE) / SAMPLE_RATE
    return np.round(np.sin(phase) * amplitude * 32767).astype(np.int16)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0


def dominant_hz(samples: Samples) -> float:
    """The strongest frequency, finer than the FFT's bins by a parabola through the peak; 0 for silence."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    spectrum[0] = 0
    peak = int(spectrum[:-1].argmax())
    if peak == 0:
        return 0.0
    before, top, after = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
    curve = before - 2 * top + after
    offset = 0.0 if curve == 0 else 0.5 * (before - after) / curve
    return float((peak + offset) * SAMPLE_RATE / samples.size)


def tone_share(samples: Samples, frequency_hz: float) -> float:
    """How much of the energy is this tone, 0 to 1. Works for pieces of 10 ms."""
    energy = float(np.sum(samples**2))
    if energy == 0:
        return 0.0
    phase = 2j * np.pi * frequency_hz * np.arange(samples.size) / SAMPLE_RATE
    amplitude = abs(np.sum(samples * np.exp(-phase))) / samples.size
    return min(1.0, 2 * float(amplitude) ** 2 * samples.size / energy)


def longest_gap_ms(samples: Samples, frequency_hz: float) -> int:
    """The longest run of 10 ms pieces that are silent or not this tone."""
    longest = current = 0
    for start in range(0, samples.size - CHUNK + 1, CHUNK):
        piece = samples[start : start + CHUNK]
        good = rms(piece) > SILENCE_RMS and tone_share(piece, frequency_hz) > 0.7
        current = 0 if good else current + 1
        longest = max(longest, current)
    return longest * 10
