"""Settings of session descriptions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SdpSettings:
    """What a description may hold."""

    max_sdp_bytes: int = 262_144
    max_media_sections: int = 256
    """Media sections of one session description. A full room of 30 with audio and video needs 61."""
    video_codecs: tuple[str, ...] = ("vp8", "vp9", "h264", "av1")
    """Codecs that publishers may send, in no order; the client chooses."""
    audio_codecs: tuple[str, ...] = ("opus", "red")
