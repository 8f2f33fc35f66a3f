"""`ting doctor`: what would stop a call on this machine, signaling's half and the SFU's."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from sfu.api import Check
from sfu.factory import diagnose
from signaling.api.web import find_web_root
from signaling.config import Settings, is_loopback
from signaling.config_values import is_url
from signaling.db.database import Database
from signaling.db.url import database_url
from signaling.errors import DatabaseError
from signaling.jwks import FetchError, KeySetSettings, parse_key_set, read_file
from signaling.listener import ListenerSettings, tls_context
from signaling.livekit.webhook_settings import WebhookSettings
from signaling.turn import TurnSettings

_EXPIRY_WARNING_DAYS = 14


def run_checks(settings: Settings) -> list[Check]:
    """Signaling's checks, then the SFU's. Each stands alone."""
    return [
        _check_port(settings.listener),
        _check_certificate(settings.listener),
        _check_keys(settings.tokens.keys, dev=settings.listener.dev),
        _check_clock(),
        _check_web_app(settings.api.web_root),
        _check_database(settings),
        *_check_cluster(settings),
        *_check_webhooks(settings.webhooks),
        *_check_issuers(settings.key_sets),
        *_check_turn(settings.turn),
        *diagnose(settings.sfu),
    ]


def _check_port(settings: ListenerSettings) -> Check:
    name = f"TCP port {settings.port} on {settings.host}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Check(name, False, f"cannot be opened: {error.strerror}; end what has it, or set `port` (or `host`)")
    return Check(name, True, "free")


def _check_certificate(settings: ListenerSettings) -> Check:
    name = "TLS certificate"
    if not settings.tls:
        if is_loopback(settings.host):
            return Check(name, True, "none; not needed on loopback")
        return Check(
            name, None, "none: browsers give camera and microphone to HTTPS pages only, so put a proxy in front"
        )
    try:
        tls_context(settings)
        chain = x509.load_pem_x509_certificates(Path(settings.tls_cert).read_bytes())
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "not a PEM certificate"
        return Check(name, False, f"cannot be used: {reason}")
    now = datetime.now(UTC)
    begin, end = chain[0].not_valid_before_utc, chain[0].not_valid_after_utc
    if now < begin:
        return Check(name, False, f"not valid before {begin:%Y-%m-%d}")
    if now > end:
        return Check(name, False, f"expired on {end:%Y-%m-%d}")
    days = (end - now).days
    return Check(name, None if days < _EXPIRY_WARNING_DAYS else True, f"valid until {end:%Y-%m-%d} ({days} days)")


def _check_keys(keys: Mapping[str, str], *, dev: bool) -> Check:
    if dev:
        return Check("API keys", None, "the development key, for this machine only")
    count = len(keys)
    return Check("API keys", True, f"{count} key{'s' if count > 1 else ''}, each secret long enough")


def _check_clock() -> Check:
    """A clock that is older than the program's own files is wrong, and tokens would be judged by it."""
    written_at = Path(__file__).stat().st_mtime
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if now < written_at - 86_400:
        return Check("clock", False, f"{shown} lies before the installation of this program; tokens will be refused")
    return Check("clock", True, shown)


def _check_web_app(web_root: str) -> Check:
    if find_web_root(web_root) is None:
        return Check("web app", None, "not built; `make run` builds it")
    return Check("web app", True, "built")


def _check_database(settings: Settings) -> Check:
    url = database_url(settings.database, dev=settings.listener.dev)
    database = Database(url, timeout_s=settings.database.database_timeout_s)
    name = "database (SQLite)" if database.is_sqlite else "database (PostgreSQL)"
    try:
        return Check(name, True, asyncio.run(database.probe()))
    except DatabaseError as error:
        where = (
            "`data_dir`, or the file in `database_url`" if database.is_sqlite else "`database_url`, and whether it runs"
        )
        return Check(name, False, f"{error}; see {where}")


def _check_cluster(settings: Settings) -> list[Check]:
    if not settings.cluster.cluster:
        return []
    from signaling.cluster.doctor import check_node  # a server by itself need not have NATS's client

    return check_node(settings.cluster, dev=settings.listener.dev)


def _check_webhooks(settings: WebhookSettings) -> list[Check]:
    """Their form was checked with the settings; a delivery would be an event, so none is made."""
    open_hosts = []
    for target in settings.webhooks:
        parts = urlsplit(target.url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            open_hosts.append(parts.hostname or "")
    if open_hosts:
        return [Check("webhooks", None, f"http without TLS, readable on the way: {', '.join(open_hosts)}")]
    count = len(settings.webhooks)
    return [Check("webhooks", True, f"{count} URL{'s' if count > 1 else ''}")] if count else []


def _check_issuers(settings: KeySetSettings) -> list[Check]:
    checks = []
    for entry in settings.issuers:
        name = f"keys of the issuer {entry.issuer}"
        if is_url(entry.jwks, ("http", "https")):
            checks.append(Check(name, True, "fetched at the start"))
            continue
        try:
            count = len(parse_key_set(read_file(entry.jwks, settings.jwks_max_bytes)))
        except FetchError as error:
            checks.append(Check(name, False, str(error)))
        else:
            checks.append(Check(name, count > 0, f"{count} usable"))
    return checks


def _check_turn(settings: TurnSettings) -> list[Check]:
    if not settings.turn:
        return [Check("TURN", None, "none: callers whose network lets only TCP port 443 through will not connect")]
    unknown = []
    hosts = {turn_host(url) for server in settings.turn for url in server.urls}
    for host in sorted(hosts):
        try:
            socket.getaddrinfo(host, None)
        except (OSError, UnicodeError):
            unknown.append(host)
    if unknown:
        return [Check("TURN", False, f"no address is known for {', '.join(unknown)}")]
    if not any(url.startswith("turns:") for server in settings.turn for url in server.urls):
        return [Check("TURN", None, "no turns: URL; only TLS passes the strictest networks")]
    return [Check("TURN", True, f"{len(hosts)} host{'s' if len(hosts) > 1 else ''}, credentials of their own")]


def turn_host(url: str) -> str:
    """The host of a turn: or turns: URL (RFC 7065)."""
    rest = url.partition(":")[2].partition("?")[0]
    if rest.startswith("["):
        return rest[1:].partition("]")[0]
    return rest.partition(":")[0]
