"""The REST interface that the web app uses: configuration, room lookup, guest tokens."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aiohttp import hdrs, web

from signaling import strict_json
from signaling.addresses import ClientAddresses
from signaling.errors import ApiError
from signaling.lifecycle import Lifecycle
from signaling.limits import AddressLimiter
from signaling.requests import bearer_token
from signaling.rooms.calls import RoomService
from signaling.version import VERSION


class RoomsEndpoint:
    """`body_timeout_s` is for the body of a request."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        rooms: RoomService,
        addresses: ClientAddresses,
        *,
        lookup_limiter: AddressLimiter,
        token_limiter: AddressLimiter,
        public_url: str,
        body_timeout_s: float,
    ) -> None:
        self._lifecycle = lifecycle
        self._rooms = rooms
        self._addresses = addresses
        self._lookup_limiter = lookup_limiter
        self._token_limiter = token_limiter
        self._signal_url = signal_url(public_url)
        self._body_timeout_s = body_timeout_s

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/config", _get_config)
        router.add_get("/api/v1/rooms/{room}", self._get_room)
        router.add_post("/api/v1/rooms/{room}/tokens", self._create_token)

    async def _get_room(self, request: web.Request) -> web.Response:
        self._limit(request, self._lookup_limiter)
        info = self._rooms.lookup(request.match_info["room"])
        return _json(
            {"name": info.name, "num_participants": info.num_participants, "created_at_ms": info.created_at_ms}
        )

    async def _create_token(self, request: web.Request) -> web.Response:
        """A guest token. The body is `{"name": …}`; a Bearer token of an earlier visit keeps the identity."""
        self._limit(request, self._token_limiter)
        if not self._lifecycle.ready:
            raise ApiError("unavailable", "The server is starting or stopping.", retry_after_s=5)
        body = await self._json_object(request)
        if not set(body) <= {"name"}:
            raise ApiError("invalid_body", "Only the field name is expected.")
        room, earlier_token = request.match_info["room"], bearer_token(request) or ""
        guest = self._rooms.issue_guest_token(room, body.get("name"), earlier_token)
        return _json({"token": guest.token, "url": self._signal_url, "room": guest.room, "identity": guest.identity})

    async def _json_object(self, request: web.Request) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise ApiError("invalid_body", "The body must be application/json.")
        try:
            async with asyncio.timeout(self._body_timeout_s):
                text = await request.read()
            body = strict_json.loads(text)
        except TimeoutError:
            raise ApiError("request_timeout", "The body took too long.") from None
        except ValueError:
            raise ApiError("invalid_body", "The body is not JSON.") from None
        if not isinstance(body, dict):
            raise ApiError("invalid_body", "The body must be a JSON object.")
        return body

    def _limit(self, request: web.Request, limiter: AddressLimiter) -> None:
        wait_s = limiter.take(self._addresses.of(request))
        if wait_s:
            raise ApiError("rate_limited", "Too many requests; please wait a moment.", retry_after_s=wait_s)


async def _get_config(request: web.Request) -> web.Response:
    return _json({"name": "Ting", "version": VERSION})


def signal_url(public_url: str) -> str:
    """The public URL as a WebSocket URL; empty stays empty and means the origin of the page."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _json(value: object) -> web.Response:
    return web.json_response(value, headers={hdrs.CACHE_CONTROL: "no-store"})
