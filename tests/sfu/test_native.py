"""The Rust engine's runtime: real sockets, its thread, ICE-TCP, events; and which extension is taken."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path as FilePath

import pytest
import pytest_asyncio
import uvloop

from sfu.engine import create_engine, create_runtime, engine_name, engine_note, native, tcp
from sfu.engine.api import (
    Codec,
    DtlsReceived,
    Event,
    InboundLayer,
    InboundPayload,
    Kind,
    ListenConfig,
    OutboundPayload,
    Path,
    StreamStarted,
    StunReceived,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.native import RustRuntime
from sfu.engine.reference.rtp import build_header
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.srtp import SrtpContext
from sfu.engine.stun import build_binding_request
from sfu.engine.tcp_framing import frame
from sfu.errors import BindError, EngineError
from tests.engine.harness import make_keys
from tests.sfu.transport_rig import LOOPBACK, free_tcp_port, until

pytestmark = pytest.mark.filterwarnings('ignore:Overriding the "event_loop_policy":DeprecationWarning')

STUN = build_binding_request(bytes(12), "a:b", "p" * 24)
DTLS = bytes((22, 254, 253)) + bytes(20)
SSRC, TYPE = 1000, 111
UDP_SEGMENT = 103


def _is_built() -> bool:
    try:
        return engine_name("rust") == "rust"
    except EngineError:
        return False


needs_extension = pytest.mark.skipif(not _is_built(), reason="the Rust engine is not built")


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


class Rig:
    """A runtime and its clients."""

    def __init__(self) -> None:
        self.runtime = RustRuntime(seed=1)
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

    def drops(self, reason: str) -> int:
        return self.runtime.commands.stats().drops[reason]

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
        assert self.count("engine_faults") == 0


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
    async with asyncio.timeout(5):
        ready = asyncio.Event()
        asyncio.get_running_loop().add_reader(sock, ready.set)
        try:
            await ready.wait()
        finally:
            asyncio.get_running_loop().remove_reader(sock)
    return sock.recv(2048)


def publish_audio(rig: Rig, path: Path) -> int:
    """A transport on `path` with one audio track; its handle."""
    commands = rig.runtime.commands
    transport = commands.add_transport(TransportConfig())
    commands.set_srtp(transport, make_keys("publisher"))
    commands.set_path(transport, path)
    payloads = (InboundPayload(TYPE, Codec.OPUS, 48_000),)
    return commands.add_track(transport, TrackConfig(Kind.AUDIO, payloads, (InboundLayer(ssrc=SSRC),)))


def subscribe(rig: Rig, track: int, path: Path, label: str) -> None:
    commands = rig.runtime.commands
    transport = commands.add_transport(TransportConfig())
    commands.set_srtp(transport, make_keys(label))
    commands.set_path(transport, path)
    config = SubscriptionConfig(7, "0", "cname", {TYPE: OutboundPayload(TYPE)})
    commands.set_subscription_paused(commands.add_subscription(transport, track, config), False)  # type: ignore[arg-type]


def media(count: int, size: int = 100) -> list[bytes]:
    keys = make_keys("publisher")
    srtp = SrtpContext(keys.profile, keys.rx_key, keys.rx_salt)
    return [
        srtp.protect_rtp(build_header(TYPE, False, index, 960 * index, SSRC), bytes(size), SSRC, EXT_SEQ_START + index)
        for index in range(count)
    ]


# --- UDP --------------------------------------------------------------------------------------------------------


@needs_extension
@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")])
async def test_datagrams_in_and_out(rig: Rig, family: socket.AddressFamily, address: str) -> None:
    await rig.open((LOOPBACK, "::1"))
    local = next(name for name in rig.runtime.udp_addresses if name[0] == address)
    with client(family) as sock:
        path = Path("udp", local, sock.getsockname()[:2])
        transport = rig.runtime.commands.add_transport(TransportConfig())
        rig.runtime.commands.allow_path(transport, path)
        sock.sendto(STUN, local)
        sock.sendto(DTLS, local)
        await until(lambda: len(rig.events) == 2)
        assert rig.events == [StunReceived(path, STUN), DtlsReceived(transport, path, DTLS)]
        rig.runtime.send(path, b"reply")
        assert await receive(sock) == b"reply"
    assert rig.count("datagrams_received") == 2
    assert rig.count("bytes_received") == len(STUN) + len(DTLS)
    assert (rig.count("datagrams_sent"), rig.count("bytes_sent")) == (1, 5)


@needs_extension
async def test_empty_and_oversized_datagrams_reach_the_engine(rig: Rig) -> None:
    await rig.open()
    with client() as sock:
        sock.sendto(b"", rig.runtime.udp_addresses[0])
        sock.sendto(bytes(9000), rig.runtime.udp_addresses[0])
        sock.sendto(bytes(1501), rig.runtime.udp_addresses[0])
        await until(lambda: rig.drops("not_rtc") + rig.drops("too_long") == 3)
    assert (rig.drops("not_rtc"), rig.drops("too_long")) == (1, 2)


@needs_extension
@pytest.mark.parametrize("gso", [True, False])
async def test_media_is_forwarded_to_everyone_in_order(rig: Rig, gso: bool) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    assert rig.runtime._native is not None
    rig.runtime._native.set_gso(gso)
    labels = ["one", "two", "three"]
    with client() as publisher, client() as one, client() as two, client() as three:
        track = publish_audio(rig, Path("udp", local, publisher.getsockname()))
        for label, sock in zip(labels, (one, two, three), strict=True):
            subscribe(rig, track, Path("udp", local, sock.getsockname()), label)
        packets = media(40)
        for data in packets:
            publisher.sendto(data, local)
        for label, sock in zip(labels, (one, two, three), strict=True):
            keys = make_keys(label)
            srtp = SrtpContext(keys.profile, keys.tx_key, keys.tx_salt)
            got = [await receive(sock) for _ in packets]
            first = int.from_bytes(got[0][2:4], "big")
            for index, data in enumerate(got):
                assert srtp.unprotect_rtp(data, 12, 7, EXT_SEQ_START + first + index) == bytes(100)
    assert rig.count("datagrams_sent") == 3 * len(packets)
    assert [event for event in rig.events if isinstance(event, StreamStarted)] == [StreamStarted(track, 0, SSRC, TYPE)]  # type: ignore[arg-type]
    assert gso or not rig.count("gso_sends")


@needs_extension
async def test_what_cannot_be_sent_is_counted_and_not_raised(rig: Rig) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    rig.runtime.send(Path("udp", local, ("2001:db8::1", 9)), b"wrong family")
    rig.runtime.send(Path("udp", local, (LOOPBACK, 9)), bytes(70_000))
    rig.runtime.send(Path("udp", ("192.0.2.1", 1), (LOOPBACK, 9)), b"no such port")
    rig.runtime.send(Path("tcp", local, (LOOPBACK, 9)), b"no such connection")
    assert rig.count("send_failures") == 4
    assert rig.count("datagrams_sent") == 0


@needs_extension
async def test_a_subscriber_that_cannot_be_reached_delays_nobody(rig: Rig) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    with client() as publisher, client() as sock:
        track = publish_audio(rig, Path("udp", local, publisher.getsockname()))
        subscribe(rig, track, Path("udp", local, ("2001:db8::1", 9)), "nowhere")
        subscribe(rig, track, Path("udp", ("192.0.2.1", 9), ("192.0.2.2", 9)), "no socket")
        subscribe(rig, track, Path("udp", local, sock.getsockname()), "one")
        packets = media(20)
        for data in packets:
            publisher.sendto(data, local)
        for _ in packets:
            await receive(sock)
    await until(lambda: rig.count("send_failures") == 2 * len(packets))


@needs_extension
async def test_slow_and_dead_subscribers_take_nothing_from_the_others(rig: Rig) -> None:
    """One that never reads, one whose port is closed, one without a route: the others get every packet, in GSO runs."""
    rounds, burst = 50, 10
    await rig.open()
    [local] = rig.runtime.udp_addresses
    with client() as publisher, client() as deaf, client() as gone, client() as first, client() as last:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        track = publish_audio(rig, Path("udp", local, publisher.getsockname()))
        nowhere = ("2001:db8::1", 9)
        names = [sock.getsockname() for sock in (first, deaf, gone)] + [nowhere, last.getsockname()]
        for number, name in enumerate(names):
            subscribe(rig, track, Path("udp", local, name), f"subscriber {number}")
        gone.close()
        packets = media(rounds * burst)
        heard: dict[socket.socket, list[int]] = {first: [], last: []}
        segment = [(socket.SOL_UDP, UDP_SEGMENT, len(packets[0]).to_bytes(2, sys.byteorder))]
        for begin in range(0, len(packets), burst):
            publisher.sendmsg(packets[begin : begin + burst], segment, 0, local)
            for sock, seqs in heard.items():
                seqs += [int.from_bytes((await receive(sock))[2:4], "big") for _ in range(burst)]
        for seqs in heard.values():
            assert [(seq - seqs[0]) & 0xFFFF for seq in seqs] == list(range(len(packets)))
    reached = len(names) - 1
    await until(lambda: rig.count("datagrams_sent") == reached * len(packets))
    assert (rig.count("gso_sends"), rig.count("gso_refused")) == (reached * rounds, 0)
    assert rig.count("send_failures") == len(packets)


@needs_extension
async def test_a_flood_of_stun_is_bounded_and_media_goes_on(rig: Rig) -> None:
    await rig.open()
    [local] = rig.runtime.udp_addresses
    with client() as publisher, client() as sock, client() as attacker:
        track = publish_audio(rig, Path("udp", local, publisher.getsockname()))
        subscribe(rig, track, Path("udp", local, sock.getsockname()), "one")
        # The loop does not run while this goes on, so nothing takes the events away.
        for _ in range(8000):
            attacker.sendto(STUN, local)
            if rig.count("events_dropped"):
                break
        [data] = media(1)
        publisher.sendto(data, local)
        await receive(sock)
    assert rig.count("events_dropped") >= 1
    await until(lambda: len(rig.events) >= 4000)


@needs_extension
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


@needs_extension
async def test_faults_of_listeners_are_counted_and_logged_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.open()

    def fail(_event: Event) -> None:
        raise RuntimeError("fault")

    rig.on_event = fail
    with client() as sock, caplog.at_level(logging.ERROR):
        for _ in range(5):
            sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.count("event_faults") == 5)
        rig.on_event = rig.events.append
        sock.sendto(STUN, rig.runtime.udp_addresses[0])
        await until(lambda: rig.events)
    assert len(caplog.records) == 1


@needs_extension
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


@needs_extension
async def test_frames_in_and_out(rig: Rig) -> None:
    await rig.open()
    reader, writer, path = await rig.connect()
    stream = frame(STUN) + frame(b"") + frame(b"\xfftwo")
    for index in range(len(stream)):
        writer.write(stream[index : index + 1])
    await until(lambda: rig.drops("not_rtc") == 1)
    await until(lambda: rig.events)
    assert rig.events == [StunReceived(path, STUN)]
    rig.runtime.send(path, b"reply")
    assert await asyncio.wait_for(reader.readexactly(7), 5) == b"\x00\x05reply"
    assert (rig.count("tcp_connections"), rig.count("tcp_frames_received")) == (1, 2)
    writer.close()
    await until(lambda: rig.count("tcp_connections") == 0)


@needs_extension
async def test_media_over_tcp_both_ways(rig: Rig) -> None:
    await rig.open()
    reader, writer, path = await rig.connect()
    writer.write(frame(STUN))
    track = publish_audio(rig, path)
    other_reader, other_writer, other_path = await rig.connect()
    other_writer.write(frame(STUN))
    await until(lambda: len(rig.events) == 2)
    subscribe(rig, track, other_path, "one")
    packets = media(5)
    writer.write(b"".join(map(frame, packets)))
    for data in packets:
        size = int.from_bytes(await asyncio.wait_for(other_reader.readexactly(2), 5), "big")
        assert size == len(data)
        await asyncio.wait_for(other_reader.readexactly(size), 5)
    # A connection that closes is a path that the engine no longer knows.
    writer.close()
    await until(lambda: rig.count("tcp_connections") == 1)
    assert rig.count("tcp_frames_sent") == len(packets)
    del reader


@needs_extension
async def test_silence_ends_at_the_deadline_and_authentication_lifts_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "AUTHENTICATION_TIMEOUT_S", 0.1)
    await rig.open()
    transport = rig.runtime.commands.add_transport(TransportConfig())
    silent, _, _ = await rig.connect()
    reader, writer, path = await rig.connect()
    writer.write(frame(STUN))
    await until(lambda: rig.events)
    rig.runtime.commands.allow_path(transport, path)
    assert await asyncio.wait_for(silent.read(), 5) == b""
    assert rig.count("tcp_authentication_timeouts") == 1
    rig.runtime.send(path, b"still here")
    assert await asyncio.wait_for(reader.readexactly(12), 5) == b"\x00\x0astill here"


# --- which engine -------------------------------------------------------------------------------------------------


@needs_extension
def test_auto_takes_the_rust_engine_when_it_is_built() -> None:
    assert engine_name("auto") == engine_name("rust") == "rust"
    assert engine_note("auto") == ""
    assert type(create_engine("auto", seed=1)).__module__ == "ting_engine"
    assert create_runtime("auto", seed=1).name == "rust"


@needs_extension
def test_a_stale_extension_is_refused(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(native, "source_hash", lambda: "of other sources")
    native.load.cache_clear()
    try:
        with pytest.raises(EngineError, match="other sources") as caught:
            create_runtime("rust", seed=1)
        assert caught.value.code == "engine_stale"
        assert create_runtime("auto", seed=1).name == "reference"
        assert len([record for record in caplog.records if "CPU per packet" in record.message]) == 1
        assert "other sources" in engine_note("auto")
    finally:
        native.load.cache_clear()


def test_without_the_extension_the_reference_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ting_engine", None)
    native.load.cache_clear()
    try:
        with pytest.raises(EngineError, match="not built") as caught:
            create_engine("rust", seed=1)
        assert caught.value.code == "engine_not_built"
        assert engine_name("auto") == "reference"
        assert "CPU per packet" in engine_note("auto")
        assert engine_note("reference") == ""
    finally:
        native.load.cache_clear()


@needs_extension
def test_an_installation_without_sources_takes_what_is_there(tmp_path: FilePath) -> None:
    assert native.source_hash(tmp_path) is None


def test_the_hash_follows_names_and_contents(tmp_path: FilePath) -> None:
    (tmp_path / "core" / "src").mkdir(parents=True)
    (tmp_path / "Cargo.lock").write_text("lock")
    seen = {native.source_hash(tmp_path)}
    (tmp_path / "core" / "src" / "lib.rs").write_text("one")
    seen.add(native.source_hash(tmp_path))
    (tmp_path / "core" / "src" / "lib.rs").rename(tmp_path / "core" / "src" / "other.rs")
    seen.add(native.source_hash(tmp_path))
    (tmp_path / "core" / "src" / "other.rs").write_text("two")
    seen.add(native.source_hash(tmp_path))
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "built").write_text("not a source")
    seen.add(native.source_hash(tmp_path))
    assert len(seen) == 4
    assert None not in seen
