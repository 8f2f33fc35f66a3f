"""The kinds of media, which both contracts speak of: that of the engine and that towards signaling."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"
