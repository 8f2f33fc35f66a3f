"""Who stands behind a request to our own API, and whether a route is theirs to use. Nothing is allowed by omission."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

from signaling.addresses import ClientAddresses
from signaling.api.typed import Access, Route
from signaling.bots.bots import TOKEN_PREFIX, Bots
from signaling.errors import ApiError, TokenError
from signaling.grants import Grants
from signaling.lifecycle import Lifecycle
from signaling.limits import AddressLimiter
from signaling.requests import bearer_token
from signaling.rooms.calls import RoomService, clean_room_name
from signaling.rooms.door import Door
from signaling.rooms.roles import Actor, Role
from signaling.tokens import TokenService

_ROLES = {
    Access.GUEST: Role.GUEST,
    Access.MEMBER: Role.MEMBER,
    Access.MODERATOR: Role.MODERATOR,
    Access.OWNER: Role.OWNER,
}


class Accounts(Protocol):
    """What the sign-in of accounts adds."""

    async def authorize(self, request: web.Request, access: Access) -> Any:
        """The session behind the request, for ACCOUNT, ACCOUNT_PROVED, ADMIN and ADMIN_PROVED. Raises `ApiError`
        unauthorized, forbidden, step_up_needed."""
        ...


class RequestAuthority:
    """`Authority` of the routes. Everybody has `limiter` to keep to, also those who are refused."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        addresses: ClientAddresses,
        limiter: AddressLimiter,
        tokens: TokenService,
        calls: RoomService,
        door: Door,
        accounts: Accounts | None = None,
        *,
        bots: Bots,
    ) -> None:
        self._lifecycle = lifecycle
        self._addresses = addresses
        self._limiter = limiter
        self._tokens = tokens
        self._calls = calls
        self._door = door
        self._accounts = accounts
        self._bots = bots

    async def authorize(self, request: web.Request, route: Route) -> Any:
        if not self._lifecycle.ready:
            raise ApiError("unavailable", "The server is starting or stopping.", retry_after_s=5)
        wait_s = self._limiter.take(self._addresses.of(request))
        if wait_s:
            raise ApiError("rate_limited", "Too many requests; please wait a moment.", retry_after_s=wait_s)
        if route.access is Access.ANYONE:
            return None
        if route.access in _ROLES:
            return await self.actor(request, request.match_info["room"], _ROLES[route.access])
        if self._accounts is None:
            raise ApiError("not_found", "There is nothing here.")
        return await self._accounts.authorize(request, route.access)

    async def actor(self, request: web.Request, room: str, least: Role) -> Actor:
        """The bearer of the request's room token, in `room`. Raises `ApiError`."""
        return await self.actor_of_token(bearer_token(request) or "", room, least, method=request.method)

    async def actor_of_token(self, token: str, room: str, least: Role, *, method: str = "GET") -> Actor:
        """The bearer of a room token, or of a bot's, whose scopes must allow `method`. Of a foreign room one learns
        nothing, not even whether it is there. Raises `ApiError`."""
        name = clean_room_name(room)
        if token.startswith(TOKEN_PREFIX):
            actor = await self._bots.actor(token, name, method)
        else:
            actor = await self._door.actor(name, self.grants(token))
        if actor is None:
            raise ApiError("room_not_found", "There is no such room now.")
        if not actor.role.reaches(least):
            raise ApiError("forbidden", f"That takes the role {least.value}.")
        return actor

    def grants(self, token: str) -> Grants:
        """Raises `ApiError` unauthorized."""
        try:
            return self._calls.authorize_join(token)
        except TokenError as error:
            raise ApiError("unauthorized", f"A room token is needed: {error}.") from None

    def may_create_rooms(self, request: web.Request) -> Grants | None:
        """The grants of a LiveKit token with `roomCreate`; None when there is no token. Raises `ApiError`
        unauthorized, forbidden."""
        token = bearer_token(request)
        if token is None:
            return None
        try:
            grants = self._tokens.verify(token)
        except TokenError as error:
            raise ApiError("unauthorized", f"The token is not accepted: {error}.") from None
        if not grants.room_create or grants.door:
            raise ApiError("forbidden", "The token does not allow to create rooms.")
        return grants
