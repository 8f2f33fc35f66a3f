"""What this SFU can carry: codecs with our fixed payload types, and RTP header extensions with our ids.

Towards subscribers every codec form has one payload type in every section of every offer, so a bundle never maps
one payload type to two codecs (RFC 9143 §9.1). Types 64 to 95 are left out: with the marker bit set they look like
RTCP packet types (RFC 5761 §4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sfu.engine.api import Codec, Extension, Kind
from sfu.sdp.model import RemoteCodec

VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
"""rtcp-fb values (RFC 4585, RFC 5104) that the engine acts on, in the order they are written."""
AUDIO_FEEDBACK = ("transport-cc", "nack")
CCFB = "ack ccfb"
"""Feedback by RTP numbers (RFC 8888 §6). Said of all payload types of a section at once."""

FEC = RemoteCodec(47, "flexfec-03", 90_000, 1, {"repair-window": "10000000"}, ("goog-remb", "transport-cc"))
"""Repair packets for video (draft-ietf-payload-flexible-fec-scheme-03 §5) with our payload type, as libwebrtc knows
them; RFC 8627 has another name and another header."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of a codec that receivers may accept or refuse by itself: profile and packetization included."""

    key: str
    codec: Codec
    name: str
    """As registered with IANA, for example "VP8"."""
    kind: Kind
    clock_rate: int
    channels: int
    payload_type: int
    """Ours, in offers to subscribers."""
    rtx_payload_type: int | None
    parameters: Mapping[str, str]
    """The fmtp line in our offers."""
    feedback: tuple[str, ...]
    """The rtcp-fb lines in our offers."""

    @property
    def mime_type(self) -> str:
        return f"{self.kind}/{self.name}"


# Receivers that know transport-wide feedback send that, the others REMB.
_SUBSCRIBER_VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


def _audio(key: str, codec: Codec, payload_type: int, parameters: dict[str, str], feedback: tuple[str, ...]) -> Variant:
    return Variant(key, codec, key, Kind.AUDIO, 48_000, 2, payload_type, None, MappingProxyType(parameters), feedback)


def _video(key: str, codec: Codec, name: str, payload_type: int, rtx: int, parameters: dict[str, str]) -> Variant:
    return Variant(
        key, codec, name, Kind.VIDEO, 90_000, 1, payload_type, rtx,
        MappingProxyType(parameters), _SUBSCRIBER_VIDEO_FEEDBACK,
    )  # fmt: skip


def _h264(profile_level_id: str, packetization_mode: int, payload_type: int, rtx: int) -> Variant:
    return _video(
        f"h264/{profile_level_id}/{packetization_mode}",
        Codec.H264,
        "H264",
        payload_type,
        rtx,
        {
            "level-asymmetry-allowed": "1",
            "packetization-mode": str(packetization_mode),
            "profile-level-id": profile_level_id,
        },
    )


_ALL = (
    _audio("opus", Codec.OPUS, 111, {"minptime": "10", "useinbandfec": "1"}, ("transport-cc", "nack")),
    # RFC 2198: redundant blocks of our Opus payload type.
    _audio("red", Codec.RED, 63, {"111/111": ""}, ("transport-cc",)),
    _video("vp8", Codec.VP8, "VP8", 96, 97, {}),
    _video("vp9/0", Codec.VP9, "VP9", 98, 99, {"profile-id": "0"}),
    _video("vp9/2", Codec.VP9, "VP9", 100, 101, {"profile-id": "2"}),
    _video("av1/0", Codec.AV1, "AV1", 45, 46, {"level-idx": "5", "profile": "0", "tier": "0"}),
    _h264("42001f", 1, 102, 103),
    _h264("42e01f", 1, 106, 107),
    _h264("4d001f", 1, 112, 113),
    _h264("64001f", 1, 114, 115),
    _h264("640c1f", 1, 116, 117),
    _h264("42001f", 0, 104, 105),
    _h264("42e01f", 0, 108, 109),
    _h264("4d001f", 0, 118, 119),
    _h264("64001f", 0, 120, 121),
    _h264("640c1f", 0, 122, 123),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.key: variant for variant in _ALL})
"""Every codec form by key: "opus", "red", "vp8", "vp9/<profile-id>", "av1/0", "h264/<profile>/<packetization-mode>"."""

_OUR_IDS = {
    Extension.MID: 1,
    Extension.AUDIO_LEVEL: 2,
    Extension.ABS_SEND_TIME: 3,
    Extension.VIDEO_ORIENTATION: 4,
    Extension.PLAYOUT_DELAY: 5,
    Extension.ABS_CAPTURE_TIME: 6,
    Extension.DEPENDENCY_DESCRIPTOR: 7,
    Extension.TRANSPORT_CC: 8,
}


def _ids(*extensions: Extension) -> Mapping[Extension, int]:
    return MappingProxyType({extension: _OUR_IDS[extension] for extension in extensions})


