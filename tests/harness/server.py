"""A real Ting to test against: as a process of its own, or inside the test's event loop.

`ServerProcess` is what users run. `EmbeddedServer` is the same application with its SFU in reach, for what only
the server's own code can ask (kick, moderation, room end).
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
from livekit import api

from sfu.api import ClusterPlace, NodePlace, Sfu
from sfu.factory import create_sfu
from signaling.app import SERVICES, create_app, create_listener
from signaling.config import Settings, load_settings
from signaling.rooms.calls import RoomService
from tests.harness.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
API_KEY, API_SECRET = "devkey", "secret"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0

LOOPBACK = {"rtc_addresses": "127.0.0.1"}
_PORTS = range(20_000, 32_000)
"""Below Linux's ephemeral range (32768 to 60999)."""

COMPLAINTS = re.compile(
    r"Traceback \(most recent call last\)|Task exception was never retrieved|was never awaited"
    r"|Task was destroyed but it is pending|Exception in callback|Unclosed |ResourceWarning|[Uu]nhandled|panicked at"
)
"""What a healthy server never writes, whatever its clients do."""


@dataclass(frozen=True, slots=True)
class Ports:
    http: int
    udp: int
    tcp: int

    def flags(self) -> dict[str, str]:
        return {"port": str(self.http), "rtc_udp_port": str(self.udp), "rtc_tcp_port": str(self.tcp)}


def free_ports() -> Ports:
    """Three ports that are free on every address now, and that no outgoing connection will get by chance."""
    tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
    http = _free_port(tcp)
    return Ports(http=http, udp=_free_port(udp), tcp=_free_port(tcp, but=http))


def _free_port(kind: socket.SocketKind, but: int = 0) -> int:
    for _ in range(100):
        port = secrets.choice(_PORTS)
        if port == but:
            continue
        with socket.socket(socket.AF_INET6, kind) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            try:
                probe.bind(("::", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def make_token(
    room: str,
    identity: str,
    *,
    name: str = "",
    key: str = API_KEY,
    secret: str = API_SECRET,
    ttl_s: float = 600,
    **grants: object,
) -> str:
    """A room token from the `livekit-api` package, so not from our own code. `grants` as in `VideoGrants`."""
    video = api.VideoGrants(**{"room_join": True, "room": room, **grants})  # type: ignore[arg-type]
    token = api.AccessToken(key, secret).with_identity(identity).with_name(name or identity).with_grants(video)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)  # the development key is that short
        return token.with_ttl(datetime.timedelta(seconds=ttl_s)).to_jwt()


class ServerProcess:
    """`ting serve --dev` in a process of its own, media on loopback unless told otherwise; `log` has its lines."""

    def __init__(
        self, *flags: str, rtc_addresses: str = "127.0.0.1", environment: Mapping[str, str] | None = None
    ) -> None:
        self.ports = free_ports()
        self.log: list[str] = []
        self._flags = (*flags, "--rtc-addresses", rtc_addresses) if rtc_addresses else flags
        self._data = tempfile.TemporaryDirectory(prefix="ting-")
        self.environment = {"TING_DATA_DIR": self._data.name, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def data_folder(self) -> Path:
        return Path(self._data.name)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Return when the ready line was printed; raise with the log when the process ended before. May be called again
        after `stop` or `kill`: the same ports, the same data."""
        self._ready.clear()
        flags = [part for key, value in self.ports.flags().items() for part in (f"--{key.replace('_', '-')}", value)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-X", "dev", "-c", "import sys; from signaling.cli import main; sys.exit(main())",
            "serve", "--dev", *flags, *self._flags,
            cwd=ROOT, env={**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({ready, self._reader}, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not self._ready.is_set():
            await self.kill()
            raise AssertionError("the server did not get ready:\n" + "\n".join(self.log))

    async def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, and wait for the exit code."""
        assert self._process is not None
        assert self._reader is not None
        if self._process.returncode is None:
            self._process.send_signal(sign)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._reader
                return await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"the server was still there {STOP_TIMEOUT_S} s after {sign.name}") from None

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        async with asyncio.timeout(STOP_TIMEOUT_S):
            return await self._process.wait()

    async def kill(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader

    def complaints(self) -> list[str]:
        """Log lines that a healthy server never writes, each with the lines after it."""
        found = [index for index, line in enumerate(self.log) if COMPLAINTS.search(line)]
        return ["\n".join(self.log[index : index + 30]) for index in found]

    def assert_healthy(self) -> None:
        assert not self.complaints(), "\n\n".join(self.complaints()[:5])

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            text = line.decode("utf-8", "replace").rstrip()
            self.log.append(text)
            if self.url in text:
                self._ready.set()


class EmbeddedServer:
    """The application in this event loop; `sfu` is its SFU."""

    def __init__(self, place: ClusterPlace | None = None, **flags: str) -> None:
        self.ports = free_ports()
        self._data = tempfile.TemporaryDirectory(prefix="ting-")
        self.settings: Settings = load_settings(
            {
                "dev": True,
                "engine": os.environ.get("TING_ENGINE", "auto"),
                **self.ports.flags(),
                **LOOPBACK,
                "data_dir": self._data.name,
                **flags,
            }
        )
        self.sfu: Sfu = create_sfu(self.settings.sfu, place)
        app = create_app(self.settings, self.sfu)
        self.rooms: RoomService = app[SERVICES].rooms
        self._listener = create_listener(app, self.settings)

    @property
    def url(self) -> str:
        return self._listener.url

    async def start(self) -> None:
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()


class EmbeddedCluster:
    """Several of them that know each other. `url` is that of another one each time: whoever joins comes to the next."""

    def __init__(self, *names: str, **flags: str) -> None:
        secret = secrets.token_hex(16)
        places = [NodePlace(name, "127.0.0.1", _free_port(socket.SOCK_STREAM)) for name in names]
        self.servers = [
            EmbeddedServer(ClusterPlace(place.name, secret, place.host, place.port), **flags) for place in places
        ]
        self._places = places
        self._turn = itertools.cycle(self.servers)

    @property
    def url(self) -> str:
        return next(self._turn).url

    async def start(self) -> None:
        for server, place in zip(self.servers, self._places, strict=True):
            await server.start()
            server.sfu.set_nodes({other.name: other for other in self._places if other is not place})

        def whole() -> bool:
            return all(server.sfu.metrics()["ting_node_peers"] == len(self.servers) - 1 for server in self.servers)

        await eventually(whole, "nodes that all know each other")

    async def stop(self) -> None:
        for server in self.servers:
            await server.stop()
