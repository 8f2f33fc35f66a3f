"""The page as the server sends it: the built index.html with a head that knows the brand, the server's settings and the
room, for browsers as for programs that show a preview of a link. And the manifest of the installed app."""

from __future__ import annotations

import re
from collections.abc import Collection
from html import escape
from typing import Any

import msgspec

from signaling.api.server_view import ServerView
from signaling.brand.brand import Brand

_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
_ICON = re.compile(r"""<link\s[^>]*\brel=["']?icon\b[^>]*>""")
MANIFEST = "/manifest.webmanifest"
_BACKGROUND = "#f6f7f4"
"""--bg of web/src/styles/tokens.css, which the installed app shows while it starts."""
_DESCRIPTION = "Voice and video rooms in the browser."
_OWN_ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)
"""Of web/public."""


class Page:
    """`files` are the names of the web app's files."""

    def __init__(self, index: str, brand: Brand, view: ServerView, files: Collection[str]) -> None:
        self._brand = brand
        self._config = msgspec.json.encode(view).decode()
        logo = brand.logo
        if logo is not None:
            icon = f'<link rel="icon" type="{logo.media_type}" href="{logo.path}">'
            index = _ICON.sub(lambda _: icon, index)
        # Where the title was goes all that is the server's.
        self._before, self._after = _split(index)
        self._icons = _icons(brand, files)

    def render(self, room_title: str, origin: str) -> bytes:
        """`room_title` is empty where nobody may know it; `origin` where the page is, as others reach it."""
        brand = self._brand
        title = f"{room_title} · {brand.name}" if room_title else brand.name
        tags = [
            f"<title>{escape(title)}</title>",
            f'<meta name="app-config" content="{escape(self._config)}">',
            f'<link rel="manifest" href="{MANIFEST}">',
            f'<meta name="description" content="{escape(brand.subtitle or _DESCRIPTION)}">',
            _property("og:type", "website"),
            _property("og:site_name", brand.name),
            _property("og:title", room_title or brand.name),
            _property("og:description", brand.subtitle or _DESCRIPTION),
        ]
        image = self._preview()
        if image and origin:
            tags.append(_property("og:image", origin + image))
        return (self._before + "".join(tags) + self._after).encode()

    def _preview(self) -> str:
        if self._brand.preview is not None:
            return self._brand.preview.path
        # Those of the web app itself, which are its own pictures.
        own = (icon["src"] for icon in self._icons if self._brand.is_own and icon["src"].endswith("/icon-512.png"))
        return next(own, "")

    def manifest(self) -> bytes:
        """Web Application Manifest (W3C), as JSON."""
        brand = self._brand
        return msgspec.json.encode(
            {
                "id": "/",
                "name": brand.name,
                "short_name": brand.short_name,
                "description": brand.subtitle or _DESCRIPTION,
                "start_url": "/",
                "scope": "/",
                "display": "standalone",
                "theme_color": brand.accent,
                "background_color": _BACKGROUND,
                "icons": self._icons,
            }
        )


def _icons(brand: Brand, files: Collection[str]) -> list[dict[str, Any]]:
    icons = [
        {"src": icon.picture.path, "sizes": icon.sizes, "type": icon.picture.media_type, "purpose": icon.purpose}
        for icon in brand.icons
    ]
    if icons or not brand.is_own:
        return icons
    return [
        {"src": f"/{name}", "sizes": sizes, "type": "image/png", "purpose": purpose}
        for name, sizes, purpose in _OWN_ICONS
        if name in files
    ]


def _split(index: str) -> tuple[str, str]:
    found = _TITLE.search(index)
    if found is None:
        raise ValueError("index.html has no title")
    return index[: found.start()], index[found.end() :]


def _property(name: str, content: str) -> str:
    return f'<meta property="{name}" content="{escape(content)}">'
