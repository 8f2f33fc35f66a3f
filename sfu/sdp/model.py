"""The model between SDP text and the rest of the SFU. Plain values, no behaviour.

Text becomes a `RemoteDescription` (parse.py); `negotiate.py` turns it into decisions; `render.py` writes our own
text from a model only, so nothing that one client wrote can reach another client's description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sfu.engine.api import Address, Extension, Kind, OutboundPayload, TrackConfig
from sfu.ids import TrackId


class Direction(StrEnum):
    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class Setup(StrEnum):
    """DTLS roles in SDP (RFC 4145, RFC 5763)."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"


class SectionKind(StrEnum):
    AUDIO = "audio"
    VIDEO = "video"
    APPLICATION = "application"
    OTHER = "other"
    """A media type that this SFU does not know; its section is always rejected."""


class Redundancy(NamedTuple):
    """Of sound: how many earlier frames go with each packet, and how far they are apart (`OutboundPayload`)."""

    frames: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Certificate digest (RFC 8122): algorithm in lower case, value as upper-case hex pairs with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class IceCredentials:
    ufrag: str
    pwd: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LocalCandidate:
    """A host candidate of ours (RFC 8839 §5.1). `protocol` "udp" or "tcp" (then tcptype passive)."""

    protocol: str
    address: Address
    priority: int
    foundation: str


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """What a description of ours says about its one bundled transport."""

    ice: IceCredentials
    fingerprints: Sequence[Fingerprint]
    candidates: Sequence[LocalCandidate]


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """What a peer's description says about its one bundled transport."""

    ice: IceCredentials
    fingerprints: Sequence[Fingerprint]
    setup: Setup


# --- parsed text ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteCodec:
    """One rtpmap with its fmtp and rtcp-fb. `name` in lower case, parameters lower-case keys."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RemoteSection:
    """One media section of a peer. `rejected`: port 0 without bundle-only."""

    index: int
    mid: str
    kind: SectionKind
    direction: Direction
    rejected: bool
    codecs: Sequence[RemoteCodec] = ()
    extensions: Mapping[str, int] = field(default_factory=dict)
    """URI to id, of those that travel the usual way: from the peer in its offer, to the peer in its answer."""
    receivable_extensions: Mapping[str, int] = field(default_factory=dict)
    """URI to id, of those that the peer takes on what it receives."""
    msid_stream: str = ""
    msid_track: str = ""
    ssrcs: Sequence[int] = ()
    """In the order of their first a=ssrc line."""
    ssrc_groups: Sequence[tuple[str, tuple[int, ...]]] = ()
    """(semantics, SSRCs), for example ("FID", (media, rtx))."""
    send_rids: Sequence[str] = ()
    """RIDs that the peer will send, in the order of a=simulcast (or of a=rid without it); paused ones included."""
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    sctp_port: int | None = None
    max_message_size: int | None = None
    media: str = ""
    """The media type as written (checked to be a token), for the section of the answer that mirrors it."""
    protocol: str = ""
    """The transport protocol as written (checked), for example "UDP/TLS/RTP/SAVPF"."""
    first_format: str = ""
    """The first format of the m= line as written (checked): what a rejecting answer repeats."""


@dataclass(frozen=True, slots=True)
class RemoteDescription:
    type: str
    """"offer" or "answer"."""
    transport: RemoteTransport
    sections: Sequence[RemoteSection]
    ice_lite: bool = False
    bundle: Sequence[str] = ()
    """The mids of the first BUNDLE group; empty when the peer offered none."""
    extmap_allow_mixed: bool = False


# --- publishing: offer in, answer out ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishHint:
    """What add_track said of a track, as far as the answer depends on it."""

    mime_type: str = ""
    stereo: bool = False
    disable_red: bool = False
    disable_dtx: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedMedia:
    """A section that the peer sends on: all that the engine needs, and how to map it for subscribers."""

    mid: str
    kind: Kind
    cid: str
    """The msid track id; empty when the peer gave none."""
    track: TrackConfig
    variants: Mapping[int, str]
    """The peer's payload type to the key of `capabilities.VARIANTS`."""
    mime_type: str
    """Of the first accepted codec, "video/VP8" style."""
    stereo: bool = False


