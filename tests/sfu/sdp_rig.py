"""What the SDP tests share: vectors, a local transport of ours, and one call for each way through the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sfu.engine.api import Kind
from sfu.ids import TrackId
from sfu.sdp.model import (
    Fingerprint,
    IceCredentials,
    LocalCandidate,
    LocalTransport,
    OfferSection,
    PublishHint,
    PublishNegotiation,
    RemoteDescription,
    Setup,
    SlotState,
)
from sfu.sdp.negotiate import negotiate_publish
from sfu.sdp.parse import parse_description
from sfu.sdp.render import render_answer, render_offer

VECTORS = Path(__file__).parent.parent / "vectors" / "sdp"
OFFERS = sorted(path.stem for path in VECTORS.glob("*.sdp"))
MAX_BYTES = 65_536
MAX_SECTIONS = 64
VIDEO = ("vp8", "vp9", "h264", "av1")
AUDIO = ("opus", "red")
LOCAL = LocalTransport(
    ice=IceCredentials("tinglocalufrag0123456789", "tinglocalpwd0123456789abcdefghij"),
    fingerprints=(Fingerprint("sha-256", ":".join(["AB"] * 32)),),
    candidates=(
        LocalCandidate("tcp", ("127.0.0.1", 7881), 1671430143, "2"),
        LocalCandidate("udp", ("127.0.0.1", 7882), 2130706431, "1"),
        LocalCandidate("udp", ("::1", 7882), 2130706175, "3"),
    ),
)


def vector(name: str) -> str:
    return (VECTORS / f"{name}.sdp").read_bytes().decode()


def parse(text: str, type: str = "offer", *, max_bytes: int = MAX_BYTES) -> RemoteDescription:
    return parse_description(text, type, max_bytes=max_bytes, max_sections=MAX_SECTIONS)


def publish(
    text: str,
    hints: Mapping[str, PublishHint] | None = None,
    *,
    video_codecs: Sequence[str] = VIDEO,
    audio_codecs: Sequence[str] = AUDIO,
) -> PublishNegotiation:
    return negotiate_publish(parse(text), hints=hints or {}, video_codecs=video_codecs, audio_codecs=audio_codecs)


def answer(negotiation: PublishNegotiation, setup: Setup = Setup.PASSIVE) -> str:
    return render_answer(negotiation, LOCAL, session_id=7, version=1, setup=setup, max_message_size=65_536)


def offer(*sections: OfferSection) -> str:
    return render_offer(sections, LOCAL, session_id=9, version=1, max_message_size=65_536)


def audio_section(mid: str, **changes: Any) -> OfferSection:
    values: dict[str, Any] = {
        "mid": mid,
        "kind": Kind.AUDIO,
        "state": SlotState.ACTIVE,
        "variants": ("red", "opus"),
        "track_id": TrackId(f"TR_audio{mid}"),
        "stream_id": f"PA_one|TR_audio{mid}",
        "ssrc": 1000 + int(mid),
        "cname": "PA_one",
    }
    return OfferSection(**{**values, **changes})


def video_section(mid: str, **changes: Any) -> OfferSection:
    values: dict[str, Any] = {
        "mid": mid,
        "kind": Kind.VIDEO,
        "state": SlotState.ACTIVE,
        "variants": ("vp8",),
        "track_id": TrackId(f"TR_video{mid}"),
        "stream_id": f"PA_one|TR_video{mid}",
        "ssrc": 2000 + int(mid),
        "rtx_ssrc": 3000 + int(mid),
        "cname": "PA_one",
    }
    return OfferSection(**{**values, **changes})


def closed(section: OfferSection) -> OfferSection:
    return OfferSection(mid=section.mid, kind=section.kind, state=SlotState.CLOSED)


def sections_of(text: str) -> list[list[str]]:
    """The lines of each media section."""
    parts = text.split("\r\nm=")
    return [("m=" + part).rstrip("\r\n").split("\r\n") for part in parts[1:]]


BASE = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdefghijkl
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:0
a=sendonly
a=msid:stream microphone
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:100 cname:c
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdefghijkl
a=fingerprint:sha-256 {fingerprint}
a=setup:actpass
a=mid:1
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=msid:stream camera
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 200 201
a=ssrc:200 cname:c
a=ssrc:201 cname:c
""".format(fingerprint=":".join(["0A"] * 32)).replace("\n", "\r\n")
"""The smallest offer with audio and video, for tests that change one thing in it."""


def changed(old: str, new: str, *, count: int = -1, text: str = BASE) -> str:
    assert old in text
    return text.replace(old, new, count)
