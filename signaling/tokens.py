"""Room tokens: JSON Web Tokens (RFC 7519) with LiveKit's claims, signed with HS256 by an API key's secret, or with
RS256, ES256 or EdDSA by an issuer of the settings, whose public keys `jwks` has.

The claims: `iss` API key, `sub` identity, `exp` (required), `nbf`, `iat`, `name`, `metadata`, `attributes`, `kind`,
and `video` with the grants. Our guest tokens carry `guest: true` besides. The algorithm is pinned, the key is looked up
by `iss` (and among an issuer's keys by `kid`) in the settings and nowhere else, and the claims are read by the strict
JSON reader.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jwt

from sfu.api import RoomOptions, TrackSource
from signaling import strict_json
from signaling.errors import TokenError
from signaling.jwks import IssuerKeys, KeySets, PublicKey

ALGORITHM = "HS256"
ASYMMETRIC_ALGORITHMS = ("RS256", "ES256", "EdDSA")
KINDS: Mapping[str, int] = {
    "standard": 0, "ingress": 1, "egress": 2, "sip": 3, "agent": 4, "connector": 7, "bridge": 8,
}  # fmt: skip
"""The `kind` claim as LiveKit's ParticipantInfo.Kind."""
GUEST_PREFIX = "guest_"
_MAX_KEY_LENGTH = 256
_HEADER_FIELDS = frozenset({"alg", "typ", "kid"})
MAX_ATTRIBUTES = 64
_BODY_TOKEN_TTL_S = 300


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token lets its bearer do. Defaults are LiveKit's: an absent publish or subscribe grant means yes."""

    identity: str = ""
    name: str = ""
    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[TrackSource] = frozenset()
    can_update_own_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False
    destination_room: str = ""
    """Where the bearer may move or forward participants of `room` to."""
    recorder: bool = False
    agent: bool = False
    hidden: bool = False
    """Accepted and ignored: nobody is invisible here."""
    kind: int = 0
    metadata: str = field(default="", repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    guest: bool = False
    room_options: RoomOptions = field(default_factory=RoomOptions)
    """`roomConfig`: for the room if the bearer is the first to come."""
    room_preset: str = ""
    """`roomPreset`: a room configuration of the settings, for what `room_options` leaves open."""
    issued_at: float = 0.0
    """Unix time in seconds of `iat`, else of `nbf`, else 0."""
    expires_at: float = 0.0


class TokenService:
    """Issues and checks tokens. `clock` gives Unix time in seconds."""

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        leeway_s: float = 30.0,
        max_ttl_s: float = 86_400.0,
        max_token_bytes: int = 16_384,
        max_metadata_bytes: int = 8_192,
        key_sets: KeySets | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not keys:
            raise ValueError("a token service needs a key")
        self._keys = dict(keys)
        self._signing_key = next(iter(self._keys))
        self._leeway_s = leeway_s
        self._max_ttl_s = max_ttl_s
        self.max_token_bytes = max_token_bytes
        self._max_metadata_bytes = max_metadata_bytes
        self._key_sets = key_sets
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=[ALGORITHM, *ASYMMETRIC_ALGORITHMS])

    def issue(self, grants: Grants, ttl_s: float, *, api_key: str | None = None) -> str:
        """A signed token. `api_key` None means the first one."""
        key = api_key if api_key is not None else self._signing_key
        now = int(self._clock())
        claims: dict[str, Any] = {"iss": key, "sub": grants.identity, "iat": now, "nbf": now, "exp": now + int(ttl_s)}
        claims.update({name: value for name, value in _identity_claims(grants).items() if value})
        claims["video"] = _video_claims(grants)
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return self._jws.encode(payload, self._keys[key], algorithm=ALGORITHM, headers={"typ": "JWT"})

    def sign_body(self, body: bytes, api_key: str = "") -> str:
        """A token that vouches for the body of a webhook, valid for five minutes. `api_key` empty means the first."""
        key, now = api_key or self._signing_key, int(self._clock())
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
        claims = {"iss": key, "nbf": now, "exp": now + _BODY_TOKEN_TTL_S, "sha256": digest}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return self._jws.encode(payload, self._keys[key], algorithm=ALGORITHM, headers={"typ": "JWT"})

    def verify(self, token: str, *, grace_s: float = 0.0) -> Grants:
        """The grants of a token that is signed by one of our keys and valid now; `grace_s` forgives a past `exp`.
        Raises `TokenError`."""
        header, claims = self._parse(token)
        keys = self._issuer_keys(claims)
        if keys is None:
            self._check_own_signature(token, header, claims)
        else:
            self._check_issuer_signature(token, header, keys)
        self._check_audience(claims, keys)
        issued_at, expires_at = self._check_times(claims, grace_s)
        grants = self._grants(claims, issued_at, expires_at)
        # Guest tokens are ours alone: they can be renewed.
        return grants if keys is None else replace(grants, guest=False)

    async def prepare(self, token: str) -> None:
        """Before `verify`, where one can wait: when the token's issuer may have a key that is not here yet, ask."""
        try:
            header, claims = self._parse(token)
        except TokenError:
            return
        keys = self._issuer_keys(claims)
        if keys is not None and self._public_key(header, keys) is None:
            await keys.refresh()

    def _parse(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims, of which nothing is true yet."""
        if not token or len(token) > self.max_token_bytes or not token.isascii():
            raise TokenError("malformed", "the token is missing, too long or not a token")
        parts = token.split(".")
        if len(parts) != 3:
            raise TokenError("malformed", "the token does not have three parts")
        return _segment(parts[0]), _segment(parts[1])

    def _issuer_keys(self, claims: Mapping[str, Any]) -> IssuerKeys | None:
        issuer = claims.get("iss")
        return self._key_sets.of(issuer) if self._key_sets is not None and isinstance(issuer, str) else None

    def _public_key(self, header: Mapping[str, Any], keys: IssuerKeys) -> PublicKey | None:
        key_id, algorithm = header.get("kid", ""), header.get("alg")
        if algorithm not in ASYMMETRIC_ALGORITHMS or not isinstance(key_id, str) or len(key_id) > _MAX_KEY_LENGTH:
            return None
        return keys.find(key_id, algorithm)

    def _check_issuer_signature(self, token: str, header: Mapping[str, Any], keys: IssuerKeys) -> None:
        """The algorithm comes from the key; the header may only repeat it."""
        if header.get("typ", "JWT") != "JWT" or not _HEADER_FIELDS.issuperset(header):
            raise TokenError("malformed", "the token's header is not acceptable")
        key = self._public_key(header, keys)
        if key is None:
            raise TokenError("unknown_key", "the token's key is unknown")
        try:
            self._jws.decode(token, key.key, algorithms=[key.algorithm])
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenError("bad_signature", "the token's signature does not verify") from None

    def _check_own_signature(self, token: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or not 0 < len(issuer) <= _MAX_KEY_LENGTH or issuer not in self._keys:
            raise TokenError("unknown_key", "the token's API key is unknown")
        # `kid` may only repeat `iss`; keys inside or behind the header (jwk, jku, x5u) and `crit` are for others.
        if (
            header.get("alg") != ALGORITHM
            or header.get("typ", "JWT") != "JWT"
            or header.get("kid", issuer) != issuer
            or not _HEADER_FIELDS.issuperset(header)
        ):
            raise TokenError("malformed", "the token's header is not acceptable")
        try:
            self._jws.decode(token, self._keys[issuer], algorithms=[ALGORITHM])
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenError("bad_signature", "the token's signature does not verify") from None

    def _check_audience(self, claims: Mapping[str, Any], keys: IssuerKeys | None) -> None:
        wanted = keys.issuer.audience if keys is not None else ""
        if wanted and claims.get("aud") != wanted:
            raise TokenError("invalid_claims", "the token is for another audience")
        if not wanted and "aud" in claims:
            raise TokenError("invalid_claims", "the token is for an audience")

    def _check_times(self, claims: Mapping[str, Any], grace_s: float) -> tuple[float, float]:
        now = self._clock()
        expires_at = _number(claims, "exp")
        if expires_at is None:
            raise TokenError("invalid_claims", "the token has no expiry")
        if now > expires_at + self._leeway_s + grace_s:
            raise TokenError("expired", "the token has expired")
        if expires_at > now + self._max_ttl_s + self._leeway_s:
            raise TokenError("invalid_claims", "the token is valid for too long")
        not_before, issued_at = _number(claims, "nbf"), _number(claims, "iat")
        for moment in (not_before, issued_at):
            if moment is not None and moment > now + self._leeway_s:
                raise TokenError("not_yet_valid", "the token is not valid yet")
        return issued_at or not_before or 0.0, expires_at

    def _grants(self, claims: Mapping[str, Any], issued_at: float, expires_at: float) -> Grants:
        video = claims.get("video", {})
        if not isinstance(video, dict):
            raise TokenError("invalid_claims", "the video grant is not an object")
        metadata = _text(claims, "metadata")
        if len(metadata.encode()) > self._max_metadata_bytes:
            raise TokenError("invalid_claims", "the metadata is too long")
        return Grants(
            identity=_text(claims, "sub"),
            name=_text(claims, "name"),
            room=_text(video, "room"),
            room_join=_flag(video, "roomJoin", False),
            room_create=_flag(video, "roomCreate", False),
            room_list=_flag(video, "roomList", False),
            room_admin=_flag(video, "roomAdmin", False),
            can_publish=_flag(video, "canPublish", True),
            can_subscribe=_flag(video, "canSubscribe", True),
            can_publish_data=_flag(video, "canPublishData", True),
            can_publish_sources=_sources(video),
            can_update_own_metadata=_flag(video, "canUpdateOwnMetadata", False),
            can_subscribe_metrics=_flag(video, "canSubscribeMetrics", False),
            can_manage_agent_session=_flag(video, "canManageAgentSession", False),
            destination_room=_text(video, "destinationRoom"),
            recorder=_flag(video, "recorder", False),
            agent=_flag(video, "agent", False),
            hidden=_flag(video, "hidden", False),
            kind=KINDS.get(_text(claims, "kind").lower(), 0),
            metadata=metadata,
            attributes=self._attributes(claims),
            room_options=self._room_options(claims),
            room_preset=_text(claims, "roomPreset"),
            guest=_flag(claims, "guest", False),
            issued_at=issued_at,
            expires_at=expires_at,
        )

    def _room_options(self, claims: Mapping[str, Any]) -> RoomOptions:
        """livekit.RoomConfiguration in its JSON form. What needs other services (egress, agents) has no effect."""
        config = claims.get("roomConfig") or {}
        if not isinstance(config, dict):
            raise TokenError("invalid_claims", "the room configuration is not an object")
        metadata = _text(config, "metadata")
        if len(metadata.encode()) > self._max_metadata_bytes:
            raise TokenError("invalid_claims", "the room's metadata is too long")
        return RoomOptions(
            metadata=metadata,
            empty_timeout_s=_uint32(config, "emptyTimeout", "empty_timeout"),
            departure_timeout_s=_uint32(config, "departureTimeout", "departure_timeout"),
            max_participants=_uint32(config, "maxParticipants", "max_participants"),
        )

    def _attributes(self, claims: Mapping[str, Any]) -> dict[str, str]:
        attributes = claims.get("attributes") or {}
        if not isinstance(attributes, dict) or len(attributes) > MAX_ATTRIBUTES:
            raise TokenError("invalid_claims", "the attributes are not acceptable")
        size = 0
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise TokenError("invalid_claims", "an attribute is not a text")
            size += len(key.encode()) + len(value.encode())
        if size > self._max_metadata_bytes:
            raise TokenError("invalid_claims", "the attributes are too long")
        return attributes


def new_guest_identity() -> str:
    """An identity that nobody can guess or choose (96 bits)."""
    return GUEST_PREFIX + secrets.token_hex(12)


def _segment(text: str) -> dict[str, Any]:
    """One base64url part of a token as a JSON object."""
    try:
        value = strict_json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise TokenError("malformed", "the token is not base64url of JSON") from None
    if not isinstance(value, dict):
        raise TokenError("malformed", "a part of the token is not an object")
    return value


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        raise TokenError("invalid_claims", f"{name} is not a time")
    return float(value)


def _uint32(config: Mapping[str, Any], *names: str) -> int:
    """The first of `names` that is there; both spellings of a field are allowed (ProtoJSON)."""
    value = next((config[name] for name in names if config.get(name) is not None), 0)
    if type(value) is not int or not 0 <= value < 2**32:
        raise TokenError("invalid_claims", f"{names[0]} is not a number")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TokenError("invalid_claims", f"{name} is not a text")
    return value


def _flag(claims: Mapping[str, Any], name: str, default: bool) -> bool:
    value = claims.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TokenError("invalid_claims", f"{name} is not true or false")
    return value


def _sources(video: Mapping[str, Any]) -> frozenset[TrackSource]:
    values = video.get("canPublishSources")
    if values is None:
        return frozenset()
    if not isinstance(values, list) or len(values) > 16 or not all(isinstance(value, str) for value in values):
        raise TokenError("invalid_claims", "canPublishSources is not a list of texts")
    known = {source.value: source for source in TrackSource}
    # A word that we do not know stays in the set as "unknown": dropping it could leave the set empty, which means all.
    return frozenset(known.get(value.lower(), TrackSource.UNKNOWN) for value in values)


def _identity_claims(grants: Grants) -> dict[str, Any]:
    kind = next((word for word, number in KINDS.items() if number == grants.kind), "standard")
    return {
        "name": grants.name,
        "metadata": grants.metadata,
        "attributes": dict(grants.attributes),
        "kind": kind if grants.kind else "",
        "guest": grants.guest,
        "roomConfig": _room_config(grants.room_options),
        "roomPreset": grants.room_preset,
    }


def _room_config(options: RoomOptions) -> dict[str, Any]:
    config = {
        "metadata": options.metadata,
        "emptyTimeout": options.empty_timeout_s,
        "departureTimeout": options.departure_timeout_s,
        "maxParticipants": options.max_participants,
    }
    return {name: value for name, value in config.items() if value}


def _video_claims(grants: Grants) -> dict[str, Any]:
    video: dict[str, Any] = {"room": grants.room} if grants.room else {}
    for name, value in (
        ("roomJoin", grants.room_join),
        ("roomCreate", grants.room_create),
        ("roomList", grants.room_list),
        ("roomAdmin", grants.room_admin),
        ("canUpdateOwnMetadata", grants.can_update_own_metadata),
        ("canSubscribeMetrics", grants.can_subscribe_metrics),
        ("canManageAgentSession", grants.can_manage_agent_session),
        ("recorder", grants.recorder),
        ("agent", grants.agent),
        ("hidden", grants.hidden),
    ):
        if value:
            video[name] = True
    video.update(
        canPublish=grants.can_publish, canSubscribe=grants.can_subscribe, canPublishData=grants.can_publish_data
    )
    if grants.destination_room:
        video["destinationRoom"] = grants.destination_room
    if grants.can_publish_sources:
        video["canPublishSources"] = sorted(source.value for source in grants.can_publish_sources)
    return video
