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

from signaling import strict_json
from signaling.config_values import one_line, read_secret
from signaling.errors import ConfigError, TokenError
from signaling.grants import Grants, number, read_grants, write_claims
from signaling.jwks import IssuerKeys, KeySets, PublicKey

ALGORITHM = "HS256"
ASYMMETRIC_ALGORITHMS = ("RS256", "ES256", "EdDSA")
GUEST_PREFIX = "guest_"
_MAX_KEY_LENGTH = 256
_HEADER_FIELDS = frozenset({"alg", "typ", "kid"})
_BODY_TOKEN_TTL_S = 300
DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 - the published development key, refused outside of --dev
MIN_SECRET_BYTES = 32
MAX_LEEWAY_S = 30.0
SAMPLE_SECRETS = frozenset({DEV_SECRET, "replace-this-with-32-or-more-random-bytes"})
"""Secrets that stand in public documents."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API key to secret, at least 32 bytes each. The first signs guest tokens."""
    api_key: str = ""
    """One more API key, whose secret is in api_secret_file; it goes before those of `keys`."""
    api_secret_file: str = ""
    """File with the secret of api_key."""
    token_leeway_s: float = 30.0
    """Clock difference that is forgiven, at most 30."""
    max_token_ttl_s: float = 86_400.0
    """A token that is valid for longer than this from now is refused."""
    max_token_bytes: int = 16_384
    """Length of a room token."""
    max_metadata_bytes: int = 8_192
    """Participant metadata of a token or a join request, and all its attributes together."""


def collect_keys(settings: TokenSettings, *, dev: bool) -> dict[str, str]:
    """All keys with their secrets, in their order. Raises `ConfigError`."""
    if bool(settings.api_key) != bool(settings.api_secret_file):
        raise ConfigError("api_key and api_secret_file: set both or none")
    keys: dict[str, str] = {}
    if settings.api_key:
        keys[settings.api_key] = read_secret(settings.api_secret_file, "api_secret_file")
    keys.update((key, secret) for key, secret in settings.keys.items() if key not in keys)
    if dev:
        keys.setdefault(DEV_KEY, DEV_SECRET)
    return keys


def check_keys(keys: Mapping[str, str], *, dev: bool) -> None:
    """Raises `ConfigError`."""
    if not keys:
        raise ConfigError(
            "no API key: set [keys] in the file, TING_KEYS or --api-key with --api-secret-file, or use --dev"
        )
    for key, secret in keys.items():
        if dev and (key, secret) == (DEV_KEY, DEV_SECRET):
            continue
        if key == DEV_KEY or secret in SAMPLE_SECRETS:
            raise ConfigError(f"keys: {one_line(key)} is a published sample key; make your own")
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(f"keys: the secret of {one_line(key)} is shorter than {MIN_SECRET_BYTES} bytes")


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

    def issue(self, grants: Grants, ttl_s: float, *, api_key: str | None = None) -> str:
        """A signed token. `api_key` None means the first one."""
        key = api_key if api_key is not None else self._signing_key
        now = int(self._clock())
        claims: dict[str, Any] = {"iss": key, "sub": grants.identity, "iat": now, "nbf": now, "exp": now + int(ttl_s)}
        claims.update(write_claims(grants))
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return _sign(payload, self._keys[key])

    def sign_body(self, body: bytes, api_key: str = "") -> str:
        """A token that vouches for the body of a webhook, valid for five minutes. `api_key` empty means the first."""
        key, now = api_key or self._signing_key, int(self._clock())
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
        claims = {"iss": key, "nbf": now, "exp": now + _BODY_TOKEN_TTL_S, "sha256": digest}
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return _sign(payload, self._keys[key])

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
        grants = read_grants(
            claims, issued_at=issued_at, expires_at=expires_at, max_metadata_bytes=self._max_metadata_bytes
        )
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
        if not _is_signed(token, key.key, key.algorithm):
            raise TokenError("bad_signature", "the token's signature does not verify")

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
        if not _is_signed(token, self._keys[issuer], ALGORITHM):
            raise TokenError("bad_signature", "the token's signature does not verify")

    def _check_audience(self, claims: Mapping[str, Any], keys: IssuerKeys | None) -> None:
        wanted = keys.issuer.audience if keys is not None else ""
        if wanted and claims.get("aud") != wanted:
            raise TokenError("invalid_claims", "the token is for another audience")
        if not wanted and "aud" in claims:
            raise TokenError("invalid_claims", "the token is for an audience")

    def _check_times(self, claims: Mapping[str, Any], grace_s: float) -> tuple[float, float]:
        now = self._clock()
        expires_at = number(claims, "exp")
        if expires_at is None:
            raise TokenError("invalid_claims", "the token has no expiry")
        if now > expires_at + self._leeway_s + grace_s:
            raise TokenError("expired", "the token has expired")
        if expires_at > now + self._max_ttl_s + self._leeway_s:
            raise TokenError("invalid_claims", "the token is valid for too long")
        not_before, issued_at = number(claims, "nbf"), number(claims, "iat")
        for moment in (not_before, issued_at):
            if moment is not None and moment > now + self._leeway_s:
                raise TokenError("not_yet_valid", "the token is not valid yet")
        return issued_at or not_before or 0.0, expires_at


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


def _sign(payload: bytes, secret: str) -> str:
    from signaling.signatures import sign

    return sign(payload, secret)


def _is_signed(token: str, key: Any, algorithm: str) -> bool:
    from signaling.signatures import is_signed

    return is_signed(token, key, algorithm)
