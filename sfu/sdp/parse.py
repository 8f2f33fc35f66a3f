"""SDP text to `RemoteDescription`: a strict line parser for what WebRTC uses, deaf to the rest.

RFC 8866 (SDP), RFC 8829 (JSEP), RFC 9143 (BUNDLE), RFC 8839 (ICE), RFC 8842 (DTLS), RFC 8841 (SCTP), RFC 8285
(header extensions), RFC 4585 (feedback), RFC 5576 (SSRC), RFC 8851 and RFC 8853 (RID, simulcast).

Whatever the text, the only exception is `SdpError`; its message never quotes the text. Every count has a limit in
`grammar.py`, and the cost is linear in the length of the text.
"""

from __future__ import annotations

from sfu.errors import SdpError
from sfu.sdp.grammar import FORBIDDEN, MAX_LINE_CHARS, MID, PROTOCOL, RTP_PROTOCOLS, TOKEN, check, number
from sfu.sdp.model import (
    Fingerprint,
    IceCredentials,
    RemoteDescription,
    RemoteSection,
    RemoteTransport,
    SectionKind,
    Setup,
)
from sfu.sdp.section import SectionReader, SessionReader

_KINDS = {kind.value: kind for kind in SectionKind if kind is not SectionKind.OTHER}


def parse_description(text: str, type: str, *, max_bytes: int, max_sections: int) -> RemoteDescription:
    """Parse an offer or answer (`type` "offer" or "answer").

    Raises `SdpError` with one of the codes invalid_sdp, sdp_too_long, too_many_sections, too_many_codecs,
    too_many_ssrcs, too_many_candidates, too_many_extensions, too_many_layers, duplicate_mid, duplicate_payload_type,
    duplicate_extension, duplicate_ssrc, missing_transport, transport_mismatch, unsupported_fingerprint.
    """
    if type not in ("offer", "answer"):
        raise SdpError("a description is an offer or an answer")
    # Characters first: encoding is not needed to refuse what is far too long.
    if len(text) > max_bytes or len(text.encode("utf-8", "replace")) > max_bytes:
        raise SdpError(f"the description is longer than {max_bytes} bytes", code="sdp_too_long")
    session, sections = _read_lines(text, type, max_sections)
    _check_mids(sections, session.bundle)
    remote_sections = [section.finish(session) for section in sections]
    return RemoteDescription(
        type=type,
        transport=_transport(session, sections, remote_sections, type),
        sections=tuple(remote_sections),
        ice_lite=session.ice_lite,
        bundle=session.bundle,
        extmap_allow_mixed=session.extmap_allow_mixed or any(s.extmap_allow_mixed for s in sections),
    )


def _read_lines(text: str, type: str, max_sections: int) -> tuple[SessionReader, list[SectionReader]]:
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0] != "v=0":
        raise SdpError("the description does not begin with v=0")
    session = SessionReader()
    sections: list[SectionReader] = []
    reader: SessionReader | SectionReader = session
    for line in lines[1:]:
        if not line:
            continue
        if len(line) > MAX_LINE_CHARS:
            raise SdpError(f"a line is longer than {MAX_LINE_CHARS} characters", code="sdp_too_long")
        if line[1:2] != "=" or not "a" <= line[0] <= "z" or FORBIDDEN.search(line) is not None:
            raise SdpError("a line is malformed")
        if line[0] == "m":
            if len(sections) >= max_sections:
                raise SdpError(f"more than {max_sections} media sections", code="too_many_sections")
            reader = _open_section(line[2:], len(sections), type)
            sections.append(reader)
        elif line[0] == "a":
            name, _, value = line[2:].partition(":")
            reader.read_attribute(name, value)
    return session, sections


def _open_section(value: str, index: int, type: str) -> SectionReader:
    """`m=<media> <port> <proto> <fmt> ...` (RFC 8866 §5.14)."""
    parts = value.split(" ")
    if len(parts) < 4:
        raise SdpError("an m= line is incomplete")
    media, port, protocol, *formats = parts
    check(MID, media, "the media type")
    check(PROTOCOL, protocol, "the transport protocol")
    for item in formats:
        check(TOKEN, item, "a format of an m= line")
    section = SectionReader(
        index=index,
        kind=_KINDS.get(media, SectionKind.OTHER),
        media=media,
        protocol=protocol,
        formats=formats,
        port=number(port, "the port", highest=65_535),
        from_offer=type == "offer",
    )
    if section.kind in (SectionKind.AUDIO, SectionKind.VIDEO) and protocol in RTP_PROTOCOLS:
        section.read_payload_types()
    return section


def _check_mids(sections: list[SectionReader], bundle: tuple[str, ...]) -> None:
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise SdpError("two media sections have the same mid", code="duplicate_mid")
    if len(set(bundle)) != len(bundle) or not set(bundle) <= set(mids):
        raise SdpError("the BUNDLE group names a section that is not there, or one twice")


def _transport(
    session: SessionReader, readers: list[SectionReader], sections: list[RemoteSection], type: str
) -> RemoteTransport:
    """The one transport of the description: from the session or the bundled sections, all of which must agree."""
    ices: set[IceCredentials] = set()
    fingerprints: set[tuple[Fingerprint, ...]] = set()
    setups: set[Setup] = set()
    for reader, section in zip(readers, sections, strict=True):
        if section.rejected or (session.bundle and section.mid not in session.bundle):
            continue
        if reader.ufrag or reader.pwd:
            ices.add(_ice(reader.ufrag or session.ufrag, reader.pwd or session.pwd))
        if reader.fingerprints or reader.weak_fingerprint:
            fingerprints.add(_fingerprints(reader))
        if reader.setup is not None:
            setups.add(reader.setup)
        if not session.bundle:
            break
    if not ices and (session.ufrag or session.pwd):
        ices.add(_ice(session.ufrag, session.pwd))
    if not fingerprints and (session.fingerprints or session.weak_fingerprint):
        fingerprints.add(_fingerprints(session))
    if not setups and session.setup is not None:
        setups.add(session.setup)
    if not ices or not fingerprints or not setups:
        raise SdpError("no section has ICE credentials, a fingerprint and a setup role", code="missing_transport")
    if len(ices) > 1 or len(fingerprints) > 1 or len(setups) > 1:
        raise SdpError("bundled sections name different transports", code="transport_mismatch")
    setup = setups.pop()
    if type == "answer" and setup is Setup.ACTPASS:
        raise SdpError("an answer must choose a DTLS role")
    return RemoteTransport(ice=ices.pop(), fingerprints=fingerprints.pop(), setup=setup)


def _ice(ufrag: str, pwd: str) -> IceCredentials:
    if not ufrag or not pwd:
        raise SdpError("ICE ufrag and pwd come together", code="missing_transport")
    return IceCredentials(ufrag, pwd)


def _fingerprints(reader: SessionReader | SectionReader) -> tuple[Fingerprint, ...]:
    if not reader.fingerprints:
        raise SdpError("no fingerprint with SHA-256 or stronger", code="unsupported_fingerprint")
    return tuple(sorted(set(reader.fingerprints), key=lambda f: (f.algorithm, f.value)))
