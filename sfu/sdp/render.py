"""SDP text of ours, from a model only. No function here takes text that a client wrote.

RFC 8829 §5.2 and §5.3. Identifiers are checked once more on their way out: a value that could break a line raises
`SdpError` instead of reaching another client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sfu.engine.api import Extension, Kind
from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.capabilities import CCFB, FEC, VARIANTS, Variant
from sfu.sdp.grammar import check
from sfu.sdp.model import (
    AnswerSection,
    Direction,
    LocalCandidate,
    LocalTransport,
    OfferSection,
    PublishNegotiation,
    RemoteCodec,
    SectionKind,
    SentMedia,
    Setup,
    SlotState,
)
from sfu.sdp.negotiate import offered_extensions

DATA_MID = "0"
"""Of the data section, which is first in our offers and never closed."""
SCTP_PORT = 5000
_RTP_PROTOCOL = "UDP/TLS/RTP/SAVPF"
_SCTP_PROTOCOL = "UDP/DTLS/SCTP"


def render_answer(
    negotiation: PublishNegotiation,
    local: LocalTransport,
    *,
    session_id: int,
    version: int,
    setup: Setup,
    max_message_size: int,
) -> str:
    """The answer to a client that publishes or, on one connection, does both: ICE-lite, all candidates, one bundle.
    `version` goes up with each description of one session (RFC 3264 §8); `max_message_size` is what we receive, in
    bytes."""
    accepted = [section for section in negotiation.answer if section.accepted]
    bundle = [section.mid for section in accepted] if negotiation.bundled else []
    lines = _session(session_id, version, bundle, negotiation.extmap_allow_mixed)
    candidates: Sequence[LocalCandidate] | None = local.candidates
    for section in negotiation.answer:
        if not section.accepted:
            lines += _rejected(section)
            continue
        if section.kind is SectionKind.APPLICATION:
            lines += _data(section.mid, section.protocol, SCTP_PORT, max_message_size, local, setup, candidates)
        else:
            lines += _answered_media(section, local, setup, candidates)
        candidates = None
    return _text(lines)


def render_offer(
    sections: Sequence[OfferSection],
    local: LocalTransport,
    *,
    session_id: int,
    version: int,
    max_message_size: int,
    with_data: bool = True,
) -> str:
    """An offer to a subscriber: the data section unless without, then `sections` in order. Raises `SdpError` for an id
    that is not safe in SDP."""
    active = [section.mid for section in sections if section.state is SlotState.ACTIVE]
    candidates: Sequence[LocalCandidate] | None = local.candidates
    lines = _session(session_id, version, [DATA_MID, *active] if with_data else active, extmap_allow_mixed=True)
    if with_data:
        lines += _data(DATA_MID, _SCTP_PROTOCOL, SCTP_PORT, max_message_size, local, Setup.ACTPASS, candidates)
        candidates = None
    for section in sections:
        check(grammar.MID, section.mid, "a mid of ours")
        if section.state is SlotState.ACTIVE:
            lines += _offered_media(section, local, candidates)
            candidates = None
        else:
            lines += _closed(section)
    return _text(lines)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _session(session_id: int, version: int, bundle: Sequence[str], extmap_allow_mixed: bool) -> list[str]:
    lines = ["v=0", f"o=- {session_id} {version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if bundle:
        lines.append("a=group:BUNDLE " + " ".join(bundle))
    if extmap_allow_mixed:
        lines.append("a=extmap-allow-mixed")
    lines.append("a=msid-semantic: WMS *")
    return lines


# --- parts of a section -----------------------------------------------------------------------------------


def _transport(local: LocalTransport, setup: Setup, candidates: Sequence[LocalCandidate] | None) -> list[str]:
    """In every section, as browsers do it; candidates stand in the first of the bundle alone (RFC 8829 §5.2.1)."""
    lines = [
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{check(grammar.UFRAG, local.ice.ufrag, 'our ufrag')}",
        f"a=ice-pwd:{check(grammar.PWD, local.ice.pwd, 'our pwd')}",
        "a=ice-options:trickle",
        *(f"a=fingerprint:{f.algorithm} {f.value}" for f in local.fingerprints),
        f"a=setup:{setup}",
    ]
    return lines if candidates is None else lines + _candidates(candidates)


def render_ice(local: LocalTransport) -> list[str]:
    """Credentials and candidates alone, as lines without their ends."""
    return [
        f"a=ice-ufrag:{check(grammar.UFRAG, local.ice.ufrag, 'our ufrag')}",
        f"a=ice-pwd:{check(grammar.PWD, local.ice.pwd, 'our pwd')}",
        *_candidates(local.candidates),
    ]


def _candidates(candidates: Sequence[LocalCandidate]) -> list[str]:
    # UDP first: FFmpeg takes the first "udp ... typ host" and nothing else.
    ordered = sorted(candidates, key=lambda c: c.protocol != "udp")
    return [*(_candidate(c) for c in ordered), "a=end-of-candidates"]


def _candidate(candidate: LocalCandidate) -> str:
    """RFC 8839 §5.1, RFC 6544 §4.5."""
    address, port = candidate.address
    head = f"a=candidate:{candidate.foundation} 1 {candidate.protocol} {candidate.priority} {address} {port} typ host"
    return head + " tcptype passive" if candidate.protocol == "tcp" else head


def _data(
    mid: str,
    protocol: str,
    sctp_port: int,
    max_message_size: int,
    local: LocalTransport,
    setup: Setup,
    candidates: Sequence[LocalCandidate] | None,
) -> list[str]:
    return [
        f"m=application 9 {protocol} {grammar.DATA_FORMAT}",
        *_transport(local, setup, candidates),
        f"a=mid:{mid}",
        f"a=sctp-port:{sctp_port}",
        f"a=max-message-size:{max_message_size}",
    ]


def _extensions(extensions: Mapping[Extension, int]) -> list[str]:
    return [f"a=extmap:{id} {uri}" for uri, id in extensions.items()]


def _codec(codec: RemoteCodec) -> list[str]:
    payload_type = codec.payload_type
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{payload_type} {codec.name}/{codec.clock_rate}{channels}"]
    lines += [f"a=rtcp-fb:{payload_type} {feedback}" for feedback in codec.feedback]
    if codec.parameters:
        items = (f"{key}={value}" if value else key for key, value in codec.parameters.items())
        lines.append(f"a=fmtp:{payload_type} " + ";".join(items))
    return lines


def _sent(media: OfferSection | SentMedia) -> list[str]:
    """The msid line (RFC 8830), then those of the streams (RFC 5576, RFC 4588 §8.3, RFC 5956 §4.3)."""
    stream = check(grammar.OUR_ID, media.stream_id, "a stream id of ours")
    track = check(grammar.OUR_ID, media.track_id, "a track id of ours")
    cname = check(grammar.OUR_ID, media.cname, "a CNAME of ours")
    lines = [f"a=msid:{stream} {track}"]
    ssrcs = [media.ssrc]
    if media.rtx_ssrc is not None:
        ssrcs.append(media.rtx_ssrc)
        lines.append(f"a=ssrc-group:FID {media.ssrc} {media.rtx_ssrc}")
    if media.fec_ssrc is not None:
        ssrcs.append(media.fec_ssrc)
        lines.append(f"a=ssrc-group:FEC-FR {media.ssrc} {media.fec_ssrc}")
    for ssrc in ssrcs:
        lines += [f"a=ssrc:{ssrc} cname:{cname}", f"a=ssrc:{ssrc} msid:{stream} {track}"]
    return lines


def _media_line(media: str, protocol: str, codecs: Sequence[RemoteCodec]) -> str:
    return f"m={media} 9 {protocol} " + " ".join(str(codec.payload_type) for codec in codecs)


# --- answers ------------------------------------------------------------------------------------------------


def _rejected(section: AnswerSection) -> list[str]:
    """Port 0, mirrored media type, protocol and one format (RFC 3264 §6), whose shape the parser has checked."""
    lines = [
        f"m={section.media} 0 {section.protocol} {section.first_format}",
        "c=IN IP4 0.0.0.0",
        f"a={Direction.INACTIVE}",
    ]
    return [*lines, f"a=mid:{section.mid}"] if section.mid else lines


def _answered_media(
    section: AnswerSection, local: LocalTransport, setup: Setup, candidates: Sequence[LocalCandidate] | None
) -> list[str]:
    msid, sources = [], []
    if section.sent is not None:
        first, *sources = _sent(section.sent)
        msid = [first]
    lines = [
        _media_line(section.media, section.protocol, section.codecs),
        *_transport(local, setup, candidates),
        f"a=mid:{section.mid}",
        *_extensions(section.extensions),
        f"a={section.direction}",
        *msid,
        "a=rtcp-mux",
    ]
    if section.rtcp_rsize:
        lines.append("a=rtcp-rsize")
    for codec in section.codecs:
        lines += _codec(codec)
    if section.ccfb:
        lines.append(f"a=rtcp-fb:* {CCFB}")
    lines += [f"a=rid:{rid} recv" for rid in section.receive_rids]
    if section.receive_rids:
        lines.append("a=simulcast:recv " + ";".join(section.receive_rids))
    return lines + sources


# --- offers -------------------------------------------------------------------------------------------------


def _offered_codecs(section: OfferSection) -> list[RemoteCodec]:
    codecs: list[RemoteCodec] = []
    for key in section.variants:
        variant = VARIANTS[key]
        codecs.append(_own_codec(variant, section.stereo))
        if variant.rtx_payload_type is not None and section.rtx_ssrc is not None:
            apt = {"apt": str(variant.payload_type)}
            codecs.append(RemoteCodec(variant.rtx_payload_type, "rtx", variant.clock_rate, 1, apt))
    if section.fec_ssrc is not None:
        codecs.append(FEC)
    return codecs


def _own_codec(variant: Variant, stereo: bool) -> RemoteCodec:
    parameters = dict(variant.parameters)
    if stereo and variant.key == "opus":
        # RFC 7587 §6.1: we will send stereo. Clients answer stereo=1 to it; without that browsers play mono.
        parameters["sprop-stereo"] = "1"
    return RemoteCodec(
        variant.payload_type, variant.name, variant.clock_rate, variant.channels, parameters, variant.feedback
    )


def _offered_media(
    section: OfferSection, local: LocalTransport, candidates: Sequence[LocalCandidate] | None
) -> list[str]:
    msid, *sources = _sent(section)
    codecs = _offered_codecs(section)
    if not codecs:
        raise SdpError("a section has no codec to offer")
    lines = [
        _media_line(section.kind, _RTP_PROTOCOL, codecs),
        *_transport(local, Setup.ACTPASS, candidates),
        f"a=mid:{section.mid}",
        *_extensions(offered_extensions(section)),
        f"a={Direction.SENDONLY}",
        msid,
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    for codec in codecs:
        lines += _codec(codec)
    return lines + sources


def _closed(section: OfferSection) -> list[str]:
    variant = VARIANTS["opus" if section.kind is Kind.AUDIO else "vp8"]
    return [
        f"m={section.kind} 0 {_RTP_PROTOCOL} {variant.payload_type}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        f"a={Direction.INACTIVE}",
        "a=rtcp-mux",
        f"a=rtpmap:{variant.payload_type} {variant.name}/{variant.clock_rate}"
        + (f"/{variant.channels}" if variant.channels > 1 else ""),
    ]
