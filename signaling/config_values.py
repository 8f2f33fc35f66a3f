"""Reading one setting: what TOML or an environment variable gave, as the type that the setting has.

Settings that are lists of tables have a dataclass per table here. Every function raises `ConfigError` with one line
that begins with `shown`, the name under which the user knows the setting.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from sfu.api import RoomOptions
from signaling.errors import ConfigError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
WEBHOOK_FORMATS = ("livekit", "cloudevents")
WEBHOOK_EVENTS = frozenset(
    {
        "room_started", "room_finished", "participant_joined", "participant_left", "participant_connection_aborted",
        "track_published", "track_unpublished",
    }
)  # fmt: skip
MAX_WEBHOOKS = 16
MAX_ISSUERS = 16
MAX_ISSUER_LENGTH = 256
MAX_URL_LENGTH = 2048
MAX_ROOM_PRESETS = 100
MAX_PRESET_NAME_LENGTH = 128
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_TURN_URL = re.compile(rf"turns?:{_HOST}(?:\?transport=(?:udp|tcp))?")
_STUN_URL = re.compile(rf"stuns?:{_HOST}")


@dataclass(frozen=True, slots=True)
class TurnServer:
    """`secret` is the server's shared secret (coturn: static-auth-secret), or `secret_file` the file that holds it."""

    urls: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    secret_file: str = ""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """`format` is livekit or cloudevents; `events` names the wanted ones (empty: all); `api_key` signs (empty: the
    first one)."""

    url: str = ""
    format: str = "livekit"
    events: tuple[str, ...] = ()
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Tokens whose `iss` is `issuer` are checked with the keys of `jwks`, an https URL or a file. With `audience`
    their `aud` must be exactly that; without it they must have none."""

    issuer: str = ""
    jwks: str = ""
    audience: str = ""


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


# --- what the tables must hold ----------------------------------------------------------------------------


def read_secret(path: str, shown: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{shown}: {one_line(path)} cannot be read") from None


def resolve_turn(servers: tuple[TurnServer, ...]) -> tuple[TurnServer, ...]:
    """Each with good URLs (RFC 7065) and its secret read."""
    resolved = []
    for number, server in enumerate(servers, start=1):
        place = f"turn, table {number}"
        if not server.urls:
            raise ConfigError(f"{place}: urls is needed")
        for url in server.urls:
            if not _TURN_URL.fullmatch(url):
                raise ConfigError(f"{place}: {one_line(url)} is not like turn:host:3478?transport=udp")
        if bool(server.secret) == bool(server.secret_file):
            raise ConfigError(f"{place}: either secret or secret_file is needed")
        secret = server.secret or read_secret(server.secret_file, f"{place}, secret_file")
        if not secret:
            raise ConfigError(f"{place}: the secret is empty")
        resolved.append(TurnServer(server.urls, secret))
    return tuple(resolved)


def check_stun(urls: tuple[str, ...]) -> None:
    """RFC 7064."""
    for url in urls:
        if not _STUN_URL.fullmatch(url):
            raise ConfigError(f"stun_urls: {one_line(url)} is not like stun:host:3478")


def is_url(text: str, schemes: Sequence[str]) -> bool:
    """Whether this is an absolute URL of one of the schemes, without user, password and fragment."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    good = good and not parts.username and not parts.password and not parts.fragment
    return good and len(text) <= MAX_URL_LENGTH and text.isascii() and text.isprintable() and " " not in text


def check_webhooks(targets: Sequence[WebhookTarget], keys: Mapping[str, str]) -> None:
    if len(targets) > MAX_WEBHOOKS:
        raise ConfigError(f"webhooks: at most {MAX_WEBHOOKS} tables")
    if len({target.url for target in targets}) < len(targets):
        raise ConfigError("webhooks: a url stands there twice")
    for number, target in enumerate(targets, start=1):
        place = f"webhooks, table {number}"
        if not is_url(target.url, ("http", "https")):
            raise ConfigError(f"{place}: url must be an http or https URL without a password")
        if target.format not in WEBHOOK_FORMATS:
            raise ConfigError(f"{place}: format is none of {', '.join(WEBHOOK_FORMATS)}")
        for name in target.events:
            if name not in WEBHOOK_EVENTS:
                known = ", ".join(sorted(WEBHOOK_EVENTS))
                raise ConfigError(f"{place}: {one_line(name)} is no event; there are {known}")
        if target.api_key and target.api_key not in keys:
            raise ConfigError(f"{place}: {one_line(target.api_key)} is no API key of this server")


def check_room_presets(presets: Mapping[str, RoomOptions], max_metadata_bytes: int) -> None:
    if len(presets) > MAX_ROOM_PRESETS:
        raise ConfigError(f"room_presets: at most {MAX_ROOM_PRESETS} tables")
    for name, preset in presets.items():
        place = f"room_presets.{one_line(name)}"
        if not 0 < len(name) <= MAX_PRESET_NAME_LENGTH:
            raise ConfigError(f"{place}: a name has 1 to {MAX_PRESET_NAME_LENGTH} characters")
        for key in ("empty_timeout_s", "departure_timeout_s", "max_participants"):
            if not 0 <= getattr(preset, key) < 2**32:
                raise ConfigError(f"{place}, {key}: {getattr(preset, key)} is out of range")
        if len(preset.metadata.encode()) > max_metadata_bytes:
            raise ConfigError(f"{place}, metadata: longer than max_metadata_bytes")


def check_issuers(issuers: Sequence[TokenIssuer], keys: Mapping[str, str]) -> None:
    if len(issuers) > MAX_ISSUERS:
        raise ConfigError(f"issuers: at most {MAX_ISSUERS} tables")
    if len({entry.issuer for entry in issuers}) < len(issuers):
        raise ConfigError("issuers: an issuer stands there twice")
    for number, entry in enumerate(issuers, start=1):
        place = f"issuers, table {number}"
        if not 0 < len(entry.issuer) <= MAX_ISSUER_LENGTH:
            raise ConfigError(f"{place}: issuer has 1 to {MAX_ISSUER_LENGTH} characters")
        if entry.issuer in keys:
            raise ConfigError(f"{place}: issuer is the name of an API key too")
        if not entry.jwks:
            raise ConfigError(f"{place}: jwks is needed, an https URL or a file")
        if "://" in entry.jwks and not _is_key_url(entry.jwks):
            raise ConfigError(f"{place}: jwks must be an https URL without a password (http on loopback), or a file")


def _is_key_url(text: str) -> bool:
    if is_url(text, ("https",)):
        return True
    return is_url(text, ("http",)) and urlsplit(text).hostname in ("127.0.0.1", "::1", "localhost")
