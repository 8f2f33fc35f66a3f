"""The streams of one track, from lowest to highest resolution, as its section describes them."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.engine.api import InboundLayer
from sfu.errors import SdpError
from sfu.sdp.model import RemoteSection

MAX_LAYERS = 4
"""Of one track; more are not received. OBS goes up to four, browsers to three."""

_SCALES = (("q", "h", "f"), ("l", "m", "h"))
"""RID names that tell the size whatever their order: LiveKit's, and the example of the W3C simulcast text."""


def layers_of(section: RemoteSection, rids: Sequence[str]) -> tuple[InboundLayer, ...]:
    """Layers by RID (RFC 8853) where `rids` has any, else by SSRC (RFC 5576): an SIM group is one track in several
    sizes, lowest first; an FID group pairs a stream with its retransmissions, FEC-FR one with its repair
    packets, which nobody wants. Without SSRC lines, one open layer.

    Raises `SdpError` duplicate_ssrc when two streams claim one SSRC.
    """
    if rids:
        return tuple(InboundLayer(rid=rid) for rid in _lowest_first(rids))
    rtx: dict[int, int] = {}
    repair: set[int] = set()
    groups: list[tuple[int, ...]] = []
    for semantics, ssrcs in section.ssrc_groups:
        if semantics == "FID" and len(ssrcs) == 2:
            if rtx.setdefault(ssrcs[0], ssrcs[1]) != ssrcs[1]:
                raise SdpError("a stream has two retransmission SSRCs", code="duplicate_ssrc")
        elif semantics == "FEC-FR":
            repair.update(ssrcs[1:])
        elif semantics == "SIM" and ssrcs:
            groups.append(ssrcs)
    beside = {*rtx.values(), *repair}
    media = groups[0] if groups else tuple(ssrc for ssrc in section.ssrcs if ssrc not in beside)[:1]
    layers = tuple(InboundLayer(ssrc=ssrc, rtx_ssrc=rtx.get(ssrc)) for ssrc in media[:MAX_LAYERS])
    return layers or (InboundLayer(),)


def _lowest_first(rids: Sequence[str]) -> list[str]:
    for scale in _SCALES:
        if set(rids) <= set(scale):
            return sorted(rids, key=scale.index)
    if all(rid.isdigit() for rid in rids):
        # OBS numbers its encoders from the full-size one down (plugins/obs-webrtc, frontend WHIPSimulcastEncoders).
        return sorted(rids, key=int, reverse=True)
    # Nothing else is known: as declared, which is how libwebrtc lists its encodings.
    return list(rids)
