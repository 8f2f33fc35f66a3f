"""Options that several commands have, and the settings that follow from them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from signaling.config import DEFAULT_FILE, Settings, load_settings

_FLAGS = (
    "dev", "host", "port", "rtc_udp_port", "rtc_tcp_port", "rtc_addresses", "advertise", "engine", "public_url",
    "tls_cert", "tls_key", "log_level", "log_format", "api_key", "api_secret_file",
    "cluster",
)  # fmt: skip
"""Settings that have a flag."""


def read_settings(options: argparse.Namespace) -> Settings:
    given = {name: getattr(options, name, None) for name in _FLAGS}
    file: Path | None = options.config
    if file is None and os.environ.get("TING_CONFIG"):
        file = Path(os.environ["TING_CONFIG"])
    if file is None and Path(DEFAULT_FILE).is_file():
        file = Path(DEFAULT_FILE)
    flags = {name: value for name, value in given.items() if value is not None}
    return load_settings(flags, os.environ, file)


def add_settings(parser: argparse.ArgumentParser) -> None:
    add_key_options(parser)
    add = parser.add_argument
    add("--host", metavar="ADDRESS", help="address for HTTP and WebSocket (default 127.0.0.1)")
    add("--port", metavar="PORT", help="TCP port for HTTP and WebSocket (default 7880)")
    add("--rtc-udp-port", "--rtc-port", dest="rtc_udp_port", metavar="PORT", help="UDP port for media (default 7882)")
    add("--rtc-tcp-port", metavar="PORT", help="TCP port for media, 0 for none (default 7881)")
    add("--rtc-addresses", metavar="IP[,IP]", help="local addresses for media (default: all)")
    add("--advertise", metavar="IP[,IP]", help="public addresses to offer instead of the local ones (NAT, Docker)")
    add("--engine", metavar="NAME", help="packet engine: auto, rust or reference (default auto)")
    add("--public-url", metavar="URL", help="URL under which clients reach this server")
    add("--tls-cert", metavar="FILE", help="certificate chain (PEM); with --tls-key the server speaks HTTPS")
    add("--tls-key", metavar="FILE", help="private key (PEM)")
    add("--cluster", metavar="URL", help="nats://host:port by which the nodes of a cluster find each other")
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error (default info)")
    add("--log-format", metavar="FORMAT", help="text or json (default text)")


def add_key_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE", type=Path, help="TOML file with settings (default: ./ting.toml when it is there)")
    add("--dev", action="store_const", const=True, help="development: API key devkey, secret `secret`; loopback only")
    add("--api-key", metavar="KEY", help="API key that signs tokens")
    add("--api-secret-file", metavar="FILE", help="file that holds the secret of --api-key")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
