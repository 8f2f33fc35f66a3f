"""Who may come in, under which name, and who is put out: the rules around the SFU's rooms.

`RoomService` knows grants and settings and talks to `sfu.api` only. It keeps no room state of its own; `Revocations`
remembers the kicks, so that a kicked participant's tokens stay refused.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sfu.api import (
    ClientDescription,
    JoinRequest,
    Kind,
    ParticipantSession,
    Permissions,
    PlaybackWish,
    RoomInfo,
    RoomOptions,
    SessionSink,
    Sfu,
    TrackSource,
)
from sfu.errors import RequestError
from sfu.ids import Identity, RoomName, TrackId
from signaling.config_values import one_line
from signaling.devices import broken_codecs
from signaling.errors import ApiError, ConfigError, TokenError
from signaling.grants import Grants
from signaling.metrics import Metrics
from signaling.revocations import Revocations
from signaling.tokens import TokenService, new_guest_identity

_log = logging.getLogger("ting.rooms")
MAX_ROOM_NAME_LENGTH = 128
MAX_IDENTITY_LENGTH = 256
MAX_NAME_LENGTH = 256
MAX_GUEST_NAME_LENGTH = 64
MAX_TITLE_LENGTH = 128
MAX_NOTE_LENGTH = 200
MAX_ROOM_PRESETS = 100
MAX_PRESET_NAME_LENGTH = 128
# Directional formatting characters can make one name read like another (Unicode TR36 §2.2).
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class RoomSettings:
    guests: bool = True
    """Whether the web app may get a room token for anyone who gives a name."""
    guest_token_ttl_s: float = 21_600.0
    """Validity of guest tokens."""
    guest_renewal_s: float = 86_400.0
    """How long after its end a guest token still lets its owner keep the identity."""
    auto_create: bool = True
    """Whether the first who comes creates the room. Off, the server API must have created it."""
    remote_unmute: bool = False
    """Whether the server API may unmute a track. Off, only the publisher itself can."""
    room_presets: Mapping[str, RoomOptions] = field(default_factory=dict, repr=False)
    """Room configurations by the name that tokens (`roomPreset`) and CreateRoom (`room_preset`) call them."""
    max_revocations: int = 10_000
    """Kicks that are remembered, so that the kicked one's tokens stay refused."""


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What the client asks for beside its token."""

    auto_subscribe: bool = True
    auto_subscribe_data_tracks: bool = False
    adaptive_stream: bool = False
    allow_pause: bool = False
    """Whether videos may be paused that do not fit into the downlink."""
    client: ClientDescription = field(default_factory=ClientDescription)
    single_connection: bool = False
    tcp_only: bool = False


@dataclass(frozen=True, slots=True)
class GuestToken:
    token: str
    room: RoomName
    identity: Identity


class RoomService:
    """`max_participants` is the limit of a room that has none of its own."""

    def __init__(
        self,
        settings: RoomSettings,
        sfu: Sfu,
        tokens: TokenService,
        revocations: Revocations,
        metrics: Metrics,
        *,
        max_participants: int = 200,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._max_participants = max_participants
        self._sfu = sfu
        self._tokens = tokens
        self._revocations = revocations

    # --- coming in --------------------------------------------------------------------------------------

    def authorize_join(self, token: str, *, grace_s: float = 0.0) -> Grants:
        """Grants that let their bearer into a room; `grace_s` forgives a past `exp`. Raises `TokenError`."""
        grants = self._tokens.verify(token, grace_s=grace_s)
        if not grants.room_join or not grants.room:
            raise TokenError("not_allowed", "the token does not allow to join a room")
        if not is_clean(grants.room, MAX_ROOM_NAME_LENGTH):
            raise TokenError("invalid_claims", "the token's room name is not acceptable")
        if not is_clean(grants.identity, MAX_IDENTITY_LENGTH):
            raise TokenError("invalid_claims", "the token's identity is not acceptable")
        if grants.name and not is_clean(grants.name, MAX_NAME_LENGTH):
            raise TokenError("invalid_claims", "the token's name is not acceptable")
        if self.is_revoked(grants):
            raise TokenError("revoked", "the participant was removed from the room")
        return grants

    async def join(self, grants: Grants, options: JoinOptions, sink: SessionSink) -> ParticipantSession:
        """Enter the room of `grants`. Raises `RequestError` when room or node is full."""
        return await self._sfu.join(self._join_request(grants, options), sink)

    async def publish(
        self, grants: Grants, offer: str, sources: Mapping[Kind, TrackSource], kind: int, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Enter as a participant of `kind` that sends what `offer` says; returns the answer too. Raises `SdpError` and
        `RequestError`."""
        request = replace(self._join_request(grants, JoinOptions(auto_subscribe=False)), kind=kind)
        return await self._sfu.publish(request, offer, sources, sink)

    def require_room(self, grants: Grants) -> None:
        """Raises `RequestError` unknown_room when the room must be created first and was not, unknown_preset when it
        would be created from a configuration that is not there."""
        self._options_of(grants)
        if not (self._settings.auto_create or grants.door) and self._sfu.find_room(RoomName(grants.room)) is None:
            raise RequestError("requested room does not exist", code="unknown_room")

    def room_options(self, options: RoomOptions, preset: str) -> RoomOptions:
        """`options`, and what they leave open as the preset of that name has it; an empty name means none. Raises
        `RequestError` unknown_preset."""
        if not preset:
            return options
        named = self._settings.room_presets.get(preset)
        if named is None:
            raise RequestError("unknown room configuration", code="unknown_preset")
        return RoomOptions(
            metadata=options.metadata or named.metadata,
            empty_timeout_s=options.empty_timeout_s or named.empty_timeout_s,
            departure_timeout_s=options.departure_timeout_s or named.departure_timeout_s,
            max_participants=options.max_participants or named.max_participants,
        )

    def _options_of(self, grants: Grants) -> RoomOptions:
        """For the room if this join creates it."""
        preset = grants.room_preset
        if not preset or (preset not in self._settings.room_presets and self._sfu.find_room(RoomName(grants.room))):
            return grants.room_options  # nothing else is asked for, or the room is there and its configuration settled
        return self.room_options(grants.room_options, preset)

    async def play(
        self, grants: Grants, wish: PlaybackWish, offer: str, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """Enter as a participant that only plays; returns the answer too. Raises `SdpError` and `RequestError`."""
        return await self._sfu.play(self._join_request(grants, JoinOptions(auto_subscribe=False)), wish, offer, sink)

    async def offer_playback(
        self, grants: Grants, wish: PlaybackWish, sink: SessionSink
    ) -> tuple[ParticipantSession, str]:
        """As `play`, but the second value is an offer. Raises `RequestError`."""
        return await self._sfu.offer_playback(self._join_request(grants, JoinOptions(auto_subscribe=False)), wish, sink)

    def _join_request(self, grants: Grants, options: JoinOptions) -> JoinRequest:
        self._note_wishes(grants)
        broken = broken_codecs(options.client, sealed=grants.sealed)
        return JoinRequest(
            room=RoomName(grants.room),
            identity=Identity(grants.identity),
            name=grants.name,
            metadata=grants.metadata,
            attributes=grants.attributes,
            kind=grants.kind,
            permissions=permissions_of(grants),
            auto_subscribe=options.auto_subscribe,
            auto_subscribe_data_tracks=options.auto_subscribe_data_tracks,
            adaptive_stream=options.adaptive_stream,
            allow_pause=options.allow_pause,
            broken_codecs=broken.all,
            broken_publish_codecs=broken.publish,
            client=options.client,
            room_options=self._options_of(grants),
            create_room=self._settings.auto_create or grants.door,
            single_connection=options.single_connection,
            tcp_only=options.tcp_only,
        )

    def _note_wishes(self, grants: Grants) -> None:
        """What a token asks of the room that it creates, and will not get, is said to the operator."""
        if grants.room_wishes and self._sfu.find_room(RoomName(grants.room)) is None:
            for wish in sorted(grants.room_wishes):
                self._metrics.unfulfilled.labels(wish).inc()
            _log.warning("a token's roomConfig asks for what is not part of this server: %s",
                         ", ".join(sorted(grants.room_wishes)))  # fmt: skip

    def find_resumable(self, grants: Grants, participant_id: str) -> ParticipantSession | None:
        """The session that the bearer of `grants` had, if it is still there. A client that was moved to another room
        may know the participant by its former id."""
        room = RoomName(grants.room)
        found = self._sfu.find_participant(room, Identity(grants.identity))
        # One whose client is on another node cannot go on here: it joins anew.
        session = None if found is None else self._sfu.find_session(room, found.info.participant_id)
        if session is None or participant_id not in {session.info.participant_id, *session.former_ids}:
            return None
        return session

    def identities_of(self, room: RoomName) -> Mapping[str, Identity]:
        """Participant id to identity, for old clients that address each other by id."""
        return {info.participant_id: info.identity for info in self._sfu.participants(room)}

    # --- guests -----------------------------------------------------------------------------------------

    def find(self, room: RoomName) -> RoomInfo | None:
        """The call in it, if there is one."""
        return self._sfu.find_room(room)

    def issue_token(self, grants: Grants) -> str:
        """Of the door, valid for as long as guest tokens are."""
        return self._tokens.issue(grants, self._settings.guest_token_ttl_s)

    def issue_guest_token(self, room: str, name: object, earlier_token: str = "") -> GuestToken:
        """A token for anyone who gives a name. `earlier_token` of the same room keeps the identity.
        Raises `ApiError` guests_disabled, invalid_room_name, invalid_name or room_full."""
        if not self._settings.guests:
            raise ApiError("guests_disabled", "This server admits people with a token only.")
        room_name = clean_room_name(room)
        guest_name = clean_guest_name(name)
        identity = self._earlier_identity(room_name, earlier_token) or Identity(new_guest_identity())
        self.require_place(room_name, identity)
        grants = Grants(identity=identity, name=guest_name, room=room_name, room_join=True, guest=True)
        return GuestToken(self._tokens.issue(grants, self._settings.guest_token_ttl_s), room_name, identity)

    def _earlier_identity(self, room: RoomName, token: str) -> Identity | None:
        if not token:
            return None
        try:
            grants = self._tokens.verify(token, grace_s=self._settings.guest_renewal_s)
        except TokenError:
            return None
        # Only our own guest tokens: a short-lived token from elsewhere must not become an endless one.
        if not grants.guest or grants.room != room or self.is_revoked(grants):
            return None
        return Identity(grants.identity)

    def require_place(self, room: RoomName, identity: Identity | str, *, exists: bool = False) -> None:
        """Raises `ApiError` room_full, and room_not_found unless it `exists` anyway."""
        info = self._sfu.find_room(room)
        if info is None:
            if not self._settings.auto_create and not exists:
                raise ApiError("room_not_found", "There is no such room now.")
            return
        limit = info.max_participants or self._max_participants
        if info.num_participants >= limit and identity not in self.identities_of(room).values():
            raise ApiError("room_full", "The room is full.")

    # --- moderation -------------------------------------------------------------------------------------

    def kick(self, room: RoomName, identity: Identity, *, tokens_before_s: float | None = None) -> None:
        """Put out, and refuse every token that was issued until now, or before `tokens_before_s` (Unix time). Raises
        `RequestError` unknown_participant. `kicks_stored` tells when a restart cannot undo it any more."""
        self._sfu.remove_participant(room, identity)
        # Token times are whole seconds, and `is_revoked` takes one of the same second for the older one.
        self._revocations.add(room, identity, None if tokens_before_s is None else tokens_before_s - 1)

    async def kicks_stored(self) -> bool:
        """Wait, for two seconds at most, until all kicks are in the database. Whether they are."""
        return await self._revocations.stored()

    def mute(self, room: RoomName, identity: Identity, track_id: TrackId, muted: bool) -> None:
        """Raises `RequestError` unknown_participant or unknown_track."""
        self._sfu.mute_track(room, identity, track_id, muted)

    def end_room(self, room: RoomName) -> None:
        """Raises `RequestError` unknown_room."""
        if not self._sfu.end_room(room):
            raise RequestError("there is no such room", code="unknown_room")

    def is_revoked(self, grants: Grants) -> bool:
        """Whether the bearer was kicked after the token was issued. A token without `iat` and `nbf` counts as old."""
        kicked_at = self._revocations.revoked_at(grants.room, grants.identity)
        # Token times are whole seconds: one of the same second is taken for the older one.
        return kicked_at is not None and grants.issued_at <= kicked_at


def permissions_of(grants: Grants) -> Permissions:
    return Permissions(
        can_publish=grants.can_publish,
        can_subscribe=grants.can_subscribe,
        can_publish_data=grants.can_publish_data,
        can_publish_sources=grants.can_publish_sources,
        can_update_metadata=grants.can_update_own_metadata,
        can_subscribe_metrics=grants.can_subscribe_metrics,
        can_manage_agent_session=grants.can_manage_agent_session,
        recorder=grants.recorder,
        agent=grants.agent,
    )


def is_clean(text: str, max_length: int) -> bool:
    """Not empty, not too long, no control or line characters, no directional overrides, not only blanks."""
    return (
        0 < len(text) <= max_length
        and bool(text.strip())
        and not any(c in _BIDI_CONTROLS or unicodedata.category(c) in _REFUSED_CATEGORIES for c in text)
    )


def clean_room_name(room: str) -> RoomName:
    """Normalised (NFC, trimmed), so that one typed name is one room. Raises `ApiError` invalid_room_name."""
    name = _normalise(room, MAX_ROOM_NAME_LENGTH)
    if name is None:
        raise ApiError("invalid_room_name", f"A room name has 1 to {MAX_ROOM_NAME_LENGTH} ordinary characters.")
    return RoomName(name)


def clean_title(title: str) -> str:
    """Raises `ApiError` invalid_room_name."""
    cleaned = _normalise(title, MAX_TITLE_LENGTH)
    if cleaned is None:
        raise ApiError("invalid_room_name", f"A title has 1 to {MAX_TITLE_LENGTH} ordinary characters.")
    return cleaned


def clean_note(note: str) -> str:
    """A line of text, or nothing. Raises `ApiError` invalid_body."""
    if not note.strip():
        return ""
    cleaned = _normalise(note, MAX_NOTE_LENGTH)
    if cleaned is None:
        raise ApiError("invalid_body", f"A note has up to {MAX_NOTE_LENGTH} ordinary characters.")
    return cleaned


def clean_guest_name(name: object) -> str:
    """Raises `ApiError` invalid_name."""
    cleaned = _normalise(name, MAX_GUEST_NAME_LENGTH) if isinstance(name, str) else None
    if cleaned is None:
        raise ApiError("invalid_name", f"A name has 1 to {MAX_GUEST_NAME_LENGTH} ordinary characters.")
    return cleaned


def _normalise(text: str, max_length: int) -> str | None:
    if len(text) > 4 * max_length:
        return None
    normalised = unicodedata.normalize("NFC", text).strip()
    return normalised if is_clean(normalised, max_length) else None


def check_room_presets(presets: Mapping[str, RoomOptions], max_metadata_bytes: int) -> None:
    """Raises `ConfigError`."""
    if len(presets) > MAX_ROOM_PRESETS:
        raise ConfigError(f"room_presets: at most {MAX_ROOM_PRESETS} tables")
    for name, preset in presets.items():
        place = f"room_presets.{one_line(name)}"
        if not 0 < len(name) <= MAX_PRESET_NAME_LENGTH:
            raise ConfigError(f"{place}: a name has 1 to {MAX_PRESET_NAME_LENGTH} characters")
        for key in ("empty_timeout_s", "departure_timeout_s", "max_participants"):
            if not 0 <= getattr(preset, key) < 2**32:
                raise ConfigError(f"{place}, {key}: {getattr(preset, key)} is out of range")
        if len(preset.metadata.encode()) > max_metadata_bytes:
            raise ConfigError(f"{place}, metadata: longer than max_metadata_bytes")
