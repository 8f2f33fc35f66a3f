"""ICE news of a client that has no signalling but HTTP: `application/trickle-ice-sdpfrag` (RFC 8840, RFC 9725 §4.3)."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.grammar import FORBIDDEN, MAX_LINE_CHARS, check
from sfu.sdp.model import IceCredentials, LocalTransport
from sfu.sdp.render import render_ice

_MEDIA = ("audio", "video")


@dataclass(frozen=True, slots=True)
class Fragment:
    """Candidates are checked and then left out: a lite agent learns addresses from checks."""

    ice: IceCredentials
    media: str
    """"audio" or "video": of the section that the fragment is about."""
    mid: str


def parse_fragment(text: str, *, max_bytes: int) -> Fragment:
    """Raises `SdpError` invalid_sdp, sdp_too_long or too_many_candidates; its message never quotes the text."""
    if len(text) > max_bytes or len(text.encode("utf-8", "replace")) > max_bytes:
        raise SdpError(f"the fragment is longer than {max_bytes} bytes", code="sdp_too_long")
    values: dict[str, set[str]] = {"ice-ufrag": set(), "ice-pwd": set()}
    media, mid, candidates = "", "", 0
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line:
            continue
        if len(line) > MAX_LINE_CHARS or line[1:2] != "=" or FORBIDDEN.search(line) is not None:
            raise SdpError("a line is malformed")
        if line.startswith("m=") and not media:
            media = line[2:].partition(" ")[0]
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].partition(":")
        if name in values:
            values[name].add(value)
        elif name == "mid" and not mid:
            mid = check(grammar.MID, value, "a mid")
        elif name == "candidate":
            candidates += 1
            check(grammar.CANDIDATE, value, "a candidate")
    if candidates > grammar.MAX_CANDIDATES_PER_SECTION:
        limit = grammar.MAX_CANDIDATES_PER_SECTION
        raise SdpError(f"more than {limit} candidates in a fragment", code="too_many_candidates")
    ufrag = check(grammar.UFRAG, _only(values["ice-ufrag"]), "ice-ufrag")
    pwd = check(grammar.PWD, _only(values["ice-pwd"]), "ice-pwd")
    if media not in _MEDIA or not mid:
        raise SdpError("the fragment names no audio or video section with its mid")
    return Fragment(IceCredentials(ufrag, pwd), media, mid)


def _only(values: set[str]) -> str:
    if len(values) != 1:
        raise SdpError("one ice-ufrag and one ice-pwd are expected")
    return next(iter(values))


def render_fragment(fragment: Fragment, local: LocalTransport) -> str:
    """Our credentials and candidates after an ICE restart, for the section that `fragment` was about."""
    lines = [
        "a=ice-lite",
        "a=ice-options:trickle",
        f"m={fragment.media} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{fragment.mid}",
        *render_ice(local),
    ]
    return "".join(f"{line}\r\n" for line in lines)
