"""Sockets, clock and event loop around a sans-IO engine: the reference engine's `EngineRuntime`."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sfu.engine.api import (
    MAX_DATAGRAM_BYTES,
    TICK_NS,
    Address,
    DataListener,
    DataOptions,
    DtlsSecrets,
    EngineCommands,
    Event,
    ListenConfig,
    PacketEngine,
    Path,
    TransportConfig,
    TransportFailed,
)
from sfu.engine.sockets import bound_socket
from sfu.engine.tcp import TcpPorts
from sfu.ids import TransportHandle

logger = logging.getLogger(__name__)

READ_BATCH = 64
"""Datagrams taken from one socket per wake-up, so that other work gets its turn."""
MAX_KNOWN_PATHS = 16_384
"""Remote addresses whose `Path` is kept; more (a flood of spoofed ones) start the table anew."""
MAX_GSO_BYTES = 65_000
MAX_GSO_SEGMENTS = 64
"""Linux: UDP_MAX_SEGMENTS is 64 before 6.9; the total is bounded by the IP length field."""
LOG_INTERVAL_S = 1.0

_SOL_UDP = 17
_UDP_SEGMENT = 103
_GSO_REFUSED = (errno.EIO, errno.EINVAL, errno.EMSGSIZE)
_RECEIVE_BYTES = MAX_DATAGRAM_BYTES + 1
"""One more than allowed, so that the engine sees (and counts) what is too long."""


class Watcher(Protocol):
    """What a runtime must know of the commands."""

    def transport_added(self) -> None: ...
    def transport_removed(self) -> None: ...
    def transports_moved(self) -> None: ...
    def path_authenticated(self, path: Path) -> None: ...


class WatchedCommands:
    """The engine's commands. Some are watched: paths authenticate TCP connections, transports need a tick."""

    def __init__(self, engine: EngineCommands, runtime: Watcher) -> None:
        self._engine = engine
        self._runtime = runtime
        self.set_srtp = engine.set_srtp
        self.set_ice = engine.set_ice
        self.last_check_ns = engine.last_check_ns
        self.has_answered = engine.has_answered
        self.forget_path = engine.forget_path
        self.set_wanted_bitrate = engine.set_wanted_bitrate
        self.add_track = engine.add_track
        self.set_track_config = engine.set_track_config
        self.set_track_muted = engine.set_track_muted
        self.remove_track = engine.remove_track
        self.request_keyframe = engine.request_keyframe
        self.add_subscription = engine.add_subscription
        self.set_target_layer = engine.set_target_layer
        self.set_payloads = engine.set_payloads
        self.set_fec = engine.set_fec
        self.set_subscription_paused = engine.set_subscription_paused
        self.remove_subscription = engine.remove_subscription
        self.audio_levels = engine.audio_levels
        self.stats = engine.stats

    def add_transport(self, config: TransportConfig) -> TransportHandle:
        handle = self._engine.add_transport(config)
        self._runtime.transport_added()
        return handle

    def remove_transport(self, transport: TransportHandle) -> None:
        self._engine.remove_transport(transport)
        self._runtime.transport_removed()

    def set_group(self, transports: Sequence[TransportHandle], group: int) -> None:
        self._engine.set_group(transports, group)
        self._runtime.transports_moved()

    def join_groups(self, group: int, into: int) -> None:
        self._engine.join_groups(group, into)
        self._runtime.transports_moved()

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        self._engine.allow_path(transport, path)
        self._runtime.path_authenticated(path)

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        self._engine.set_path(transport, path)
        self._runtime.path_authenticated(path)


class _UdpPort:
    """One non-blocking UDP socket on one local address."""

    def __init__(self, sock: socket.socket, local: Address) -> None:
        self.sock = sock
        self.local = local
        self.gso = hasattr(sock, "sendmsg")
        self._paths: dict[Address, Path] = {}

    def path_of(self, name: tuple[str, int]) -> Path:
        path = self._paths.get(name)
        if path is None:
            if len(self._paths) >= MAX_KNOWN_PATHS:
                self._paths.clear()
            # IPv6 names have four members and may carry a zone; the rest of the house knows neither.
            path = Path("udp", self.local, (name[0].partition("%")[0], name[1]))
            self._paths[name] = path
        return path


