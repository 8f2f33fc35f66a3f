"""Decisions between two descriptions: what to accept from a publisher, what a subscriber accepted. Pure functions.

Offer/answer RFC 3264 and RFC 8829, BUNDLE RFC 9143, simulcast RFC 8853. Everything that goes on to `render.py` is one
of our own constants or a value whose shape was checked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sfu.engine.api import Codec, Extension, InboundPayload, Kind, OutboundPayload, TrackConfig
from sfu.errors import SdpError
from sfu.sdp.capabilities import (
    AUDIO_FEEDBACK,
    EXTENSIONS,
    FEC,
    PUBLISHER_EXTENSIONS,
    VARIANTS,
    VIDEO_FEEDBACK,
    Variant,
    alternatives,
    match_variant,
)
from sfu.sdp.layers import MAX_LAYERS, layers_of
from sfu.sdp.model import (
    AcceptedSection,
    AnswerSection,
    Direction,
    OfferSection,
    PublishHint,
    PublishNegotiation,
    ReceivedMedia,
    Redundancy,
    RemoteCodec,
    RemoteDescription,
    RemoteSection,
    SectionKind,
    SlotState,
    SubscribeNegotiation,
)

DEFAULT_MAX_MESSAGE_SIZE = 65_536
"""Bytes, when a peer names no max-message-size (RFC 8841 §6.1)."""
STEREO_BITRATE_BPS = 510_000
"""The most that Opus can do (RFC 7587 §6.1): a stereo publisher chooses its own bitrate below it."""

SENDING = (Direction.SENDONLY, Direction.SENDRECV)
RECEIVING = (Direction.RECVONLY, Direction.SENDRECV)
KINDS = {SectionKind.AUDIO: Kind.AUDIO, SectionKind.VIDEO: Kind.VIDEO}
_Accepted = list[tuple[RemoteCodec, Variant]]


# --- publishing ------------------------------------------------------------------------------------------


def negotiate_publish(
    offer: RemoteDescription,
    *,
    hints: Mapping[str, PublishHint],
    video_codecs: Collection[str],
    audio_codecs: Collection[str],
) -> PublishNegotiation:
    """What to answer to a publisher's offer, and what will arrive.

    `hints` is keyed by the track id of msid. `video_codecs` and `audio_codecs` are names of `Codec`. A section that
    cannot be had is rejected alone. Raises `SdpError`: rtcp_mux_required when that is why nothing can be received,
    duplicate_ssrc, inconsistent_extensions, invalid_sdp for a description that is no offer.
    """
    if offer.type != "offer":
        raise SdpError("an offer was expected")
    allowed = {*video_codecs, *audio_codecs}
    bundle = offer.bundle or tuple(s.mid for s in offer.sections if not s.rejected)[:1]
    answers: list[AnswerSection] = []
    received: list[ReceivedMedia] = []
    without_mux = 0
    for section in offer.sections:
        if section.rejected or section.mid not in bundle:
            answers.append(_rejection(section))
        elif section.kind is SectionKind.APPLICATION:
            answers.append(_answer_data(section))
        elif section.kind not in KINDS or not section.rtcp_mux:
            without_mux += section.kind in KINDS and section.direction in SENDING
            answers.append(_rejection(section))
        else:
            hint = hints.get(section.msid_track, PublishHint())
            answer, media = _answer_media(section, KINDS[section.kind], hint, allowed)
            answers.append(answer)
            if media is not None:
                received.append(media)
    if without_mux and not received:
        raise SdpError("rtcp-mux is required", code="rtcp_mux_required")
    check_extensions(answers)
    _check_ssrcs(received)
    data = next((s for s in answers if s.kind is SectionKind.APPLICATION and s.accepted), None)
    return PublishNegotiation(
        answer=tuple(answers),
        received=tuple(received),
        transport=offer.transport,
        data_section=data is not None,
        remote_max_message_size=_message_size(offer, data.mid if data is not None else ""),
        bundled=bool(offer.bundle),
        extmap_allow_mixed=offer.extmap_allow_mixed,
    )


def _rejection(section: RemoteSection) -> AnswerSection:
    return AnswerSection(
        mid=section.mid,
        kind=section.kind,
        accepted=False,
        media=section.media,
        protocol=section.protocol,
        first_format=section.first_format,
    )


def _answer_data(section: RemoteSection) -> AnswerSection:
    if section.sctp_port is None:
        return _rejection(section)
    return AnswerSection(
        mid=section.mid,
        kind=section.kind,
        accepted=True,
        direction=Direction.SENDRECV,
        sctp_port=section.sctp_port,
        max_message_size=section.max_message_size,
        media=section.media,
        protocol=section.protocol,
        first_format=section.first_format,
    )


def _message_size(description: RemoteDescription, mid: str) -> int:
    for section in description.sections:
        if section.mid == mid and section.max_message_size is not None:
            return section.max_message_size
    return DEFAULT_MAX_MESSAGE_SIZE


def _answer_media(
    section: RemoteSection, kind: Kind, hint: PublishHint, allowed: Collection[str]
) -> tuple[AnswerSection, ReceivedMedia | None]:
    accepted = _accept_codecs(section, kind, hint, allowed)
    if not accepted:
        return _rejection(section), None
    extensions = {uri: section.extensions[uri] for uri in PUBLISHER_EXTENSIONS[kind] if uri in section.extensions}
    # A layer that is known by its RID can be told apart only with both extensions (RFC 8852, RFC 8853 §5.3.2).
    with_rids = kind is Kind.VIDEO and Extension.MID in extensions and Extension.RID in extensions
    rids = tuple(section.send_rids[:MAX_LAYERS]) if with_rids else ()
    stereo = kind is Kind.AUDIO and (hint.stereo or _sends_stereo(accepted))
    rtx = _rtx_payload_types(section, accepted)
    sending = section.direction in SENDING
    answer = AnswerSection(
        mid=section.mid,
        kind=section.kind,
        accepted=True,
        direction=Direction.RECVONLY if sending else Direction.INACTIVE,
        codecs=tuple(_answer_codecs(accepted, rtx, extensions, hint, stereo)),
        extensions=extensions,
        receive_rids=rids if sending else (),
        rtcp_rsize=section.rtcp_rsize,
        media=section.media,
        protocol=section.protocol,
        first_format=section.first_format,
    )
    if not sending:
        return answer, None
    track = TrackConfig(
        kind=kind,
        payloads=tuple(
            InboundPayload(c.payload_type, v.codec, v.clock_rate, rtx.get(c.payload_type)) for c, v in accepted
        ),
        layers=layers_of(section, rids),
        mid=section.mid,
        extensions=extensions,
        nack=any("nack" in codec.feedback for codec in answer.codecs),
        pli=any("nack pli" in codec.feedback for codec in answer.codecs),
    )
    media = ReceivedMedia(
        mid=section.mid,
        kind=kind,
        cid=section.msid_track,
        track=track,
        variants={codec.payload_type: variant.key for codec, variant in accepted},
        mime_type=accepted[0][1].mime_type,
        stereo=stereo,
    )
    return answer, media


def _accept_codecs(section: RemoteSection, kind: Kind, hint: PublishHint, allowed: Collection[str]) -> _Accepted:
    """Codecs that we carry, the one to send first: senders take the first of the answer."""
    matched: _Accepted = []
    for codec in section.codecs:
        variant = match_variant(codec, kind)
        # 64 to 95 look like RTCP once the marker bit is set (RFC 5761 §4).
        if variant is not None and variant.codec.value in allowed and not 64 <= codec.payload_type <= 95:
            matched.append((codec, variant))
    opus = {codec.payload_type for codec, variant in matched if variant.codec is Codec.OPUS}
    keys = {variant.key for _, variant in matched}

    def is_wanted(item: tuple[RemoteCodec, Variant]) -> bool:
        codec, variant = item
        if variant.codec is Codec.RED:
            return not hint.disable_red and red_block_type(codec) in opus
        if variant.codec is Codec.H264 and variant.key.endswith("/0"):
            # Nobody sends mode 0 where mode 1 of the same profile is at hand; leaving it out halves the list that
            # every subscriber would have to be offered.
            return variant.key.removesuffix("/0") + "/1" not in keys
        return True

    wanted = [item for item in matched if is_wanted(item)]
    mime_type = hint.mime_type.lower()
    # sorted() is stable: within each group the offer's order stays.
    return sorted(wanted, key=lambda item: (item[1].codec is not Codec.RED, item[1].mime_type.lower() != mime_type))


def red_block_type(codec: RemoteCodec) -> int | None:
    """The payload type of all blocks of a RED codec, "111/111" (RFC 2198 §5); None when they differ."""
    blocks = {block for format in codec.parameters for block in format.split("/")}
    block = blocks.pop() if len(blocks) == 1 else ""
    return int(block) if block.isascii() and block.isdigit() and len(block) <= 3 else None


def _sends_stereo(accepted: _Accepted) -> bool:
    return any(v.codec is Codec.OPUS and c.parameters.get("sprop-stereo") == "1" for c, v in accepted)


def _rtx_payload_types(section: RemoteSection, accepted: _Accepted) -> dict[int, int]:
    """Media payload type to its RTX payload type (RFC 4588 §8.1)."""
    by_text = {str(codec.payload_type): codec.payload_type for codec, _ in accepted}
    rtx: dict[int, int] = {}
    for codec in section.codecs:
        media = by_text.get(codec.parameters.get("apt", ""))
        if codec.name == "rtx" and media is not None and not 64 <= codec.payload_type <= 95:
            rtx.setdefault(media, codec.payload_type)
    return rtx


def _answer_codecs(
    accepted: _Accepted, rtx: Mapping[int, int], extensions: Mapping[Extension, int], hint: PublishHint, stereo: bool
) -> list[RemoteCodec]:
    codecs: list[RemoteCodec] = []
    for codec, variant in accepted:
        feedback = _answer_feedback(codec, variant.kind, Extension.TRANSPORT_CC in extensions)
        parameters = _answer_parameters(codec, variant, hint, stereo)
        codecs.append(
            RemoteCodec(
                codec.payload_type, variant.name, variant.clock_rate, variant.channels, parameters, tuple(feedback)
            )
        )
        if codec.payload_type in rtx:
            apt = {"apt": str(codec.payload_type)}
            codecs.append(RemoteCodec(rtx[codec.payload_type], "rtx", variant.clock_rate, 1, apt))
    return codecs


def _answer_feedback(codec: RemoteCodec, kind: Kind, transport_cc: bool) -> list[str]:
    known = AUDIO_FEEDBACK if kind is Kind.AUDIO else VIDEO_FEEDBACK
    offered = [value for value in known if value in codec.feedback]
    # REMB stays beside transport-wide feedback: it says at once that a line has become narrow, and holds for a moment.
    return [value for value in offered if transport_cc or value != "transport-cc"]


def _answer_parameters(codec: RemoteCodec, variant: Variant, hint: PublishHint, stereo: bool) -> dict[str, str]:
    """The fmtp of the answer: what we want of the sender (RFC 7587 §6.1 for Opus)."""
    parameters = dict(variant.parameters)
    if variant.codec is Codec.OPUS:
        if not hint.disable_dtx:
            parameters["usedtx"] = "1"
        if stereo:
            parameters |= {"stereo": "1", "maxaveragebitrate": str(STEREO_BITRATE_BPS)}
    elif variant.codec is Codec.RED:
        block = red_block_type(codec)
        parameters = {f"{block}/{block}": ""}
    elif variant.codec is Codec.H264 and "profile-level-id" in codec.parameters:
        # `match_variant` has checked that these are six hex digits.
        parameters["profile-level-id"] = codec.parameters["profile-level-id"]
    return parameters


def check_extensions(answers: Sequence[AnswerSection]) -> None:
    """In a bundle, one id means one URI (RFC 9143 §9.2)."""
    uris: dict[int, Extension] = {}
    for section in answers:
        for uri, id in section.extensions.items():
            if uris.setdefault(id, uri) is not uri:
                raise SdpError("bundled sections map one header extension id twice", code="inconsistent_extensions")


def _check_ssrcs(received: Sequence[ReceivedMedia]) -> None:
    seen: set[int] = set()
    for media in received:
        for layer in media.track.layers:
            for ssrc in (layer.ssrc, layer.rtx_ssrc):
                if ssrc is None:
                    continue
                if ssrc in seen:
                    raise SdpError("two streams claim one SSRC", code="duplicate_ssrc")
                seen.add(ssrc)


# --- subscribing -----------------------------------------------------------------------------------------


def subscribe_variants(received: ReceivedMedia) -> list[str]:
    """Keys of `VARIANTS` to offer a subscriber of this track, best first. Beside RED there is always Opus, which every
    receiver has."""
    keys: dict[str, None] = {}
    for key in received.variants.values():
        keys |= dict.fromkeys(alternatives(key))
    return list(keys)


def outbound_payloads(
    received: ReceivedMedia, accepted: AcceptedSection, redundancy: Redundancy | None = None
) -> dict[int, OutboundPayload]:
    """The publisher's payload types to the subscriber's, for one that accepted `accepted`. Empty when nothing fits.

    RED goes out as RED only if its blocks carry the subscriber's Opus payload type already, since they pass through
    unchanged; otherwise its primary block goes out as Opus. With `redundancy`, sound goes out with so many earlier
    frames whatever the publisher sends, with none as plain Opus, where the subscriber takes both.
    """
    if redundancy is not None and can_add_redundancy(accepted):
        opus, red, block_type = accepted.payloads["opus"], accepted.payloads["red"], accepted.red_block_type or 0
        plain = replace(opus, strip_red=True)
        frames, step = redundancy
        more = replace(red, redundancy=frames, redundancy_step=step, frame_type=block_type)
        added = more if frames else plain
        return {payload_type: added for payload_type, key in received.variants.items() if key in ("opus", "red")}
    publisher_opus = {pt for pt, key in received.variants.items() if key == "opus"}
    payloads: dict[int, OutboundPayload] = {}
    for payload_type, key in received.variants.items():
        for candidate in alternatives(key):
            payload = accepted.payloads.get(candidate)
            if payload is None or (candidate == "red" and publisher_opus != {accepted.red_block_type}):
                continue
            payloads[payload_type] = replace(payload, strip_red=key == "red" and candidate == "opus")
            break
    return payloads


def can_add_redundancy(accepted: AcceptedSection) -> bool:
    """Whether sound can go out on a section as plain Opus and as RED, as its line needs it."""
    return accepted.red_block_type is not None and "opus" in accepted.payloads and "red" in accepted.payloads


def negotiate_subscribe(
    answer: RemoteDescription, sections: Sequence[OfferSection], *, with_data: bool = True
) -> SubscribeNegotiation:
    """What a subscriber's answer says of the offer made of `sections` (and, unless without, the data section in front
    of them).

    Raises `SdpError` with code section_mismatch when the answer is to another offer.
    """
    if answer.type != "answer":
        raise SdpError("an answer was expected")
    if len(answer.sections) != len(sections) + with_data:
        raise SdpError("the answer has another number of sections than the offer", code="section_mismatch")
    data = answer.sections[0] if with_data else None
    if data is not None and data.kind is not SectionKind.APPLICATION:
        raise SdpError("the first section of the answer is not the data section", code="section_mismatch")
    accepted: dict[str, AcceptedSection] = {}
    for offered, section in zip(sections, answer.sections[with_data:], strict=True):
        if section.kind.value != offered.kind.value or section.mid not in (offered.mid, ""):
            raise SdpError("a section of the answer is not the one that was offered", code="section_mismatch")
        accepted[offered.mid] = _accepted_section(offered, section)
    return SubscribeNegotiation(
        transport=answer.transport,
        sections=accepted,
        data_section=data is not None and not data.rejected and data.sctp_port is not None,
        remote_max_message_size=_message_size(answer, data.mid if data is not None else ""),
    )


def _accepted_section(offered: OfferSection, section: RemoteSection) -> AcceptedSection:
    if offered.state is SlotState.CLOSED or section.rejected or section.direction not in RECEIVING:
        return AcceptedSection(mid=offered.mid, accepted=False)
    ours = {VARIANTS[key].payload_type: VARIANTS[key] for key in offered.variants}
    rtx = {(codec.payload_type, codec.parameters.get("apt")) for codec in section.codecs if codec.name == "rtx"}
    has_fec = any((codec.payload_type, codec.name) == (FEC.payload_type, FEC.name) for codec in section.codecs)
    payloads: dict[str, OutboundPayload] = {}
    nack = transport_cc = False
    for codec in section.codecs:
        variant = ours.get(codec.payload_type)
        # The payload type alone tells nothing: an answer may use it for what it likes to receive.
        if variant is None or codec.name != variant.name.lower():
            continue
        nack = nack or "nack" in codec.feedback
        transport_cc = transport_cc or "transport-cc" in codec.feedback
        has_rtx = offered.rtx_ssrc is not None and (variant.rtx_payload_type, str(codec.payload_type)) in rtx
        payloads[variant.key] = OutboundPayload(codec.payload_type, variant.rtx_payload_type if has_rtx else None)
    return AcceptedSection(
        mid=offered.mid,
        accepted=section.rtcp_mux and bool(payloads),
        payloads=payloads,
        extensions={
            extension: id
            for extension, id in offered_extensions(offered).items()
            if section.extensions.get(extension) == id and (transport_cc or extension is not Extension.TRANSPORT_CC)
        },
        nack=nack,
        fec_payload_type=FEC.payload_type if offered.fec_ssrc is not None and has_fec else None,
        red_block_type=VARIANTS["opus"].payload_type,
    )


def offered_extensions(section: OfferSection) -> Mapping[Extension, int]:
    """The header extensions of a section that we offer. The dependency descriptor is for AV1 alone: VP8 and VP9 name
    their frames in the payload, which the engine rewrites, and a receiver with both would believe the descriptor."""
    ours = EXTENSIONS[section.kind]
    if any(VARIANTS[key].codec is Codec.AV1 for key in section.variants):
        return ours
    return {extension: id for extension, id in ours.items() if extension is not Extension.DEPENDENCY_DESCRIPTOR}
