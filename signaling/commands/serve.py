"""`ting serve`: run the server until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import ssl
from collections.abc import Callable

from sfu.api import ClusterPlace
from sfu.factory import create_sfu
from signaling import logs
from signaling.app import SERVICES, create_app, create_listener
from signaling.cluster.settings import place_of
from signaling.commands.options import add_settings, read_settings, say
from signaling.config import Settings
from signaling.errors import ConfigError
from signaling.listener import tls_context

_COLLECT_AFTER_OBJECTS = 10_000
"""Instead of CPython's 700, which a single join makes several times."""

add_options = add_settings


def run(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    _check_tls(settings)
    logs.configure(settings.logs)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run_server(settings))


def _check_tls(settings: Settings) -> None:
    try:
        tls_context(settings.listener)
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
    app = create_app(settings, create_sfu(settings.sfu, _place(settings)))
    listener = create_listener(app, settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The first asks; a second one takes the default action again and ends the process at once.
        loop.add_signal_handler(number, _request_stop, stop)
    await listener.start()
    _settle_heap()
    # What the first call loads stays for good as well; there is next to no garbage to look for then.
    app[SERVICES].warm_up.on_loaded = gc.freeze
    say(f"Ting is ready: {listener.url}")
    await stop.wait()
    await listener.stop()
    return 0


def _place(settings: Settings) -> ClusterPlace | None:
    """This node's in its cluster."""
    return place_of(settings.cluster, dev=settings.listener.dev) if settings.cluster.cluster else None


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
