"""Two ends for transport tests: the server side as the node wires it, and peers of raw sockets and aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiortc import RTCCertificate, RTCDataChannel, RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters

from sfu.api import DataKind
from sfu.config import SfuConfig
from sfu.engine import create_engine, engine_name, stun
from sfu.engine.api import DtlsReceived, Event, ListenConfig, PacketEngine, SrtpKeys, StunReceived, TransportConfig
from sfu.engine.driver import AsyncioRuntime
from sfu.engine.native import RustRuntime
from sfu.ids import TransportHandle
from sfu.sdp.model import Fingerprint, IceCredentials, LocalTransport, RemoteTransport, Setup
from sfu.transport.certificate import Certificate
from sfu.transport.ice_lite import IceRegistry
from sfu.transport.transport import Transport, TransportEvents, TransportRole

LOOPBACK = "127.0.0.1"
DEADLINE_S = 10.0


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Give the loop turns until `condition()` holds; TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - conditions here have no event of their own
            await asyncio.sleep(0.005)


def free_tcp_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def make_runtime(engine: PacketEngine | None = None) -> AsyncioRuntime | RustRuntime:
    """Around this engine, or around a new one of the kind that TING_ENGINE names."""
    if engine is None and engine_name(os.environ.get("TING_ENGINE", "auto")) == "rust":
        return RustRuntime(seed=1)
    return AsyncioRuntime(engine or create_engine("reference", seed=1))


class Server:
    """Engine, runtime, registry and transports, dispatched as in the node. Fails the test for unhandled exceptions
    of the loop and for tasks that are left when it ends."""

    def __init__(
        self,
        config: SfuConfig | None = None,
        *,
        engine: PacketEngine | None = None,
        tcp_port: int = 0,
        native_data: bool = True,
    ) -> None:
        self.config = config or SfuConfig()
        self.runtime = make_runtime(engine)
        if not native_data:
            self.runtime.has_data_channels = False
        self.engine = self.runtime.engine
        self.registry = IceRegistry(self.runtime)
        self.certificate = Certificate.generate()
        self.transports: dict[TransportHandle, Transport] = {}
        self.unhandled: list[dict[str, Any]] = []
        self.clock_offset_ns = 0
        self.keys: dict[TransportHandle, SrtpKeys] = {}
        self.runtime.commands.set_srtp = self._set_srtp  # type: ignore[method-assign]
        self._all: list[Transport] = []
        self._tcp_port = tcp_port

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        self._tasks_before = asyncio.all_tasks()
        loop.set_exception_handler(lambda _loop, context: self.unhandled.append(context))
        await self.runtime.open(ListenConfig((LOOPBACK,), 0, self._tcp_port), self._handle_event)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._all:
            await transport.close()
        await self.runtime.close()
        if kind is not None:
            return
        gc.collect()
        await asyncio.sleep(0)
        assert self.unhandled == []
        assert self.registry.half_open == 0
        assert self.runtime.io_stats().get("event_faults", 0) == 0
        assert self.runtime.io_stats().get("engine_faults", 0) == 0
        left = asyncio.all_tasks() - self._tasks_before - {asyncio.current_task()}
        assert not left, left

    @property
    def address(self) -> tuple[str, int]:
        return self.runtime.udp_addresses[0]

    def transport(self, role: TransportRole = TransportRole.PUBLISH) -> Transport:
        transport = Transport(
            role=role,
            runtime=self.runtime,
            registry=self.registry,
            certificate=self.certificate,
            candidates=(),
            config=self.config,
            engine_config=TransportConfig(),
        )
        self.transports[transport.handle] = transport
        self._all.append(transport)
        transport.events.on(TransportEvents.CLOSED, lambda _reason: self.transports.pop(transport.handle, None))
        return transport

    def _set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        self.keys[transport] = keys
        self.engine.set_srtp(transport, keys)

    def now_ns(self) -> int:
        """The clock of `poll` and ICE; tests move it with `clock_offset_ns`."""
        return self.runtime.now_ns() + self.clock_offset_ns

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, StunReceived):
            self.registry.handle_stun(self.now_ns(), event.path, event.data)
        elif isinstance(event, DtlsReceived):
            transport = self.transports.get(event.transport)
            if transport is not None:
                transport.handle_dtls(self.now_ns(), event.path, event.data)


class Log:
    """What a transport emitted."""

    def __init__(self, transport: Transport) -> None:
        self.connected = 0
        self.ready = 0
        self.closed: list[str] = []
        self.data: list[tuple[DataKind, bytes]] = []
        transport.events.on(TransportEvents.CONNECTED, self._connected)
        transport.events.on(TransportEvents.DATA_READY, self._ready)
        transport.events.on(TransportEvents.CLOSED, self.closed.append)
        transport.events.on(TransportEvents.DATA, lambda kind, payload: self.data.append((kind, payload)))

    def _connected(self) -> None:
        self.connected += 1

    def _ready(self) -> None:
        self.ready += 1


class UdpPeer(asyncio.DatagramProtocol):
    """A raw socket that sorts what it gets: STUN apart, DTLS to `_recv`. It is aiortc's ICE seam too."""

    role = "controlling"

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.ice = IceCredentials("peer" + os.urandom(4).hex(), os.urandom(16).hex())
        self.stun: deque[bytes] = deque()
        self.received_bytes = 0
        self.replies = 0
        """STUN and unprotected DTLS records: what a server would answer to what it should not answer."""
        self.drop_dtls = False
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> UdpPeer:
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, 0))
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
        return self

    @property
    def address(self) -> tuple[str, int]:
        name: tuple[str, int] = self._socket.getsockname()
        return name

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received_bytes += len(data)
        self.replies += data[0] < 4 or data[3:5] == b"\0\0"
        if data[0] < 4:
            self.stun.append(data)
        elif 19 < data[0] < 64 and not self.drop_dtls:
            self._queue.put_nowait(data)

    def send(self, data: bytes) -> None:
        # Past asyncio, whose transports send no empty datagram.
        self._socket.sendto(data, self.server)

    async def _send(self, data: bytes) -> None:
        self.send(data)

    async def _recv(self) -> bytes:
        return await self._queue.get()

    def request(
        self, local: LocalTransport, *, nominate: bool = True, transaction_id: bytes | None = None, **changes: str
    ) -> bytes:
        """A check as libwebrtc sends it. `changes`: ufrag, remote_ufrag, pwd."""
        attributes = [
            (0xC057, b"\x00\x01\x00\x0a"),
            (stun.Attribute.ICE_CONTROLLING, os.urandom(8)),
            (stun.Attribute.PRIORITY, (1845501695).to_bytes(4)),
        ]
        if nominate:
            attributes.append((stun.Attribute.USE_CANDIDATE, b""))
        username = f"{changes.get('ufrag', local.ice.ufrag)}:{changes.get('remote_ufrag', self.ice.ufrag)}"
        return stun.build_binding_request(
            transaction_id or os.urandom(12), username, changes.get("pwd", local.ice.pwd), attributes
        )

    async def check(self, local: LocalTransport, *, nominate: bool = True) -> bytes:
        """Send a check until it is answered; the answer."""
        before = len(self.stun)
        async with asyncio.timeout(DEADLINE_S):
            while len(self.stun) == before:
                self.send(self.request(local, nominate=nominate))
                with contextlib.suppress(TimeoutError):
                    await until(lambda: len(self.stun) > before, 0.2)
        return self.stun[-1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()


def parameters_of(local: LocalTransport) -> RTCDtlsParameters:
    return RTCDtlsParameters(
        fingerprints=[RTCDtlsFingerprint(item.algorithm, item.value) for item in local.fingerprints]
    )


class Peer:
    """A WebRTC client: a `UdpPeer` (or anything with aiortc's seam) with aiortc's DTLS and SCTP on it."""

    def __init__(self, ice: Any, *, role: str = "client", certificate: RTCCertificate | None = None) -> None:
        self.ice = ice
        self.certificate = certificate or RTCCertificate.generateCertificate()
        self.role = role
        self.messages: list[tuple[str, bytes | str]] = []
        self.channels: dict[str, RTCDataChannel] = {}
        self.sctp: RTCSctpTransport | None = None
        self._new_dtls()

    def _new_dtls(self) -> None:
        self.dtls = RTCDtlsTransport(self.ice, [self.certificate])
        self.dtls._set_role(self.role)

    @property
    def fingerprints(self) -> list[Fingerprint]:
        return [Fingerprint(item.algorithm, item.value) for item in self.certificate.getFingerprints()]

    @property
    def setup(self) -> Setup:
        return Setup.ACTIVE if self.role == "client" else Setup.PASSIVE

    @property
    def server_setup(self) -> Setup:
        return Setup.PASSIVE if self.role == "client" else Setup.ACTIVE

    def remote(self, credentials: IceCredentials) -> RemoteTransport:
        """What the peer's description says."""
        return RemoteTransport(credentials, self.fingerprints, self.setup)

    async def handshake(self, local: LocalTransport) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.dtls.start(parameters_of(local))

    async def start_sctp(self, *, open_channels: bool) -> None:
        self.sctp = RTCSctpTransport(self.dtls)
        self.sctp.on("datachannel", self._add)
        if open_channels:
            self.open_channel("_reliable")
            self.open_channel("_lossy", max_retransmits=0)
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=65_536), 5000)

    def open_channel(self, label: str, max_retransmits: int | None = None) -> RTCDataChannel:
        assert self.sctp is not None
        channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, maxRetransmits=max_retransmits))
        self._add(channel)
        return channel

    def _add(self, channel: RTCDataChannel) -> None:
        self.channels[channel.label] = channel
        channel.on("message", lambda message: self.messages.append((channel.label, message)))

    async def close(self) -> None:
        task = self.dtls._task
        if self.sctp is not None:
            await self.sctp.stop()
        await self.dtls.stop()
        if task is not None:
            await asyncio.wait({task})
        if hasattr(self.ice, "close"):
            result = self.ice.close()
            if asyncio.iscoroutine(result):
                await result


