"""What senders call their files: for people to read, and never a path, a type to trust or a name on a disk."""

from __future__ import annotations

import unicodedata

MAX_NAME_LENGTH = 255
MAX_TYPE_LENGTH = 127
MAX_MARKS = 4
"""Combining marks in a row: more of them only bury the lines above and below."""
NAMELESS = "file"
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Windows takes these for devices, whatever the suffix."""
_KEPT_LENGTH_OF_SUFFIX = 32
_JOINERS = frozenset("\u200c\u200d")
"""They turn nothing around, and Persian words and emoji are made with them."""
_TYPE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-")


def clean_file_name(name: str) -> str:
    """The last part of a path, NFC, on one line, without what is invisible or turns the reading direction round, up to
    255 characters with its suffix kept. What is not a name becomes "file"."""
    shown = "".join(c for c in name.replace("\\", "/").rpartition("/")[2] if _is_shown(c))
    # NFC after that: what was taken out may have kept a letter and its accent apart.
    text = " ".join(_without_pile(unicodedata.normalize("NFC", shown)).split())
    text = text.strip(". ")
    if text.partition(".")[0].strip().lower() in _DEVICES:
        text = "_" + text
    if len(text) > MAX_NAME_LENGTH:
        stem, dot, suffix = text.rpartition(".")
        if dot and len(suffix) < _KEPT_LENGTH_OF_SUFFIX:
            text = stem[: MAX_NAME_LENGTH - len(suffix) - 1] + dot + suffix
        text = text[:MAX_NAME_LENGTH]
    return text if any(not unicodedata.category(c).startswith(("M", "Z", "C")) for c in text) else NAMELESS


def clean_media_type(media_type: str) -> str:
    """`type/subtype` in lower case and without parameters (RFC 6838, section 4.2), or nothing. For an icon, no more."""
    kind, slash, subtype = media_type.partition(";")[0].strip().lower().partition("/")
    good = slash and kind and subtype and _TYPE_CHARACTERS.issuperset(kind + subtype)
    return f"{kind}/{subtype}" if good and len(kind) + len(subtype) < MAX_TYPE_LENGTH else ""


def _is_shown(character: str) -> bool:
    if character in _JOINERS or character.isspace():
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")


def _without_pile(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)
