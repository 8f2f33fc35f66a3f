"""Stamps must not be seen by decoders: whatever a publisher of the load test sends can be played."""

import av
import numpy
import pytest

from benchmarks.load import media
from benchmarks.load.decode import decode_sample
from benchmarks.load.errors import LoadError

DESCRIPTOR = bytes((0x90, 0x80, 0x80, 0x01))


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_every_frame_of_a_clip_can_be_decoded(codec: str) -> None:
    (clip,) = media.video_clips("180p", codec)
    rest = bytes((DESCRIPTOR[0] & 0xEF, *DESCRIPTOR[1:]))
    frames = []
    for index, (_, _, packets) in enumerate(clip.frames):
        payloads = [payload.replace(bytes(media.STAMP_BYTES), b"TingTime0123456789abcdef") for payload, _ in packets]
        if codec == "vp8":
            payloads = [(rest if number else DESCRIPTOR) + payload for number, payload in enumerate(payloads)]
        frames.append((index == 0, index, payloads))
    decoded, errors = decode_sample(codec, frames)
    assert errors == 0
    assert decoded >= len(frames) - 1


def test_padded_opus_decodes_to_the_same_sound() -> None:
    clip = media.audio_clip("opus")
    plain, padded = (av.CodecContext.create("opus", "r") for _ in range(2))
    for _, _, [(payload, stamped)] in clip.frames[:50]:
        assert stamped
        original = bytes((payload[0] & 0xFC,)) + payload[3 : -media.STAMP_BYTES]
        stamp = payload[: -media.STAMP_BYTES] + b"TingTime0123456789abcdef"
        sounds = [
            [frame.to_ndarray() for frame in decoder.decode(av.Packet(data))]
            for decoder, data in ((plain, original), (padded, stamp))
        ]
        assert len(sounds[0]) == len(sounds[1]) == 1
        numpy.testing.assert_array_equal(sounds[0][0], sounds[1][0])


def test_a_stamp_is_never_cut() -> None:
    for size in range(1, 5000, 7):
        packets = media._split_vp8(bytes(size))
        assert [stamped for _, stamped in packets] == [False] * (len(packets) - 1) + [True]
        assert len(packets[-1][0]) >= media.STAMP_BYTES
        assert all(len(payload) <= media.MAX_PAYLOAD_BYTES + media.STAMP_BYTES for payload, _ in packets)


def test_presets_have_the_bitrate_that_they_name() -> None:
    (clip,) = media.video_clips("360p", "vp8")
    assert clip.layer is not None
    assert clip.bitrate_bps == pytest.approx(clip.layer.bitrate_bps, rel=0.2)


@pytest.mark.parametrize("wish", ["", "4k", "1200", "1200x6", "63x1@30", "1301x1@30", "1200x0@30", "1200x6@0", "x@"])
def test_refuses_other_videos(wish: str) -> None:
    with pytest.raises(LoadError, match="--video"):
        media.video_clips(wish, "vp8")


@pytest.mark.parametrize("wish", ["", "mp3", "27@50", "1301@50", "120@0", "120"])
def test_refuses_other_audio(wish: str) -> None:
    with pytest.raises(LoadError, match="--audio"):
        media.audio_clip(wish)
