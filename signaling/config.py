"""Settings of `ting`: every key with its default, and how flags, environment and file become one `Settings`.

Strongest first: command line flags, `TING_*` environment variables, the TOML file, the defaults here. Keys of the
SFU live in the table [sfu] of the file; in the environment all keys share one level (`TING_RTC_UDP_PORT`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from sfu.api import RoomOptions
from sfu.config import SfuConfig
from signaling.config_values import (
    TokenIssuer,
    TurnServer,
    WebhookTarget,
    check_issuers,
    check_room_presets,
    check_stun,
    check_webhooks,
    from_text,
    from_toml,
    one_line,
    read_secret,
    resolve_turn,
)
from signaling.db.url import parse_url, sqlite_url
from signaling.errors import ConfigError

DEFAULT_FILE = "ting.toml"
ENVIRONMENT_PREFIX = "TING_"
DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 - the published development key, refused outside of --dev
MIN_SECRET_BYTES = 32
MAX_LEEWAY_S = 30.0
MAX_TURN_TTL_S = 600.0
SAMPLE_SECRETS = frozenset({DEV_SECRET, "replace-this-with-32-or-more-random-bytes"})
"""Secrets that stand in public documents."""


@dataclass(frozen=True, slots=True)
class Settings:
    # --- serving ------------------------------------------------------------------------------------
    dev: bool = False
    """Development: adds the API key devkey with the secret `secret`, and offers loopback candidates. Loopback only."""
    host: str = "127.0.0.1"
    """Address to listen on for HTTP and WebSocket. 0.0.0.0 or :: means every interface."""
    port: int = 7880
    """TCP port for HTTP and WebSocket; 0 takes any free one."""
    public_url: str = ""
    """URL under which clients reach this server, when it differs from the one in the browser. Empty: the same."""
    tls_cert: str = ""
    """PEM file with the certificate chain. Set with tls_key, the server speaks HTTPS."""
    tls_key: str = ""
    """PEM file with the private key."""
    web_root: str = ""
    """Directory of the built web app. Empty: the one that came with the package, else web/dist of a checkout."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For is believed."""
    metrics_allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read /metrics."""
    shutdown_timeout_s: float = 4.0
    """How long a stop waits for connections to take their goodbye."""

    # --- what survives a restart --------------------------------------------------------------------
    data_dir: str = ""
    """Directory of the database. Empty: .run with --dev, else ting-data, both in the working directory."""
    database_url: str = field(default="", repr=False)
    """sqlite:///path or postgresql://user:password@host/name. Empty: SQLite in the file ting.db in data_dir."""
    database_timeout_s: float = 5.0
    """How long the database may take: for a connection, for another writer to finish, for a statement."""

    # --- logging ------------------------------------------------------------------------------------
    log_level: str = "info"
    """debug, info, warning or error."""
    log_format: str = "text"
    """text or json; one line per record on standard error."""
    access_log: bool = True
    """One line per finished HTTP request, without addresses and query strings."""

    # --- tokens -------------------------------------------------------------------------------------
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API key to secret, at least 32 bytes each. The first signs guest tokens."""
    api_key: str = ""
    """One more API key, whose secret is in api_secret_file; it goes before those of `keys`."""
    api_secret_file: str = ""
    """File with the secret of api_key."""
    token_leeway_s: float = 30.0
    """Clock difference that is forgiven, at most 30."""
    max_token_ttl_s: float = 86_400.0
    """A token that is valid for longer than this from now is refused."""
    guests: bool = True
    """Whether the web app may get a room token for anyone who gives a name."""
    guest_token_ttl_s: float = 21_600.0
    """Validity of guest tokens."""
    token_refresh_s: float = 600.0
    """Validity of the new tokens that a client in a call gets, half of it before its last one ends."""
    guest_renewal_s: float = 86_400.0
    """How long after its end a guest token still lets its owner keep the identity."""

    # --- rooms --------------------------------------------------------------------------------------
    auto_create: bool = True
    """Whether the first who comes creates the room. Off, the server API must have created it."""
    remote_unmute: bool = False
    """Whether the server API may unmute a track. Off, only the publisher itself can."""
    room_presets: Mapping[str, RoomOptions] = field(default_factory=dict, repr=False)
    """Room configurations by the name that tokens (`roomPreset`) and CreateRoom (`room_preset`) call them."""

    # --- issuers of tokens --------------------------------------------------------------------------
    issuers: tuple[TokenIssuer, ...] = ()
    """Who may issue tokens with RS256, ES256 or EdDSA; each has issuer and jwks, and may have audience."""
    jwks_refresh_s: float = 60.0
    """How often key sets are fetched; a key that was taken out of one is refused after this time."""
    jwks_min_refresh_s: float = 10.0
    """A token with an unknown key makes its issuer's key set be fetched at once, but not more often than this."""
    jwks_stale_s: float = 86_400.0
    """How long the last good key set is used while no newer one can be fetched."""
    jwks_timeout_s: float = 5.0
    """How long fetching a key set may take."""
    jwks_max_bytes: int = 65_536
    """A larger key set is refused."""

    # --- limits -------------------------------------------------------------------------------------
    guest_tokens_per_minute: float = 60.0
    """Guest tokens per address (IPv6: per /64); the first minute's worth may come at once."""
    room_lookups_per_minute: float = 120.0
    """Room lookups per address."""
    server_api_requests_per_minute: float = 6_000.0
    """Requests to the server API (Twirp) per address; the first minute's worth may come at once."""
    max_server_api_body_bytes: int = 262_144
    """Body of a request to the server API."""
    rpc_ack_timeout_s: float = 7.0
    """A participant that the server API calls (PerformRpc) must acknowledge within this time."""
    max_rpc_timeout_s: float = 60.0
    """How long such a call may wait for its answer at most."""
    max_rpc_calls_per_participant: int = 100
    """Calls of the server API that may wait for one participant."""
    max_tracked_addresses: int = 10_000
    """Addresses that each of the limits above remembers."""
    max_body_bytes: int = 16_384
    """Body of a REST request."""
    max_pending_connections_per_ip: int = 20
    """Connections of one address that have not sent a complete request yet."""
    max_burst_connections_per_ip: int = 1000
    """The same for many that come at once, as those of a classroom or a backend do."""
    burst_request_timeout_s: float = 4.0
    """Those beyond max_pending_connections_per_ip must send their request within this time."""
    request_timeout_s: float = 10.0
    """From the connection to its first complete request, and for the body of each; a slower client is refused."""
    max_token_bytes: int = 16_384
    """Length of a room token."""
    max_join_request_url_bytes: int = 65_536
    """What a client asks for that joins over a single connection, with its first offer: as it stands in the URL."""
    max_join_request_bytes: int = 131_072
    """The same, decompressed."""
    max_metadata_bytes: int = 8_192
    """Participant metadata of a token or a join request, and all its attributes together."""
    max_revocations: int = 10_000
    """Kicks that are remembered, so that the kicked one's tokens stay refused."""

    # --- WHIP and WHEP ------------------------------------------------------------------------------
    max_whip_sessions: int = 1000
    """WHIP and WHEP sessions at once; beyond it newcomers get 503."""
    whip_requests_per_minute: float = 240.0
    """POST, PATCH and DELETE of one address; the first minute's worth may come at once."""
    max_event_streams_per_session: int = 2
    """Event streams of one WHEP session."""
    max_whip_sdp_bytes: int = 65_536
    """Body of a WHIP or WHEP request."""

    # --- the signal connection ----------------------------------------------------------------------
    ping_interval_s: int = 5
    """How often clients are asked to ping."""
    ping_timeout_s: int = 15
    """Nothing heard from a client for this long: its signal connection is lost."""
    websocket_heartbeat_s: float = 10.0
    """WebSocket pings of the server's own; half of it is waited for the pong."""
    max_websocket_message_bytes: int = 327_680
    """A larger message closes the connection with 1009. Holds an answer for a full room of 30."""
    max_messages_per_s: float = 100.0
    """Messages of one connection, bucket of twice that size; beyond it the connection is closed with 1008."""
    max_message_bytes_per_s: int = 1_048_576
    """Bytes of one connection, bucket of twice that size; beyond it the connection is closed with 1008."""
    max_violations: int = 20
    """Malformed messages of one connection before it is closed with 1008."""
    max_outbound_messages: int = 1000
    """Messages that wait for a slow reader before its connection is closed with 1013."""
    max_outbound_bytes: int = 1_048_576
    """Bytes that wait for a slow reader before its connection is closed with 1013."""

    # --- webhooks -----------------------------------------------------------------------------------
    webhooks: tuple[WebhookTarget, ...] = ()
    """URLs that are told what happens in rooms; each has url, and may have format, events and api_key."""
    webhook_timeout_s: float = 5.0
    """How long one delivery may take."""
    webhook_connections: int = 4
    """Deliveries to one URL at the same time; those of one room always go one after another."""
    webhook_max_queued: int = 10_000
    """Deliveries that wait for one URL; more are dropped, and the next one says how many."""
    webhook_max_attempts: int = 100
    """A delivery that failed this often is given up."""
    webhook_max_age_s: float = 86_400.0
    """A delivery that is older is given up."""
    webhook_retry_initial_s: float = 1.0
    """Wait after the first failure; each further failure doubles it."""
    webhook_retry_max_s: float = 300.0
    """Longest wait between two attempts."""
    webhook_lease_s: float = 15.0
    """A process that shows no life in the database for this long loses its deliveries to others on the same one."""

    # --- TURN ---------------------------------------------------------------------------------------
    stun_urls: tuple[str, ...] = ()
    """STUN servers that clients are told of, as stun:host:port. Calls with this server alone need none."""
    turn: tuple[TurnServer, ...] = ()
    """TURN servers for clients whose network lets nothing else through; each has urls, and secret or secret_file."""
    turn_ttl_s: float = 600.0
    """Validity of a participant's TURN credential, at most 600; a reconnect gets a new one."""

    sfu: SfuConfig = field(default_factory=SfuConfig)

    @property
    def tls(self) -> bool:
        return bool(self.tls_cert)

    @property
    def resolved_database_url(self) -> str:
        if self.database_url:
            return self.database_url
        folder = Path(self.data_dir or (".run" if self.dev else "ting-data"))
        return sqlite_url(folder / "ting.db")


