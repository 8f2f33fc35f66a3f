"""What the settings make of the brand, checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from signaling.brand.colours import Palette, dark_palette, derive_dark, light_palette
from signaling.brand.pictures import ANY, RASTER, SVG, Picture, letter_logo, make_picture, read_picture
from signaling.brand.settings import OWN_NAME, BrandSettings
from signaling.config_values import is_url
from signaling.errors import ConfigError

MAX_NAME_LENGTH = 60
OWN_ACCENT = "#08715c"
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
"""What `<input type=email>` takes (HTML, valid e-mail address)."""
_LINKS = ("brand_imprint", "brand_privacy", "brand_terms")


@dataclass(frozen=True, slots=True)
class Icon:
    """Of the installed app."""

    picture: Picture
    sizes: str
    purpose: str = "any"


@dataclass(frozen=True, slots=True)
class Brand:
    name: str
    short_name: str
    is_own: bool
    """Whether it is still called as it came; then the pictures of the web app are shown."""
    logo: Picture | None
    icons: tuple[Icon, ...]
    preview: Picture | None
    light: Palette | None
    """None: the colours of the web app."""
    dark: Palette | None
    accent: str
    title: str
    subtitle: str
    imprint: str
    privacy: str
    terms: str
    mail: str

    @property
    def pictures(self) -> list[Picture]:
        mine = [self.logo, self.preview, *(icon.picture for icon in self.icons)]
        return [picture for picture in mine if picture is not None]


def load_brand(settings: BrandSettings) -> Brand:
    """Reads the pictures. Raises `ConfigError` with one line that names the key."""
    _check_texts(settings)
    _check_links(settings)
    light, dark = _palettes(settings)
    accent = OWN_ACCENT if light is None else light.accent
    is_own = settings.brand_name == OWN_NAME
    logo, icons = _logo(settings, accent), _icons(settings)
    if logo is not None and (sizes := _sizes(logo)):
        icons = (*icons, Icon(logo, sizes))
    return Brand(
        name=settings.brand_name,
        short_name=settings.brand_short_name or settings.brand_name,
        is_own=is_own,
        logo=logo,
        icons=icons,
        preview=_preview(settings, icons),
        light=light,
        dark=dark,
        accent=accent,
        title=settings.brand_title,
        subtitle=settings.brand_subtitle,
        imprint=settings.brand_imprint,
        privacy=settings.brand_privacy,
        terms=settings.brand_terms,
        mail=settings.brand_mail,
    )


def _check_texts(settings: BrandSettings) -> None:
    if not settings.brand_name:
        raise ConfigError("brand_name: a name is needed")
    limits = {
        "brand_name": MAX_NAME_LENGTH,
        "brand_short_name": MAX_NAME_LENGTH,
        "brand_title": settings.max_brand_text_length,
        "brand_subtitle": settings.max_brand_text_length,
    }
    for key, limit in limits.items():
        text: str = getattr(settings, key)
        if not text.isprintable() or text != text.strip():
            raise ConfigError(f"{key}: a text without control characters and without blanks around it is needed")
        if len(text) > limit:
            raise ConfigError(f"{key}: at most {limit} characters")


def _check_links(settings: BrandSettings) -> None:
    for key in _LINKS:
        link: str = getattr(settings, key)
        if link and not is_url(link, ("https", "http")):
            raise ConfigError(f"{key}: an http or https URL is needed")
    if settings.brand_mail and not _MAIL.fullmatch(settings.brand_mail):
        raise ConfigError("brand_mail: a mail address is needed")


def _palettes(settings: BrandSettings) -> tuple[Palette | None, Palette | None]:
    accent, dark = settings.brand_accent, settings.brand_accent_dark
    if not accent:
        if dark:
            raise ConfigError("brand_accent_dark: brand_accent is needed too")
        return None, None
    light = light_palette(accent, "brand_accent")
    return light, dark_palette(dark, "brand_accent_dark") if dark else derive_dark(accent, "brand_accent")


def _logo(settings: BrandSettings, accent: str) -> Picture | None:
    if settings.brand_logo:
        picture = read_picture(settings.brand_logo, "brand_logo", ANY, settings.max_brand_image_bytes)
        return make_picture("logo", picture.content, picture.media_type)
    if settings.brand_name == OWN_NAME:
        return None
    return make_picture("logo", letter_logo(settings.brand_name, accent), SVG)


def _icons(settings: BrandSettings) -> tuple[Icon, ...]:
    wanted = (
        ("brand_icon_192", settings.brand_icon_192, 192, "any"),
        ("brand_icon_512", settings.brand_icon_512, 512, "any"),
        ("brand_icon_maskable", settings.brand_icon_maskable, 512, "maskable"),
    )
    icons = []
    for key, file, side, purpose in wanted:
        if file:
            picture = read_picture(file, key, ("image/png",), settings.max_brand_image_bytes, side)
            icons.append(Icon(picture, f"{side}x{side}", purpose))
    return tuple(icons)


def _preview(settings: BrandSettings, icons: tuple[Icon, ...]) -> Picture | None:
    if settings.brand_preview:
        return read_picture(settings.brand_preview, "brand_preview", RASTER, settings.max_brand_image_bytes)
    # Programs that show previews read no SVG.
    return next((icon.picture for icon in icons if icon.sizes == "512x512" and icon.purpose == "any"), None)


def _sizes(logo: Picture) -> str:
    """For a manifest; empty: nobody knows."""
    if logo.media_type == SVG:
        return "any"
    return "" if logo.size is None else f"{logo.size[0]}x{logo.size[1]}"
