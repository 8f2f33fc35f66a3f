"""Readers that collect the attributes of the session part and of one media section while the lines go by."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import ClassVar

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.grammar import check, number
from sfu.sdp.model import Direction, Fingerprint, RemoteCodec, RemoteSection, SectionKind, Setup

UNLIMITED_MESSAGE_SIZE = 0xFFFF_FFFF
"""Stands for max-message-size 0, "any size" (RFC 8841 §6)."""

_DIRECTIONS = {direction.value: direction for direction in Direction}
_SETUPS = {setup.value: setup for setup in Setup}
_NOT_RECEIVED = ("inactive", "sendonly")
_Codec = tuple[str, int, int]


def _too_many(what: str, limit: int, code: str) -> SdpError:
    return SdpError(f"more than {limit} {what}", code=code)


class _Reader:
    """Attributes that may stand in either part: transport, direction, header extensions."""

    _handlers: ClassVar[dict[str, Callable[..., None]]] = {}

    def __init__(self) -> None:
        self.ufrag = ""
        self.pwd = ""
        self.fingerprints: list[Fingerprint] = []
        self.weak_fingerprint = False
        """There was a fingerprint, of an algorithm that is not accepted."""
        self.setup: Setup | None = None
        self.direction: Direction | None = None
        self.extmap_allow_mixed = False
        self.extension_ids: dict[int, tuple[str, str]] = {}
        """Id to (direction, URI)."""

    def read_attribute(self, name: str, value: str) -> None:
        if name in _DIRECTIONS:
            self.direction = _DIRECTIONS[name]
            return
        handler = self._handlers.get(name)
        if handler is not None:
            handler(self, value)

    def _read_ufrag(self, value: str) -> None:
        if self.ufrag:
            raise SdpError("ice-ufrag stands twice in one part")
        self.ufrag = check(grammar.UFRAG, value, "ice-ufrag")

    def _read_pwd(self, value: str) -> None:
        if self.pwd:
            raise SdpError("ice-pwd stands twice in one part")
        self.pwd = check(grammar.PWD, value, "ice-pwd")

    def _read_fingerprint(self, value: str) -> None:
        algorithm, _, digest = value.partition(" ")
        algorithm = algorithm.lower()
        check(grammar.HEX_PAIRS, digest, "a fingerprint")
        length = grammar.FINGERPRINT_BYTES.get(algorithm)
        if length is None:
            self.weak_fingerprint = True
            return
        if len(digest) != 3 * length - 1:
            raise SdpError("a fingerprint has the wrong length for its algorithm")
        if len(self.fingerprints) >= grammar.MAX_FINGERPRINTS:
            raise SdpError(f"more than {grammar.MAX_FINGERPRINTS} fingerprints")
        self.fingerprints.append(Fingerprint(algorithm, digest.upper()))

    def _read_setup(self, value: str) -> None:
        setup = _SETUPS.get(value)
        if setup is None:
            raise SdpError("the setup role is not actpass, active or passive")
        self.setup = setup

    def _read_extmap(self, value: str) -> None:
        """`<id>[/<direction>] <URI> [<attributes>]` (RFC 8285 §8)."""
        head, _, rest = value.partition(" ")
        id_text, _, direction = head.partition("/")
        uri = check(grammar.VISIBLE, rest.partition(" ")[0], "a header extension URI")
        if direction and direction not in _DIRECTIONS:
            raise SdpError("the direction of a header extension is malformed")
        id = number(id_text, "a header extension id", lowest=1, highest=255)
        if id in self.extension_ids:
            raise SdpError("a header extension id stands twice in one section", code="duplicate_extension")
        if len(self.extension_ids) >= grammar.MAX_EXTENSIONS_PER_SECTION:
            raise _too_many("header extensions", grammar.MAX_EXTENSIONS_PER_SECTION, "too_many_extensions")
        self.extension_ids[id] = (direction, uri)

    def _read_allow_mixed(self, value: str) -> None:
        self.extmap_allow_mixed = True


_TRANSPORT_HANDLERS: dict[str, Callable[..., None]] = {
    "ice-ufrag": _Reader._read_ufrag,
    "ice-pwd": _Reader._read_pwd,
    "fingerprint": _Reader._read_fingerprint,
    "setup": _Reader._read_setup,
    "extmap": _Reader._read_extmap,
    "extmap-allow-mixed": _Reader._read_allow_mixed,
}


class SessionReader(_Reader):
    """The part before the first m= line."""

    def __init__(self) -> None:
        super().__init__()
        self.ice_lite = False
        self.bundle: tuple[str, ...] = ()

    def _read_ice_lite(self, value: str) -> None:
        self.ice_lite = True

    def _read_group(self, value: str) -> None:
        semantics, *mids = value.split(" ")
        if semantics == "BUNDLE" and not self.bundle:
            # A trailing space is common where the group is empty.
            self.bundle = tuple(check(grammar.MID, mid, "a mid") for mid in mids if mid)

    _handlers: ClassVar[dict[str, Callable[..., None]]] = {
        **_TRANSPORT_HANDLERS,
        "ice-lite": _read_ice_lite,
        "group": _read_group,
    }


class SectionReader(_Reader):
    """One media section."""

    def __init__(
        self,
        *,
        index: int,
        kind: SectionKind,
        media: str,
        protocol: str,
        formats: list[str],
        port: int,
        from_offer: bool,
    ) -> None:
        super().__init__()
        self.index = index
        self.kind = kind
        self.mid = ""
        self._media = media
        self._protocol = protocol
        self._formats = formats
        self._port = port
        # Extensions that the peer only receives are of no use in its offer, those it only sends not in its answer.
        self._unusable_directions = {"inactive", "recvonly" if from_offer else "sendonly"}
        self._bundle_only = False
        self._codecs: dict[int, _Codec | None] = {}
        self._parameters: dict[int, dict[str, str]] = {}
        self._feedback: dict[int, list[str]] = {}
        self._feedback_for_all: list[str] = []
        self._ssrcs: dict[int, None] = {}
        self._ssrc_groups: list[tuple[str, tuple[int, ...]]] = []
        self._msid: tuple[str, str] | None = None
        self._ssrc_msid: tuple[str, str] | None = None
        self._rids: dict[str, None] = {}
        self._simulcast_rids: list[str] | None = None
        self._candidates = 0
        self._rtcp_mux = False
        self._rtcp_rsize = False
        self._sctp_port: int | None = None
        self._max_message_size: int | None = None

    def read_payload_types(self) -> None:
        if len(self._formats) > grammar.MAX_PAYLOADS_PER_SECTION:
            raise _too_many("payload types in a section", grammar.MAX_PAYLOADS_PER_SECTION, "too_many_codecs")
        for text in self._formats:
            payload_type = number(text, "a payload type", highest=127)
            if payload_type in self._codecs:
                raise SdpError("a payload type stands twice in one section", code="duplicate_payload_type")
            self._codecs[payload_type] = None

    def finish(self, session: SessionReader) -> RemoteSection:
        rejected = self._port == 0 and not self._bundle_only
        if not self.mid and not rejected:
            raise SdpError("a media section has no mid")
        msid = self._msid or self._ssrc_msid or ("", "")
        is_data = (
            self.kind is SectionKind.APPLICATION
            and self._protocol in grammar.SCTP_PROTOCOLS
            and self._formats[0] == grammar.DATA_FORMAT
        )
        return RemoteSection(
            index=self.index,
            mid=self.mid,
            kind=self.kind,
            direction=self.direction or session.direction or Direction.SENDRECV,
            rejected=rejected,
            codecs=tuple(self._finish_codecs()),
            extensions=self._finish_extensions(session, self._unusable_directions),
            receivable_extensions=self._finish_extensions(session, _NOT_RECEIVED),
            msid_stream=msid[0],
            msid_track=msid[1],
            ssrcs=tuple(self._ssrcs),
            ssrc_groups=tuple(self._ssrc_groups),
            send_rids=self._finish_rids(),
            rtcp_mux=self._rtcp_mux,
            rtcp_rsize=self._rtcp_rsize,
            sctp_port=self._sctp_port if is_data else None,
            max_message_size=self._max_message_size if is_data else None,
            media=self._media,
            protocol=self._protocol,
            first_format=self._formats[0],
        )

    def _finish_codecs(self) -> list[RemoteCodec]:
        """In the order of the m= line; a payload type without rtpmap is a static one, and none of those is carried."""
        return [
            RemoteCodec(
                payload_type=payload_type,
                name=codec[0],
                clock_rate=codec[1],
                channels=codec[2],
                parameters=self._parameters.get(payload_type, {}),
                feedback=(*self._feedback.get(payload_type, ()), *self._feedback_for_all),
            )
            for payload_type, codec in self._codecs.items()
            if codec is not None
        ]

    def _finish_extensions(self, session: SessionReader, unusable: Container[str]) -> Mapping[str, int]:
        extensions: dict[str, int] = {}
        for id, (direction, uri) in {**session.extension_ids, **self.extension_ids}.items():
            if direction not in unusable:
                extensions.setdefault(uri, id)
        return extensions

    def _finish_rids(self) -> tuple[str, ...]:
        if self._simulcast_rids is None:
            return tuple(self._rids)
        # RFC 8853 §5.1: what a=rid does not describe is not part of the simulcast.
        return tuple(rid for rid in self._simulcast_rids if rid in self._rids)

    # --- attributes ---------------------------------------------------------------------------------------

    def _read_mid(self, value: str) -> None:
        if self.mid:
            raise SdpError("a media section has two mids", code="duplicate_mid")
        self.mid = check(grammar.MID, value, "a mid")

    def _read_rtpmap(self, value: str) -> None:
        """`<payload type> <name>/<clock rate>[/<channels>]` (RFC 8866 §6.6)."""
        payload_text, _, encoding = value.partition(" ")
        payload_type = number(payload_text, "a payload type", highest=127)
        name, _, rates = encoding.partition("/")
        rate, _, channels = rates.partition("/")
        codec = (
            check(grammar.TOKEN, name, "a codec name").lower(),
            number(rate, "a clock rate", lowest=1, highest=1_000_000),
            number(channels, "a channel count", lowest=1, highest=255) if channels else 1,
        )
        if payload_type not in self._codecs:
            return
        if self._codecs[payload_type] is not None:
            raise SdpError("a payload type has two rtpmaps", code="duplicate_payload_type")
        self._codecs[payload_type] = codec

    def _read_fmtp(self, value: str) -> None:
        payload_text, _, text = value.partition(" ")
        payload_type = number(payload_text, "a payload type", highest=127)
        if payload_type not in self._codecs:
            return
        parameters = self._parameters.setdefault(payload_type, {})
        for item in text.split(";"):
            key, _, setting = item.strip().partition("=")
            if key:
                parameters[key.strip().lower()] = setting.strip()
        if len(parameters) > grammar.MAX_PARAMETERS_PER_CODEC:
            raise SdpError(f"more than {grammar.MAX_PARAMETERS_PER_CODEC} parameters of a codec")

    def _read_feedback(self, value: str) -> None:
        payload_text, _, text = value.partition(" ")
        feedback = " ".join(text.split())
        if payload_text == "*":
            target = self._feedback_for_all
        else:
            payload_type = number(payload_text, "a payload type", highest=127)
            if payload_type not in self._codecs:
                return
            target = self._feedback.setdefault(payload_type, [])
        if len(target) >= grammar.MAX_FEEDBACK_PER_CODEC:
            raise SdpError(f"more than {grammar.MAX_FEEDBACK_PER_CODEC} feedback types of a codec")
        target.append(feedback)

    def _add_ssrc(self, text: str) -> int:
        ssrc = number(text, "an SSRC", lowest=1, highest=0xFFFF_FFFF)
        self._ssrcs[ssrc] = None
        if len(self._ssrcs) > grammar.MAX_SSRCS_PER_SECTION:
            raise _too_many("SSRCs in a section", grammar.MAX_SSRCS_PER_SECTION, "too_many_ssrcs")
        return ssrc

    def _read_ssrc(self, value: str) -> None:
        ssrc_text, _, attribute = value.partition(" ")
        self._add_ssrc(ssrc_text)
        if attribute.startswith("msid:") and self._ssrc_msid is None:
            self._ssrc_msid = _parse_msid(attribute.removeprefix("msid:"))

    def _read_ssrc_group(self, value: str) -> None:
        semantics, *texts = value.split(" ")
        check(grammar.TOKEN, semantics, "the semantics of an SSRC group")
        ssrcs = tuple(self._add_ssrc(text) for text in texts if text)
        if len(set(ssrcs)) != len(ssrcs):
            raise SdpError("an SSRC group names an SSRC twice", code="duplicate_ssrc")
        if len(self._ssrc_groups) >= grammar.MAX_SSRCS_PER_SECTION:
            raise _too_many("SSRC groups in a section", grammar.MAX_SSRCS_PER_SECTION, "too_many_ssrcs")
        self._ssrc_groups.append((semantics, ssrcs))

    def _read_msid(self, value: str) -> None:
        if self._msid is None:
            self._msid = _parse_msid(value)

    def _read_rid(self, value: str) -> None:
        """`<rid> send|recv [<restrictions>]` (RFC 8851 §10)."""
        rid, _, rest = value.partition(" ")
        direction = rest.partition(" ")[0]
        check(grammar.RID, rid, "a rid")
        if direction not in ("send", "recv"):
            raise SdpError("the direction of a rid is malformed")
        if direction == "recv":
            return
        if rid in self._rids:
            raise SdpError("a rid stands twice in one section")
        if len(self._rids) >= grammar.MAX_RIDS_PER_SECTION:
            raise _too_many("rids in a section", grammar.MAX_RIDS_PER_SECTION, "too_many_layers")
        self._rids[rid] = None

    def _read_simulcast(self, value: str) -> None:
        """`send a;~b,c [recv d]` (RFC 8853 §5.1): of alternatives the first is taken, and "~" means paused."""
        words = value.split()
        if not words or len(words) % 2 or any(word not in ("send", "recv") for word in words[::2]):
            raise SdpError("a=simulcast is malformed")
        for direction, streams in zip(words[::2], words[1::2], strict=True):
            rids = [check(grammar.RID, s.partition(",")[0].removeprefix("~"), "a rid") for s in streams.split(";")]
            if len(rids) > grammar.MAX_RIDS_PER_SECTION:
                raise _too_many("rids in a section", grammar.MAX_RIDS_PER_SECTION, "too_many_layers")
            if len(set(rids)) != len(rids):
                raise SdpError("a=simulcast names a rid twice")
            if direction == "send":
                self._simulcast_rids = rids

    def _read_candidate(self, value: str) -> None:
        """Shape and count only: a lite agent answers checks and never needs the peer's addresses (RFC 8445 §2.5)."""
        self._candidates += 1
        if self._candidates > grammar.MAX_CANDIDATES_PER_SECTION:
            raise _too_many("candidates in a section", grammar.MAX_CANDIDATES_PER_SECTION, "too_many_candidates")
        check(grammar.CANDIDATE, value, "a candidate")

    def _read_rtcp_mux(self, value: str) -> None:
        self._rtcp_mux = True

    def _read_rtcp_rsize(self, value: str) -> None:
        self._rtcp_rsize = True

    def _read_bundle_only(self, value: str) -> None:
        self._bundle_only = True

    def _read_sctp_port(self, value: str) -> None:
        self._sctp_port = number(value, "sctp-port", lowest=1, highest=65_535)

    def _read_max_message_size(self, value: str) -> None:
        check(grammar.LONG_NUMBER, value, "max-message-size")
        self._max_message_size = min(int(value) or UNLIMITED_MESSAGE_SIZE, UNLIMITED_MESSAGE_SIZE)

    _handlers: ClassVar[dict[str, Callable[..., None]]] = {
        **_TRANSPORT_HANDLERS,
        "mid": _read_mid,
        "rtpmap": _read_rtpmap,
        "fmtp": _read_fmtp,
        "rtcp-fb": _read_feedback,
        "ssrc": _read_ssrc,
        "ssrc-group": _read_ssrc_group,
        "msid": _read_msid,
        "rid": _read_rid,
        "simulcast": _read_simulcast,
        "candidate": _read_candidate,
        "rtcp-mux": _read_rtcp_mux,
        "rtcp-rsize": _read_rtcp_rsize,
        "bundle-only": _read_bundle_only,
        "sctp-port": _read_sctp_port,
        "max-message-size": _read_max_message_size,
    }


def _parse_msid(value: str) -> tuple[str, str]:
    """(stream, track); "-" is no stream (RFC 8830 §2)."""
    stream, _, track = value.partition(" ")
    check(grammar.VISIBLE, stream, "an msid")
    if track:
        check(grammar.VISIBLE, track, "an msid")
    return ("" if stream == "-" else stream, track)
