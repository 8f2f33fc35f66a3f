"""STUN and TURN servers for one participant, with credentials of its own that end by themselves.

The scheme is that of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the username is the Unix time of
the end and a name, the credential is the HMAC-SHA1 of the username under the secret that the TURN server shares. There
is nothing to revoke: Ting has no TURN server of its own, and an outside one asks it nothing. Whoever was put out, or
whose device was signed out, is out of the call at once, so that a relay leads nowhere here any more; of the TURN server
they can ask one until the credential ends, `turn_ttl_s` at most.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field

from signaling.config_values import one_line, read_secret
from signaling.errors import ConfigError

MAX_TURN_TTL_S = 600.0
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_TURN_URL = re.compile(rf"turns?:{_HOST}(?:\?transport=(?:udp|tcp))?")
_STUN_URL = re.compile(rf"stuns?:{_HOST}")


@dataclass(frozen=True, slots=True)
class TurnServer:
    """`secret` is the server's shared secret (coturn: static-auth-secret), or `secret_file` the file that holds it."""

    urls: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    secret_file: str = ""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    stun_urls: tuple[str, ...] = ()
    """STUN servers that clients are told of, as stun:host:port. Calls with this server alone need none."""
    turn: tuple[TurnServer, ...] = ()
    """TURN servers for clients whose network lets nothing else through; each has urls, and secret or secret_file."""
    turn_ttl_s: float = 600.0
    """Validity of a participant's TURN credential, at most 600; a reconnect gets a new one."""


def resolve_turn(servers: tuple[TurnServer, ...]) -> tuple[TurnServer, ...]:
    """Each with good URLs (RFC 7065) and its secret read. Raises `ConfigError`."""
    resolved = []
    for number, server in enumerate(servers, start=1):
        place = f"turn, table {number}"
        if not server.urls:
            raise ConfigError(f"{place}: urls is needed")
        for url in server.urls:
            if not _TURN_URL.fullmatch(url):
                raise ConfigError(f"{place}: {one_line(url)} is not like turn:host:3478?transport=udp")
        if bool(server.secret) == bool(server.secret_file):
            raise ConfigError(f"{place}: either secret or secret_file is needed")
        secret = server.secret or read_secret(server.secret_file, f"{place}, secret_file")
        if not secret:
            raise ConfigError(f"{place}: the secret is empty")
        resolved.append(TurnServer(server.urls, secret))
    return tuple(resolved)


def check_stun(urls: tuple[str, ...]) -> None:
    """RFC 7064. Raises `ConfigError`."""
    for url in urls:
        if not _STUN_URL.fullmatch(url):
            raise ConfigError(f"stun_urls: {one_line(url)} is not like stun:host:3478")


@dataclass(frozen=True, slots=True)
class IceServer:
    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


def has_tls(settings: TurnSettings) -> bool:
    """Whether a TURN server is reached over TLS (RFC 7065 `turns:`)."""
    return any(url.lower().startswith("turns:") for server in settings.turn for url in server.urls)


def ice_servers(settings: TurnSettings, name: str, now: float | None = None) -> list[IceServer]:
    """What a client of `name` (a participant id) may use from now on. `now` is Unix time in seconds."""
    servers = [IceServer(settings.stun_urls)] if settings.stun_urls else []
    ends_at = int((time.time() if now is None else now) + settings.turn_ttl_s)
    username = f"{ends_at}:{name}"
    for server in settings.turn:
        digest = hmac.digest(server.secret.encode(), username.encode(), hashlib.sha1)
        servers.append(IceServer(server.urls, username, base64.b64encode(digest).decode("ascii")))
    return servers
