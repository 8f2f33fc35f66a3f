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


def test_a_tone_has_no_gap_and_pieces_join() -> None:
    pieces = [tone.sine(440, first, tone.CHUNK) for first in range(0, tone.SAMPLE_RATE, tone.CHUNK)]
    heard = np.concatenate(pieces).astype(np.float64) / 32768
    assert np.array_equal(heard, samples(440, 1.0))
    assert tone.longest_gap_ms(heard, 440) == 0


@pytest.mark.parametrize("fill", ["silence", "another tone", "noise"])
def test_gaps_are_measured(fill: str) -> None:
    heard = samples(440, 1.0)
    hole = slice(10_080, 10_080 + 15 * tone.CHUNK)
    other = {
        "silence": np.zeros(heard.size),
        "another tone": samples(900, 1.0),
        "noise": np.random.default_rng(1).normal(0, 0.2, heard.size),
    }
    heard[hole] = other[fill][hole]
    assert tone.longest_gap_ms(heard, 440) == 150
