"""JSON (RFC 8259) from strangers: only what means the same to every reader.

`json.loads` alone takes NaN, Infinity, duplicate keys and lone surrogates, and ends in RecursionError on deep
nesting. Here all of that, and NUL inside strings, is a `ValueError`.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32


def loads(text: str | bytes) -> Any:
    """Parse one JSON text. Raises `ValueError` (and nothing else) for everything that is not strict JSON."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = _decoder.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    _check_values(value)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("JSON object has a key twice")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("JSON number is out of range")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite_float)


def _check_values(root: Any) -> None:
    """Depth and text, without recursion of our own."""
    level = [root]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for key in value:
                    _check_text(key)
                following.extend(value.values())
            elif isinstance(value, list):
                following.extend(value)
        if not following:
            return
        level = following
    raise ValueError("JSON is nested too deeply")


def _check_text(text: str) -> None:
    # A lone surrogate parses, and then every later encode to UTF-8 fails.
    text.encode("utf-8")
    if "\x00" in text:
        raise ValueError("JSON string has a NUL")