class Call:
    """A connected association with open data channels whose server side echoes: the bystander of bad-input tests."""

    def __init__(self, server: Server, transport: Transport, udp: UdpPeer, peer: Peer) -> None:
        self.server = server
        self.transport = transport
        self.udp = udp
        self.peer = peer
        self.log = Log(transport)
        self._sent = 0

    @classmethod
    async def connect(cls, server: Server) -> Call:
        transport = server.transport()
        udp = await UdpPeer(server.address).open()
        call = cls(server, transport, udp, Peer(udp))
        transport.set_remote(call.peer.remote(udp.ice), we_are=Setup.PASSIVE)
        transport.enable_data(initiate=False, remote_max_message_size=65_536)
        transport.events.on(TransportEvents.DATA, transport.send_data)
        await udp.check(transport.local())
        await call.peer.handshake(transport.local())
        await call.peer.start_sctp(open_channels=True)
        channels = call.peer.channels.values()
        await until(lambda: call.log.ready and all(channel.readyState == "open" for channel in channels))
        return call

    async def ping(self, deadline_s: float = DEADLINE_S) -> None:
        """STUN is answered, and a message goes there and back."""
        await self.udp.check(self.transport.local())
        self._sent += 1
        message = f"ping {self._sent}".encode()
        self.peer.channels["_reliable"].send(message)
        await until(lambda: ("_reliable", message) in self.peer.messages, deadline_s)

    async def close(self) -> None:
        await self.peer.close()
