"""ICE-TCP, passive side (RFC 6544): listeners and connections that carry framed datagrams for an engine."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from sfu.engine.api import MAX_DATAGRAM_BYTES, Address, ListenConfig, Path
from sfu.engine.sockets import bind_error, bound_socket
from sfu.engine.tcp_framing import Deframer, FramingError, frame

AUTHENTICATION_TIMEOUT_S = 10.0
"""From accept to a path that the engine was told to allow."""
MAX_UNAUTHENTICATED_PER_ADDRESS = 20
MAX_WRITE_BUFFER_BYTES = 256 * 1024
"""Per connection; a datagram that would exceed it is dropped, as a full network queue would do."""
BACKLOG = 128

_STUN_BINDING_REQUEST = b"\x00\x01"
_MAGIC_COOKIE = b"\x21\x12\xa4\x42"


class TcpConnection(asyncio.Protocol):
    """One accepted connection. It is unauthenticated until `mark_authenticated`."""

    def __init__(self, ports: TcpPorts) -> None:
        self.path: Path | None = None
        self.authenticated = False
        self._ports = ports
        self._deframer = Deframer(MAX_DATAGRAM_BYTES)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        # A peer that is gone already has no name any more.
        if not peer or not local or not self._ports.admit(self, Path("tcp", _address(local), _address(peer))):
            self.path = None
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(AUTHENTICATION_TIMEOUT_S, self._authentication_timeout)

    def data_received(self, data: bytes) -> None:
        if self.path is None:
            return
        try:
            frames = self._deframer.feed(data)
        except FramingError:
            self.abort("tcp_bad_frames")
            return
        for datagram in frames:
            if not self._heard:
                if datagram[:2] != _STUN_BINDING_REQUEST or datagram[4:8] != _MAGIC_COOKIE:
                    self.abort("tcp_not_stun")
                    return
                self._heard = True
            self._ports.handle_frame(self.path, datagram)
        if frames:
            self._ports.handle_batch_end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self.path is not None:
            self._ports.forget(self)

    def mark_authenticated(self) -> None:
        self.authenticated = True
        self._cancel_timer()

    def send(self, datagram: bytes) -> bool:
        """False when the connection is closing or its buffer is full."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(datagram) > MAX_WRITE_BUFFER_BYTES:
            return False
        transport.write(frame(datagram))
        return True

    def abort(self, counter: str) -> None:
        self._ports.counters[counter] += 1
        if self._transport is not None:
            self._transport.abort()

    def _authentication_timeout(self) -> None:
        self._timer = None
        self.abort("tcp_authentication_timeouts")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TcpPorts:
    """All listeners of a runtime and their connections, with the limits of `ListenConfig`."""

    def __init__(
        self,
        handle_frame: Callable[[Path, bytes], None],
        handle_batch_end: Callable[[], None],
        handle_closed: Callable[[Path], None],
        counters: Counter[str],
    ) -> None:
        self.handle_frame = handle_frame
        self.handle_batch_end = handle_batch_end
        self.counters = counters
        self._handle_closed = handle_closed
        self._listen = ListenConfig((), 0, 0)
        self._servers: list[asyncio.Server] = []
        self.addresses: list[Address] = []
        """What is bound, with the real port where 0 was asked for."""
        self._connections: dict[Path, TcpConnection] = {}
        self._unauthenticated: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def open(self, listen: ListenConfig) -> None:
        """Listen on every address. Raises `BindError`; `close` ends what was opened by then."""
        self._listen = listen
        loop = asyncio.get_running_loop()
        for address in listen.addresses:
            sock = bound_socket(address, listen.tcp_port, socket.SOCK_STREAM)
            try:
                server = await loop.create_server(lambda: TcpConnection(self), sock=sock, backlog=BACKLOG)
            except OSError as error:
                sock.close()
                raise bind_error("TCP", address, listen.tcp_port, error) from error
            self._servers.append(server)
            self.addresses.append((address, sock.getsockname()[1]))

    def admit(self, connection: TcpConnection, path: Path) -> bool:
        """Count a new connection in, or refuse it (`tcp_refused`)."""
        address = path.remote[0]
        if (
            path in self._connections
            or len(self._connections) >= self._listen.max_tcp_connections
            or self._unauthenticated.total() >= self._listen.max_unauthenticated_tcp
            or self._unauthenticated[address] >= MAX_UNAUTHENTICATED_PER_ADDRESS
        ):
            self.counters["tcp_refused"] += 1
            return False
        connection.path = path
        self._connections[path] = connection
        self._unauthenticated[address] += 1
        return True

    def mark_authenticated(self, path: Path) -> None:
        connection = self._connections.get(path)
        if connection is not None and not connection.authenticated:
            connection.mark_authenticated()
            self._release(path.remote[0])

    def forget(self, connection: TcpConnection) -> None:
        path = connection.path
        if path is None:
            return
        del self._connections[path]
        if not connection.authenticated:
            self._release(path.remote[0])
        self._handle_closed(path)

    def send(self, path: Path, datagram: bytes) -> bool:
        connection = self._connections.get(path)
        return connection is not None and connection.send(datagram)

    async def close(self) -> None:
        servers, self._servers = self._servers, []
        self.addresses.clear()
        for server in servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.abort("tcp_closed_by_us")
        for server in servers:
            await server.wait_closed()

    def _release(self, address: str) -> None:
        self._unauthenticated[address] -= 1
        if self._unauthenticated[address] <= 0:
            del self._unauthenticated[address]


def _address(name: tuple[str, int]) -> Address:
    return name[0].partition("%")[0], name[1]
