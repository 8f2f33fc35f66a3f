"""One OpenID provider (OpenID Connect Core 1.0, Discovery 1.0), asked with the authorization code flow and PKCE.

Nothing that it answers is trusted before it is checked: its endpoints must be HTTPS (HTTP on loopback), ID tokens must
be signed by a key of its set with RS256, ES256 or EdDSA, where the key and not the token says which, and every claim
that we use is looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from signaling import strict_json
from signaling.accounts.settings import AccountSettings, is_provider_url, openid_secret
from signaling.errors import ApiError
from signaling.jwks import IssuerKeys, KeySetSettings, PublicKey, TokenIssuer
from signaling.metrics import Metrics
from signaling.upstream import Upstream, UpstreamError

_log = logging.getLogger("ting.accounts")
_ALGORITHMS = ("RS256", "ES256", "EdDSA")
_LEEWAY_S = 30.0
_MAX_SUBJECT_LENGTH = 255
"""OpenID Connect Core 1.0, 2."""
_NAMES = ("preferred_username", "name", "nickname")
_RETRY_AFTER_S = 5


class IdTokenError(Exception):
    """An ID token that is not accepted. The message is one line without what it holds."""


@dataclass(frozen=True, slots=True)
class Configuration:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    """Empty: there is none."""
    secret_in_form: bool
    """client_secret_post, where client_secret_basic is not taken."""
    names_itself: bool
    """Its answers have `iss` (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class OpenidIdentity:
    """Who somebody is, as the provider says."""

    subject: str
    name: str
    """Empty: it does not say."""
    signed_in_at: float
    """When they last signed in there; Unix time in seconds, 0 when it does not say."""


@dataclass(frozen=True, slots=True)
class Redemption:
    """What belongs to one code."""

    code: str
    verifier: str
    nonce: str
    redirect_uri: str


class OpenidProvider:
    """`clock` gives Unix time in seconds."""

    def __init__(self, settings: AccountSettings, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.issuer = settings.openid_issuer
        self._settings = settings
        self._secret = openid_secret(settings)
        self._metrics = metrics
        self._clock = clock
        self._upstream = Upstream(settings.openid_timeout_s, settings.openid_max_bytes)
        self._configuration: Configuration | None = None
        self._keys: IssuerKeys | None = None
        self._read_at_s = float("-inf")

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str, fresh: bool) -> str:
        """Where the browser goes to sign in; `fresh`: not by a session that it has there. Raises `ApiError`
        unavailable."""
        configuration = await self._configure()
        query = {
            "response_type": "code",
            "client_id": self._settings.openid_client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        if fresh:
            query |= {"prompt": "login", "max_age": "0"}
        parts = urlsplit(configuration.authorization_endpoint)
        joint = "&" if parts.query else ""
        return parts._replace(query=f"{parts.query}{joint}{urlencode(query)}").geturl()

    async def redeem(self, redemption: Redemption, answered_by: str) -> OpenidIdentity:
        """Who signed in. `answered_by` is the `iss` that came with the code. Raises `ApiError` sign_in_failed and
        unavailable."""
        configuration = await self._configure()
        if answered_by != self.issuer and (answered_by or configuration.names_itself):
            raise _refused("the answer is another provider's")
        try:
            answer = await self._exchange(configuration, redemption)
            token = answer.get("id_token")
            if not isinstance(token, str):
                raise IdTokenError("there is no ID token")
            claims = await self._verify(token, redemption.nonce)
            name = _name_of(claims) or await self._ask_for_name(configuration, answer, claims["sub"])
        except (UpstreamError, IdTokenError) as error:
            raise _refused(str(error)) from None
        return OpenidIdentity(claims["sub"], name, min(claims.get("auth_time", 0), self._clock()))

    async def close(self) -> None:
        if self._keys is not None:
            await self._keys.close()

    # --- what it is -----------------------------------------------------------------------------------------

    async def _configure(self) -> Configuration:
        known = self._configuration
        if known is not None and self._clock() - self._read_at_s < self._settings.openid_refresh_s:
            return known
        try:
            document = await self._upstream.get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
            found = _read_configuration(document, self.issuer)
        except UpstreamError as error:
            _log.error("the OpenID provider: %s", error)
            if known is not None:
                return known
            raise ApiError("unavailable", "The provider cannot be reached.", retry_after_s=_RETRY_AFTER_S) from None
        if known is None or known.jwks_uri != found.jwks_uri:
            self._keys = self._keys_at(found.jwks_uri)
        assert self._keys is not None
        await self._keys.refresh(forced=True)
        self._configuration, self._read_at_s = found, self._clock()
        return found

    def _keys_at(self, url: str) -> IssuerKeys:
        settings = self._settings
        return IssuerKeys(
            TokenIssuer(issuer=self.issuer, jwks=url),
            KeySetSettings(jwks_timeout_s=settings.openid_timeout_s, jwks_max_bytes=settings.openid_max_bytes),
            self._metrics,
        )

    # --- the code, and what comes for it ----------------------------------------------------------------------

    async def _exchange(self, configuration: Configuration, redemption: Redemption) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": redemption.code,
            "redirect_uri": redemption.redirect_uri,
            "code_verifier": redemption.verifier,
        }
        client_id, headers = self._settings.openid_client_id, {}
        if not self._secret:
            form["client_id"] = client_id
        elif configuration.secret_in_form:
            form |= {"client_id": client_id, "client_secret": self._secret}
        else:
            # Both are form-encoded first (RFC 6749, 2.3.1).
            pair = f"{quote(client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self._upstream.post(configuration.token_endpoint, form, headers=headers)

    async def _verify(self, token: str, nonce: str) -> dict[str, Any]:
        from signaling.signatures import is_signed

        header, claims = _parse(token)
        algorithm, key_id = header.get("alg"), header.get("kid", "")
        if algorithm not in _ALGORITHMS or not isinstance(key_id, str) or "crit" in header:
            raise IdTokenError("the ID token's header is not acceptable")
        key = await self._find_key(key_id, algorithm)
        if key is None or not is_signed(token, key.key, key.algorithm):
            raise IdTokenError("the ID token's signature is not the provider's")
        check_claims(claims, self.issuer, self._settings.openid_client_id, nonce, self._clock())
        return claims

    async def _find_key(self, key_id: str, algorithm: str) -> PublicKey | None:
        assert self._keys is not None
        found = self._keys.find(key_id, algorithm)
        if found is None:
            await self._keys.refresh(forced=True)
            found = self._keys.find(key_id, algorithm)
        return found

    async def _ask_for_name(self, configuration: Configuration, answer: Mapping[str, Any], subject: str) -> str:
        token = answer.get("access_token")
        if not configuration.userinfo_endpoint or not isinstance(token, str) or not token.isascii():
            return ""
        try:
            info = await self._upstream.get(
                configuration.userinfo_endpoint, headers={"Authorization": f"Bearer {token}"}
            )
        except UpstreamError:
            return ""
        return _name_of(info) if info.get("sub") == subject else ""


def check_claims(claims: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now_s: float) -> None:
    """OpenID Connect Core 1.0, 3.1.3.7. Raises `IdTokenError`."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", client_id)
    if claims.get("iss") != issuer:
        raise IdTokenError("the ID token is another issuer's")
    if client_id not in audiences or party != client_id or (len(audiences) > 1 and "azp" not in claims):
        raise IdTokenError("the ID token is for somebody else")
    expires_at, issued_at, valid_from, _ = (_time_of(claims, name) for name in ("exp", "iat", "nbf", "auth_time"))
    if not expires_at or not issued_at:
        raise IdTokenError("the ID token has no times")
    if expires_at < now_s - _LEEWAY_S:
        raise IdTokenError("the ID token has expired")
    if max(issued_at, valid_from) > now_s + _LEEWAY_S:
        raise IdTokenError("the ID token is not valid yet")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise IdTokenError("the ID token belongs to another sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_LENGTH or not subject.isprintable():
        raise IdTokenError("the ID token's subject is not acceptable")


def _time_of(claims: Mapping[str, Any], name: str) -> float:
    """Unix time in seconds; 0 when it is not there. Raises `IdTokenError`."""
    value = claims.get(name, 0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise IdTokenError("a time in the ID token is not one")
    return value


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise IdTokenError("the ID token is not one")
    read = []
    for part in parts[:2]:
        try:
            value = strict_json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise IdTokenError("the ID token is not one")
        read.append(value)
    return read[0], read[1]


def _read_configuration(document: Mapping[str, Any], issuer: str) -> Configuration:
    """Raises `UpstreamError`."""
    if document.get("issuer") != issuer:
        raise UpstreamError("the configuration is another issuer's")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    authorization, token, keys, userinfo = (str(document.get(name)) for name in names)
    if not all(map(is_provider_url, (authorization, token, keys))):
        raise UpstreamError("an endpoint in the configuration is not an https URL")
    methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Configuration(
        authorization_endpoint=authorization,
        token_endpoint=token,
        jwks_uri=keys,
        userinfo_endpoint=userinfo if is_provider_url(userinfo) else "",
        secret_in_form=isinstance(methods, list) and "client_secret_basic" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _name_of(claims: Mapping[str, Any]) -> str:
    found = (claims.get(name) for name in _NAMES)
    return next((name for name in found if isinstance(name, str) and name.strip()), "")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(reason: str) -> ApiError:
    _log.warning("a sign-in with the OpenID provider was refused: %s", reason)
    return ApiError("sign_in_failed", "The sign-in with the provider could not be verified.")
