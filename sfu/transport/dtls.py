"""DTLS-SRTP (RFC 5764, RFC 8827) and SCTP over it, by aiortc; the only file that knows aiortc's private names.

aiortc's transport sits on a seam of three members (`role`, `_recv`, `_send`). What we change of it: keys are exported
to the engine and not used here, flights of any size are flushed as whole records, several records in one
datagram are all read, only AEAD suites from DTLS 1.2 on are taken, and nothing that a peer sends can raise.
tests/sfu/test_dtls.py fails when aiortc's minor version or one of the names that are used here changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import cast

from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceTransport, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL

from sfu.engine.api import DtlsSecrets, SrtpKeys, SrtpProfile
from sfu.sdp.model import Fingerprint
from sfu.transport.certificate import Certificate
from sfu.transport.dtls_records import drop_reason, last_explicit_nonce, renumber_plaintext, split_datagrams
from sfu.transport.sctp_guard import is_sound

AIORTC_VERSION = "1.16"

MTU_BYTES = 1200
MAX_PLAINTEXT_BYTES = 16_384
MAX_EARLY_PACKETS = 16
"""SCTP packets kept that came with the peer's last handshake flight."""
RESTART_DELAYS_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)
"""Pauses before a failed handshake is begun anew with a fresh context; after the last one it has failed."""
MAX_SCTP_FAULTS = 32
MAX_SCTP_STREAMS = 64
MAX_SCTP_WAITING_CHUNKS = 4096
"""Chunks of messages that are not complete, or behind a gap, per association."""

_DTLS_1_2 = 0xFEFD
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
)
_PROFILES: Sequence[tuple[SRTPProtectionProfile, SrtpProfile]] = (
    (SRTP_AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_128_GCM),
    (SRTP_AEAD_AES_256_GCM, SrtpProfile.AEAD_AES_256_GCM),
    (SRTP_AES128_CM_SHA1_80, SrtpProfile.AES128_CM_SHA1_80),
)
"""In our order of preference, which a DTLS server enforces."""


class DtlsRole(StrEnum):
    SERVER = "server"
    CLIENT = "client"


class _DtlsCertificate(RTCCertificate):
    """The node's certificate with one hardened OpenSSL context for all its handshakes."""

    def __init__(self, certificate: RTCCertificate) -> None:
        super().__init__(key=certificate._key, cert=certificate._cert)
        self._context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            context.set_min_proto_version(_DTLS_1_2)
            context.set_max_proto_version(_DTLS_1_2)
            context.set_cipher_list(_CIPHERS)
            context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            # Between two records a session needs no buffers: 14 of its 80 KiB.
            context.set_mode(SSL.MODE_RELEASE_BUFFERS)
            self._context = context
        return self._context


_certificates: weakref.WeakKeyDictionary[Certificate, _DtlsCertificate] = weakref.WeakKeyDictionary()


def _dtls_certificate(certificate: Certificate) -> _DtlsCertificate:
    found = _certificates.get(certificate)
    if found is None:
        found = _certificates[certificate] = _DtlsCertificate(certificate.rtc_certificate)
    return found


