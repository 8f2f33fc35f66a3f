"""What a text is found by: its words, and of Chinese, Japanese and Korean runs every pair of neighbours.

No tokenizer of SQLite or PostgreSQL cuts Chinese into words, and words of two characters are the most common ones.
"""

from __future__ import annotations

import re
import unicodedata

MAX_WORD_LENGTH = 64
_RUN = re.compile(r"[\w']+")
_HAN = re.compile(
    r"[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)


def fold(text: str) -> str:
    """Compatibility forms, accents and case do not matter."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def words_of(text: str, limit: int) -> list[str]:
    """At most `limit`, each once, in the order of the text."""
    found: dict[str, None] = {}
    for run in _RUN.findall(fold(text)):
        for part in _parts(run):
            found.setdefault(part[:MAX_WORD_LENGTH])
            if len(found) >= limit:
                return list(found)
    return list(found)


def _parts(run: str) -> list[str]:
    parts: list[str] = []
    end = 0
    for han in _HAN.finditer(run):
        if han.start() > end:
            parts.append(run[end : han.start()])
        parts += _pairs(han[0])
        end = han.end()
    if end < len(run):
        parts.append(run[end:])
    return [part.strip("'") for part in parts if part.strip("'_")]


def _pairs(run: str) -> list[str]:
    """Singles too: a question may be of one character."""
    return [*run, *(run[i : i + 2] for i in range(len(run) - 1))]


def query_of(text: str, limit: int) -> list[str]:
    """What must all be there. Of a longer Han run the pairs say enough; the last word may be the beginning of one."""
    found: dict[str, None] = {}
    for run in _RUN.findall(fold(text)):
        for part in _parts(run):
            found.setdefault(part[:MAX_WORD_LENGTH])
    pairs = {char for word in found if len(word) == 2 and _HAN.fullmatch(word) for char in word}
    return [word for word in found if word not in pairs][:limit]
