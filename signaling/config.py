"""How flags, environment and file become one `Settings`.

Each part of signaling has its settings beside it: a dataclass whose fields are the keys, with their defaults.
Strongest first: command line flags, `TING_*` environment variables, the TOML file, the defaults. Keys of the SFU live
in the table [sfu] of the file; all others, and in the environment all keys, share one level (`TING_RTC_UDP_PORT`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from sfu.bus.settings import ClusterSettings
from sfu.config import SfuConfig
from signaling.accounts.settings import AccountSettings, check_accounts
from signaling.addresses import AddressSettings
from signaling.api.settings import ApiSettings
from signaling.bots.settings import BotSettings
from signaling.brand.brand import load_brand
from signaling.brand.settings import BrandSettings
from signaling.cluster.settings import check_cluster
from signaling.config_values import from_text, from_toml, one_line
from signaling.db.settings import DatabaseSettings
from signaling.errors import ConfigError
from signaling.files.settings import FileSettings, check_files
from signaling.gate import GateSettings
from signaling.jwks import KeySetSettings, check_issuers
from signaling.listener import ListenerSettings
from signaling.livekit.settings import ServerApiSettings, SignalSettings
from signaling.livekit.webhook_settings import WebhookSettings, check_webhooks
from signaling.log.settings import RoomLogSettings
from signaling.logs import LogSettings
from signaling.portability.settings import PortabilitySettings
from signaling.portability.signing import check_keys as check_archive_keys
from signaling.retention.settings import RetentionSettings
from signaling.rooms.calls import RoomSettings, check_room_presets
from signaling.rooms.settings import LastingRoomSettings
from signaling.sealed.settings import SealedSettings
from signaling.tokens import MAX_LEEWAY_S, TokenSettings, check_keys, collect_keys
from signaling.turn import MAX_TURN_TTL_S, TurnSettings, check_stun, resolve_turn
from signaling.whip.settings import WhipSettings

DEFAULT_FILE = "ting.toml"
ENVIRONMENT_PREFIX = "TING_"


@dataclass(frozen=True, slots=True)
class Settings:
    listener: ListenerSettings = field(default_factory=ListenerSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    addresses: AddressSettings = field(default_factory=AddressSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    logs: LogSettings = field(default_factory=LogSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    key_sets: KeySetSettings = field(default_factory=KeySetSettings)
    rooms: RoomSettings = field(default_factory=RoomSettings)
    lasting_rooms: LastingRoomSettings = field(default_factory=LastingRoomSettings)
    room_log: RoomLogSettings = field(default_factory=RoomLogSettings)
    portability: PortabilitySettings = field(default_factory=PortabilitySettings)
    sealed: SealedSettings = field(default_factory=SealedSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    bots: BotSettings = field(default_factory=BotSettings)
    brand: BrandSettings = field(default_factory=BrandSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    signal: SignalSettings = field(default_factory=SignalSettings)
    server_api: ServerApiSettings = field(default_factory=ServerApiSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    files: FileSettings = field(default_factory=FileSettings)
    whip: WhipSettings = field(default_factory=WhipSettings)
    turn: TurnSettings = field(default_factory=TurnSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    sfu: SfuConfig = field(default_factory=SfuConfig)


_PARTS: dict[str, Any] = get_type_hints(Settings)
_SFU_KEYS = frozenset(entry.name for entry in dataclasses.fields(SfuConfig))
_PART_OF = {entry.name: part for part, kind in _PARTS.items() if part != "sfu" for entry in dataclasses.fields(kind)}
"""Keys of signaling to the part that they belong to."""
_TYPES: dict[str, Any] = {}
for _kind in _PARTS.values():
    _TYPES |= get_type_hints(_kind)

_MINIMUM = {
    # Everything numeric that is not named here must be above zero.
    "port": 0, "engine_threads": 0, "rtc_tcp_port": 0, "token_leeway_s": 0, "guest_renewal_s": 0, "empty_timeout_s": 0,
    "departure_timeout_s": 0, "resume_timeout_s": 0, "negotiation_debounce_s": 0, "retransmission_packets": 0,
    "shutdown_timeout_s": 0, "keyframe_cache_bytes": 0, "keyframe_cache_bytes_without_pli": 0, "max_hold_ms": 0,
    "min_free_bytes": 0, "fec_packets": 0, "fec_rtt_ms": 0,
}  # fmt: skip
_FEC_PACKETS = (0, *range(2, 16))
_CHOICES = {
    "engine": ("auto", "rust", "reference"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
    "default_kind": ("sealed", "open"),
}
_FRAME_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def load_settings(
    flags: Mapping[str, str | bool] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Merge all sources and check the result. Raises `ConfigError` with one line that names the key."""
    values = _read_file(file) if file is not None else {}
    for name, text in (environment or {}).items():
        if name.startswith(ENVIRONMENT_PREFIX) and name != "TING_CONFIG":
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower()
            _require_known(key, name)
            values[key] = _from_text(key, text, name)
    for key, flag in (flags or {}).items():
        values[key] = flag if isinstance(flag, bool) else _from_text(key, flag, "--" + key.replace("_", "-"))
    return _build(values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {one_line(error)}") from None
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key == "sfu" and isinstance(value, dict):
            for name, entry in value.items():
                if name not in _SFU_KEYS:
                    raise ConfigError(f"{path}: unknown key sfu.{one_line(name)}")
                values[name] = _from_toml(name, entry, f"{path}: sfu.{name}")
        elif key in _PART_OF:
            values[key] = _from_toml(key, value, f"{path}: {key}")
        else:
            raise ConfigError(f"{path}: unknown key {one_line(key)}")
    return values


def _require_known(key: str, shown: str) -> None:
    if key not in _PART_OF and key not in _SFU_KEYS:
        raise ConfigError(f"{one_line(shown)}: unknown key")


def _from_toml(key: str, value: Any, shown: str) -> Any:
    return from_toml(_TYPES[key], value, shown)


def _from_text(key: str, text: str, shown: str) -> Any:
    return from_text(_TYPES[key], text, shown)


def _build(values: Mapping[str, Any]) -> Settings:
    parts: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for key, value in values.items():
        parts["sfu" if key in _SFU_KEYS else _PART_OF[key]][key] = value
    settings = Settings(**{part: kind(**parts[part]) for part, kind in _PARTS.items()})
    _check_numbers(settings)
    _check_choices(settings)
    _check_addresses(settings)
    _check_urls(settings)
    check_stun(settings.turn.stun_urls)
    settings = _resolve(settings)
    keys, dev = settings.tokens.keys, settings.listener.dev
    if dev and not is_loopback(settings.listener.host):
        raise ConfigError(f"--dev listens on loopback addresses only, not on {settings.listener.host}")
    check_keys(keys, dev=dev)
    check_webhooks(settings.webhooks.webhooks, keys)
    check_issuers(settings.key_sets.issuers, keys)
    check_files(settings.files)
    if (wrong := check_archive_keys(settings.portability.trusted_archive_keys)) is not None:
        raise ConfigError(f"trusted_archive_keys: {one_line(wrong)} is no public key")
    check_room_presets(settings.rooms.room_presets, settings.tokens.max_metadata_bytes)
    load_brand(settings.brand)
    check_accounts(settings.accounts, settings.listener.public_url)
    check_cluster(settings.cluster, settings.database.database_url, dev=dev)
    return settings


def _resolve(settings: Settings) -> Settings:
    """Secrets read from their files, and what --dev changes."""
    dev, replace = settings.listener.dev, dataclasses.replace
    return replace(
        settings,
        tokens=replace(settings.tokens, keys=collect_keys(settings.tokens, dev=dev)),
        turn=replace(settings.turn, turn=resolve_turn(settings.turn.turn)),
        sfu=replace(settings.sfu, include_loopback=True) if dev else settings.sfu,
    )


def _entries(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Every key with its value."""
    for part in _PARTS:
        holder = getattr(settings, part)
        for entry in dataclasses.fields(holder):
            yield entry.name, getattr(holder, entry.name)


def _check_numbers(settings: Settings) -> None:
    values = dict(_entries(settings))
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        minimum = _MINIMUM.get(key)
        if not (value > 0 or (minimum is not None and value >= minimum)) or value > 2**53:
            raise ConfigError(f"{key}: {value} is out of range")
    for key in ("port", "rtc_udp_port", "rtc_tcp_port", "node_port"):
        if values[key] > 65_535:
            raise ConfigError(f"{key}: {values[key]} is not a port (0 to 65535)")
    if values["port"] and values["port"] == values["rtc_tcp_port"]:
        raise ConfigError(f"port and rtc_tcp_port are both {values['port']}: they need different TCP ports")
    if values["fec_packets"] not in _FEC_PACKETS:
        raise ConfigError(f"fec_packets: {values['fec_packets']} is neither 0 nor 2 to 15")
    if values["token_leeway_s"] > MAX_LEEWAY_S:
        raise ConfigError(f"token_leeway_s: at most {MAX_LEEWAY_S:.0f}")
    if values["turn_ttl_s"] > MAX_TURN_TTL_S:
        raise ConfigError(f"turn_ttl_s: at most {MAX_TURN_TTL_S:.0f}")
    if values["guest_token_ttl_s"] > values["max_token_ttl_s"]:
        raise ConfigError("guest_token_ttl_s: must not be longer than max_token_ttl_s")
    if values["ping_timeout_s"] <= values["ping_interval_s"]:
        raise ConfigError("ping_timeout_s: must be longer than ping_interval_s")


def _check_choices(settings: Settings) -> None:
    values = dict(_entries(settings))
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise ConfigError(f"{key}: {one_line(values[key])} is none of {', '.join(choices)}")


def _check_addresses(settings: Settings) -> None:
    host = settings.listener.host
    if not _is_address(host) and not _HOST_NAME.fullmatch(host):
        raise ConfigError(f"host: {one_line(host)} is no address")
    values = dict(_entries(settings))
    for key in ("rtc_addresses", "advertise"):
        for address in values[key]:
            if not _is_address(address):
                raise ConfigError(f"{key}: {one_line(address)} is no IP address")
    for key in ("trusted_proxies", "metrics_allow", "hook_networks"):
        for network in values[key]:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ConfigError(f"{key}: {one_line(network)} is no IP network") from None


def _is_address(text: str) -> bool:
    try:
        return not getattr(ipaddress.ip_address(text), "scope_id", None)
    except ValueError:
        return False


def _check_urls(settings: Settings) -> None:
    _check_database_url(settings.database.database_url)
    for origin in settings.api.frame_ancestors:
        if not _FRAME_ORIGIN.fullmatch(origin):
            raise ConfigError(f"frame_ancestors: {one_line(origin)} is no origin such as https://example.org")
    listener = settings.listener
    if listener.public_url:
        try:
            parts = urlsplit(listener.public_url)
            good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and not parts.query
            good = good and parts.port != 0 and not parts.username and listener.public_url.isprintable()
        except ValueError:
            good = False
        if not good:
            raise ConfigError("public_url: an http, https, ws or wss URL is needed")
    if bool(listener.tls_cert) != bool(listener.tls_key):
        raise ConfigError("tls_cert and tls_key: set both or none")


def _check_database_url(url: str) -> None:
    if not url:
        return
    # SQLAlchemy takes a second to load, which `ting token` need not wait for.
    from signaling.db.url import parse_url

    try:
        parse_url(url)
    except ValueError as error:
        raise ConfigError(f"database_url: {error}") from None


def is_loopback(host: str) -> bool:
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"
