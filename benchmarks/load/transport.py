"""One ICE, DTLS and SRTP association of a simulated participant, over a socket of its own.

ICE with a single pair (RFC 8445 §7: checks of ours with nomination, answers to the peer's), DTLS as the server's own
stack does it, data channels when asked for. Media never comes through here: `ting_engine.LoadGenerator` has the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load.errors import LoadError
from benchmarks.load.media import Clip
from sfu.engine import stun
from sfu.engine.api import SrtpKeys
from sfu.engine.native import load as load_extension
from sfu.sdp.model import RemoteTransport, Setup
from sfu.transport.aiortc_sctp import SctpAssociation
from sfu.transport.certificate import Certificate
from sfu.transport.dtls import DtlsAssociation, DtlsRole

CHECK_INTERVAL_S = 0.05
MAX_CHECK_INTERVAL_S = 0.5
CONSENT_INTERVAL_S = 6.0
MAX_DTLS_DATAGRAMS = 64
SOCKET_BUFFER_BYTES = 1 << 20
PRIORITY = 2_130_706_431
"""Of a host candidate on the best interface (RFC 8445 §5.1.2.1)."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """One direction of a bad link. `loss` 0 to 1, times in seconds, rate in bit/s (0: no limit)."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: int = 0

    def as_tuple(self) -> tuple[float, int, int, int]:
        return self.loss, round(self.delay_s * 1e9), round(self.jitter_s * 1e9), self.rate_bps


class Generator:
    """The Rust half under asyncio: hands STUN and DTLS datagrams to their transports."""

    def __init__(self, uplink: LinkConditions = LinkConditions(), downlink: LinkConditions = LinkConditions()) -> None:
        self.native: Any = load_extension().LoadGenerator()
        self.certificate = Certificate.generate()
        self.uplink, self.downlink = uplink, downlink
        self._transports: dict[int, MediaTransport] = {}
        self._clips: dict[int, tuple[int, Clip]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.native.event_fd(), self._dispatch)

    def _dispatch(self) -> None:
        for peer, data in self.native.take():
            transport = self._transports.get(peer)
            if transport is not None:
                transport.handle_datagram(data)

    def open(self, transport: MediaTransport, remote: Address) -> int:
        family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        sock.bind((transport.local[0], transport.local[1]))
        peer: int = self.native.add_peer(
            sock.detach(), remote, transport.cname, self.downlink.as_tuple(), self.uplink.as_tuple()
        )
        self._transports[peer] = transport
        return peer

    def forget(self, peer: int) -> None:
        self._transports.pop(peer, None)
        self.native.remove_peer(peer)

    def clip_number(self, clip: Clip) -> int:
        """Hands a clip over when it is used for the first time."""
        if id(clip) not in self._clips:
            number: int = self.native.add_clip(clip.codec, clip.clock_rate, clip.frames)
            self._clips[id(clip)] = number, clip
        return self._clips[id(clip)][0]

    def close(self) -> None:
        self._loop.remove_reader(self.native.event_fd())
        self.native.close()


