"""The Rust engine under asyncio: its extension, refused when it is stale, and the Python half of its runtime.

The extension's threads own the UDP sockets and move media without the interpreter. What reaches Python are events,
through a bounded queue and one file descriptor; ICE-TCP connections live here, and their frames cross over.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import os
import socket
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, Protocol

from sfu.engine.api import (
    Address,
    DataLink,
    DataListener,
    DataOptions,
    DtlsSecrets,
    EngineCommands,
    Event,
    ListenConfig,
    PacketEngine,
    Path,
    Transmit,
)
from sfu.engine.driver import LOG_INTERVAL_S, WatchedCommands
from sfu.engine.sockets import bound_socket
from sfu.engine.tcp import TcpPorts
from sfu.errors import BindError, EngineError
from sfu.ids import TransportHandle

logger = logging.getLogger(__name__)

EVENT_BATCH = 256
"""Events dispatched per wake-up, so that other work gets its turn."""

GAUGES = ("events_waiting",)

SOURCES = FilePath(__file__).resolve().parent.parent / "rust"
HASHED = ("Cargo.lock", "association/src", "core/src", "py/src")
"""What `sfu/rust/py/build.rs` hashes, in the folder of the Rust workspace."""


class NativeRuntime(Protocol):
    """`ting_engine.Runtime`."""

    def event_fd(self) -> int: ...
    def take_notices(self, limit: int) -> list[Event | Transmit | int | str]: ...
    def send(self, path: Path, data: bytes) -> None: ...
    def handle_frame(self, path: Path, data: bytes) -> None: ...
    def add_data_link(
        self,
        transport: int,
        path: Path,
        secrets: tuple[str, bool, bytes, bytes, bytes, int],
        opens_channels: bool,
        sizes: tuple[int, int, int, int],
    ) -> DataLink | None: ...
    def wake(self) -> None: ...
    def set_gso(self, gso: bool) -> None: ...
    def io_stats(self) -> dict[str, int]: ...
    def close(self) -> None: ...


@functools.cache
def load() -> Any:
    """The extension module. Raises `EngineError` when it is not there or was built from other sources."""
    try:
        import ting_engine
    except ImportError as error:
        raise EngineError(
            "the Rust engine is not built into this installation (with cargo there, `make setup` builds it)",
            code="engine_not_built",
        ) from error
    wanted = source_hash()
    if wanted is not None and wanted != ting_engine.SOURCE_HASH:
        raise EngineError(
            "the Rust engine was built from other sources than those in sfu/rust (`make setup` builds it anew)",
            code="engine_stale",
        )
    return ting_engine


def source_hash(sources: FilePath = SOURCES) -> str | None:
    """The hash that an extension built from the sources beside this file has; None where there are no sources."""
    if not (sources / "Cargo.lock").is_file():
        return None
    digest = hashlib.sha256()
    for name in sorted(name for top in HASHED for name in _files(sources, top)):
        data = (sources / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _files(sources: FilePath, top: str) -> Iterator[str]:
    path = sources / top
    if path.is_file():
        yield top
    for found in path.rglob("*"):
        if found.is_file():
            yield found.relative_to(sources).as_posix()


class RustRuntime:
    """`EngineRuntime` whose packets stay in the extension's threads (0: one per core that this process may use), with
    an engine for each. Raises `EngineError` like `load`."""

    def __init__(self, *, seed: int, threads: int = 0) -> None:
        module = load()
        self.name = "rust"
        self.has_data_channels = True
        self.threads = threads or len(os.sched_getaffinity(0))
        self.engine: PacketEngine = module.PacketEngine(seed, self.threads)
        self.commands: EngineCommands = WatchedCommands(self.engine, self)
        self._make_native: Callable[..., NativeRuntime] = module.Runtime
        self._data_listeners: weakref.WeakValueDictionary[int, DataListener] = weakref.WeakValueDictionary()
        self._native: NativeRuntime | None = None
        self._udp_addresses: list[Address] = []
        self._counters: Counter[str] = Counter()
        self._tcp = TcpPorts(self._handle_frame, _nothing, self.engine.forget_path, self._counters)
        self._on_event: Callable[[Event], None] = _nothing
        self._loop: asyncio.AbstractEventLoop | None = None
        self._logged_at_s: dict[str, float] = {}

    # --- life ---------------------------------------------------------------------------------------------------

    async def open(self, listen: ListenConfig, on_event: Callable[[Event], None]) -> None:
        """Bind every address. Raises `BindError` (nothing stays open then)."""
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        first: list[socket.socket] = []
        more: list[list[socket.socket]] = []
        try:
            for address in listen.addresses:
                first.append(_udp_socket(address, listen.udp_port, listen))
            more += [_more_sockets(first, listen) for _ in range(self.threads - 1)]
            if listen.tcp_port:
                await self._tcp.open(listen)
        except BaseException:
            for sock in [*first, *(one for sockets in more for one in sockets)]:
                sock.close()
            await self.close()
            raise
        self._udp_addresses = [_name(sock) for sock in first]
        handed_over = [[(sock.fileno(), *_name(sock)) for sock in sockets] for sockets in (first, *more)]
        for sock in [*first, *(one for sockets in more for one in sockets)]:
            sock.detach()
        self._native = self._make_native(self.engine, handed_over, listen.max_queued_packets, listen.max_hold_ns)
        self._loop.add_reader(self._native.event_fd(), self._dispatch)

    @property
    def udp_addresses(self) -> list[Address]:
        """What is bound, with the real port where 0 was asked for."""
        return list(self._udp_addresses)

    @property
    def tcp_addresses(self) -> list[Address]:
        return list(self._tcp.addresses)

    async def close(self) -> None:
        """Release the ports. Idempotent; nothing is sent or received afterwards."""
        native, self._native = self._native, None
        if native is not None:
            if self._loop is not None:
                self._loop.remove_reader(native.event_fd())
            native.close()
            self._counters.update({name: value for name, value in native.io_stats().items() if name not in GAUGES})
            # The sockets close with their owner.
            del native
        self._udp_addresses.clear()
        self._data_listeners.clear()
        await self._tcp.close()
        self._loop = None

    # --- datagrams ------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def open_data(
        self,
        transport: TransportHandle,
        path: Path,
        secrets: DtlsSecrets,
        options: DataOptions,
        listener: DataListener,
    ) -> DataLink | None:
        if self._native is None:
            return None
        link = self._native.add_data_link(
            transport,
            path,
            (
                secrets.suite,
                secrets.is_client,
                secrets.master_secret,
                secrets.client_random,
                secrets.server_random,
                secrets.used_nonce,
            ),
            options.opens_channels,
            (
                options.max_message_bytes,
                options.remote_max_message_bytes,
                options.max_buffered_bytes,
                options.max_track_buffered_bytes,
            ),
        )
        if link is not None:
            self._data_listeners[transport] = listener
        return link

    def send(self, path: Path, data: bytes) -> None:
        if path.protocol == "tcp":
            self._send_frame(path, data)
        elif self._native is None:
            self._counters["send_failures"] += 1
        else:
            self._native.send(path, data)

    def _send_frame(self, path: Path, data: bytes) -> None:
        if self._tcp.send(path, data):
            self._counters["tcp_frames_sent"] += 1
        else:
            self._counters["send_failures"] += 1

    def _handle_frame(self, path: Path, datagram: bytes) -> None:
        self._counters["tcp_frames_received"] += 1
        if self._native is not None:
            self._native.handle_frame(path, datagram)

    def _dispatch(self) -> None:
        if self._native is None:
            return
        for notice in self._native.take_notices(EVENT_BATCH):
            if isinstance(notice, str):
                self._log_fault("engine_faults", notice)
            elif isinstance(notice, Transmit):
                self._send_frame(notice.path, notice.data)
            elif isinstance(notice, int):
                listener = self._data_listeners.get(notice)
                if listener is not None:
                    self._tell(listener.handle_waiting)
            else:
                self._tell(self._on_event, notice)

    def _tell(self, listener: Callable[..., None], *arguments: Event) -> None:
        try:
            listener(*arguments)
        except Exception as error:
            self._counters["event_faults"] += 1
            self._log_fault("event_faults", "a listener failed", error)

    # --- what the commands tell -------------------------------------------------------------------------------------

    def transport_added(self) -> None:
        if self._native is not None:
            self._native.wake()

    def transport_removed(self) -> None:
        """The thread sees for itself that there is nothing to wait for any more."""

    def transports_moved(self) -> None:
        self.transport_added()

    def path_authenticated(self, path: Path) -> None:
        if path.protocol == "tcp":
            self._tcp.mark_authenticated(path)

    # --- figures --------------------------------------------------------------------------------------------------

    def io_stats(self) -> Mapping[str, int]:
        names = ("datagrams_received", "bytes_received", "datagrams_sent", "bytes_sent", "send_failures", "tcp_refused")
        total = Counter(dict.fromkeys(names, 0))
        total.update(self._counters)
        if self._native is not None:
            total.update(self._native.io_stats())
        total["tcp_connections"] = self._tcp.connections
        return total

    def _log_fault(self, reason: str, words: str, error: Exception | None = None) -> None:
        """A fault in our own code: counted always, logged once a second per reason."""
        now_s = time.monotonic()
        if now_s - self._logged_at_s.get(reason, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
            self._logged_at_s[reason] = now_s
            logger.error("%s: %d so far: %s", reason, self.io_stats()[reason], words, exc_info=error)


def _udp_socket(address: str, port: int, listen: ListenConfig, *, shared: bool = False) -> socket.socket:
    sock = bound_socket(address, port, socket.SOCK_DGRAM, shared=shared)
    # On the first one only now: so a port that another process has, sharing or not, is found out.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, listen.socket_buffer_bytes)
    return sock


def _more_sockets(first: list[socket.socket], listen: ListenConfig) -> list[socket.socket]:
    """The same ports once more for another thread; the kernel spreads the peers over them (SO_REUSEPORT). Where it does
    not let us, none: then that thread only helps with sending."""
    sockets: list[socket.socket] = []
    try:
        for sock in first:
            sockets.append(_udp_socket(*_name(sock), listen, shared=True))
    except (BindError, OSError) as error:
        for sock in sockets:
            sock.close()
        logger.warning("the UDP port cannot be shared, one thread reads it: %s", error)
        return []
    return sockets


def _name(sock: socket.socket) -> Address:
    name = sock.getsockname()
    return str(name[0]), int(name[1])


def _nothing(*_arguments: object) -> None:
    """Before `open` nothing listens."""