class _Seam:
    """What aiortc takes for an ICE transport: a bounded queue in, a function out."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None], max_datagrams: int) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(max_datagrams)
        self._send_datagram = send

    async def _recv(self) -> bytes:
        return await self.queue.get()

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


class DtlsSession(RTCDtlsTransport):
    """One handshake and what follows it. Made and ended by `DtlsAssociation`."""

    def __init__(self, seam: _Seam, certificate: _DtlsCertificate, role: DtlsRole, counters: Counter[str]) -> None:
        super().__init__(cast(RTCIceTransport, seam), [certificate])
        self.keys: SrtpKeys | None = None
        self.refused: str | None = None
        """Why a finished handshake was not accepted."""
        self._counters = counters
        self._srtp_profiles = [profile for profile, _name in _PROFILES]
        self._settled = False
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY_PACKETS)
        self._packet_receiver: Callable[[bytes], None] | None = None
        self._used_nonce = 0
        self._set_role(role)

    @property
    def _openssl(self) -> SSL.Connection:
        assert self._ssl is not None
        return self._ssl

    async def _do_handshake(self) -> None:
        self._openssl.set_ciphertext_mtu(MTU_BYTES)
        await super()._do_handshake()

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self.refused = "fingerprint_mismatch"

    def _setup_srtp(self) -> None:
        """Export the keys (RFC 5764 §4.2) instead of starting libsrtp sessions."""
        selected = self._openssl.get_selected_srtp_profile()
        match = next((pair for pair in _PROFILES if pair[0].openssl_profile == selected), None)
        if match is None:
            self.refused = "dtls_failed"
            self._set_state(State.FAILED)
            return
        profile, name = match
        size = profile.key_length
        material = self._openssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (size + profile.salt_length))
        client, server = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
        rx, tx = (client, server) if self._role == DtlsRole.SERVER else (server, client)
        self.keys = SrtpKeys(name, rx_key=rx[:size], rx_salt=rx[size:], tx_key=tx[:size], tx_salt=tx[size:])

    async def _recv_next(self) -> None:
        """One datagram, or one expiry of the handshake's retransmission timer (RFC 6347 §4.2.4)."""
        timeout = None if self._settled else self._openssl.DTLSv1_get_timeout()
        self._settled = self.encrypted and timeout is None
        try:
            # Not wait_for, which before Python 3.12 can lose a cancellation that meets a datagram.
            async with asyncio.timeout(timeout):
                data = await self.transport._recv()
        except TimeoutError:
            self._openssl.DTLSv1_handle_timeout()
            await self._write_ssl()
            return
        self._openssl.bio_write(data)
        try:
            while True:
                await self._deliver(self._openssl.recv(MAX_PLAINTEXT_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            await self._write_ssl()
            raise ConnectionError from None
        except SSL.Error:
            self._counters["dtls_errors"] += 1
            if not self.encrypted:
                # Whoever broke this handshake need not be the peer: the alert would end it on the peer's side too.
                return
            if self._openssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
                raise ConnectionError from None
        await self._write_ssl()

    async def _write_ssl(self) -> None:
        written = b""
        with contextlib.suppress(SSL.Error):
            while True:
                written += self._openssl.bio_read(MAX_PLAINTEXT_BYTES)
        self._used_nonce = last_explicit_nonce(written, self._used_nonce)
        for datagram in split_datagrams(written, MTU_BYTES):
            await self.transport._send(datagram)

    # --- SCTP -------------------------------------------------------------------------------------------------

    def secrets(self) -> DtlsSecrets:
        """Of a finished handshake, for who reads and writes this session's records from now on."""
        ssl = self._openssl
        master, client, server = ssl.master_key(), ssl.client_random(), ssl.server_random()
        assert master is not None
        assert client is not None
        assert server is not None
        is_client = self._role == DtlsRole.CLIENT
        return DtlsSecrets(ssl.get_cipher_name() or "", is_client, master, client, server, self._used_nonce)

    def set_packet_receiver(self, receive: Callable[[bytes], None] | None) -> None:
        """Who gets SCTP packets from now on, instead of an association of aiortc's; those that came early at once.
        It judges for itself what is sound, and must not raise."""
        self._packet_receiver = receive
        while receive is not None and self._early:
            receive(self._early.popleft())

    async def _deliver(self, packet: bytes) -> None:
        if self._packet_receiver is not None:
            self._packet_receiver(packet)
        elif not is_sound(packet):
            self._counters["sctp_unsound"] += 1
        elif self._data_receiver is None:
            self._early.append(packet)
        else:
            await self._data_receiver._handle_data(packet)

    async def deliver_early(self) -> None:
        """Hand over what came before there was an SCTP association."""
        while self._early:
            await self._deliver(self._early.popleft())

    async def _send_data(self, data: bytes) -> None:
        """Unlike aiortc's: never raises. SCTP's timers may outlive the association and have nobody to tell."""
        if self._state is State.CONNECTED:
            with contextlib.suppress(SSL.Error):
                self._openssl.send(data)
                await self._write_ssl()
                return
        self._counters["dtls_not_sent"] += 1

    # --- end --------------------------------------------------------------------------------------------------

    async def wait_ended(self) -> None:
        """Until the peer says close_notify or a fatal alert."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def end(self) -> None:
        """close_notify when that makes sense, then wait for the reading task."""
        task = self._task
        if self.refused is not None:
            with contextlib.suppress(SSL.Error):
                self._openssl.shutdown()
            await self._write_ssl()
        await self.stop()
        if task is not None:
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is not None:
                self._counters["dtls_faults"] += 1


class DtlsAssociation:
    """DTLS with one peer: handshake (begun anew a few times when somebody breaks it), then the session.

    `on_connected` gets the SRTP keys after the peer's certificate was checked; `on_closed` gets a reason
    (peer_closed, fingerprint_mismatch, dtls_failed). Both get the association first; neither is called after `close`.
    """

    def __init__(
        self,
        *,
        role: DtlsRole,
        certificate: Certificate,
        fingerprints: Sequence[Fingerprint],
        send: Callable[[bytes], None],
        on_connected: Callable[[DtlsAssociation, SrtpKeys], None],
        on_closed: Callable[[DtlsAssociation, str], None],
        max_queue_datagrams: int,
        counters: Counter[str],
    ) -> None:
        self.session: DtlsSession | None = None
        """Set once the handshake is done."""
        self._role = role
        self._certificate = _dtls_certificate(certificate)
        self._parameters = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(item.algorithm, item.value) for item in fingerprints]
        )
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._counters = counters
        self._seam = _Seam(send, max_queue_datagrams)
        self._plain_records = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def feed(self, data: bytes) -> None:
        """One datagram from a validated path. Never raises; what is not taken is counted."""
        reason = drop_reason(data, handshaking=self.session is None)
        if reason is None and self._seam.queue.full():
            reason = "dtls_queue_full"
        if reason is not None:
            self._counters[reason] += 1
            return
        if self.session is None:
            data, self._plain_records = renumber_plaintext(data, self._plain_records)
        self._seam.queue.put_nowait(data)

    async def close(self) -> None:
        """End with close_notify and wait until no task is left. Further calls return at once."""
        self._closing = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        session = None
        reason = "dtls_failed"
        try:
            for delay_s in RESTART_DELAYS_S:
                session = DtlsSession(self._seam, self._certificate, self._role, self._counters)
                await self._handshake(session)
                if session.keys is not None or session.refused is not None:
                    break
                self._counters["dtls_restarts"] += 1
                await asyncio.sleep(delay_s)
            if session is not None and session.keys is not None:
                self.session = session
                self._on_connected(self, session.keys)
                await session.wait_ended()
                reason = "peer_closed"
            elif session is not None and session.refused is not None:
                reason = session.refused
        finally:
            if session is not None:
                await session.end()
        if not self._closing:
            self._on_closed(self, reason)

    async def _handshake(self, session: DtlsSession) -> None:
        try:
            await session.start(self._parameters)
        except Exception:
            # Whatever aiortc or OpenSSL make of a peer's bytes ends this attempt and nothing else.
            self._counters["dtls_faults"] += 1


class SctpAssociation(RTCSctpTransport):
    """aiortc's SCTP with limits on what a peer can make it hold, and faults that stay inside."""

    def __init__(self, session: DtlsSession, counters: Counter[str]) -> None:
        super().__init__(session)
        self._counters = counters
        self._session = session
        self._faults = 0

    async def begin(self, remote_max_message_size: int) -> None:
        """Start the association; both sides initiate (RFC 8841 §9.3)."""
        await self.start(RTCSctpCapabilities(maxMessageSize=remote_max_message_size), self.port)
        await self._session.deliver_early()

    async def _handle_data(self, data: bytes) -> None:
        try:
            await super()._handle_data(data)
        except Exception:
            self._counters["sctp_faults"] += 1
            self._faults += 1
        if self._faults >= MAX_SCTP_FAULTS or self._holds_too_much():
            self._counters["sctp_aborted"] += 1
            await self.stop()

    def _holds_too_much(self) -> bool:
        streams = self._inbound_streams
        return (
            self._advertised_rwnd < 0
            or len(streams) > MAX_SCTP_STREAMS
            or len(self._sack_misordered) > MAX_SCTP_WAITING_CHUNKS
            or sum(len(stream.reassembly) for stream in streams.values()) > MAX_SCTP_WAITING_CHUNKS
        )

    async def _transmit(self) -> None:
        # A retransmission that was already scheduled must not start timers of a closed association again.
        if self._association_state is not self.State.CLOSED:
            await super()._transmit()
