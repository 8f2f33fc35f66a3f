"""What the page must know of the server; it stands in the page's own head and in /api/v1/config."""

from __future__ import annotations

from dataclasses import asdict

from signaling.api.typed import Struct
from signaling.brand.brand import Brand
from signaling.brand.colours import Palette
from signaling.rooms.policy import Kind
from signaling.version import VERSION


class PaletteView(Struct):
    """Each as #rrggbb."""

    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str


class BrandView(Struct):
    """What is empty is the web app's own, or not there."""

    logo: str = ""
    """Path of the picture."""
    title: str = ""
    subtitle: str = ""
    imprint: str = ""
    privacy: str = ""
    terms: str = ""
    mail: str = ""
    light: PaletteView | None = None
    dark: PaletteView | None = None


class ServerView(Struct):
    name: str
    version: str
    guest_rooms: bool
    """Whether anybody may make a room that lasts."""
    accounts: bool
    """Whether people can have accounts here."""
    default_kind: Kind
    """Of rooms that the page makes."""
    frame_ancestors: tuple[str, ...]
    """Origins of pages that may show the app in a frame and talk with it there; each answer's policy says them too."""
    brand: BrandView


def view_server(
    brand: Brand, *, guest_rooms: bool, accounts: bool, default_kind: str, frame_ancestors: tuple[str, ...]
) -> ServerView:
    return ServerView(
        name=brand.name,
        version=VERSION,
        guest_rooms=guest_rooms,
        accounts=accounts,
        default_kind=Kind(default_kind),
        frame_ancestors=frame_ancestors,
        brand=BrandView(
            logo="" if brand.logo is None else brand.logo.path,
            title=brand.title,
            subtitle=brand.subtitle,
            imprint=brand.imprint,
            privacy=brand.privacy,
            terms=brand.terms,
            mail=brand.mail,
            light=_view(brand.light),
            dark=_view(brand.dark),
        ),
    )


def _view(palette: Palette | None) -> PaletteView | None:
    return None if palette is None else PaletteView(**asdict(palette))
