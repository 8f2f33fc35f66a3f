"""Pictures of the brand: read once at the start, told by their first bytes, never by their name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from signaling.config_values import one_line
from signaling.errors import ConfigError

_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>]*>)*<svg[\s>]", re.DOTALL)
SVG = "image/svg+xml"
_ENDINGS = {SVG: "svg", "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
RASTER = ("image/png", "image/jpeg", "image/webp")
ANY = (SVG, *RASTER)


@dataclass(frozen=True, slots=True)
class Picture:
    path: str
    """Where the server has it; another content has another path."""
    content: bytes
    media_type: str
    size: tuple[int, int] | None
    """Width and height in pixels, of a PNG."""


def read_picture(file: str, shown: str, allowed: tuple[str, ...], max_bytes: int, side: int = 0) -> Picture:
    """`side`: width and height that it must have. Raises `ConfigError`, which begins with `shown`."""
    name = one_line(file)
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{shown}: {name} cannot be read: {one_line(getattr(error, 'strerror', error))}") from None
    if len(content) > max_bytes:
        raise ConfigError(f"{shown}: {name} has more than {max_bytes} bytes (max_brand_image_bytes)")
    media_type = _media_type(content)
    if media_type not in allowed:
        raise ConfigError(f"{shown}: {name} is no picture of the kind {', '.join(allowed)}")
    picture = make_picture(shown, content, media_type)
    if side and picture.size != (side, side):
        found = "unknown" if picture.size is None else f"{picture.size[0]} × {picture.size[1]}"
        raise ConfigError(f"{shown}: {name} must be {side} × {side} pixels, it is {found}")
    return picture


def make_picture(name: str, content: bytes, media_type: str) -> Picture:
    version = hashlib.sha256(content).hexdigest()[:16]
    ending = _ENDINGS[media_type]
    return Picture(f"/brand/{name.removeprefix('brand_')}-{version}.{ending}", content, media_type, _png_size(content))


def letter_logo(name: str, colour: str) -> bytes:
    """An SVG with the first letter of the name, for a brand without a logo."""
    letter = escape(name[0].upper())
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="9" fill="{colour}"/>'
        '<text x="16" y="22.5" text-anchor="middle" font-family="sans-serif" font-weight="700" font-size="19" '
        f'fill="#fff">{letter}</text></svg>'
    ).encode()


def _media_type(content: bytes) -> str:
    if _png_size(content) is not None:
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return SVG if _SVG.match(content) else ""


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Of its first chunk (PNG, 11.2.1)."""
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 24:
        return None
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
