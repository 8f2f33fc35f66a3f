"""The offer of a client that plays with one exchange: at most one audio and one video section, all to receive on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sfu.engine.api import Kind
from sfu.errors import SdpError
from sfu.ids import TrackId
from sfu.sdp.capabilities import VARIANTS
from sfu.sdp.duplex import receivable_sections, send_on
from sfu.sdp.model import (
    AcceptedSection,
    Direction,
    OfferSection,
    PublishNegotiation,
    RemoteDescription,
    SectionKind,
    SentMedia,
    SlotState,
    Ssrcs,
)
from sfu.sdp.negotiate import KINDS, negotiate_publish

STREAM = "ting"
"""The one MediaStream of a player; its tracks stay while their sources change."""


def as_receiver(offer: RemoteDescription) -> RemoteDescription:
    """A player may offer to send as well; nothing of it is wanted."""
    sections = tuple(
        replace(section, direction=Direction.RECVONLY) if section.direction is Direction.SENDRECV else section
        for section in offer.sections
    )
    return replace(offer, sections=sections)


def read_playback(
    offer: RemoteDescription, *, video_codecs: Collection[str], audio_codecs: Collection[str]
) -> tuple[PublishNegotiation, Mapping[Kind, AcceptedSection]]:
    """The answer so far, and what the player takes of each kind. Raises `SdpError` not_acceptable or
    unsupported_codec, or what `negotiate_publish` raises."""
    sections = [section for section in offer.sections if not section.rejected]
    kinds = [section.kind for section in sections]
    if not kinds or any(kind not in (SectionKind.AUDIO, SectionKind.VIDEO) for kind in kinds):
        raise _refusal("an offer to receive audio, video or both is expected, and nothing else")
    if len(set(kinds)) != len(kinds):
        raise _refusal("at most one audio and one video section are accepted")
    if any(section.direction is not Direction.RECVONLY for section in sections):
        raise _refusal("every section must be recvonly")
    if len(sections) > 1 and set(offer.bundle) != {section.mid for section in sections}:
        raise _refusal("all sections must be in one BUNDLE group")
    if any(not section.rtcp_mux for section in sections):
        raise SdpError("rtcp-mux is required", code="rtcp_mux_required")
    negotiation = negotiate_publish(offer, hints={}, video_codecs=video_codecs, audio_codecs=audio_codecs)
    by_mid = receivable_sections(offer, negotiation)
    if len(by_mid) != len(sections):
        raise SdpError("a section has no codec that can be sent from here", code="unsupported_codec")
    return negotiation, {KINDS[section.kind]: by_mid[section.mid] for section in sections}


def answer_playback(
    offer: RemoteDescription, negotiation: PublishNegotiation, ssrcs: Mapping[str, Ssrcs], cname: str
) -> PublishNegotiation:
    """The whole answer; `ssrcs` are by mid."""
    kinds = {section.mid: KINDS[section.kind] for section in offer.sections if section.mid in ssrcs}
    sent = {mid: _sent(kinds[mid], one, cname) for mid, one in ssrcs.items()}
    return send_on(offer, negotiation, sent)


def _sent(kind: Kind, ssrcs: Ssrcs, cname: str) -> SentMedia:
    # Stereo, since what comes may be: to a mono stream the parameter does no harm.
    return SentMedia(
        TrackId(f"{STREAM}-{kind}"), STREAM, ssrcs.media, ssrcs.rtx, cname, fec_ssrc=ssrcs.fec, stereo=True
    )


def offer_sections(ssrcs: Mapping[Kind, Ssrcs], cname: str, codecs: Collection[str]) -> Sequence[OfferSection]:
    """Our own offer in place of one that is not acceptable: one section of each kind, every codec in `codecs`."""
    sections = []
    for mid, (kind, one) in enumerate(ssrcs.items()):
        sent = _sent(kind, one, cname)
        variants = [key for key, variant in VARIANTS.items() if variant.kind is kind and variant.codec in codecs]
        sections.append(
            OfferSection(
                mid=str(mid),
                kind=kind,
                state=SlotState.ACTIVE,
                variants=variants,
                track_id=sent.track_id,
                stream_id=sent.stream_id,
                ssrc=sent.ssrc,
                rtx_ssrc=sent.rtx_ssrc,
                fec_ssrc=sent.fec_ssrc,
                cname=cname,
                stereo=sent.stereo,
            )
        )
    return sections


def _refusal(text: str) -> SdpError:
    return SdpError(text, code="not_acceptable")