class MediaTransport:
    """`connect` once the remote description and a candidate are known; `peer` names it to the generator after that."""

    def __init__(self, generator: Generator, remote_host: str) -> None:
        self.generator = generator
        self.cname = secrets.token_hex(8)
        self.ufrag, self.pwd = secrets.token_hex(4), secrets.token_hex(16)
        self.peer = 0
        self.profile = ""
        self.connected_s = 0.0
        """When the keys were there, on the monotonic clock."""
        self.counters: Counter[str] = Counter()
        self.on_open: Callable[[], None] = _nothing
        """Called once `peer` is known and before any media can come."""
        self.local: Address = _free_address(remote_host)
        self._remote: RemoteTransport | None = None
        self._controlling = True
        self._transaction = b""
        self._selected = asyncio.Event()
        self._dtls: DtlsAssociation | None = None
        self._keys: asyncio.Future[SrtpKeys] = asyncio.get_running_loop().create_future()
        self._early: list[bytes] = []
        self._sctp: SctpAssociation | None = None
        self._consent: asyncio.Task[None] | None = None

    @property
    def fingerprint(self) -> str:
        item = self.generator.certificate.fingerprints[0]
        return f"{item.algorithm} {item.value}"

    async def connect(
        self,
        remote: RemoteTransport,
        address: Address,
        *,
        controlling: bool,
        client: bool,
        data: bool,
        timeout_s: float,
    ) -> None:
        """Check the pair, shake hands, install the keys. `client` is our DTLS role. Raises `LoadError`."""
        self._remote, self._controlling = remote, controlling
        self.peer = self.generator.open(self, address)
        self.on_open()
        try:
            async with asyncio.timeout(timeout_s):
                await self._check()
                keys = await self._shake_hands(client)
        except TimeoutError:
            stage = "DTLS handshake" if self._selected.is_set() else "ICE check"
            raise LoadError(f"no {stage} within {timeout_s:g} s") from None
        self.generator.native.set_keys(self.peer, keys)
        self.profile = str(keys.profile)
        self.connected_s = time.monotonic()
        self._consent = asyncio.create_task(self._keep_consent())
        if data and self._dtls is not None and self._dtls.session is not None:
            self._sctp = SctpAssociation(self._dtls.session, self.counters)
            await self._sctp.begin(65_536)

    # --- ICE ----------------------------------------------------------------------------------------------------

    async def _check(self) -> None:
        interval_s = CHECK_INTERVAL_S
        while not self._selected.is_set():
            self._send_check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._selected.wait()
            interval_s = min(2 * interval_s, MAX_CHECK_INTERVAL_S)

    def _send_check(self) -> None:
        assert self._remote is not None
        ice = self._remote.ice
        self._transaction = secrets.token_bytes(stun.TRANSACTION_ID_BYTES)
        role = stun.Attribute.ICE_CONTROLLING if self._controlling else stun.Attribute.ICE_CONTROLLED
        attributes: list[tuple[int, bytes]] = [
            (stun.Attribute.PRIORITY, PRIORITY.to_bytes(4, "big")),
            (role, bytes.fromhex(self.cname)),
        ]
        if self._controlling:
            attributes.append((stun.Attribute.USE_CANDIDATE, b""))
        self.generator.native.send(
            self.peer,
            stun.build_binding_request(self._transaction, f"{ice.ufrag}:{self.ufrag}", ice.pwd, attributes),
        )

    def _handle_stun(self, data: bytes) -> None:
        kind, transaction = int.from_bytes(data[:2], "big"), data[8:20]
        if kind == stun.BINDING_SUCCESS and transaction == self._transaction:
            self._selected.set()
        elif kind == stun.BINDING_REQUEST:
            # A full agent checks us too (RFC 8445 §7.3); the mapped address does not matter to it.
            self.generator.native.send(self.peer, stun.build_success(transaction, self.local, self.pwd))

    async def _keep_consent(self) -> None:
        """RFC 7675."""
        while True:
            await asyncio.sleep(CONSENT_INTERVAL_S * (0.8 + 0.4 * secrets.randbelow(1000) / 1000))
            self._send_check()

    # --- DTLS ---------------------------------------------------------------------------------------------------

    async def _shake_hands(self, client: bool) -> SrtpKeys:
        assert self._remote is not None
        self._dtls = DtlsAssociation(
            role=DtlsRole.CLIENT if client else DtlsRole.SERVER,
            certificate=self.generator.certificate,
            fingerprints=self._remote.fingerprints,
            send=self._send_dtls,
            on_connected=self._handle_keys,
            on_closed=self._handle_closed,
            max_queue_datagrams=MAX_DTLS_DATAGRAMS,
            counters=self.counters,
        )
        self._dtls.start()
        for data in self._early:
            self._dtls.feed(data)
        self._early.clear()
        return await self._keys

    def _send_dtls(self, data: bytes) -> None:
        if self.peer:
            self.generator.native.send(self.peer, data)

    def _handle_keys(self, _association: DtlsAssociation, keys: SrtpKeys) -> None:
        if not self._keys.done():
            self._keys.set_result(keys)

    def _handle_closed(self, _association: DtlsAssociation, reason: str) -> None:
        self.counters[f"closed_{reason}"] += 1
        if not self._keys.done():
            self._keys.set_exception(LoadError(f"the DTLS handshake failed: {reason}"))

    def handle_datagram(self, data: bytes) -> None:
        """STUN or DTLS from the generator."""
        if not data:
            return
        if data[0] < 4:
            self._handle_stun(data)
        elif 20 <= data[0] < 64:
            if self._dtls is not None:
                self._dtls.feed(data)
            elif len(self._early) < MAX_DTLS_DATAGRAMS:
                self._early.append(data)

    async def close(self) -> None:
        """Say close_notify and give the socket back. Idempotent."""
        if self._consent is not None:
            self._consent.cancel()
        if self._sctp is not None:
            await self._sctp.stop()
        if self._dtls is not None:
            self._dtls.close()
        peer, self.peer = self.peer, 0
        if peer:
            self.generator.forget(peer)


def dtls_client(setup: Setup) -> bool:
    """Whether we are the client towards a peer whose description says `setup` (RFC 8842 §5)."""
    return setup is not Setup.ACTIVE


def choose_address(candidates: Sequence[str], host: str) -> Address | None:
    """The UDP host candidate to use: at `host` when there is one, else the first (RFC 8839 §5.1)."""
    found: list[Address] = []
    for line in candidates:
        words = line.removeprefix("a=").removeprefix("candidate:").split()
        if len(words) >= 8 and words[1] == "1" and words[2].lower() == "udp" and words[7] == "host":
            found.append((words[4], int(words[5])))
    usable = [address for address in found if not address[0].endswith(".local")]
    return next((address for address in usable if address[0] == host), usable[0] if usable else None)


def _free_address(remote_host: str) -> Address:
    """The local address towards `remote_host`, and a port that is free now."""
    family, _, _, _, address = socket.getaddrinfo(remote_host, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        host = sock.getsockname()[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return host, sock.getsockname()[1]


def _nothing() -> None:
    """Nobody wants to know."""
