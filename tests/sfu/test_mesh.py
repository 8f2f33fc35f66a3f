"""The connections between nodes: who is let in, and what a peer may do that means no good or is broken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from sfu.api import NodePlace
from sfu.control.settings import RelaySettings
from sfu.relay.certificates import contexts, peer_name
from sfu.relay.mesh import Greeting, Mesh, Peer
from tests.harness.waiting import eventually
from tests.sfu.conftest import free_port

SECRET = "a secret for tests that is long enough"
SETTINGS = RelaySettings(node_timeout_s=10.0, max_node_message_bytes=10_000, max_node_buffered_bytes=1_000_000)


@dataclass
class Handler:
    up: list[Peer] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def handle_up(self, peer: Peer) -> None:
        self.up.append(peer)

    def handle_message(self, peer: Peer, message: bytes) -> None:
        if message == b"fault":
            raise ValueError("a handler that fails")
        self.messages.append(message)

    def handle_down(self, peer: Peer) -> None:
        self.down.append(peer.name)


class Node:
    def __init__(self, name: str, settings: RelaySettings = SETTINGS) -> None:
        self.handler = Handler()
        self.mesh = Mesh(settings, SECRET, Greeting(name, "first", ["127.0.0.1"], 5000), self.handler)
        self.place = NodePlace(name, "127.0.0.1", free_port(socket.SOCK_STREAM))

    async def open(self) -> Node:
        await self.mesh.open(self.place.host, self.place.port)
        return self


class Stranger:
    """A peer made by hand: what it sends is the test's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, node: Node, name: str, secret: str = SECRET) -> Stranger:
        _, connecting = contexts(secret, name)
        return cls(*await asyncio.open_connection(node.place.host, node.place.port, ssl=connecting))

    def send(self, frame: bytes) -> None:
        self.writer.write(len(frame).to_bytes(4) + frame)

    def greet(self, name: str) -> None:
        self.send(b"\0" + msgspec.msgpack.encode(Greeting(name, "first", ["127.0.0.1"], 5000)))

    async def closed(self) -> bool:
        """Whether the other end closes, whatever it says before."""
        async with asyncio.timeout(20):
            with contextlib.suppress(OSError):
                while await self.reader.read(65_536):
                    pass
        return True


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = await Node("node").open()
    yield node
    await node.mesh.close()


async def test_two_nodes_find_each_other_and_messages_keep_their_order(node: Node) -> None:
    other = await Node("other").open()
    places = {one.place.name: one.place for one in (node, other)}
    for one, far in ((node, "other"), (other, "node")):
        one.mesh.set_nodes({far: places[far]})
    await eventually(lambda: node.handler.up and other.handler.up, "each other")
    assert node.handler.up[0].media == ("127.0.0.1", 5000)
    for number in range(100):
        other.handler.up[0].send(str(number).encode())
    await eventually(lambda: len(node.handler.messages) == 100, "all messages")
    assert node.handler.messages == [str(number).encode() for number in range(100)]
    await other.mesh.close()
    await eventually(lambda: node.handler.down == ["other"], "the end")


async def test_who_is_not_named_any_more_keeps_the_connection_that_there_is(node: Node) -> None:
    """The registry may forget a node for a moment; only its connection tells whether it is there."""
    other = await Node("other").open()
    node.mesh.set_nodes({"other": other.place})
    await eventually(lambda: node.handler.up and other.handler.up, "each other")
    node.mesh.set_nodes({})
    node.mesh.set_nodes({"other": replace(other.place, port=1)})
    node.mesh.set_nodes({})
    node.handler.up[0].send(b"still here")
    await eventually(lambda: other.handler.messages == [b"still here"], "a message")
    assert node.handler.down == other.handler.down == []
    # Once it is lost, it is not looked for; named again, it is.
    other.handler.up[0]._connection.writer.transport.abort()
    await eventually(lambda: node.handler.down == ["other"] and not node.mesh._dials, "the end")
    node.mesh.set_nodes({"other": other.place})
    await eventually(lambda: len(node.handler.up) == 2, "each other again")
    await other.mesh.close()


async def test_another_secret_is_not_let_in(node: Node) -> None:
    with pytest.raises(ssl.SSLError):
        await Stranger.connect(node, "other", "another secret that is long enough, too")
    assert node.handler.up == []


