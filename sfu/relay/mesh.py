"""The connections between nodes: each has one to every other, over mutual TLS, for messages in order.

A frame is a length (4 bytes, big-endian) and that many bytes: first what it is (0 greeting, 1 sign of life, 2 message),
then the rest. Of two nodes the one whose name comes first connects. Nothing here knows what the messages mean.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from sfu.api import NodePlace
from sfu.control.settings import RelaySettings
from sfu.relay.certificates import contexts, peer_name

logger = logging.getLogger(__name__)

VERSION = 1
"""Of the messages. Fields are only ever added, and unknown ones left alone, so that neighbouring versions talk."""
_LENGTH_BYTES = 4
_GREETING, _ALIVE, _MESSAGE = b"\0", b"\1", b"\2"
_RETRY_S = 0.2
_MAX_RETRY_S = 2.0
_SIGNS_PER_TIMEOUT = 4
_CLOSE_TIMEOUT_S = 1.0
_MAX_LOSSY_WAITING_BYTES = 256 * 1024
"""Of what may be lost: beyond that the other end reads too slowly."""


class Greeting(msgspec.Struct, frozen=True):
    """The first frame of both ends."""

    name: str
    instance: str
    """Another one at each start."""
    media_addresses: Sequence[str]
    """Where it takes media over UDP: IP addresses, and the port of all of them."""
    media_port: int
    version: int = VERSION


class Peer:
    """A connected node."""

    def __init__(self, greeting: Greeting, connection: _Connection) -> None:
        self.name = greeting.name
        addresses = greeting.media_addresses
        here, there = connection.hosts
        self.local_host = here
        """By which it is reached from here."""
        self.media = (there if there in addresses or not addresses else addresses[0], greeting.media_port)
        """Where its media is sent to: UDP."""
        self._connection = connection

    def send(self, message: bytes) -> None:
        """In order, and all of it as long as the connection lasts. Never blocks."""
        self._connection.write(_MESSAGE + message)

    def send_lossy(self, message: bytes) -> bool:
        """Rather not at all than late: False when much waits already."""
        if self._connection.waiting_bytes > _MAX_LOSSY_WAITING_BYTES:
            return False
        self.send(message)
        return True


class PeerHandler(Protocol):
    """Who is told of peers."""

    def handle_up(self, peer: Peer) -> None: ...

    def handle_message(self, peer: Peer, message: bytes) -> None: ...

    def handle_down(self, peer: Peer) -> None:
        """It is gone, or seems so: nothing more comes from it."""
        ...


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    settings: RelaySettings
    counters: Counter[str]

    @property
    def hosts(self) -> tuple[str, str]:
        """The IP addresses of this end and the other."""
        info = self.writer.get_extra_info
        return str(info("sockname")[0]), str(info("peername")[0])

    @property
    def waiting_bytes(self) -> int:
        return self.writer.transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        transport = self.writer.transport
        if transport.is_closing():
            return
        if self.waiting_bytes > self.settings.max_node_buffered_bytes:
            self.counters["slow_peers"] += 1
            transport.abort()
            return
        self.writer.write(len(frame).to_bytes(_LENGTH_BYTES) + frame)

    async def read(self) -> bytes:
        """Raises `ConnectionError`, also when there is nothing for `node_timeout_s`."""
        try:
            async with asyncio.timeout(self.settings.node_timeout_s):
                length = int.from_bytes(await self.reader.readexactly(_LENGTH_BYTES))
                if not 0 < length <= self.settings.max_node_message_bytes:
                    raise ConnectionError(f"a frame of {length} bytes")
                return await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, TimeoutError, OSError) as error:
            raise ConnectionError(str(error) or type(error).__name__) from error


class Mesh:
    """Used from the event loop's thread only."""

    def __init__(self, settings: RelaySettings, secret: str, greeting: Greeting, handler: PeerHandler) -> None:
        self._settings = settings
        self._greeting = greeting
        self._handler = handler
        self._accepting, self._connecting = contexts(secret, greeting.name)
        self._server: asyncio.Server | None = None
        self._places: Mapping[str, NodePlace] = {}
        self._dials: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers: dict[str, tuple[Peer, _Connection]] = {}
        self.counters: Counter[str] = Counter()

    @property
    def peers(self) -> Mapping[str, Peer]:
        return {name: peer for name, (peer, _) in self._peers.items()}

    async def open(self, host: str, port: int) -> int:
        """Take connections; returns the port. Raises `OSError`."""
        self._server = await asyncio.start_server(
            self._handle_accepted, host, port, ssl=self._accepting, ssl_handshake_timeout=self._settings.node_timeout_s
        )
        return int(self._server.sockets[0].getsockname()[1])

    def set_nodes(self, nodes: Mapping[str, NodePlace]) -> None:
        """Where the others are. A node that is not named any more is not connected to again; a connection that there is
        goes on, as only the connection tells whether a node is there."""
        self._places = dict(nodes)
        for name in nodes:
            if name > self._greeting.name and name not in self._dials:
                self._dials[name] = asyncio.get_running_loop().create_task(self._keep_connected(name))

    async def close(self) -> None:
        """What was sent still leaves, unless the other end does not take it soon."""
        if self._server is not None:
            self._server.close()
        connections = [connection for _, connection in self._peers.values()]
        for connection in connections:
            connection.writer.close()
        # Rejects where the other end had something on its way to us.
        ends = asyncio.gather(*(connection.writer.wait_closed() for connection in connections), return_exceptions=True)
        await asyncio.wait({ends}, timeout=_CLOSE_TIMEOUT_S)
        tasks = [*self._dials.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_connected(self, name: str) -> None:
        """As long as it is named; a connection that there is lasts as long as it does."""
        delay_s = _RETRY_S
        while (place := self._places.get(name)) is not None:
            try:
                reader, writer = await asyncio.open_connection(
                    place.host, place.port, ssl=self._connecting, ssl_handshake_timeout=self._settings.node_timeout_s
                )
            except OSError as error:  # ssl.SSLError is one
                self.counters["failed_connections"] += 1
                logger.debug("node %s cannot be reached: %s", place.name, error)
            else:
                delay_s = _RETRY_S
                await self._converse(reader, writer)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, _MAX_RETRY_S)
        del self._dials[name]

    async def _handle_accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As long as the other end is there."""
        connection = _Connection(reader, writer, self._settings, self.counters)
        peer: Peer | None = None
        try:
            connection.write(_GREETING + msgspec.msgpack.encode(self._greeting))
            peer = await self._greet(connection)
            signs = asyncio.get_running_loop().create_task(self._show_life(connection))
            try:
                await self._listen(peer, connection)
            finally:
                signs.cancel()
        except ConnectionError as error:
            logger.debug("the connection to node %s has ended: %s", peer.name if peer else "?", error)
        finally:
            writer.transport.abort()
            if peer is not None and self._peers.get(peer.name, (None,))[0] is peer:
                del self._peers[peer.name]
                self._call(self._handler.handle_down, peer)

    async def _greet(self, connection: _Connection) -> Peer:
        frame = await connection.read()
        try:
            greeting = msgspec.msgpack.decode(frame[1:], type=Greeting)
        except msgspec.MsgspecError as error:
            raise ConnectionError(f"no greeting: {error}") from error
        if frame[:1] != _GREETING or greeting.name != peer_name(connection.writer.get_extra_info("ssl_object")):
            raise ConnectionError("a greeting under another name than that of the certificate")
        if greeting.name == self._greeting.name:
            raise ConnectionError("a node of the same name")
        older = self._peers.pop(greeting.name, None)
        if older is not None:
            # It came back before its old connection was missed.
            older[1].writer.transport.abort()
            self._call(self._handler.handle_down, older[0])
        peer = Peer(greeting, connection)
        self._peers[peer.name] = peer, connection
        logger.info("node %s is connected, its messages are of version %d", peer.name, greeting.version)
        self._call(self._handler.handle_up, peer)
        return peer

    async def _listen(self, peer: Peer, connection: _Connection) -> None:
        while True:
            frame = await connection.read()
            if frame[:1] == _MESSAGE and self._peers.get(peer.name, (None,))[0] is peer:
                self._call(self._handler.handle_message, peer, frame[1:])

    async def _show_life(self, connection: _Connection) -> None:
        while True:
            await asyncio.sleep(self._settings.node_timeout_s / _SIGNS_PER_TIMEOUT)
            connection.write(_ALIVE)

    def _call(self, handle: Callable[..., None], *arguments: object) -> None:
        """A fault of a handler ends nothing but what it was about."""
        try:
            handle(*arguments)
        except Exception:
            self.counters["handler_faults"] += 1
            logger.exception("handling what a node told failed")
