"""One connection for both directions: the peer's offer says where it can receive, and our answer sends there.

Payload types and header extension ids are the peer's in both directions (RFC 3264 §6.1). Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sfu.engine.api import Extension, Kind, OutboundPayload
from sfu.sdp.capabilities import CCFB, EXTENSIONS, FEC, VARIANTS, match_variant
from sfu.sdp.model import (
    AcceptedSection,
    AnswerSection,
    Direction,
    PublishNegotiation,
    RemoteCodec,
    RemoteDescription,
    RemoteSection,
    SentMedia,
)
from sfu.sdp.negotiate import KINDS, RECEIVING, SENDING, check_extensions, red_block_type


def receivable_sections(offer: RemoteDescription, negotiation: PublishNegotiation) -> dict[str, AcceptedSection]:
    """By mid, what the peer can receive on each section of its offer. `negotiation` is the answer to it so far: what
    that rejects is left out."""
    with_ccfb = _only_receives(offer)
    return {
        section.mid: _receivable(section, KINDS[section.kind], with_ccfb)
        for section, answer in zip(offer.sections, negotiation.answer, strict=True)
        if answer.accepted and section.kind in KINDS and section.direction in RECEIVING
    }


def _only_receives(offer: RemoteDescription) -> bool:
    """Whether feedback by RTP numbers may be agreed on: it is for both directions of a connection, and the client gets
    none from here for what it sends."""
    return not any(section.direction in SENDING for section in offer.sections if section.kind in KINDS)


def _receivable(section: RemoteSection, kind: Kind, with_ccfb: bool) -> AcceptedSection:
    rtx = {
        codec.parameters.get("apt"): codec.payload_type
        for codec in section.codecs
        if codec.name == "rtx" and _is_usable(codec.payload_type)
    }
    payloads: dict[str, OutboundPayload] = {}
    nack = transport_cc = ccfb = False
    red_blocks: int | None = None
    for codec in section.codecs:
        variant = match_variant(codec, kind)
        if variant is None or variant.key in payloads or not _is_usable(codec.payload_type):
            continue
        payloads[variant.key] = OutboundPayload(codec.payload_type, rtx.get(str(codec.payload_type)))
        nack = nack or "nack" in codec.feedback
        transport_cc = transport_cc or "transport-cc" in codec.feedback
        ccfb = ccfb or CCFB in codec.feedback
        if variant.key == "red":
            red_blocks = red_block_type(codec)
    opus = payloads.get("opus")
    if opus is None or opus.payload_type != red_blocks:
        payloads.pop("red", None)
    extensions = {
        extension: section.receivable_extensions[extension]
        for extension in EXTENSIONS[kind]
        if extension in section.receivable_extensions and (transport_cc or extension is not Extension.TRANSPORT_CC)
    }
    return AcceptedSection(
        mid=section.mid,
        accepted=True,
        payloads=payloads,
        extensions=extensions,
        nack=nack,
        fec_payload_type=_fec_payload_type(section),
        red_block_type=red_blocks,
        ccfb=with_ccfb and ccfb and Extension.TRANSPORT_CC not in extensions,
    )


def _fec_payload_type(section: RemoteSection) -> int | None:
    """Of repair packets for what only we send: those of the peer are not wanted."""
    if section.direction in SENDING:
        return None
    same = (one.payload_type for one in section.codecs if (one.name, one.clock_rate) == (FEC.name, FEC.clock_rate))
    return next((payload_type for payload_type in same if _is_usable(payload_type)), None)


def _is_usable(payload_type: int) -> bool:
    # 64 to 95 look like RTCP once the marker bit is set (RFC 5761 §4).
    return not 64 <= payload_type <= 95


def send_on(
    offer: RemoteDescription, negotiation: PublishNegotiation, sent: Mapping[str, SentMedia]
) -> PublishNegotiation:
    """The answer `negotiation` with what we send, by mid. Each mid must be one of `receivable_sections`.

    Raises `SdpError` inconsistent_extensions when the offer maps one id to two extensions that we would use.
    """
    sections = {section.mid: section for section in offer.sections}
    with_ccfb = _only_receives(offer)
    answer = tuple(
        _sending(section, sections[section.mid], sent[section.mid], with_ccfb) if section.mid in sent else section
        for section in negotiation.answer
    )
    check_extensions(answer)
    return replace(negotiation, answer=answer)


def _sending(answer: AnswerSection, section: RemoteSection, sent: SentMedia, with_ccfb: bool) -> AnswerSection:
    kind = KINDS[section.kind]
    receiving = answer.direction is Direction.RECVONLY
    accepted = _receivable(section, kind, with_ccfb)
    codecs = {codec.payload_type: codec for codec in answer.codecs} if receiving else {}
    for codec in _sending_codecs(section, accepted, sent):
        before = codecs.get(codec.payload_type)
        if before is not None:
            feedback = dict.fromkeys((*before.feedback, *codec.feedback))
            codec = replace(before, feedback=tuple(feedback))
        codecs[codec.payload_type] = codec
    # Those of publishers stay in any case: libwebrtc offers on a new section only what the first ones have agreed on.
    extensions = {**answer.extensions, **accepted.extensions}
    if not any(payload.rtx_payload_type for payload in accepted.payloads.values()):
        sent = replace(sent, rtx_ssrc=None)
    if accepted.fec_payload_type is None:
        sent = replace(sent, fec_ssrc=None)
    return replace(
        answer,
        direction=Direction.SENDRECV if receiving else Direction.SENDONLY,
        codecs=tuple(codecs.values()),
        extensions=extensions,
        ccfb=accepted.ccfb,
        sent=sent,
    )


def _sending_codecs(section: RemoteSection, accepted: AcceptedSection, sent: SentMedia) -> list[RemoteCodec]:
    """Everything that the peer can receive, so that a track that turns out to have another codec needs no new offer.
    What it is likely to have comes first."""
    offered = {codec.payload_type: codec for codec in section.codecs}
    likely = [key for key in sent.variants if key in accepted.payloads]
    codecs: list[RemoteCodec] = []
    for key in dict.fromkeys([*likely, *accepted.payloads]):
        variant, payload = VARIANTS[key], accepted.payloads[key]
        codec = offered[payload.payload_type]
        parameters = dict(variant.parameters)
        if key == "red":
            parameters = {f"{accepted.red_block_type}/{accepted.red_block_type}": ""}
        elif key == "opus" and sent.stereo:
            # RFC 7587 §6.1: we will send stereo.
            parameters["sprop-stereo"] = "1"
        elif "profile-level-id" in codec.parameters:
            # `match_variant` has checked that these are six hex digits.
            parameters["profile-level-id"] = codec.parameters["profile-level-id"]
        known = [value for value in variant.feedback if not (accepted.ccfb and value == "transport-cc")]
        feedback = tuple(value for value in known if value in codec.feedback)
        codecs.append(replace(codec, name=variant.name, parameters=parameters, feedback=feedback))
        if payload.rtx_payload_type is not None:
            apt = {"apt": str(payload.payload_type)}
            codecs.append(RemoteCodec(payload.rtx_payload_type, "rtx", variant.clock_rate, 1, apt))
    if accepted.fec_payload_type is not None and sent.fec_ssrc is not None:
        feedback = tuple(value for value in FEC.feedback if value in offered[accepted.fec_payload_type].feedback)
        codecs.append(replace(FEC, payload_type=accepted.fec_payload_type, feedback=feedback))
    return codecs
