"""Names of accounts: what is shown, and what two names must not share.

Two names that look the same are one (Unicode TR39): compatibility forms, case, and the letters of Cyrillic and Greek
that look like Latin ones count as equal; invisible characters are refused.
"""

from __future__ import annotations

import unicodedata

from signaling.errors import ApiError

MAX_NAME_LENGTH = 64
MAX_KEY_LENGTH = 256
_REFUSED = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_LOOKALIKES = str.maketrans(
    "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c\u043d\u043e\u0440\u051b\u0455\u0442\u0443\u0475\u051d\u0445\u0432\u0437"
    "\u03b1\u03b5\u03b7\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b2\u03b3",
    "acdehijklmhopqstyvwxb3" "aenikvoptuxby",
)  # fmt: skip
"""Small letters of Cyrillic and then of Greek, with the Latin ones that they are taken for."""


def clean_account_name(name: str) -> str:
    """Normalised (NFC, single blanks). Raises `ApiError` invalid_name."""
    if len(name) <= 4 * MAX_NAME_LENGTH:
        cleaned = " ".join(unicodedata.normalize("NFC", name).split())
        good = 0 < len(cleaned) <= MAX_NAME_LENGTH and not any(unicodedata.category(c) in _REFUSED for c in cleaned)
        if good and len(name_key(cleaned)) <= MAX_KEY_LENGTH:
            return cleaned
    raise ApiError("invalid_name", f"A name has 1 to {MAX_NAME_LENGTH} ordinary characters.")


def name_key(name: str) -> str:
    """Equal for names that must not be given to two accounts."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split()).translate(_LOOKALIKES)


def device_name(user_agent: str) -> str:
    """A browser and a system in words, never the sender's own."""
    browser = next((word for mark, word in _BROWSERS if mark in user_agent), "")
    system = next((word for mark, word in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or (f"App on {system}" if system else "Unknown device")


# The first that fits: many name others, which they are like, behind themselves.
_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chromium/", "Chromium"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
    ("curl/", "curl"), ("python", "Python"), ("Python", "Python"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip
