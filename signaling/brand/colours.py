"""The colours that follow from the accent, for light and for dark pages, readable by WCAG 2.2."""

from __future__ import annotations

import re
from dataclasses import dataclass

from signaling.errors import ConfigError

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
READABLE = 4.5
"""Of text (WCAG 2.2, 1.4.3)."""
LIGHT_SURFACES = ("#f6f7f4", "#ffffff")
DARK_SURFACES = ("#0f1413", "#171e1c", "#0d1211", "#161d1b")
"""On which the accent is a colour of text: --bg and --surface of web/src/styles/tokens.css."""
_STEP = 5

Rgb = tuple[int, int, int]
_WHITE: Rgb = (255, 255, 255)
_BLACK: Rgb = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Palette:
    """Each as #rrggbb; tokens.css has the same names."""

    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str


def light_palette(accent: str, shown: str) -> Palette:
    """Raises `ConfigError`, which begins with `shown`."""
    colour = _parse(accent, shown)
    palette = Palette(_text(colour), _text(_mix(colour, _BLACK, 18)), _text(_mix(colour, _WHITE, 86)), _text(_WHITE))
    _check(palette, LIGHT_SURFACES, shown)
    return palette


def dark_palette(accent: str, shown: str) -> Palette:
    """Raises `ConfigError`, which begins with `shown`."""
    palette = _dark(_parse(accent, shown))
    _check(palette, DARK_SURFACES, shown)
    return palette


def derive_dark(accent: str, shown: str) -> Palette:
    """From the accent of light pages: as much lighter as is needed to read it."""
    colour = _parse(accent, shown)
    tries = (_dark(_mix(colour, _WHITE, share)) for share in range(0, 101, _STEP))
    return next(palette for palette in tries if _worst(palette, DARK_SURFACES)[0] >= READABLE)


def contrast(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.2, contrast ratio)."""
    high, low = sorted((_luminance(_rgb(one)), _luminance(_rgb(other))), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _dark(colour: Rgb) -> Palette:
    surface = _rgb(DARK_SURFACES[0])
    return Palette(
        _text(colour),
        _text(_mix(colour, _WHITE, 18)),
        _text(_mix(colour, surface, 82)),
        _text(_mix(colour, _BLACK, 88)),
    )


def _check(palette: Palette, surfaces: tuple[str, ...], shown: str) -> None:
    worst, front, back = _worst(palette, surfaces)
    if worst < READABLE:
        raise ConfigError(
            f"{shown}: {palette.accent} cannot be read well: {front} on {back} has a contrast of {worst:.2f}, "
            f"at least {READABLE} is needed (WCAG 2.2, 1.4.3)"
        )


def _worst(palette: Palette, surfaces: tuple[str, ...]) -> tuple[float, str, str]:
    pairs = [(palette.accent, back) for back in (*surfaces, palette.accent_soft)]
    pairs += [(palette.on_accent, back) for back in (palette.accent, palette.accent_hover)]
    return min((contrast(front, back), front, back) for front, back in pairs)


def _parse(text: str, shown: str) -> Rgb:
    if not _HEX.fullmatch(text):
        raise ConfigError(f"{shown}: a colour such as #08715c is needed")
    return _rgb(text)


def _rgb(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _text(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _mix(colour: Rgb, other: Rgb, percent: int) -> Rgb:
    """`percent` of `other`."""
    r, g, b = ((one * (100 - percent) + two * percent + 50) // 100 for one, two in zip(colour, other, strict=True))
    return r, g, b


def _luminance(colour: Rgb) -> float:
    """WCAG 2.2, relative luminance."""
    shares = [channel / 255 for channel in colour]
    r, g, b = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return float(0.2126 * r + 0.7152 * g + 0.0722 * b)
