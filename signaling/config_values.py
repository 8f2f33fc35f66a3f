"""Reading one setting: what TOML or an environment variable gave, as the type that the setting has.

Every function raises `ConfigError` with one line
that begins with `shown`, the name under which the user knows the setting.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from signaling.errors import ConfigError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
MAX_URL_LENGTH = 2048


def from_toml(wanted: Any, value: Any, shown: str) -> Any:
    """A value of a TOML document as type `wanted`."""
    if wanted is float and type(value) is int:
        return float(value)
    if wanted == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        raise ConfigError(f"{shown}: a list of strings is needed")
    if wanted == Mapping[str, str]:
        if isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values()):
            return value
        raise ConfigError(f"{shown}: a table of strings is needed")
    if _is_tables(wanted):
        return _tables(get_args(wanted)[0], value, shown)
    if _is_named_tables(wanted):
        return _named_tables(get_args(wanted)[1], value, shown)
    if type(value) is not wanted:
        raise ConfigError(f"{shown}: {_type_name(wanted)} is needed")
    return value


def from_text(wanted: Any, text: str, shown: str) -> Any:
    """The text of a flag or an environment variable as type `wanted`."""
    try:
        if wanted is bool:
            return _WORDS[text.strip().lower()]
        if wanted in (int, float):
            return wanted(text)
        if wanted == tuple[str, ...]:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if wanted == Mapping[str, str]:
            return _keys_from_text(text)
        if _is_tables(wanted):
            return _tables(get_args(wanted)[0], json.loads(text), shown)
        if _is_named_tables(wanted):
            return _named_tables(get_args(wanted)[1], json.loads(text), shown)
    except (ValueError, KeyError, RecursionError):
        raise ConfigError(f"{shown}: {_type_name(wanted)} is needed") from None
    return text


def _is_tables(wanted: Any) -> bool:
    return get_origin(wanted) is tuple and dataclasses.is_dataclass(get_args(wanted)[0])


def _is_named_tables(wanted: Any) -> bool:
    return get_origin(wanted) is Mapping and dataclasses.is_dataclass(get_args(wanted)[1])


def _tables(kind: type[Any], value: Any, shown: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ConfigError(f"{shown}: a list of tables is needed")
    return tuple(_table(kind, entry, f"{shown}, table {number}") for number, entry in enumerate(value, start=1))


def _named_tables(kind: type[Any], value: Any, shown: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(entry, dict) for entry in value.values()):
        raise ConfigError(f"{shown}: a table of tables is needed")
    return {name: _table(kind, entry, f"{shown}.{one_line(name)}") for name, entry in value.items()}


def _table(kind: type[Any], entry: dict[str, Any], place: str) -> Any:
    types = get_type_hints(kind)
    for name in entry:
        if name not in types:
            raise ConfigError(f"{place}: unknown key {one_line(name)}")
    return kind(**{name: from_toml(types[name], entry[name], f"{place}, {name}") for name in entry})


def _keys_from_text(text: str) -> dict[str, str]:
    """`key: secret`, several of them on lines or after commas."""
    keys = {}
    for part in re.split(r"[\n,]", text):
        if part.strip():
            key, colon, secret = part.partition(":")
            if not colon or not key.strip() or not secret.strip():
                raise ValueError
            keys[key.strip()] = secret.strip()
    return keys


def _type_name(wanted: Any) -> str:
    if wanted == Mapping[str, str]:
        return '"key: secret"'
    if _is_tables(wanted):
        return "a list of tables (in the environment: as JSON)"
    if _is_named_tables(wanted):
        return "a table of tables (in the environment: as JSON)"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(wanted, "a list")


def one_line(value: object) -> str:
    """For messages: no line breaks or control characters, not endless."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= 120 else text[:120] + "…"


def read_secret(path: str, shown: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{shown}: {one_line(path)} cannot be read") from None


def is_url(text: str, schemes: Sequence[str]) -> bool:
    """Whether this is an absolute URL of one of the schemes, without user, password and fragment."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    good = good and not parts.username and not parts.password and not parts.fragment
    return good and len(text) <= MAX_URL_LENGTH and text.isascii() and text.isprintable() and " " not in text
