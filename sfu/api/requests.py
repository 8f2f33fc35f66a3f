"""What a client, or an application for it, asks for: part of `sfu.api`, which has it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sfu.api.records import Permissions, TrackSource, VideoLayerInfo
from sfu.ids import Identity, RoomName, TrackId
from sfu.kind import Kind


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What a room is created with. Zero and empty mean the default of the configuration."""

    metadata: str = ""
    empty_timeout_s: int = 0
    departure_timeout_s: int = 0
    max_participants: int = 0


@dataclass(frozen=True, slots=True)
class ParticipantChanges:
    """What to change of a participant. Empty means unchanged; an attribute with an empty value is deleted."""

    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientDescription:
    """What a client says of itself; used for quirks only, never for rights."""

    sdk: str = ""
    version: str = ""
    protocol: int = 0
    browser: str = ""
    browser_version: str = ""
    os: str = ""
    device_model: str = ""

    @property
    def is_firefox(self) -> bool:
        return self.browser.lower() == "firefox"


@dataclass(frozen=True, slots=True)
class PlaybackWish:
    """What a player shows: one participant's picture and sound, or one source of it; without an identity the room's
    main picture (a shared screen, else who speaks) and sound (who speaks)."""

    identity: Identity | None = None
    source: TrackSource | None = None


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Who joins, already authenticated and admitted by signaling."""

    room: RoomName
    identity: Identity
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = 0
    permissions: Permissions = field(default_factory=Permissions)
    auto_subscribe: bool = True
    auto_subscribe_data_tracks: bool = False
    adaptive_stream: bool = False
    allow_pause: bool = False
    """Whether videos that do not fit into the downlink may be paused; else they keep their lowest layer."""
    broken_codecs: frozenset[str] = frozenset()
    """Names of video codecs that this client must neither publish nor receive, whatever it offers."""
    broken_publish_codecs: frozenset[str] = frozenset()
    """Those that it must not publish."""
    client: ClientDescription = ClientDescription()
    single_connection: bool = False
    """One transport carries both directions, and the client alone offers."""
    tcp_only: bool = False
    """Descriptions for this participant name no UDP candidates."""
    playback: PlaybackWish | None = None
    """Set by `Sfu.play` and `Sfu.offer_playback`."""
    room_options: RoomOptions = RoomOptions()
    """For the room if this join creates it."""
    create_room: bool = True
    """Whether this join may create the room."""


@dataclass(frozen=True, slots=True)
class AddTrackRequest:
    """`cid` is the client's own id of the track; the publisher offer names it in msid."""

    cid: str
    kind: Kind
    source: TrackSource
    name: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    layers: Sequence[VideoLayerInfo] = ()
    mime_type: str = ""
    stream: str = ""
    disable_dtx: bool = False
    stereo: bool = False
    disable_red: bool = False
    encryption: int = 0
    audio_features: Sequence[int] = ()
    packet_trailer_features: Sequence[int] = ()
    backup_codec_policy: int = 0
    backup_mime_type: str = ""
    """A codec that the client would publish too if a subscriber cannot receive the first one."""
    track_id: TrackId | None = None
    """The publication that this is the backup codec of; None for a new one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To an offer of the client. `mid_to_track_id` names what we send on its sections."""

    sdp: str
    mid_to_track_id: Mapping[str, TrackId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What a subscriber wants of a track. `quality` None means by size; size 0 means unknown (then the best).
    `priority`: LiveKit's, 1 is highest and 0 not said."""

    disabled: bool = False
    quality: int | None = None
    width: int = 0
    height: int = 0
    fps: int = 0
    priority: int = 0
