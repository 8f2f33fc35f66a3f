"""A `DtlsAssociation` and a peer with a wire between them that tests can cut, bend and write on."""

from __future__ import annotations

import asyncio
import datetime
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiortc import RTCCertificate, RTCDtlsTransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sfu.engine.api import SrtpKeys
from sfu.sdp.model import Fingerprint
from sfu.transport.certificate import Certificate
from sfu.transport.dtls import DtlsAssociation, DtlsRole
from tests.sfu.transport_rig import until


class Wire:
    """aiortc's seam of the peer. `to_us` and `to_peer` map one datagram to those that arrive."""

    role = "controlling"

    def __init__(self) -> None:
        self.us: DtlsAssociation | None = None
        self.sent_by_us: list[bytes] = []
        self.sent_by_peer: list[bytes] = []
        self.to_us: Callable[[bytes], list[bytes]] = lambda data: [data]
        self.to_peer: Callable[[bytes], list[bytes]] = lambda data: [data]
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def send_to_peer(self, data: bytes) -> None:
        self.sent_by_us.append(data)
        for datagram in self.to_peer(data):
            self._queue.put_nowait(datagram)

    async def _send(self, data: bytes) -> None:
        self.sent_by_peer.append(data)
        for datagram in self.to_us(data):
            assert self.us is not None
            self.us.feed(datagram)

    async def _recv(self) -> bytes:
        return await self._queue.get()


class Pair:
    """Both ends. `us` is started by `start`; `peer` is aiortc as it comes, in the other role."""

    def __init__(
        self,
        role: DtlsRole = DtlsRole.SERVER,
        *,
        certificate: Certificate | None = None,
        peer_certificate: RTCCertificate | None = None,
        fingerprints: list[Fingerprint] | None = None,
        max_queue_datagrams: int = 64,
    ) -> None:
        self.wire = Wire()
        self.counters: Counter[str] = Counter()
        self.keys: list[SrtpKeys] = []
        self.closed: list[str] = []
        self.certificate = certificate or Certificate.generate()
        self.peer_certificate = peer_certificate or RTCCertificate.generateCertificate()
        of_peer = [Fingerprint(item.algorithm, item.value) for item in self.peer_certificate.getFingerprints()]
        self.us = DtlsAssociation(
            role=role,
            certificate=self.certificate,
            fingerprints=of_peer if fingerprints is None else fingerprints,
            send=self.wire.send_to_peer,
            on_connected=lambda _us, keys: self.keys.append(keys),
            on_closed=lambda _us, reason: self.closed.append(reason),
            max_queue_datagrams=max_queue_datagrams,
            counters=self.counters,
        )
        self.wire.us = self.us
        self.peer = RTCDtlsTransport(self.wire, [self.peer_certificate])  # type: ignore[arg-type]
        self.peer._set_role("client" if role is DtlsRole.SERVER else "server")
        self._handshake: asyncio.Task[Any] | None = None

    def start(self) -> asyncio.Task[Any]:
        """Begin on both sides; the task is the peer's handshake."""
        self.us.start()
        parameters = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(item.algorithm, item.value) for item in self.certificate.fingerprints]
        )
        self._handshake = asyncio.ensure_future(self.peer.start(parameters))
        return self._handshake

    async def connect(self, deadline_s: float = 10.0) -> None:
        await asyncio.wait_for(self.start(), deadline_s)
        await until(lambda: self.keys or self.closed, deadline_s)

    async def close(self) -> None:
        self.us.close()
        if self._handshake is not None:
            self._handshake.cancel()
            await asyncio.wait({self._handshake})
        task = self.peer._task
        await self.peer.stop()
        if task is not None:
            await asyncio.wait({task})


def record(kind: int, body: bytes, *, epoch: int = 0, seq: int = 0, version: int = 0xFEFD) -> bytes:
    """One DTLS record (RFC 6347 §4.1)."""
    return struct.pack("!BHH", kind, version, epoch) + seq.to_bytes(6) + struct.pack("!H", len(body)) + body


def fragment(kind: int, body: bytes, *, seq: int, offset: int, size: int, total: int | None = None) -> bytes:
    """One handshake fragment (RFC 6347 §4.2.2) of `body[offset:offset + size]`; `total` is what it claims."""
    length = len(body) if total is None else total
    head = bytes([kind]) + length.to_bytes(3) + seq.to_bytes(2) + offset.to_bytes(3) + size.to_bytes(3)
    return head + body[offset : offset + size]


def client_hello(suites: bytes, *, seq: int = 0) -> bytes:
    """A datagram with a plain ClientHello that offers `suites`."""
    body = b"\xfe\xfd" + bytes(32) + b"\x00" + b"\x00" + struct.pack("!H", len(suites)) + suites + b"\x01\x00"
    return record(22, fragment(1, body, seq=seq, offset=0, size=len(body)))


def large_certificate(names: int) -> Certificate:
    """About 50 bytes per name, for flights that need more than one datagram."""
    alternatives = [x509.DNSName(f"{index:04d}-padding-padding-padding-padding.example") for index in range(names)]
    key = ec.generate_private_key(ec.SECP256R1())
    return Certificate((key, _signed_by(key, x509.SubjectAlternativeName(alternatives))))


def rsa_certificate() -> RTCCertificate:
    """As old clients have them."""
    key = rsa.generate_private_key(65_537, 2048)
    return RTCCertificate(key, _signed_by(key))  # type: ignore[arg-type]


def _signed_by(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *extensions: x509.ExtensionType
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),
        not_valid_after=now + datetime.timedelta(days=1),
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())
