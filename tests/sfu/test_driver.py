"""The asyncio runtime: real sockets around an engine, batches, GSO, ICE-TCP and its limits, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from sfu.engine import driver, tcp
from sfu.engine.api import Event, ListenConfig, Path, StunReceived, Transmit, TransportConfig
from sfu.engine.driver import AsyncioRuntime
from sfu.engine.stun import build_binding_request
from sfu.engine.tcp_framing import Deframer, FramingError, frame
from sfu.errors import BindError
from tests.sfu.demux_engine import DemuxEngine
from tests.sfu.transport_rig import LOOPBACK, free_tcp_port, until

pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy":DeprecationWarning')

STUN = build_binding_request(bytes(12), "a:b", "p" * 24)


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


class Rig:
    """A runtime around a `DemuxEngine`, and clients."""

    def __init__(self) -> None:
        self.engine = DemuxEngine()
        self.runtime = AsyncioRuntime(self.engine)
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = self.events.append
        self.tcp_port = free_tcp_port()
        self.unhandled: list[object] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, addresses: tuple[str, ...] = (LOOPBACK,), **limits: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: self.unhandled.append(context))
        listen = ListenConfig(addresses, 0, self.tcp_port, **limits)
        await self.runtime.open(listen, lambda event: self.on_event(event))

    def count(self, name: str) -> int:
        return self.runtime.io_stats().get(name, 0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Path]:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.tcp_port)
        self._writers.append(writer)
        local = writer.get_extra_info("sockname")
        return reader, writer, Path("tcp", (LOOPBACK, self.tcp_port), (local[0], local[1]))

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await self.runtime.close()
        await asyncio.sleep(0)
        assert self.unhandled == []


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


def client(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK if family == socket.AF_INET else "::1", 0))
    sock.setblocking(False)
    return sock


async def receive(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(_receive(sock), 5)


async def _receive(sock: socket.socket) -> bytes:
    ready = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_reader(sock, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        asyncio.get_running_loop().remove_reader(sock)
    return sock.recv(2048)


# --- UDP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")])
async def test_datagrams_in_and_out(rig: Rig, family: socket.AddressFamily, address: str) -> None:
    await rig.open((LOOPBACK, "::1"))
    local = next(name for name in rig.runtime.udp_addresses if name[0] == address)
    with client(family) as sock:
        sock.sendto(STUN, local)
        await until(lambda: rig.events)
        path = Path("udp", local, sock.getsockname()[:2])
        assert rig.events == [StunReceived(path, STUN)]
        rig.runtime.send(path, b"reply")
        assert await receive(sock) == b"reply"
    assert rig.count("datagrams_received") == 1
    assert rig.count("bytes_received") == len(STUN)
    assert (rig.count("datagrams_sent"), rig.count("bytes_sent")) == (1, 5)


async def test_empty_and_oversized_datagrams_reach_the_engine(rig: Rig) -> None:
    await rig.open()
    with client() as sock:
        sock.sendto(b"", rig.runtime.udp_addresses[0])
        sock.sendto(bytes(9000), rig.runtime.udp_addresses[0])
        await until(lambda: rig.engine.drops.total() == 2)
    assert rig.engine.drops == {"not_rtc": 1, "too_long": 1}


async def test_a_burst_larger_than_one_batch_arrives_in_order(rig: Rig) -> None:
    await rig.open()
    burst = [bytes([255]) + index.to_bytes(2) for index in range(3 * driver.READ_BATCH + 5)]
    with client() as sock:
        for data in burst:
            sock.sendto(data, rig.runtime.udp_addresses[0])
        await until(lambda: len(rig.engine.datagrams) == len(burst))
    assert [data for _path, data in rig.engine.datagrams] == burst
    assert len({id(path) for path, _data in rig.engine.datagrams}) == 1


async def test_known_paths_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "MAX_KNOWN_PATHS", 8)
    await rig.open()
    for _ in range(20):
        with client() as sock:
            sock.sendto(STUN, rig.runtime.udp_addresses[0])
    await until(lambda: len(rig.events) == 20)
    [port] = rig.runtime._ports.values()
    assert len(port._paths) <= 8


@pytest.mark.parametrize("gso", [True, False])
async def test_runs_of_equal_size_leave_whole_and_in_order(rig: Rig, gso: bool) -> None:
    await rig.open()
    with client() as sock, client() as other:
        sock.sendto(STUN, rig.runtime.udp_addresses[0])
        other.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: len(rig.events) == 2)
        [port] = rig.runtime._ports.values()
        port.gso = gso
        first, second = (event.path for event in rig.events)  # type: ignore[union-attr]
        sizes = [100, 100, 100, 40, 100, 100, 1200, 1200, 900, 60]
        datagrams = [bytes([index]) * size for index, size in enumerate(sizes)]
        for data in datagrams:
            rig.engine.outbox.append(Transmit(first, data))
        rig.engine.outbox.append(Transmit(second, b"z" * 60))
        rig.runtime._drain()
        assert [await receive(sock) for _ in sizes] == datagrams
        assert await receive(other) == b"z" * 60
    assert rig.count("datagrams_sent") == len(sizes) + 1
    assert rig.count("bytes_sent") == sum(sizes) + 60
    # 100 100 100 40 | 100 100 | 1200 1200 900 | 60, and the other path's.
    assert rig.count("gso_sends") == (3 if gso else 0)


async def test_a_long_run_is_cut_at_the_limits_of_gso(rig: Rig) -> None:
    await rig.open(socket_buffer_bytes=4 * 1024 * 1024)
    with client() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.events)
        path = rig.events[0].path  # type: ignore[union-attr]
        datagrams = [index.to_bytes(2) * 50 for index in range(150)] + [index.to_bytes(2) * 600 for index in range(60)]
        rig.engine.outbox.extend(Transmit(path, data) for data in datagrams)
        rig.runtime._drain()
        assert [await receive(sock) for _ in datagrams] == datagrams
    assert rig.count("gso_sends") == 5
    assert rig.count("gso_refused") == 0


async def test_a_kernel_that_refuses_gso_is_not_asked_again(rig: Rig) -> None:
    await rig.open()

    class Refusing:
        """A socket whose sendmsg is one of a kernel without UDP_SEGMENT."""

        def __init__(self, sock: socket.socket) -> None:
            self.sendto, self.close, self.fileno = sock.sendto, sock.close, sock.fileno
            self.calls = 0

        def sendmsg(self, *_args: object) -> int:
            self.calls += 1
            raise OSError(errno.EIO, "no GSO")

    with client() as sock:
        [port] = rig.runtime._ports.values()
        refusing = Refusing(port.sock)
        port.sock = refusing  # type: ignore[assignment]
        path = Path("udp", port.local, sock.getsockname())
        for _ in range(2):
            rig.engine.outbox.extend(Transmit(path, bytes([index]) * 10) for index in range(3))
            rig.runtime._drain()
        received = [await receive(sock) for _ in range(6)]
    assert received == [bytes([index]) * 10 for index in range(3)] * 2
    assert refusing.calls == 1
    assert rig.count("gso_refused") == 1


async def test_a_peer_that_cannot_be_reached_takes_gso_from_nobody(rig: Rig) -> None:
    await rig.open()
    [port] = rig.runtime._ports.values()
    with client() as sock:
        for remote in (("2001:db8::1", 9), sock.getsockname()):
            path = Path("udp", port.local, remote)
            rig.engine.outbox.extend(Transmit(path, bytes([index]) * 10) for index in range(3))
        rig.runtime._drain()
        assert [await receive(sock) for _ in range(3)] == [bytes([index]) * 10 for index in range(3)]
    assert (rig.count("send_failures"), rig.count("gso_refused"), rig.count("gso_sends")) == (3, 0, 1)


async def test_what_cannot_be_sent_is_counted_and_not_raised(rig: Rig) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    rig.runtime.send(Path("udp", local, ("2001:db8::1", 9)), b"wrong family")
    rig.runtime.send(Path("udp", local, (LOOPBACK, 9)), bytes(70_000))
    rig.runtime.send(Path("udp", ("192.0.2.1", 1), (LOOPBACK, 9)), b"no such port")
    rig.runtime.send(Path("tcp", local, (LOOPBACK, 9)), b"no such connection")
    rig.engine.outbox.extend(Transmit(Path("udp", local, ("2001:db8::1", 9)), b"x") for _ in range(2))
    rig.runtime._drain()
    assert rig.count("send_failures") == 6
    assert rig.count("datagrams_sent") == 0


async def test_port_in_use_is_a_bind_error_that_names_it_and_leaves_nothing_open(rig: Rig) -> None:
    with client() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(BindError, match=f"UDP port {port} on {LOOPBACK}"):
            await rig.runtime.open(ListenConfig(("::1", LOOPBACK), port, 0), rig.events.append)
    assert rig.runtime.udp_addresses == []
    with socket.socket() as busy:
        busy.bind((LOOPBACK, 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(BindError, match=f"TCP port {port} on {LOOPBACK}"):
            await rig.runtime.open(ListenConfig((LOOPBACK,), 0, port), rig.events.append)
    assert rig.runtime.udp_addresses == []
    await rig.open()
    assert len(rig.runtime.udp_addresses) == 1


async def test_faults_of_listeners_and_engine_are_counted_and_logged_once(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.open()

    def fail(*_args: object) -> None:
        raise RuntimeError("fault")

    rig.on_event = fail
    with client() as sock, caplog.at_level(logging.ERROR):
        for _ in range(5):
            sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.count("event_faults") == 5)
        assert len(caplog.records) == 1
        rig.on_event = rig.events.append
        monkeypatch.setattr(rig.engine, "handle_datagram", fail)
        sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.count("engine_faults") == 1)
        monkeypatch.undo()
        sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.events)
    assert len(caplog.records) == 2


async def test_ticks_only_while_there_are_transports(rig: Rig) -> None:
    early = rig.runtime.commands.add_transport(TransportConfig())
    await rig.open()
    await until(lambda: rig.engine.ticks >= 3)
    rig.runtime.commands.remove_transport(early)
    await until(lambda: rig.runtime._tick_timer is None)
    at_rest = rig.engine.ticks
    handle = rig.runtime.commands.add_transport(TransportConfig())
    await until(lambda: rig.engine.ticks > at_rest)
    rig.runtime.commands.remove_transport(handle)


async def test_close_twice_and_send_after_close(rig: Rig) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    await rig.runtime.close()
    await rig.runtime.close()
    rig.runtime.send(Path("udp", local, (LOOPBACK, 9)), b"late")
    assert rig.count("send_failures") == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(local)


# --- ICE-TCP ------------------------------------------------------------------------------------------------------


async def test_frames_in_and_out(rig: Rig) -> None:
    await rig.open()
    reader, writer, path = await rig.connect()
    stream = frame(STUN) + frame(b"\xffone") + frame(b"") + frame(b"\xfftwo")
    for index in range(len(stream)):
        writer.write(stream[index : index + 1])
    await until(lambda: len(rig.engine.datagrams) == 3)
    assert rig.engine.datagrams == [(path, STUN), (path, b"\xffone"), (path, b"\xfftwo")]
    assert rig.events == [StunReceived(path, STUN)]
    rig.runtime.send(path, b"reply")
    assert await asyncio.wait_for(reader.readexactly(7), 5) == b"\x00\x05reply"
    assert rig.count("tcp_connections") == 1
    writer.close()
    await until(lambda: rig.engine.forgotten == [path])
    assert rig.count("tcp_connections") == 0


async def closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 5) == b""
    return True


@pytest.mark.parametrize(
    ("first", "counter"),
    [
        (frame(b"\x16\xfe\xfd hello"), "tcp_not_stun"),
        (frame(b"\x01\x01" + STUN[2:]), "tcp_not_stun"),
        (b"GET / HTTP/1.1\r\n\r\n", "tcp_bad_frames"),
        (struct.pack("!H", 1501), "tcp_bad_frames"),
    ],
)
async def test_what_does_not_begin_with_a_binding_request_is_cut_off(rig: Rig, first: bytes, counter: str) -> None:
    await rig.open()
    reader, writer, _path = await rig.connect()
    writer.write(first)
    assert await closed(reader)
    assert rig.count(counter) == 1
    assert rig.engine.datagrams == []


async def test_silence_ends_at_the_deadline_and_authentication_lifts_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "AUTHENTICATION_TIMEOUT_S", 0.1)
    await rig.open()
    transport = rig.runtime.commands.add_transport(TransportConfig())
    silent, _, _ = await rig.connect()
    knocking, knocker, _ = await rig.connect()
    reader, writer, path = await rig.connect()
    knocker.write(frame(STUN))
    writer.write(frame(STUN))
    await until(lambda: len(rig.events) == 2)
    rig.runtime.commands.allow_path(transport, path)
    assert await closed(silent)
    assert await closed(knocking)
    assert rig.count("tcp_authentication_timeouts") == 2
    assert rig.count("tcp_connections") == 1
    rig.runtime.send(path, b"still here")
    assert await asyncio.wait_for(reader.readexactly(12), 5) == b"\x00\x0astill here"


async def test_unauthenticated_connections_are_limited_per_address(rig: Rig) -> None:
    await rig.open()
    transport = rig.runtime.commands.add_transport(TransportConfig())
    opened = [await rig.connect() for _ in range(tcp.MAX_UNAUTHENTICATED_PER_ADDRESS)]
    await until(lambda: rig.count("tcp_connections") == tcp.MAX_UNAUTHENTICATED_PER_ADDRESS)
    refused, _, _ = await rig.connect()
    assert await closed(refused)
    assert rig.count("tcp_refused") == 1
    # One that authenticates makes room for another; so does one that leaves.
    rig.runtime.commands.allow_path(transport, opened[0][2])
    rig.runtime.commands.allow_path(transport, opened[0][2])
    await rig.connect()
    opened[1][1].close()
    await until(lambda: rig.engine.forgotten == [opened[1][2]])
    await rig.connect()
    await until(lambda: rig.count("tcp_connections") == tcp.MAX_UNAUTHENTICATED_PER_ADDRESS + 1)
    assert rig.count("tcp_refused") == 1


@pytest.mark.parametrize("limit", ["max_tcp_connections", "max_unauthenticated_tcp"])
async def test_connections_are_limited_in_all(rig: Rig, limit: str) -> None:
    await rig.open(**{limit: 3})
    for _ in range(3):
        await rig.connect()
    await until(lambda: rig.count("tcp_connections") == 3)
    refused, _, _ = await rig.connect()
    assert await closed(refused)
    assert rig.count("tcp_connections") == 3
    assert rig.count("tcp_refused") == 1


async def test_a_reader_that_stopped_costs_a_bounded_buffer(rig: Rig) -> None:
    await rig.open()
    _reader, writer, path = await rig.connect()
    writer.transport.pause_reading()
    await until(lambda: rig.count("tcp_connections") == 1)
    [connection] = rig.runtime._tcp._connections.values()
    assert connection._transport is not None
    sent = 0
    while rig.count("send_failures") < 100:
        rig.runtime.send(path, bytes(1400))
        sent += 1
        assert sent < 100_000
        if sent % 50 == 0:
            await asyncio.sleep(0)
    assert connection._transport.get_write_buffer_size() <= tcp.MAX_WRITE_BUFFER_BYTES + 2
    assert rig.count("tcp_connections") == 1


# --- framing --------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_deframer_gives_the_frames_back_however_the_stream_is_cut(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    deframer = Deframer(300)
    got: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += deframer.feed(stream[start:end])
    assert got == [item for item in frames if item]
    assert len(deframer._buffer) == 0


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_deframer_on_anything_holds_less_than_a_frame(chunks: list[bytes]) -> None:
    deframer = Deframer(256)
    for chunk in chunks:
        try:
            frames = deframer.feed(chunk)
        except FramingError:
            return
        assert all(0 < len(item) <= 256 for item in frames)
        assert len(deframer._buffer) < 256 + 2
