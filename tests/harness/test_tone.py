from __future__ import annotations

import numpy as np
import pytest

from tests.harness import tone


def samples(frequency_hz: float, seconds: float = 0.5) -> tone.Samples:
    return tone.sine(frequency_hz, 0, int(seconds * tone.SAMPLE_RATE)).astype(np.float64) / 32768


@pytest.mark.parametrize("frequency_hz", [200, 440, 997, 3000])
def test_finds_the_frequency(frequency_hz: int) -> None:
    heard = samples(frequency_hz) + np.random.default_rng(1).normal(0, 0.02, tone.SAMPLE_RATE // 2)
    assert tone.dominant_hz(heard) == pytest.approx(frequency_hz, rel=0.002)


def test_silence_has_no_frequency() -> None:
    assert tone.dominant_hz(np.zeros(4800)) == 0.0
    assert tone.rms(np.zeros(0)) == 0.0


def test_pieces_join() -> None:
    pieces = [tone.sine(440, first, tone.CHUNK) for first in range(0, tone.SAMPLE_RATE, tone.CHUNK)]
    assert np.array_equal(np.concatenate(pieces).astype(np.float64) / 32768, samples(440, 1.0))


def melody(seconds: float) -> tone.Samples:
    count = int(seconds * tone.SAMPLE_RATE)
    return tone.melody(0, count).astype(np.float64) / 32768


@pytest.mark.parametrize("shift", [0, 100, 240, 479])
def test_the_melody_has_no_gap(shift: int) -> None:
    """Wherever the receiver's chunks begin."""
    assert tone.longest_gap_ms(melody(3.0)[shift:]) <= 10


@pytest.mark.parametrize("fill", ["silence", "another tone", "noise", "the last note"])
def test_gaps_are_measured(fill: str) -> None:
    heard = melody(3.0)
    begin, length = 100 * tone.CHUNK, 25 * tone.CHUNK
    other = {
        "silence": np.zeros(length),
        "another tone": samples(937, 0.25),
        "noise": np.random.default_rng(1).normal(0, 0.2, length),
        "the last note": np.tile(heard[begin - tone.CHUNK : begin], 25),
    }
    heard[begin : begin + length] = other[fill]
    # It ends in the middle of a note, whose rest is new.
    assert 240 <= tone.longest_gap_ms(heard) <= 300
