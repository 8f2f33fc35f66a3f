"""Who may do what over WHIP and WHEP: the limit per address, the token, the session that the bearer owns."""

from __future__ import annotations

from aiohttp import hdrs, web

from signaling.addresses import ClientAddresses
from signaling.errors import TokenError
from signaling.grants import Grants
from signaling.lifecycle import Lifecycle
from signaling.limits import AddressLimiter
from signaling.metrics import Metrics
from signaling.requests import bearer_token
from signaling.rooms.calls import RoomService
from signaling.rooms.door import Door
from signaling.whip.http import Problem
from signaling.whip.sessions import HttpSession, Protocol, SessionRegistry


class Access:
    """Shared by the endpoints of both protocols. A session may last longer than the token that began it: one that
    expired up to `grace_s` ago still serves its owner."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        addresses: ClientAddresses,
        limiter: AddressLimiter,
        rooms: RoomService,
        door: Door,
        registry: SessionRegistry,
        metrics: Metrics,
        *,
        grace_s: float,
    ) -> None:
        self._lifecycle = lifecycle
        self._addresses = addresses
        self._limiter = limiter
        self._rooms = rooms
        self._door = door
        self._registry = registry
        self._metrics = metrics
        self._grace_s = grace_s

    def check_rate(self, request: web.Request) -> None:
        wait_s = self._limiter.take(self._addresses.of(request))
        if wait_s:
            raise Problem(429, "rate_limited", "Too many requests; please wait.", {hdrs.RETRY_AFTER: str(wait_s)})

    async def authorize_room(self, request: web.Request, protocol: str) -> Grants:
        """What the request's bearer token grants, for the room of the path."""
        self.check_rate(request)
        grants = self._authorize(request)
        if grants.room != request.match_info["room"]:
            raise Problem(403, "not_allowed", "The token is for another room.")
        try:
            grants = await self._door.check(grants)
        except TokenError as error:
            raise Problem(403, error.code, f"{error}.") from None
        if grants.sealed:
            text = f"This room is sealed, and {protocol} cannot encrypt: take an open room, or have its owner open it."
            raise Problem(403, "sealed_room", text)
        return grants

    def owned_session(self, request: web.Request) -> HttpSession:
        """The session of the path, if the bearer began it."""
        self.check_rate(request)
        grants = self._authorize(request, grace_s=self._grace_s)
        protocol = Protocol(request.path.partition("-")[0].removeprefix("/"))
        return self._registry.find(request.match_info["session"], protocol, grants)

    def _authorize(self, request: web.Request, *, grace_s: float = 0.0) -> Grants:
        """The grants of the request's bearer token; nothing else is looked at for a token."""
        if not self._lifecycle.ready:
            raise Problem(503, "unavailable", "The server is starting or stopping.")
        token = bearer_token(request)
        challenge: dict[str, str] = {hdrs.WWW_AUTHENTICATE: "Bearer"}
        if not token:
            raise Problem(401, "unauthorized", "A bearer token is needed.", challenge)
        try:
            return self._rooms.authorize_join(token, grace_s=grace_s)
        except TokenError as error:
            self._metrics.tokens_refused.labels(error.code).inc()
            if error.code in ("not_allowed", "revoked"):
                raise Problem(403, error.code, f"{error}.") from None
            raise Problem(401, "unauthorized", f"{error}.", challenge) from None
