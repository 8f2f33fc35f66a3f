"""Settings of the brand."""

from __future__ import annotations

from dataclasses import dataclass

OWN_NAME = "Ting"


@dataclass(frozen=True, slots=True)
class BrandSettings:
    brand_name: str = OWN_NAME
    """What the product is called: in the page, its title, the installed app, link previews and passkeys."""
    brand_short_name: str = ""
    """Under the icon of the installed app, where the name is too long. Empty: the name."""
    brand_logo: str = ""
    """File with the logo: SVG, PNG, JPEG or WebP, square. Empty: the first letter of the name."""
    brand_icon_192: str = ""
    """PNG file of 192 × 192 pixels for the installed app."""
    brand_icon_512: str = ""
    """The same of 512 × 512 pixels."""
    brand_icon_maskable: str = ""
    """PNG file of 512 × 512 pixels that may be cut to a circle: what matters is in the middle 80 %."""
    brand_preview: str = ""
    """PNG, JPEG or WebP file that other programs show beside a link. Empty: the icon of 512 pixels."""
    brand_accent: str = ""
    """Colour of buttons and links, as #rrggbb. It must be readable on light pages (WCAG 2.2, 1.4.3)."""
    brand_accent_dark: str = ""
    """The same for dark pages and for the call. Empty: made from brand_accent."""
    brand_title: str = ""
    """Heading of the start page. Empty: the app's own, in the visitor's language."""
    brand_subtitle: str = ""
    """The lines below it, also in link previews."""
    brand_imprint: str = ""
    """URL of the imprint."""
    brand_privacy: str = ""
    """URL of what is said about privacy."""
    brand_terms: str = ""
    """URL of the terms of use."""
    brand_mail: str = ""
    """Mail address of the operator."""
    max_brand_image_bytes: int = 524_288
    """One picture."""
    max_brand_text_length: int = 300
    """Characters of the title and of the subtitle."""
