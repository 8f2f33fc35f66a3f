"""The web app's files, and the security headers that every answer carries.

The files are listed once at the start: a path that is not on the list is not there, so no path can lead outside.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from signaling.api.page import MANIFEST, Page
from signaling.api.rooms import signal_url
from signaling.api.server_view import ServerView
from signaling.api.titles import PublicTitles
from signaling.brand.brand import Brand
from signaling.brand.pictures import SVG

_PACKAGED = Path(__file__).resolve().parent.parent / "webapp"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent / "web" / "dist"
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_PAGES = ("/", "/r/{room}", "/account", "/account/openid", "/admin", "/check")
"""Addresses of the app, as web/src/App.tsx knows them."""
_IMMUTABLE = "public, max-age=31536000, immutable"
_EMBEDDING = "external_api.js"
"""What pages of other origins load to show a room in a frame."""
_EMBEDDING_CACHE = "public, max-age=600"
_COMPRESSED = (".br", ".gz")
_NO_BUILD = "The web app has not been built. `make run` builds it.\n"

_WASM_WORKER = re.compile(r"assets/(mlsWorker|wasmCompiler)-[\w-]+\.js")
WASM_WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
"""A worker has the policy of its own answer (CSP 3, 4.2.2): only the one with the keys of sealed rooms, and the one
that compiles for the page what is served here, may compile WebAssembly."""

SVG_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""For a logo that is opened as a document of its own: nothing runs, and nothing is fetched."""

PERMISSIONS_POLICY = (
    "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), autoplay=(self), "
    "fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=()"
)


def find_web_root(web_root: str) -> Path | None:
    """Where the built web app is: the directory of the settings, if they name one. None when there is none."""
    candidates = [Path(web_root)] if web_root else [_PACKAGED, _CHECKOUT]
    return next((path for path in candidates if (path / "index.html").is_file()), None)


class WebApp:
    """`tls`: the server itself speaks HTTPS. `frame_ancestors`: origins of pages that may show the app in a frame."""

    def __init__(
        self,
        web_root: str,
        brand: Brand,
        view: ServerView,
        titles: PublicTitles,
        *,
        public_url: str,
        tls: bool,
        frame_ancestors: Sequence[str] = (),
    ) -> None:
        self._public_url = public_url
        self._policy = ContentSecurityPolicy(public_url, frame_ancestors)
        self._tls = tls
        root = find_web_root(web_root)
        files = {} if root is None else {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*"))}
        # What is there for browsers that take it compressed (aiohttp looks beside each file) has no address of its own.
        self._files = {
            name: path
            for name, path in files.items()
            if path.is_file() and not (path.suffix in _COMPRESSED and name.removesuffix(path.suffix) in files)
        }
        index = self._files.pop("index.html", None)
        self._page = None if index is None else Page(index.read_text("utf-8"), brand, view, self._files)
        self._titles = titles
        self._pictures = {picture.path: picture for picture in brand.pictures}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Last of all: what nobody else answers is looked for among the files."""
        for path in _PAGES:
            router.add_get(path, self._get_index)
        router.add_get(MANIFEST, self._get_manifest)
        for path in self._pictures:
            router.add_get(path, self._get_picture)
        # Nothing below /api is a file: a route that is off there is not found, whatever the method.
        router.add_get("/{name:(?!api/).+}", self._get_file)

    async def _get_index(self, request: web.Request) -> web.StreamResponse:
        if self._page is None:
            return web.Response(status=503, text=_NO_BUILD)
        room = request.match_info.get("room", "")
        title = await self._titles.of(request, room) if room else ""
        return _fresh(request, self._page.render(title, self._origin(request)), "text/html")

    async def _get_manifest(self, request: web.Request) -> web.StreamResponse:
        if self._page is None:
            raise web.HTTPNotFound
        return _fresh(request, self._page.manifest(), "application/manifest+json")

    async def _get_picture(self, request: web.Request) -> web.StreamResponse:
        picture = self._pictures[request.path]
        headers: dict[str, str] = {hdrs.CACHE_CONTROL: _IMMUTABLE}
        if picture.media_type == SVG:
            headers["Content-Security-Policy"] = SVG_POLICY
        return web.Response(body=picture.content, content_type=picture.media_type, headers=headers)

    def _origin(self, request: web.Request) -> str:
        """Where programs find the picture of a preview; empty for a Host that is none."""
        public = urlsplit(self._public_url)
        if public.netloc:
            return f"{public.scheme.replace('ws', 'http')}://{public.netloc}"
        host = request.headers.get(hdrs.HOST, "")
        return f"{request.scheme}://{host}" if _HOST.fullmatch(host) else ""

    async def _get_file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._files.get(name)
        if path is None or any(part.startswith(".") for part in name.split("/")):
            if self._page is not None and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
                # A person with a mistyped address: the app says so, and shows ways on.
                page = self._page.render("", self._origin(request))
                missing = web.Response(body=page, content_type="text/html", charset="utf-8", status=404)
                missing.headers[hdrs.CACHE_CONTROL] = "no-cache"
                return missing
            raise web.HTTPNotFound
        headers: dict[str, str] = {hdrs.CACHE_CONTROL: _IMMUTABLE if name.startswith("assets/") else "no-cache"}
        if name == _EMBEDDING:
            headers[hdrs.CACHE_CONTROL] = _EMBEDDING_CACHE
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if _WASM_WORKER.fullmatch(name):
            headers["Content-Security-Policy"] = WASM_WORKER_POLICY
        return web.FileResponse(path, headers=headers)

    async def add_security_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """For on_response_prepare: also errors and upgrades pass here."""
        headers = response.headers
        headers.setdefault("Content-Security-Policy", self._policy.of(request.headers.get(hdrs.HOST, "")))
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if self._tls:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers.popall(hdrs.SERVER, None)


def _fresh(request: web.Request, body: bytes, media_type: str) -> web.Response:
    """To be asked for again each time; whoever has it already is told so (RFC 9110, 13.1.2)."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    known = request.if_none_match or ()
    if any(etag.value in (tag, "*") for etag in known):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, content_type=media_type, charset="utf-8")
    response.etag = tag
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response


class ContentSecurityPolicy:
    """Nothing from elsewhere, nothing inline, and in no frame but those of `frame_ancestors`. WebSocket origins are
    spelled out, because not every browser takes 'self' for them."""

    def __init__(self, public_url: str, frame_ancestors: Sequence[str] = ()) -> None:
        sources = (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob: mediastream:",
            "connect-src 'self'",
        )
        self._before_host = "; ".join(sources)
        public = urlsplit(signal_url(public_url))
        schemes = (public.scheme, public.scheme.replace("ws", "http")) if public.netloc else ()
        rest = (
            "".join(f" {scheme}://{public.netloc}" for scheme in schemes),
            "font-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            " ".join(["frame-ancestors", *(frame_ancestors or ["'none'"])]),
        )
        self._behind_host = "; ".join(rest)

    def of(self, host: str) -> str:
        """`host` is what the client calls this server."""
        origins = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
        return f"{self._before_host}{origins}{self._behind_host}"
