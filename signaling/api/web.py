"""The web app's files, and the security headers that every answer carries.

The files are listed once at the start: a path that is not on the list is not there, so no path can lead outside.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from signaling.api.rooms import signal_url
from signaling.config import Settings
from signaling.services import SERVICES

_PACKAGED = Path(__file__).resolve().parent.parent / "webapp"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent / "web" / "dist"
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_IMMUTABLE = "public, max-age=31536000, immutable"
_NO_BUILD = "The web app has not been built. `make run` builds it.\n"

PERMISSIONS_POLICY = (
    "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), autoplay=(self), "
    "fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=()"
)


def web_root(settings: Settings) -> Path | None:
    """Where the built web app is; None when there is none."""
    candidates = [Path(settings.web_root)] if settings.web_root else [_PACKAGED, _CHECKOUT]
    return next((path for path in candidates if (path / "index.html").is_file()), None)


def add_routes(app: web.Application) -> None:
    root = web_root(app[SERVICES].settings)
    files = {}
    if root is not None:
        files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    index = files.pop("index.html", None)

    async def get_index(request: web.Request) -> web.StreamResponse:
        if index is None:
            return web.Response(status=503, text=_NO_BUILD)
        return web.FileResponse(index, headers={hdrs.CACHE_CONTROL: "no-cache"})

    async def get_file(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = files.get(name)
        if path is None or any(part.startswith(".") for part in name.split("/")):
            raise web.HTTPNotFound
        caching = _IMMUTABLE if name.startswith("assets/") else "no-cache"
        return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: caching})

    app.router.add_get("/", get_index)
    app.router.add_get("/r/{room}", get_index)
    app.router.add_get("/{name:.+}", get_file)


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For on_response_prepare: also errors and upgrades pass here."""
    settings = request.app[SERVICES].settings
    headers = response.headers
    headers.setdefault("Content-Security-Policy", content_security_policy(settings, request.headers.get(hdrs.HOST, "")))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if settings.tls:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    headers.popall(hdrs.SERVER, None)


def content_security_policy(settings: Settings, host: str) -> str:
    """Nothing from elsewhere, nothing inline. WebSocket origins are spelled out, because not every browser takes
    'self' for them."""
    origins = [f"ws://{host}", f"wss://{host}"] if _HOST.fullmatch(host) else []
    public = urlsplit(signal_url(settings.public_url))
    if public.netloc:
        origins += [f"{public.scheme}://{public.netloc}", f"{public.scheme.replace('ws', 'http')}://{public.netloc}"]
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:",
            " ".join(["connect-src 'self'", *origins]),
            "font-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
