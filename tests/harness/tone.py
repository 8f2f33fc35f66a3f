"""Sine tones: make them, and tell from received samples which frequency they have.

The melody changes its tone every 100 ms. A receiver that has lost the stream plays on what it heard last, and does so
well that a steady tone has no audible gap; a tone of the melody that lasts too long gives it away.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
CHUNK = SAMPLE_RATE // 100
"""Samples of the 10 ms in which sound is made and judged."""
SILENCE_RMS = 0.01
"""Of full scale. What a codec makes of silence stays well below, the tones here lie at 0.18."""

MELODY_HZ = (400, 800, 1200, 600, 1000, 1400)
"""Multiples of 100 Hz: whole periods in a chunk, so neighbours join without a click and chunks tell them apart."""
NOTE_CHUNKS = 10

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


def melody(first: int, count: int, amplitude: float = 0.25) -> npt.NDArray[np.int16]:
    """`count` samples of the melody that runs on from sample number `first`, both whole chunks."""
    notes = [
        sine(MELODY_HZ[chunk // NOTE_CHUNKS % len(MELODY_HZ)], 0, CHUNK, amplitude)
        for chunk in range(first // CHUNK, (first + count) // CHUNK)
    ]
    return np.concatenate(notes)


def longest_gap_ms(samples: Samples) -> int:
    """The longest time without anything new of the melody: silence, noise, or a note that goes on after its 100 ms."""
    longest = current = held = 0
    note: int | None = None
    for start in range(0, samples.size - CHUNK + 1, CHUNK):
        heard = _note(samples[start : start + CHUNK])
        if heard is not None and heard != note:
            note, held = heard, 0
        held += 1
        fresh = heard is not None and held <= NOTE_CHUNKS
        current = 0 if fresh else current + 1
        longest = max(longest, current)
    return longest * 10


def _note(chunk: Samples) -> int | None:
    if rms(chunk) <= SILENCE_RMS:
        return None
    shares = {frequency_hz: share(chunk, frequency_hz) for frequency_hz in MELODY_HZ}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] > 0.5 else None


def share(samples: Samples, frequency_hz: float) -> float:
    """How much of the energy is this tone, 0 to 1."""
    phase = 2j * np.pi * frequency_hz * np.arange(samples.size) / SAMPLE_RATE
    amplitude = abs(np.sum(samples * np.exp(-phase))) / samples.size
    return 2 * float(amplitude) ** 2 * samples.size / float(np.sum(samples**2))