class Ssrcs(NamedTuple):
    """Of what is sent on one section: media, retransmissions, repair packets; None where there are none."""

    media: int
    rtx: int | None = None
    fec: int | None = None


@dataclass(frozen=True, slots=True)
class SentMedia:
    """What we send on one section of an answer."""

    track_id: TrackId
    stream_id: str
    """msid stream: "PA_x|TR_y" or "PA_x|stream"."""
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    fec_ssrc: int | None = None
    stereo: bool = False
    variants: Sequence[str] = ()
    """Keys of `capabilities.VARIANTS`: the forms that the track may go out as, likely ones first."""


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """One section of our answer, all values ours or checked."""

    mid: str
    kind: SectionKind
    accepted: bool
    direction: Direction = Direction.INACTIVE
    codecs: Sequence[RemoteCodec] = ()
    extensions: Mapping[Extension, int] = field(default_factory=dict)
    receive_rids: Sequence[str] = ()
    sctp_port: int | None = None
    max_message_size: int | None = None
    rtcp_rsize: bool = False
    media: str = ""
    """Media type, protocol and format of the m= line, mirrored from the offer (RFC 3264 §6)."""
    protocol: str = ""
    first_format: str = ""
    sent: SentMedia | None = None
    """With one connection for both directions: what we send here."""
    ccfb: bool = False
    """The client is to report on what we send by RTP numbers (RFC 8888)."""


@dataclass(frozen=True, slots=True)
class PublishNegotiation:
    """The answer as a model, and what will arrive. `data_section` tells if SCTP was offered and accepted."""

    answer: Sequence[AnswerSection]
    received: Sequence[ReceivedMedia]
    transport: RemoteTransport
    data_section: bool
    remote_max_message_size: int = 65_536
    bundled: bool = True
    """The offer had a BUNDLE group, so the answer may have one (RFC 9143 §7.3)."""
    extmap_allow_mixed: bool = False


# --- subscribing: offer out, answer in ---------------------------------------------------------------------


class SlotState(StrEnum):
    ACTIVE = "active"
    """Carries a subscription: sendonly."""
    CLOSED = "closed"
    """Rejected with port 0; after an answer to that, the section may be used again with a new mid."""


@dataclass(frozen=True, slots=True)
class OfferSection:
    """One media section of our offer. Section 0 is always the data section and is not in this list."""

    mid: str
    kind: Kind
    state: SlotState
    variants: Sequence[str] = ()
    """Keys of `capabilities.VARIANTS`, in the order to offer."""
    track_id: TrackId = TrackId("")  # noqa: RUF009 - a NewType call is the identity
    stream_id: str = ""
    """msid stream: "PA_x|TR_y" or "PA_x|stream"."""
    ssrc: int = 0
    rtx_ssrc: int | None = None
    fec_ssrc: int | None = None
    cname: str = ""
    stereo: bool = False


@dataclass(frozen=True, slots=True)
class AcceptedSection:
    """What the subscriber takes on one section. It is the answer to our offer, or an offer of its own with which
    payload types and extension ids are its own too."""

    mid: str
    accepted: bool
    payloads: Mapping[str, OutboundPayload] = field(default_factory=dict)
    """Keys of `capabilities.VARIANTS` to the payload types that they have here."""
    extensions: Mapping[Extension, int] = field(default_factory=dict)
    nack: bool = False
    red_block_type: int | None = None
    """The payload type that the blocks of RED carry here."""
    fec_payload_type: int | None = None
    """Of repair packets (FlexFEC-03), where the client takes them."""
    ccfb: bool = False
    """The client reports on packets by their RTP numbers (RFC 8888), and not by transport-wide ones."""

    @property
    def rtx(self) -> bool:
        return any(payload.rtx_payload_type is not None for payload in self.payloads.values())


@dataclass(frozen=True, slots=True)
class SubscribeNegotiation:
    transport: RemoteTransport
    sections: Mapping[str, AcceptedSection]
    data_section: bool
    remote_max_message_size: int = 65_536
