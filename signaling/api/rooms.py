"""The REST interface that the web app uses: configuration, room lookup, guest tokens."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from aiohttp import hdrs, web

from signaling import strict_json
from signaling.addresses import client_address, parse_networks
from signaling.errors import ApiError
from signaling.limits import AddressLimiter
from signaling.services import SERVICES, Phase, Services
from signaling.version import VERSION


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api/v1/config", get_config)
    app.router.add_get("/api/v1/rooms/{room}", get_room)
    app.router.add_post("/api/v1/rooms/{room}/tokens", create_token)


async def get_config(request: web.Request) -> web.Response:
    return _json({"name": "Ting", "version": VERSION})


async def get_room(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    _limit(request, services, services.lookup_limiter)
    info = services.rooms.lookup(request.match_info["room"])
    return _json({"name": info.name, "num_participants": info.num_participants, "created_at_ms": info.created_at_ms})


async def create_token(request: web.Request) -> web.Response:
    """A guest token. The body is `{"name": …}`; a Bearer token of an earlier visit keeps the identity."""
    services = request.app[SERVICES]
    _limit(request, services, services.token_limiter)
    if services.phase is not Phase.READY:
        raise ApiError("unavailable", "The server is starting or stopping.", retry_after_s=5)
    body = await _json_object(request)
    if not set(body) <= {"name"}:
        raise ApiError("invalid_body", "Only the field name is expected.")
    guest = services.rooms.issue_guest_token(request.match_info["room"], body.get("name"), _bearer(request))
    url = signal_url(services.settings.public_url)
    return _json({"token": guest.token, "url": url, "room": guest.room, "identity": guest.identity})


def signal_url(public_url: str) -> str:
    """The public URL as a WebSocket URL; empty stays empty and means the origin of the page."""
    if not public_url:
        return ""
    parts = urlsplit(public_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


async def _json_object(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise ApiError("invalid_body", "The body must be application/json.")
    try:
        async with asyncio.timeout(request.app[SERVICES].settings.request_timeout_s):
            text = await request.read()
        body = strict_json.loads(text)
    except TimeoutError:
        raise ApiError("request_timeout", "The body took too long.") from None
    except ValueError:
        raise ApiError("invalid_body", "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise ApiError("invalid_body", "The body must be a JSON object.")
    return body


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _limit(request: web.Request, services: Services, limiter: AddressLimiter) -> None:
    address = client_address(request, parse_networks(services.settings.trusted_proxies))
    wait_s = limiter.take(address)
    if wait_s:
        raise ApiError("rate_limited", "Too many requests; please wait a moment.", retry_after_s=wait_s)


def _json(value: object) -> web.Response:
    return web.json_response(value, headers={hdrs.CACHE_CONTROL: "no-store"})
