"""Descriptions of simulated participants: an offer that sends, an answer that receives (RFC 8829)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load.errors import LoadError
from benchmarks.load.media import Clip
from benchmarks.load.transport import MediaTransport
from sfu.engine.api import Extension
from sfu.errors import SdpError
from sfu.sdp.model import Direction, RemoteDescription, RemoteSection, SectionKind
from sfu.sdp.parse import parse_description

MAX_SDP_BYTES = 4 * 1024 * 1024
MAX_SECTIONS = 2000

AUDIO_EXTENSIONS: Mapping[Extension, int] = {
    Extension.MID: 1,
    Extension.AUDIO_LEVEL: 2,
    Extension.TRANSPORT_CC: 5,
}
VIDEO_EXTENSIONS: Mapping[Extension, int] = {
    Extension.MID: 1,
    Extension.ABS_SEND_TIME: 3,
    Extension.TRANSPORT_CC: 5,
    Extension.RID: 10,
    Extension.REPAIRED_RID: 11,
}
PAYLOAD_TYPES: Mapping[str, tuple[int, int | None]] = {"opus": (111, None), "vp8": (96, 97), "h264": (102, 103)}
"""Codec → (payload type, that of its RTX)."""
_RTPMAPS = {"opus": "opus/48000/2", "vp8": "VP8/90000", "h264": "H264/90000"}
_FMTPS = {
    "opus": "minptime=10;useinbandfec=1",
    "h264": "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
}
_ENCODINGS = {"opus": "opus", "vp8": "VP8", "vp9": "VP9", "h264": "H264"}
"""What a receiver here can read, as registered with IANA."""


@dataclass(slots=True)
class OutgoingTrack:
    """A track to publish: one clip, or several for simulcast (lowest first). SSRCs are chosen here."""

    cid: str
    clips: Sequence[Clip]
    mid: str = ""
    ssrcs: list[int] = field(default_factory=list)
    rtx_ssrcs: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ssrcs = [_new_ssrc() for _ in self.clips]
        self.rtx_ssrcs = [_new_ssrc() for _ in self.clips]

    @property
    def codec(self) -> str:
        return self.clips[0].codec

    @property
    def is_video(self) -> bool:
        return self.codec != "opus"


@dataclass(frozen=True, slots=True)
class IncomingStream:
    """A stream that the server announced."""

    ssrc: int
    rtx_ssrc: int | None
    payloads: tuple[tuple[int, str], ...]
    clock_rate: int

    @property
    def is_video(self) -> bool:
        return self.clock_rate == 90_000


def parse(sdp: str, kind: str) -> RemoteDescription:
    """Raises `LoadError`."""
    try:
        return parse_description(sdp, kind, max_bytes=MAX_SDP_BYTES, max_sections=MAX_SECTIONS)
    except SdpError as error:
        raise LoadError(f"the server's {kind} cannot be read: {error}") from error


def candidates_of(sdp: str) -> list[str]:
    return [line[2:] for line in sdp.replace("\r\n", "\n").split("\n") if line.startswith("a=candidate:")]


def build_offer(transport: MediaTransport, tracks: Sequence[OutgoingTrack]) -> str:
    """Sends every track; sets their mids."""
    for index, track in enumerate(tracks):
        track.mid = str(index)
    lines = _session([track.mid for track in tracks])
    for track in tracks:
        lines += _sending_section(transport, track)
    return "\r\n".join(lines) + "\r\n"


def build_answer(transport: MediaTransport, offer: RemoteDescription, setup: str = "active") -> str:
    """Receives everything that is offered, in the codecs that we know. `setup` is our DTLS role (RFC 8842 §5)."""
    bundle = [section.mid for section in offer.sections if not section.rejected]
    lines = _session(bundle)
    for section in offer.sections:
        lines += _receiving_section(transport, section, setup)
    return "\r\n".join(lines) + "\r\n"


def incoming_streams(offer: RemoteDescription) -> list[IncomingStream]:
    """What an offer announces, by its SSRC lines (RFC 5576)."""
    streams = []
    for section in offer.sections:
        if section.rejected or section.direction not in (Direction.SENDONLY, Direction.SENDRECV) or not section.ssrcs:
            continue
        payloads = _known_payloads(section)
        if not payloads:
            continue
        rtx = {group[0]: group[1] for kind, group in section.ssrc_groups if kind == "FID" and len(group) == 2}
        ssrc = section.ssrcs[0]
        clock_rate = 48_000 if section.kind is SectionKind.AUDIO else 90_000
        streams.append(IncomingStream(ssrc, rtx.get(ssrc), payloads, clock_rate))
    return streams


def wants_data(description: RemoteDescription) -> bool:
    return any(section.sctp_port is not None and not section.rejected for section in description.sections)


def _known_payloads(section: RemoteSection) -> tuple[tuple[int, str], ...]:
    return tuple((codec.payload_type, codec.name) for codec in section.codecs if codec.name in _ENCODINGS)


def _new_ssrc() -> int:
    return secrets.randbelow(2**32 - 2) + 1


def _session(bundle: Sequence[str]) -> list[str]:
    return [
        "v=0",
        f"o=- {secrets.randbits(62)} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(bundle)}",
        "a=msid-semantic: WMS *",
    ]


def _transport_lines(transport: MediaTransport, setup: str) -> list[str]:
    host, port = transport.local
    return [
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.pwd}",
        f"a=fingerprint:{transport.fingerprint}",
        f"a=setup:{setup}",
        f"a=candidate:1 1 udp 2130706431 {host} {port} typ host",
        "a=end-of-candidates",
    ]


def _codec_lines(codec: str, payload_type: int, rtx_payload_type: int | None) -> list[str]:
    lines = [f"a=rtpmap:{payload_type} {_RTPMAPS[codec]}"]
    if codec in _FMTPS:
        lines.append(f"a=fmtp:{payload_type} {_FMTPS[codec]}")
    feedback = ("nack", "transport-cc") if codec == "opus" else ("nack", "nack pli", "ccm fir", "transport-cc")
    lines += [f"a=rtcp-fb:{payload_type} {value}" for value in feedback]
    if rtx_payload_type is not None:
        lines += [f"a=rtpmap:{rtx_payload_type} rtx/90000", f"a=fmtp:{rtx_payload_type} apt={payload_type}"]
    return lines


def _sending_section(transport: MediaTransport, track: OutgoingTrack) -> list[str]:
    payload_type, rtx = PAYLOAD_TYPES[track.codec]
    formats = f"{payload_type} {rtx}" if rtx else f"{payload_type}"
    kind = "video" if track.is_video else "audio"
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0"]
    lines += _transport_lines(transport, "actpass")
    lines += [f"a=mid:{track.mid}", "a=sendonly", f"a=msid:- {track.cid}", "a=rtcp-mux", "a=rtcp-rsize"]
    extensions = VIDEO_EXTENSIONS if track.is_video else AUDIO_EXTENSIONS
    simulcast = len(track.clips) > 1
    for extension, number in extensions.items():
        if simulcast or extension not in (Extension.RID, Extension.REPAIRED_RID):
            lines.append(f"a=extmap:{number} {extension}")
    lines += _codec_lines(track.codec, payload_type, rtx)
    if simulcast:
        rids = [clip.layer.rid for clip in track.clips if clip.layer is not None]
        lines += [f"a=rid:{rid} send" for rid in rids]
        lines.append(f"a=simulcast:send {';'.join(rids)}")
        return lines
    ssrc, rtx_ssrc = track.ssrcs[0], track.rtx_ssrcs[0]
    if rtx:
        lines.append(f"a=ssrc-group:FID {ssrc} {rtx_ssrc}")
    for one in (ssrc, rtx_ssrc) if rtx else (ssrc,):
        lines += [f"a=ssrc:{one} cname:{transport.cname}", f"a=ssrc:{one} msid:- {track.cid}"]
    return lines


def _receiving_section(transport: MediaTransport, section: RemoteSection, setup: str) -> list[str]:
    port = 0 if section.rejected else 9
    if section.kind is SectionKind.APPLICATION:
        lines = [f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0"]
        lines += _transport_lines(transport, setup)
        return [*lines, f"a=mid:{section.mid}", "a=sctp-port:5000", "a=max-message-size:65536"]
    known = [codec for codec in section.codecs if codec.name in _ENCODINGS]
    types = {codec.payload_type for codec in known}
    retransmissions = [
        codec for codec in section.codecs if codec.name == "rtx" and int(codec.parameters.get("apt", -1)) in types
    ]
    if not known or section.rejected:
        lines = [f"m={section.media} 0 {section.protocol} {section.first_format}", "c=IN IP4 0.0.0.0"]
        return [*lines, f"a=mid:{section.mid}", "a=inactive"]
    formats = " ".join(str(codec.payload_type) for codec in (*known, *retransmissions))
    lines = [f"m={section.media} 9 {section.protocol} {formats}", "c=IN IP4 0.0.0.0"]
    lines += _transport_lines(transport, setup)
    lines += [f"a=mid:{section.mid}", "a=recvonly", "a=rtcp-mux", "a=rtcp-rsize"]
    for codec in known:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{codec.payload_type} {_ENCODINGS[codec.name]}/{codec.clock_rate}{channels}")
        parameters = ";".join(f"{key}={value}" if key else value for key, value in codec.parameters.items())
        lines += [f"a=fmtp:{codec.payload_type} {parameters}"] if parameters else []
        accepted = ("nack", "nack pli", "ccm fir")
        lines += [f"a=rtcp-fb:{codec.payload_type} {value}" for value in codec.feedback if value in accepted]
    for codec in retransmissions:
        lines.append(f"a=rtpmap:{codec.payload_type} rtx/{codec.clock_rate}")
        lines.append(f"a=fmtp:{codec.payload_type} apt={codec.parameters['apt']}")
    return lines
