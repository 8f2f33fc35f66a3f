"""The `ting` command: serve, token, doctor, load-test.

Exit codes: 0 done, 1 it did not work (a port in use, a failed check), 2 it was asked wrongly (flags or settings).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import ssl
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from sfu.api import BindError, SfuError, TrackSource
from sfu.factory import create_sfu
from signaling import doctor, logs, rooms
from signaling.app import Listener, create_app, tls_context
from signaling.config import DEFAULT_FILE, Settings, load_settings
from signaling.errors import ConfigError, DatabaseError
from signaling.tokens import KINDS, Grants, TokenService
from signaling.version import VERSION

_EPILOG = """\
Settings come from flags, then TING_* environment variables (TING_PORT, TING_KEYS, TING_RTC_UDP_PORT, ...), then the
TOML file given with --config, TING_CONFIG or ./ting.toml, then defaults. ting.sample.toml lists every key.
"""
_COLLECT_AFTER_OBJECTS = 10_000
"""Instead of CPython's 700, which a single join makes several times."""
_SHOWN = {True: "ok", False: "FAIL", None: "hint"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `ting` command. Returns the exit code."""
    parser = build_parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # PyJWT warns of the development key's length at every token; its use is guarded by the settings.
    warnings.filterwarnings("ignore", message=".*HMAC key.*")
    if given[:1] == ["load-test"]:
        return _load_test(given[1:])
    options = parser.parse_args(given)
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except (ConfigError, DatabaseError, SfuError) as error:
        sys.stderr.write(f"ting: {logs.escape(str(error))}\n")
        return 1 if isinstance(error, BindError | DatabaseError) else 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ting", description="Ting: self-hosted voice and video rooms.", epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"ting {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the server", epilog=_EPILOG, allow_abbrev=False)
    _add_settings(serve)
    serve.set_defaults(run=_serve)
    token = commands.add_parser("token", help="print a room token", epilog=_EPILOG, allow_abbrev=False)
    _add_token_options(token)
    token.set_defaults(run=_token)
    check = commands.add_parser(
        "doctor", help="say what would stop a call on this machine", epilog=_EPILOG, allow_abbrev=False
    )
    _add_settings(check)
    check.add_argument("--json", action="store_true", help="print the checks as JSON")
    check.set_defaults(run=_doctor)
    # Listed here; its options are its own (`_load_test`).
    commands.add_parser("load-test", help="simulate participants against a server", add_help=False)
    return parser


def _load_test(arguments: Sequence[str]) -> int:
    """Loaded when it is asked for: the server needs nothing of it."""
    from benchmarks.load.cli import main as run_load_test

    return run_load_test(arguments)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    _add_key_options(parser)
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
    add("--log-level", metavar="LEVEL", help="debug, info, warning or error (default info)")
    add("--log-format", metavar="FORMAT", help="text or json (default text)")


def _add_key_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE", type=Path, help="TOML file with settings (default: ./ting.toml when it is there)")
    add("--dev", action="store_const", const=True, help="development: API key devkey, secret `secret`; loopback only")
    add("--api-key", metavar="KEY", help="API key that signs tokens")
    add("--api-secret-file", metavar="FILE", help="file that holds the secret of --api-key")


def _add_token_options(parser: argparse.ArgumentParser) -> None:
    _add_key_options(parser)
    add = parser.add_argument
    add("--room", required=True, help="room that the token is for")
    add("--identity", required=True, help="who the bearer is in the room; unique there")
    add("--name", default="", help="name that the others see")
    add("--metadata", default="", help="text that goes with the participant")
    add("--kind", default="standard", choices=sorted(KINDS), help="kind of participant (default standard)")
    add("--ttl", type=_seconds, default=21_600, metavar="SECONDS", help="validity in seconds (default 21600)")
    add("--no-publish", action="store_true", help="the bearer may not publish tracks")
    add("--no-subscribe", action="store_true", help="the bearer may not receive tracks")
    add("--no-data", action="store_true", help="the bearer may not send data")
    add(
        "--publish-source", action="append", default=[], choices=[str(source) for source in TrackSource],
        help="the bearer may publish these sources only; may be repeated",
    )  # fmt: skip
    add("--update-own-metadata", action="store_true", help="the bearer may change its own name and metadata")
    add("--room-admin", action="store_true", help="the bearer may moderate the room")
    add("--room-create", action="store_true", help="the bearer may create rooms")
    add("--room-list", action="store_true", help="the bearer may list rooms")
    parser.set_defaults(run=_token)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _seconds(text: str) -> int:
    value = int(text)
    if not 0 < value < 2**31:
        raise ValueError
    return value


_FLAGS = (
    "dev", "host", "port", "rtc_udp_port", "rtc_tcp_port", "rtc_addresses", "advertise", "engine", "public_url",
    "tls_cert", "tls_key", "log_level", "log_format", "api_key", "api_secret_file",
)  # fmt: skip
"""Settings that have a flag."""


def _settings(options: argparse.Namespace) -> Settings:
    given = {name: getattr(options, name, None) for name in _FLAGS}
    file: Path | None = options.config
    if file is None and os.environ.get("TING_CONFIG"):
        file = Path(os.environ["TING_CONFIG"])
    if file is None and Path(DEFAULT_FILE).is_file():
        file = Path(DEFAULT_FILE)
    flags = {name: value for name, value in given.items() if value is not None}
    return load_settings(flags, os.environ, file)


# --- serve ----------------------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    _check_tls(settings)
    logs.configure(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run_server(settings))


def _check_tls(settings: Settings) -> None:
    try:
        tls_context(settings)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_cert and tls_key cannot be used: {error.strerror or error}") from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _run_server(settings: Settings) -> int:
    listener = Listener(create_app(settings, create_sfu(settings.sfu)), settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The first asks; a second one takes the default action again and ends the process at once.
        loop.add_signal_handler(number, _request_stop, stop)
    await listener.start()
    _settle_heap()
    _say(f"Ting is ready: {listener.url}")
    await stop.wait()
    await listener.stop()
    return 0


def _settle_heap() -> None:
    """What the start has made lives as long as the process. The collector need not walk it again, which paused the
    event loop for tens of milliseconds each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS)