async def test_without_a_certificate_nobody_is_let_in(node: Node) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stranger = Stranger(*await asyncio.open_connection(node.place.host, node.place.port, ssl=context))
    stranger.greet("other")
    assert await stranger.closed()
    assert node.handler.up == []


@pytest.mark.parametrize("claimed", ["somebody", "node"])
async def test_a_name_that_is_not_in_the_certificate_or_ours_is_refused(node: Node, claimed: str) -> None:
    stranger = await Stranger.connect(node, "other" if claimed == "somebody" else "node")
    stranger.greet(claimed)
    assert await stranger.closed()
    assert node.handler.up == []


@pytest.mark.parametrize("frame", [b"\0", b"\2hello", b"\0\x93\x01\x02\x03", b"\0" + b"\xc1" * 50])
async def test_what_is_no_greeting_ends_the_connection(node: Node, frame: bytes) -> None:
    stranger = await Stranger.connect(node, "other")
    stranger.send(frame)
    assert await stranger.closed()
    assert node.handler.up == []


@pytest.mark.parametrize("length", [0, SETTINGS.max_node_message_bytes + 1, 0xFFFF_FFFF])
async def test_a_frame_of_no_good_length_ends_the_connection(node: Node, length: int) -> None:
    stranger = await Stranger.connect(node, "other")
    stranger.greet("other")
    await eventually(lambda: node.handler.up, "the stranger")
    stranger.writer.write(length.to_bytes(4))
    assert await stranger.closed()
    await eventually(lambda: node.handler.down == ["other"], "the end")


async def test_a_fault_of_a_handler_ends_nothing(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    stranger = await Stranger.connect(node, "other")
    stranger.greet("other")
    for message in (b"fault", b"good"):
        stranger.send(b"\2" + message)
    await eventually(lambda: node.handler.messages == [b"good"], "the good one")
    assert node.mesh.counters["handler_faults"] == 1
    assert "a handler that fails" in caplog.text
    stranger.writer.transport.abort()


async def test_who_comes_again_takes_the_place_of_its_old_connection(node: Node) -> None:
    first = await Stranger.connect(node, "other")
    first.greet("other")
    await eventually(lambda: len(node.handler.up) == 1, "the first")
    second = await Stranger.connect(node, "other")
    second.greet("other")
    await eventually(lambda: len(node.handler.up) == 2, "the second")
    assert await first.closed()
    assert node.handler.down == ["other"]
    assert len(node.mesh.peers) == 1
    second.writer.transport.abort()


async def test_a_peer_that_says_nothing_is_gone() -> None:
    node = await Node("node", RelaySettings(node_timeout_s=0.3)).open()
    stranger = await Stranger.connect(node, "other")
    stranger.greet("other")
    await eventually(lambda: node.handler.down == ["other"], "the end")
    stranger.writer.transport.abort()
    await node.mesh.close()


async def test_a_peer_that_does_not_read_is_given_up(node: Node) -> None:
    stranger = await Stranger.connect(node, "other")
    stranger.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stranger.greet("other")
    await eventually(lambda: node.handler.up, "the stranger")
    stranger.reader._transport.pause_reading()  # type: ignore[attr-defined]
    peer = node.handler.up[0]
    dropped = 0
    for _ in range(20_000):
        dropped += not peer.send_lossy(bytes(2_000))
        if dropped:
            break
    assert dropped, "what may be lost is lost first"
    for _ in range(5_000):
        peer.send(bytes(2_000))
    await eventually(lambda: node.handler.down == ["other"], "the end")
    assert node.mesh.counters["slow_peers"] >= 1
    stranger.writer.transport.abort()


def test_the_name_in_a_certificate_is_read() -> None:
    accepting, connecting = contexts(SECRET, "berlin-1")
    incoming, outgoing, back, forth = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    server = accepting.wrap_bio(incoming, outgoing, server_side=True)
    client = connecting.wrap_bio(back, forth)
    for _ in range(4):
        for end in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
        incoming.write(forth.read())
        back.write(outgoing.read())
    assert peer_name(client) == peer_name(server) == "berlin-1"


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 characters"):
        contexts("short", "node")
