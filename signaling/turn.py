"""STUN and TURN servers for one participant, with credentials of its own that end by themselves.

The scheme is that of coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00): the username is the Unix time of
the end and a name, the credential is the HMAC-SHA1 of the username under the secret that the TURN server shares. There
is nothing to revoke: who was put out keeps a credential for `turn_ttl_s` at most.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field

from signaling.config import Settings


@dataclass(frozen=True, slots=True)
class IceServer:
    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


def has_tls(settings: Settings) -> bool:
    """Whether a TURN server is reached over TLS (RFC 7065 `turns:`)."""
    return any(url.lower().startswith("turns:") for server in settings.turn for url in server.urls)


def ice_servers(settings: Settings, name: str, now: float | None = None) -> list[IceServer]:
    """What a client of `name` (a participant id) may use from now on. `now` is Unix time in seconds."""
    servers = [IceServer(settings.stun_urls)] if settings.stun_urls else []
    ends_at = int((time.time() if now is None else now) + settings.turn_ttl_s)
    username = f"{ends_at}:{name}"
    for server in settings.turn:
        digest = hmac.digest(server.secret.encode(), username.encode(), hashlib.sha1)
        servers.append(IceServer(server.urls, username, base64.b64encode(digest).decode("ascii")))
    return servers
