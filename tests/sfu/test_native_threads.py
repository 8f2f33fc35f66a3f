"""The Rust engine on several cores: rooms on different threads, one room's fan-out on all, faults that stay alone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from sfu.engine import engine_name
from sfu.engine.api import (
    Codec,
    Event,
    InboundLayer,
    InboundPayload,
    Kind,
    ListenConfig,
    OutboundPayload,
    Path,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
    TransportFailed,
)
from sfu.engine.native import RustRuntime
from sfu.engine.reference.rtp import build_header
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.srtp import SrtpContext
from sfu.errors import BindError, EngineError
from sfu.ids import TrackHandle, TransportHandle
from tests.engine.harness import make_keys
from tests.sfu.transport_rig import LOOPBACK, until

SSRC, TYPE = 1000, 111


def _is_built() -> bool:
    try:
        return engine_name("rust") == "rust"
    except EngineError:
        return False


pytestmark = pytest.mark.skipif(not _is_built(), reason="the Rust engine is not built")


class Rig:
    """A runtime with two threads on one port."""

    def __init__(self) -> None:
        self.runtime = RustRuntime(seed=1, threads=2)
        self.commands = self.runtime.commands
        self.events: list[Event] = []
        self._stack = contextlib.ExitStack()

    async def open(self, port: int = 0, **limits: int) -> None:
        await self.runtime.open(ListenConfig((LOOPBACK,), port, 0, **limits), self.events.append)
        [self.local] = self.runtime.udp_addresses

    def count(self, name: str) -> int:
        return self.runtime.io_stats().get(name, 0)

    def client(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.bind((LOOPBACK, 0))
        sock.connect(self.local)
        sock.setblocking(False)
        return sock

    async def thread_of(self, sock: socket.socket) -> int:
        """The thread that reads what comes from there."""
        before = [self.count(f"datagrams_received_thread_{index}") for index in range(2)]
        sock.send(b"\xff")
        changed: list[int] = []

        def find() -> bool:
            after = [self.count(f"datagrams_received_thread_{index}") for index in range(2)]
            changed[:] = [index for index in range(2) if after[index] > before[index]]
            return bool(changed)

        await until(find)
        return changed[0]

    async def client_of(self, thread: int) -> socket.socket:
        """A client that the kernel gave to `thread`."""
        for _ in range(64):
            sock = self.client()
            if await self.thread_of(sock) == thread:
                return sock
        raise AssertionError("the kernel gives all clients to one thread")

    def connect(self, sock: socket.socket, label: str, group: int) -> TransportHandle:
        transport = self.commands.add_transport(TransportConfig(group=group, max_packets_per_s=0))
        self.commands.set_srtp(transport, make_keys(label))
        self.commands.set_path(transport, Path("udp", self.local, sock.getsockname()))
        return transport

    def publish(self, transport: TransportHandle) -> TrackHandle:
        payloads = (InboundPayload(TYPE, Codec.OPUS, 48_000),)
        return self.commands.add_track(transport, TrackConfig(Kind.AUDIO, payloads, (InboundLayer(ssrc=SSRC),)))

    def subscribe(self, transport: TransportHandle, track: TrackHandle) -> None:
        config = SubscriptionConfig(7, "0", "cname", {TYPE: OutboundPayload(TYPE)})
        self.commands.set_subscription_paused(self.commands.add_subscription(transport, track, config), False)

    async def close(self) -> None:
        await self.runtime.close()
        self._stack.close()


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.close()


class Media:
    """Packets of one publisher, one after another."""

    def __init__(self, sock: socket.socket, label: str) -> None:
        keys = make_keys(label)
        self._srtp = SrtpContext(keys.profile, keys.rx_key, keys.rx_salt)
        self._sock = sock
        self.count = 0

    def send(self) -> None:
        index, self.count = self.count, self.count + 1
        header = build_header(TYPE, False, index & 0xFFFF, 960 * index, SSRC)
        self._sock.send(self._srtp.protect_rtp(header, bytes(100), SSRC, EXT_SEQ_START + index))


def drain(sock: socket.socket) -> list[int]:
    """Sequence numbers of the media that has arrived."""
    seqs = []
    with contextlib.suppress(BlockingIOError):
        while True:
            data = sock.recv(2048)
            if not 192 <= data[1] <= 223:
                seqs.append(int.from_bytes(data[2:4], "big"))
    return seqs


async def arrived(sock: socket.socket, count: int) -> list[int]:
    seqs: list[int] = []

    def look() -> bool:
        seqs.extend(drain(sock))
        return len(seqs) >= count

    await until(look)
    return seqs


def assert_in_order(seqs: list[int]) -> None:
    assert [(seq - seqs[0]) & 0xFFFF for seq in seqs] == list(range(len(seqs)))


def fan_out(rig: Rig, publisher: socket.socket, subscribers: list[socket.socket]) -> Media:
    """What a publisher sends to all of these."""
    track = rig.publish(rig.connect(publisher, "publisher", 1))
    for number, sock in enumerate(subscribers):
        rig.subscribe(rig.connect(sock, f"subscriber {number}", 1), track)
    return Media(publisher, "publisher")


async def test_two_rooms_work_on_two_threads(rig: Rig) -> None:
    await rig.open()
    rooms = []
    for group in (1, 2):
        publisher, subscriber = await rig.client_of(group - 1), rig.client()
        source = rig.connect(publisher, f"publisher {group}", group)
        rig.subscribe(rig.connect(subscriber, f"subscriber {group}", group), rig.publish(source))
        rooms.append((Media(publisher, f"publisher {group}"), subscriber, source))
    assert len({source % 2 for _, _, source in rooms}) == 2, "their engines are different ones"
    before = [rig.count(f"datagrams_sent_thread_{index}") for index in range(2)]
    for _ in range(50):
        for media, _, _ in rooms:
            media.send()
    for _, subscriber, _ in rooms:
        seqs = await arrived(subscriber, 50)
        assert len(seqs) == 50
        assert_in_order(seqs)
    await until(lambda: sum(rig.count(f"datagrams_sent_thread_{index}") - before[index] for index in range(2)) >= 100)
    assert all(rig.count(f"datagrams_sent_thread_{index}") - before[index] >= 50 for index in range(2))
    stats = rig.commands.stats()
    assert [one.transport for one in stats.transports] == sorted(one.transport for one in stats.transports)
    assert stats.packets_sent >= 100


async def test_the_fan_out_of_one_room_is_split_and_stays_in_order(rig: Rig) -> None:
    await rig.open()
    publisher = await rig.client_of(0)
    track = rig.publish(rig.connect(publisher, "publisher", 1))
    subscribers = [rig.client() for _ in range(120)]
    for number, sock in enumerate(subscribers):
        rig.subscribe(rig.connect(sock, f"subscriber {number}", 1), track)
    media = Media(publisher, "publisher")
    seqs: list[list[int]] = [[] for _ in subscribers]

    def collect() -> bool:
        for heard, sock in zip(seqs, subscribers, strict=True):
            heard += drain(sock)
        return min(len(heard) for heard in seqs) >= media.count

    before = rig.count("datagrams_sent_thread_1")
    async with asyncio.timeout(20):
        # Thread 1 reads nothing of this room: what it sends was handed to it.
        while media.count < 20 or rig.count("datagrams_sent_thread_1") - before < 200:
            for _ in range(4):
                media.send()
            await until(collect)
    assert rig.count("handovers") > 0
    assert rig.count("datagrams_sent_thread_0") > 200
    for heard in seqs:
        assert len(heard) == media.count
        assert_in_order(heard)


async def test_a_small_fan_out_is_not_handed_over(rig: Rig) -> None:
    await rig.open()
    publisher, subscribers = await rig.client_of(0), [rig.client() for _ in range(20)]
    media = fan_out(rig, publisher, subscribers)
    for _ in range(10):
        media.send()
        await arrived(subscribers[-1], 1)
    assert rig.count("handovers") == 0


async def test_large_fan_outs_that_follow_closely_leave_together(rig: Rig) -> None:
    await rig.open(max_hold_ns=1_000_000_000)
    publisher, subscribers = rig.client(), [rig.client() for _ in range(40)]
    media = fan_out(rig, publisher, subscribers)
    before = rig.count("gso_sends")
    for number in range(1, 4):
        media.send()
        await until(lambda: rig.count("datagrams_received") == number)  # noqa: B023
    for sock in subscribers:
        await arrived(sock, 3)
    assert rig.count("gso_sends") - before == 40


async def test_a_send_queue_is_bounded(rig: Rig) -> None:
    """Two threads have four queues for each engine; what has no room is dropped and counted, and the next goes on."""
    await rig.open(max_queued_packets=10)
    publisher, subscribers = rig.client(), [rig.client() for _ in range(120)]
    media = fan_out(rig, publisher, subscribers)
    media.send()
    await until(lambda: rig.count("send_queue_drops") == 80)
    await until(lambda: sum(len(drain(sock)) for sock in subscribers) > 0)
    media.send()
    await until(lambda: rig.count("send_queue_drops") == 160)


async def test_nothing_passes_between_groups(rig: Rig) -> None:
    await rig.open()
    one, two = (rig.connect(rig.client(), str(group), group) for group in (1, 2))
    track = rig.publish(one)
    with pytest.raises(EngineError) as caught:
        rig.subscribe(two, track)
    assert caught.value.code == "other_group"
    unknown: list[Callable[[], None]] = [
        lambda: rig.subscribe(TransportHandle(99), track),
        lambda: rig.subscribe(two, TrackHandle(101)),
        lambda: rig.commands.remove_transport(TransportHandle(100)),
        lambda: rig.commands.set_path(TransportHandle(0), Path("udp", rig.local, (LOOPBACK, 9))),
    ]
    for call, what in zip(unknown, ("transport", "track", "transport", "transport"), strict=True):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.code == f"unknown_{what}"


async def test_a_path_that_moves_to_another_engine_leads_there(rig: Rig) -> None:
    await rig.open()
    sock, subscriber = rig.client(), rig.client()
    first = rig.connect(sock, "first", 1)
    second = rig.connect(sock, "second", 2)
    assert first % 2 != second % 2
    rig.subscribe(rig.connect(subscriber, "subscriber", 2), rig.publish(second))
    # The first one goes away, and the path is not its own any more.
    rig.commands.remove_transport(first)
    Media(sock, "second").send()
    assert len(await arrived(subscriber, 1)) == 1
    assert rig.commands.stats().drops["unknown_path"] == 0


async def test_a_panic_ends_its_transport_only(rig: Rig) -> None:
    await rig.open()
    engine: Any = rig.runtime.engine
    calls = []
    for number, group in enumerate((1, 1, 2)):
        publisher, subscriber = rig.client(), rig.client()
        source = rig.connect(publisher, f"publisher {number}", group)
        rig.subscribe(rig.connect(subscriber, f"subscriber {number}", group), rig.publish(source))
        calls.append((Media(publisher, f"publisher {number}"), subscriber, source))
    for media, subscriber, _ in calls:
        media.send()
        await arrived(subscriber, 1)
    _, _, faulty = calls.pop(0)
    engine.inject_fault(faulty)
    await until(lambda: TransportFailed(faulty) in rig.events)
    for media, subscriber, _ in calls:
        for _ in range(20):
            media.send()
        assert_in_order(await arrived(subscriber, 20))
    assert rig.events.count(TransportFailed(faulty)) == 1
    assert (rig.commands.stats().faults, rig.count("engine_faults")) == (1, 1)
    rig.commands.remove_transport(faulty)


async def test_a_port_that_another_process_shares_is_refused(rig: Rig) -> None:
    """Several sockets of ours share the port; those of others must not get a part of our calls."""
    await rig.open()
    other = RustRuntime(seed=1, threads=2)
    with pytest.raises(BindError):
        await other.open(ListenConfig((LOOPBACK,), rig.local[1], 0), lambda event: None)
    await other.close()
    assert rig.count("datagrams_received") == 0


async def test_where_the_port_cannot_be_shared_one_thread_reads(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from sfu.engine import native

    def refuse(*_arguments: object, **_named: object) -> socket.socket:
        if _named.get("shared"):
            raise BindError("not here")
        return make(*_arguments, **_named)  # type: ignore[arg-type]

    make = native.bound_socket
    monkeypatch.setattr(native, "bound_socket", refuse)
    await rig.open()
    publisher, subscriber = rig.client(), rig.client()
    rig.subscribe(rig.connect(subscriber, "subscriber", 1), rig.publish(rig.connect(publisher, "publisher", 1)))
    Media(publisher, "publisher").send()
    assert len(await arrived(subscriber, 1)) == 1
    assert rig.count("datagrams_received_thread_1") == 0


@pytest.mark.parametrize("subscribers", [3, 110])
async def test_nothing_is_lost_or_overtaken_while_transports_move(rig: Rig, subscribers: int) -> None:
    """A thread sends without a pause, to few and to so many that threads share the work, while their group goes from
    one engine to the other and back."""
    await rig.open()
    publisher, clients = rig.client(), [rig.client() for _ in range(subscribers)]
    transports = [rig.connect(publisher, "publisher", 1)]
    track = rig.publish(transports[0])
    for number, sock in enumerate(clients):
        transports.append(rig.connect(sock, f"subscriber {number}", 1))
        rig.subscribe(transports[-1], track)
    # Those of the other engine, so that the group always finds itself in the smaller half when it begins anew.
    rig.connect(rig.client(), "other", 2)
    media, ahead, stop = Media(publisher, "publisher"), threading.Semaphore(20), threading.Event()
    seqs: list[list[int]] = [[] for _ in clients]

    def hammer() -> None:
        while ahead.acquire() and not stop.is_set():
            media.send()

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        for group in (2, 1, 2, 3, 2, 1) * 5:
            wanted = len(seqs[0]) + 5

            def look(wanted: int = wanted) -> bool:
                before = len(seqs[0])
                for sock, so_far in zip(clients, seqs, strict=True):
                    so_far.extend(drain(sock))
                for _ in range(len(seqs[0]) - before):
                    ahead.release()
                return len(seqs[0]) >= wanted

            rig.commands.set_group(transports, group)
            await until(look)
    finally:
        stop.set()
        ahead.release()
        thread.join()
    for sock, so_far in zip(clients, seqs, strict=True):
        so_far += await arrived(sock, media.count - len(so_far))
        assert len(so_far) == media.count
        assert_in_order(so_far)
    stats = rig.commands.stats()
    assert sum(stats.drops.values()) == 0
    # Not those of the transports: a second after its first packet the publisher gets a report.
    assert sum(one.packets_sent for one in stats.subscriptions) == media.count * subscribers