_SIGNALING_KEYS = tuple(f.name for f in dataclasses.fields(Settings) if f.name != "sfu")
_SFU_KEYS = tuple(f.name for f in dataclasses.fields(SfuConfig))
_TYPES: dict[str, Any] = {**get_type_hints(SfuConfig), **get_type_hints(Settings)}

_MINIMUM = {
    # Everything numeric that is not named here must be above zero.
    "port": 0, "engine_threads": 0, "rtc_tcp_port": 0, "token_leeway_s": 0, "guest_renewal_s": 0, "empty_timeout_s": 0,
    "departure_timeout_s": 0, "resume_timeout_s": 0, "negotiation_debounce_s": 0, "retransmission_packets": 0,
    "shutdown_timeout_s": 0, "keyframe_cache_bytes": 0, "keyframe_cache_bytes_without_pli": 0, "max_hold_ms": 0,
}  # fmt: skip
_CHOICES = {
    "engine": ("auto", "rust", "reference"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("text", "json"),
}
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
        elif key in _SIGNALING_KEYS:
            values[key] = _from_toml(key, value, f"{path}: {key}")
        else:
            raise ConfigError(f"{path}: unknown key {one_line(key)}")
    return values


def _require_known(key: str, shown: str) -> None:
    if key not in _SIGNALING_KEYS and key not in _SFU_KEYS:
        raise ConfigError(f"{one_line(shown)}: unknown key")


def _from_toml(key: str, value: Any, shown: str) -> Any:
    return from_toml(_TYPES[key], value, shown)


def _from_text(key: str, text: str, shown: str) -> Any:
    return from_text(_TYPES[key], text, shown)


def _build(values: dict[str, Any]) -> Settings:
    sfu = SfuConfig(**{key: value for key, value in values.items() if key in _SFU_KEYS})
    settings = Settings(**{key: value for key, value in values.items() if key in _SIGNALING_KEYS}, sfu=sfu)
    _check_numbers(settings)
    _check_choices(settings)
    _check_addresses(settings)
    _check_urls(settings)
    check_stun(settings.stun_urls)
    if settings.dev:
        sfu = dataclasses.replace(sfu, include_loopback=True)
    settings = dataclasses.replace(settings, keys=_collect_keys(settings), turn=resolve_turn(settings.turn), sfu=sfu)
    _check_keys(settings)
    check_webhooks(settings.webhooks, settings.keys)
    check_issuers(settings.issuers, settings.keys)
    check_room_presets(settings.room_presets, settings.max_metadata_bytes)
    return settings


def _check_numbers(settings: Settings) -> None:
    for holder in (settings, settings.sfu):
        for entry in dataclasses.fields(holder):
            value = getattr(holder, entry.name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            minimum = _MINIMUM.get(entry.name)
            if not (value > 0 or (minimum is not None and value >= minimum)) or value > 2**53:
                raise ConfigError(f"{entry.name}: {value} is out of range")
    for name in ("port", "rtc_udp_port", "rtc_tcp_port"):
        value = settings.port if name == "port" else getattr(settings.sfu, name)
        if value > 65_535:
            raise ConfigError(f"{name}: {value} is not a port (0 to 65535)")
    if settings.port and settings.port == settings.sfu.rtc_tcp_port:
        raise ConfigError(f"port and rtc_tcp_port are both {settings.port}: they need different TCP ports")
    if settings.token_leeway_s > MAX_LEEWAY_S:
        raise ConfigError(f"token_leeway_s: at most {MAX_LEEWAY_S:.0f}")
    if settings.turn_ttl_s > MAX_TURN_TTL_S:
        raise ConfigError(f"turn_ttl_s: at most {MAX_TURN_TTL_S:.0f}")
    if settings.guest_token_ttl_s > settings.max_token_ttl_s:
        raise ConfigError("guest_token_ttl_s: must not be longer than max_token_ttl_s")
    if settings.ping_timeout_s <= settings.ping_interval_s:
        raise ConfigError("ping_timeout_s: must be longer than ping_interval_s")


def _check_choices(settings: Settings) -> None:
    for key, choices in _CHOICES.items():
        value = settings.sfu.engine if key == "engine" else getattr(settings, key)
        if value not in choices:
            raise ConfigError(f"{key}: {one_line(value)} is none of {', '.join(choices)}")


def _check_addresses(settings: Settings) -> None:
    if not _is_address(settings.host) and not _HOST_NAME.fullmatch(settings.host):
        raise ConfigError(f"host: {one_line(settings.host)} is no address")
    for key, addresses in (("rtc_addresses", settings.sfu.rtc_addresses), ("advertise", settings.sfu.advertise)):
        for address in addresses:
            if not _is_address(address):
                raise ConfigError(f"{key}: {one_line(address)} is no IP address")
    for key, networks in (("trusted_proxies", settings.trusted_proxies), ("metrics_allow", settings.metrics_allow)):
        for network in networks:
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
    try:
        parse_url(settings.resolved_database_url)
    except ValueError as error:
        raise ConfigError(f"database_url: {error}") from None
    if settings.public_url:
        try:
            parts = urlsplit(settings.public_url)
            good = parts.scheme in ("http", "https", "ws", "wss") and bool(parts.hostname) and not parts.query
            good = good and parts.port != 0 and not parts.username and settings.public_url.isprintable()
        except ValueError:
            good = False
        if not good:
            raise ConfigError("public_url: an http, https, ws or wss URL is needed")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigError("tls_cert and tls_key: set both or none")


def _collect_keys(settings: Settings) -> dict[str, str]:
    if bool(settings.api_key) != bool(settings.api_secret_file):
        raise ConfigError("api_key and api_secret_file: set both or none")
    keys: dict[str, str] = {}
    if settings.api_key:
        keys[settings.api_key] = read_secret(settings.api_secret_file, "api_secret_file")
    keys.update((key, secret) for key, secret in settings.keys.items() if key not in keys)
    if settings.dev:
        keys.setdefault(DEV_KEY, DEV_SECRET)
    return keys


def _check_keys(settings: Settings) -> None:
    if settings.dev and not is_loopback(settings.host):
        raise ConfigError(f"--dev listens on loopback addresses only, not on {settings.host}")
    if not settings.keys:
        raise ConfigError(
            "no API key: set [keys] in the file, TING_KEYS or --api-key with --api-secret-file, or use --dev"
        )
    for key, secret in settings.keys.items():
        if settings.dev and (key, secret) == (DEV_KEY, DEV_SECRET):
            continue
        if key == DEV_KEY or secret in SAMPLE_SECRETS:
            raise ConfigError(f"keys: {one_line(key)} is a published sample key; make your own")
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(f"keys: the secret of {one_line(key)} is shorter than {MIN_SECRET_BYTES} bytes")


def is_loopback(host: str) -> bool:
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"