EXTENSIONS: Mapping[Kind, Mapping[Extension, int]] = MappingProxyType(
    {
        Kind.AUDIO: _ids(Extension.MID, Extension.AUDIO_LEVEL, Extension.TRANSPORT_CC),
        Kind.VIDEO: _ids(
            Extension.MID,
            Extension.TRANSPORT_CC,
            Extension.ABS_SEND_TIME,
            Extension.VIDEO_ORIENTATION,
            Extension.PLAYOUT_DELAY,
            Extension.ABS_CAPTURE_TIME,
            Extension.DEPENDENCY_DESCRIPTOR,
        ),
    }
)
"""Our ids in offers to subscribers. One id means one URI in all sections, as a bundle demands (RFC 9143 §9.2)."""

PUBLISHER_EXTENSIONS: Mapping[Kind, tuple[Extension, ...]] = MappingProxyType(
    {
        Kind.AUDIO: (
            Extension.MID,
            Extension.AUDIO_LEVEL,
            Extension.TRANSPORT_CC,
            Extension.ABS_SEND_TIME,
            Extension.ABS_CAPTURE_TIME,
        ),
        Kind.VIDEO: (
            Extension.MID,
            Extension.RID,
            Extension.REPAIRED_RID,
            Extension.TRANSPORT_CC,
            Extension.ABS_SEND_TIME,
            Extension.ABS_CAPTURE_TIME,
            Extension.DEPENDENCY_DESCRIPTOR,
            Extension.VIDEO_ORIENTATION,
            Extension.PLAYOUT_DELAY,
        ),
    }
)
"""What is accepted from publishers, with the ids of their offer."""

# Table 5 of RFC 6184 §8.1, for the profiles in use: (profile_idc, mask, bits) of profile-iop to our profile. The
# level (last byte) is no part of the match: level-asymmetry-allowed is always set.
_H264_PROFILES = (
    (0x42, 0x4F, 0x40, "42e01f"),  # constrained baseline
    (0x4D, 0x8F, 0x80, "42e01f"),
    (0x58, 0xCF, 0xC0, "42e01f"),
    (0x42, 0x4F, 0x00, "42001f"),  # baseline
    (0x58, 0xCF, 0x80, "42001f"),
    (0x4D, 0xAF, 0x00, "4d001f"),  # main
    (0x64, 0xFF, 0x00, "64001f"),  # high
    (0x64, 0xFF, 0x0C, "640c1f"),  # constrained high
)


def _h264_profile(profile_level_id: str) -> str | None:
    """Our profile for a checked profile-level-id of six hex digits; None for a profile that is not carried."""
    idc, iop = int(profile_level_id[:2], 16), int(profile_level_id[2:4], 16)
    for profile_idc, mask, bits, profile in _H264_PROFILES:
        if idc == profile_idc and iop & mask == bits:
            return profile
    return None


def is_profile_level_id(text: str) -> bool:
    return len(text) == 6 and all(c in "0123456789abcdefABCDEF" for c in text)


def match_variant(codec: RemoteCodec, kind: Kind) -> Variant | None:
    """The form that a peer's codec is, or None for what we do not carry. RED is matched by name only: whether its
    blocks are Opus is for the section to tell."""
    parameters = codec.parameters
    if codec.name == "h264":
        # RFC 6184 §8.1: without the parameter, Baseline at level 1.
        profile_level_id = parameters.get("profile-level-id", "42000a")
        profile = _h264_profile(profile_level_id) if is_profile_level_id(profile_level_id) else None
        key = f"h264/{profile}/{parameters.get('packetization-mode', '0')}"
    elif codec.name == "vp9":
        key = f"vp9/{parameters.get('profile-id', '0')}"
    elif codec.name == "av1":
        key = f"av1/{parameters.get('profile', '0')}"
    else:
        key = codec.name
    variant = VARIANTS.get(key)
    if variant is None or variant.kind is not kind:
        return None
    same = (codec.clock_rate, codec.channels) == (variant.clock_rate, variant.channels)
    return variant if same else None


def alternatives(key: str) -> tuple[str, ...]:
    """Forms in which a receiver can take a stream of form `key`, best first. Single-NAL packets are valid in
    packetization-mode 1 (RFC 6184 §5.4); constrained high is part of high. What browsers call Baseline is constrained
    Baseline in fact (none encodes FMO, ASO or redundant slices), so the two stand in for each other."""
    codec, _, rest = key.partition("/")
    if codec == "red":
        return ("red", "opus")
    if codec != "h264":
        return (key,)
    profile, _, mode = rest.partition("/")
    profiles = {"42001f": ("42001f", "42e01f"), "42e01f": ("42e01f", "42001f"), "640c1f": ("640c1f", "64001f")}
    modes = ("0", "1") if mode == "0" else ("1",)
    return tuple(f"h264/{p}/{m}" for m in modes for p in profiles.get(profile, (profile,)))