class AsyncioRuntime:
    """`EngineRuntime` for a `PacketEngine` in the thread of the running event loop (the default one or uvloop)."""

    def __init__(self, engine: PacketEngine, *, name: str = "reference") -> None:
        self.name = name
        self.has_data_channels = False
        self.commands: EngineCommands = WatchedCommands(engine, self)
        self.engine = engine
        self._ports: dict[Address, _UdpPort] = {}
        self._counters: Counter[str] = Counter()
        self._tcp = TcpPorts(self._handle_frame, self._drain, engine.forget_path, self._counters)
        self._on_event: Callable[[Event], None] = _ignore_event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._transports = 0
        self._logged_at_s: dict[str, float] = {}

    # --- life ---------------------------------------------------------------------------------------------------

    async def open(self, listen: ListenConfig, on_event: Callable[[Event], None]) -> None:
        """Bind every address. Raises `BindError` (nothing stays open then)."""
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        try:
            for address in listen.addresses:
                self._open_udp(address, listen)
            if listen.tcp_port:
                await self._tcp.open(listen)
        except BaseException:
            await self.close()
            raise
        self._schedule_tick()

    @property
    def udp_addresses(self) -> list[Address]:
        """What is bound, with the real port where 0 was asked for."""
        return list(self._ports)

    @property
    def tcp_addresses(self) -> list[Address]:
        return list(self._tcp.addresses)

    async def close(self) -> None:
        """Release the ports. Idempotent; nothing is sent or received afterwards."""
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None
        ports, self._ports = self._ports, {}
        for port in ports.values():
            if self._loop is not None:
                self._loop.remove_reader(port.sock)
            port.sock.close()
        await self._tcp.close()
        self._loop = None

    def _open_udp(self, address: str, listen: ListenConfig) -> None:
        sock = bound_socket(address, listen.udp_port, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, listen.socket_buffer_bytes)
        port = _UdpPort(sock, (address, sock.getsockname()[1]))
        self._ports[port.local] = port
        assert self._loop is not None
        self._loop.add_reader(sock, self._read, port)

    def open_data(
        self,
        transport: TransportHandle,
        path: Path,
        secrets: DtlsSecrets,
        options: DataOptions,
        listener: DataListener,
    ) -> None:
        """There are none: packets of the reference engine's peers are aiortc's."""

    # --- in -----------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def _read(self, port: _UdpPort) -> None:
        counters, engine, receive = self._counters, self.engine, port.sock.recvfrom
        datagrams = received = 0
        try:
            for _ in range(READ_BATCH):
                data, name = receive(_RECEIVE_BYTES)
                datagrams += 1
                received += len(data)
                engine.handle_datagram(time.monotonic_ns(), port.path_of(name), data)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            counters["receive_failures"] += 1
        except Exception as error:
            self._count_fault("engine_faults", error)
        counters["datagrams_received"] += datagrams
        counters["bytes_received"] += received
        self._drain()

    def _handle_frame(self, path: Path, datagram: bytes) -> None:
        self._counters["tcp_frames_received"] += 1
        try:
            self.engine.handle_datagram(time.monotonic_ns(), path, datagram)
        except Exception as error:
            self._count_fault("engine_faults", error)

    # --- out ----------------------------------------------------------------------------------------------------

    def send(self, path: Path, data: bytes) -> None:
        if path.protocol == "tcp":
            if self._tcp.send(path, data):
                self._counters["tcp_frames_sent"] += 1
            else:
                self._counters["send_failures"] += 1
            return
        port = self._ports.get(path.local)
        if port is None:
            self._counters["send_failures"] += 1
            return
        try:
            port.sock.sendto(data, path.remote)
        except OSError:
            # EAGAIN like the rest: a datagram that does not fit now is a lost one, and RTP knows what to do then.
            self._counters["send_failures"] += 1
            return
        self._counters["datagrams_sent"] += 1
        self._counters["bytes_sent"] += len(data)

    def _drain(self) -> None:
        """Everything that the engine has to send, then everything that it has to say."""
        poll = self.engine.poll_transmit
        transmit = poll()
        while transmit is not None:
            path, data = transmit.path, transmit.data
            size = total = len(data)
            run = [data]
            transmit = poll()
            # A run for GSO: one path, equal sizes, and at most one shorter datagram at its end.
            while (
                transmit is not None
                and len(run[-1]) == size
                and transmit.path == path
                and len(transmit.data) <= size
                and total + len(transmit.data) <= MAX_GSO_BYTES
                and len(run) < MAX_GSO_SEGMENTS
            ):
                run.append(transmit.data)
                total += len(transmit.data)
                transmit = poll()
            if len(run) == 1:
                self.send(path, data)
            else:
                self._send_run(path, run, total)
        self._dispatch()

    def _send_run(self, path: Path, run: list[bytes], total_bytes: int) -> None:
        port = self._ports.get(path.local) if path.protocol == "udp" else None
        if port is not None and port.gso:
            segment = struct.pack("=H", len(run[0]))
            try:
                port.sock.sendmsg(run, [(_SOL_UDP, _UDP_SEGMENT, segment)], 0, path.remote)
            except OSError as error:
                if error.errno not in _GSO_REFUSED:
                    self._counters["send_failures"] += len(run)
                    return
                # EIO: the device cannot. The others say that a datagram does not fit this peer's path (udp(7)).
                port.gso = error.errno != errno.EIO
                self._counters["gso_refused"] += 1
            else:
                self._counters["datagrams_sent"] += len(run)
                self._counters["bytes_sent"] += total_bytes
                self._counters["gso_sends"] += 1
                return
        for data in run:
            self.send(path, data)

    def _dispatch(self) -> None:
        poll = self.engine.poll_event
        while (event := poll()) is not None:
            if isinstance(event, TransportFailed):
                self._count_fault("engine_faults", getattr(self.engine, "last_fault", None))
            try:
                self._on_event(event)
            except Exception as error:
                self._count_fault("event_faults", error)

    # --- time ---------------------------------------------------------------------------------------------------

    def transport_added(self) -> None:
        self._transports += 1
        self._schedule_tick()

    def transport_removed(self) -> None:
        self._transports -= 1

    def transports_moved(self) -> None:
        """One thread has them all."""

    def path_authenticated(self, path: Path) -> None:
        if path.protocol == "tcp":
            self._tcp.mark_authenticated(path)

    def _schedule_tick(self) -> None:
        if self._tick_timer is None and self._loop is not None and self._transports > 0:
            self._tick_timer = self._loop.call_later(TICK_NS / 1e9, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        try:
            self.engine.handle_timeout(time.monotonic_ns())
        except Exception as error:
            self._count_fault("engine_faults", error)
        self._drain()
        self._schedule_tick()

    # --- figures --------------------------------------------------------------------------------------------------

    def io_stats(self) -> Mapping[str, int]:
        names = ("datagrams_received", "bytes_received", "datagrams_sent", "bytes_sent", "send_failures", "tcp_refused")
        return {
            **dict.fromkeys(names, 0),
            **self._counters,
            "tcp_connections": self._tcp.connections,
        }

    def _count_fault(self, reason: str, error: Exception | None) -> None:
        """A fault in our own code: counted always, logged once a second per reason."""
        self._counters[reason] += 1
        now_s = time.monotonic()
        if now_s - self._logged_at_s.get(reason, -LOG_INTERVAL_S) >= LOG_INTERVAL_S:
            self._logged_at_s[reason] = now_s
            logger.error("%s: %d so far", reason, self._counters[reason], exc_info=error)


def _ignore_event(_event: Event) -> None:
    """Before `open` nothing listens."""
