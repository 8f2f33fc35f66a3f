"""The offer of a client that publishes with one exchange: all or nothing, at most one audio and one video track.

RFC 9725 §4.2: the answer cannot reject a part, so an offer that is not acceptable as a whole is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sfu.errors import SdpError
from sfu.sdp.model import Direction, ReceivedMedia, RemoteDescription, SectionKind
from sfu.sdp.negotiate import negotiate_publish

_SENDING = (Direction.SENDONLY, Direction.SENDRECV)


def read_ingest(
    offer: RemoteDescription, *, video_codecs: Collection[str], audio_codecs: Collection[str]
) -> Sequence[ReceivedMedia]:
    """What will arrive. Raises `SdpError` not_acceptable, unsupported_codec, or what `negotiate_publish` raises."""
    sections = [section for section in offer.sections if not section.rejected]
    kinds = [section.kind for section in sections]
    if not kinds or any(kind not in (SectionKind.AUDIO, SectionKind.VIDEO) for kind in kinds):
        raise _refusal("an offer with audio, video or both is expected, and nothing else")
    if len(set(kinds)) != len(kinds):
        raise _refusal("at most one audio and one video section are accepted")
    if any(section.direction not in _SENDING for section in sections):
        raise _refusal("every section must be sendonly")
    if len(sections) > 1 and set(offer.bundle) != {section.mid for section in sections}:
        raise _refusal("all sections must be in one BUNDLE group")
    if len({section.msid_stream for section in sections if section.msid_stream}) > 1:
        raise _refusal("all tracks must be of one MediaStream")
    if any(not section.rtcp_mux for section in sections):
        raise SdpError("rtcp-mux is required", code="rtcp_mux_required")
    negotiation = negotiate_publish(offer, hints={}, video_codecs=video_codecs, audio_codecs=audio_codecs)
    if len(negotiation.received) != len(sections):
        raise SdpError("a section has no codec that can be received here", code="unsupported_codec")
    return negotiation.received


def _refusal(text: str) -> SdpError:
    return SdpError(text, code="not_acceptable")