def _request_stop(stop: asyncio.Event) -> None:
    stop.set()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)


# --- token and doctor -----------------------------------------------------------------------------------


def _token(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if not rooms.is_clean(options.room, rooms.MAX_ROOM_NAME_LENGTH):
        raise ConfigError("--room: no acceptable room name")
    if not rooms.is_clean(options.identity, rooms.MAX_IDENTITY_LENGTH):
        raise ConfigError("--identity: no acceptable identity")
    if options.name and not rooms.is_clean(options.name, rooms.MAX_NAME_LENGTH):
        raise ConfigError("--name: no acceptable name")
    if options.ttl > settings.max_token_ttl_s:
        raise ConfigError(f"--ttl: the server takes at most max_token_ttl_s ({settings.max_token_ttl_s:.0f})")
    grants = Grants(
        identity=options.identity,
        name=options.name,
        room=options.room,
        room_join=True,
        room_create=options.room_create,
        room_list=options.room_list,
        room_admin=options.room_admin,
        can_publish=not options.no_publish,
        can_subscribe=not options.no_subscribe,
        can_publish_data=not options.no_data,
        can_publish_sources=frozenset(TrackSource(source) for source in options.publish_source),
        can_update_own_metadata=options.update_own_metadata,
        kind=KINDS[options.kind],
        metadata=options.metadata,
    )
    _say(TokenService(settings.keys).issue(grants, options.ttl))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    checks = doctor.run_checks(_settings(options))
    failed = any(check.ok is False for check in checks)
    if options.json:
        entries = [{"name": check.name, "ok": check.ok, "message": check.message} for check in checks]
        _say(json.dumps({"ok": not failed, "checks": entries}, indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            _say(f"{_SHOWN[check.ok]:4}  {check.name:{width}}  {check.message}")
    return 1 if failed else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
