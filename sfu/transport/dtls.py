"""DTLS-SRTP (RFC 6347, RFC 5764, RFC 8827) with OpenSSL: handshakes, key export, and the session that follows.

No task and no thread: datagrams and timers of the event loop move a handshake on. Its two expensive steps take OpenSSL
0.2 ms together; a pool of threads finished no more of them a second on two cores (README.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from enum import StrEnum

from OpenSSL import SSL

from sfu.engine.api import DtlsSecrets, SrtpKeys
from sfu.sdp.model import Fingerprint
from sfu.transport.certificate import Certificate
from sfu.transport.dtls_context import context_of, export_keys, matches
from sfu.transport.dtls_records import drop_reason, last_explicit_nonce, renumber_plaintext, split_datagrams

MTU_BYTES = 1200
MAX_PLAINTEXT_BYTES = 16_384
MAX_EARLY_PACKETS = 16
"""SCTP packets kept that came with the peer's last handshake flight."""
RESTART_DELAYS_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)
"""Pauses before a failed handshake is begun anew with a fresh context; after the last one it has failed."""


class DtlsRole(StrEnum):
    SERVER = "server"
    CLIENT = "client"


class DtlsSession:
    """One handshake and what follows it, moved on by its owner, a `DtlsAssociation`. Nothing that a peer sends raises.

    At most one of these is set by a handshake: `keys`, `refused`, `failed`.
    """

    def __init__(
        self,
        certificate: Certificate,
        role: DtlsRole,
        fingerprints: Sequence[Fingerprint],
        send: Callable[[bytes], None],
        counters: Counter[str],
    ) -> None:
        self.role = role
        self.keys: SrtpKeys | None = None
        """The handshake is done, and the peer is who it should be."""
        self.refused: str | None = None
        """Why a finished handshake was not accepted."""
        self.failed = False
        """The handshake broke."""
        self.ended = False
        """The peer said close_notify, or an alert that it could protect."""
        self.on_goodbye: Callable[[], None] = _nothing
        """To be called when somebody else read that."""
        self._fingerprints = fingerprints
        self._send = send
        self._counters = counters
        self._settled = False
        self._closed = False
        self._early: deque[bytes] = deque(maxlen=MAX_EARLY_PACKETS)
        self._packet_receiver: Callable[[bytes], None] | None = None
        self._used_nonce = 0
        self._openssl = SSL.Connection(context_of(certificate))
        self._openssl.set_ciphertext_mtu(MTU_BYTES)
        if role is DtlsRole.SERVER:
            self._openssl.set_accept_state()
        else:
            self._openssl.set_connect_state()

    # --- handshake --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A client writes its first flight."""
        self._shake_hands()

    def handle(self, datagram: bytes) -> None:
        """One that was looked at (`drop_reason`)."""
        if self._closed:
            self._counters["dtls_late"] += 1
            return
        self._openssl.bio_write(datagram)
        if self.keys is None:
            self._shake_hands()
        if self.keys is not None:
            self._read()

    def timeout_s(self) -> float | None:
        """When to call `handle_timeout`, in seconds from now; None when nothing of ours waits for an answer."""
        if self._settled or self._closed:
            return None
        timeout_s: float | None = self._openssl.DTLSv1_get_timeout()
        self._settled = self.keys is not None and timeout_s is None
        return timeout_s

    def handle_timeout(self) -> None:
        """Our last flight once more (RFC 6347 §4.2.4): after a second, then two, four and so on."""
        if self._closed:
            return
        try:
            self._openssl.DTLSv1_handle_timeout()
        except SSL.Error:
            self._counters["dtls_errors"] += 1
            self.failed = self.keys is None
        self._flush()

    def _shake_hands(self) -> None:
        try:
            self._openssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error:
            # Whoever broke this handshake need not be the peer: the alert would end it on the peer's side too.
            self._counters["dtls_errors"] += 1
            self.failed = True
            return
        if not matches(self._openssl, self._fingerprints):
            self.refused = "fingerprint_mismatch"
        else:
            self.keys = export_keys(self._openssl, is_server=self.role is DtlsRole.SERVER)
            self.refused = None if self.keys is not None else "dtls_failed"
        self._flush()

    # --- session ----------------------------------------------------------------------------------------------

    def secrets(self) -> DtlsSecrets:
        """Of a finished handshake, for who reads and writes this session's records from now on."""
        ssl = self._openssl
        master, client, server = ssl.master_key(), ssl.client_random(), ssl.server_random()
        assert master is not None
        assert client is not None
        assert server is not None
        is_client = self.role is DtlsRole.CLIENT
        return DtlsSecrets(ssl.get_cipher_name() or "", is_client, master, client, server, self._used_nonce)

    def set_packet_receiver(self, receive: Callable[[bytes], None] | None) -> None:
        """Who gets SCTP packets from now on, those that came early at once. It judges for itself what is sound, and
        must not raise."""
        self._packet_receiver = receive
        while self._packet_receiver is not None and self._early:
            self._packet_receiver(self._early.popleft())

    def send(self, packet: bytes) -> None:
        """Never raises: SCTP's timers may outlive the session and have nobody to tell."""
        if self.keys is not None and not self.ended and not self._closed:
            with contextlib.suppress(SSL.Error):
                self._openssl.send(packet)
                self._flush()
                return
        self._counters["dtls_not_sent"] += 1

    def close(self) -> None:
        """close_notify, where a handshake was finished and the peer has not ended it. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        if not self.ended and (self.keys is not None or self.refused is not None):
            with contextlib.suppress(SSL.Error):
                self._openssl.shutdown()
            self._flush()
        # Up to 90 KiB, which else wait for the garbage collector to find everything that a participant was.
        del self._openssl

    def retire(self) -> None:
        """Somebody else reads and writes this session's records by its `secrets`, close_notify too, and the peer has
        had our last flight: nothing here is needed any more, and OpenSSL's memory is free."""
        if not self._closed:
            self._closed = True
            del self._openssl

    def _read(self) -> None:
        try:
            # Whoever gets a packet may end the session.
            while not self._closed:
                self._deliver(self._openssl.recv(MAX_PLAINTEXT_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.Error:
            self._counters["dtls_errors"] += 1
            self.ended = bool(self._openssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
        if not self._closed:
            self._flush()

    def _deliver(self, packet: bytes) -> None:
        if self._packet_receiver is None:
            self._early.append(packet)
        else:
            self._packet_receiver(packet)

    def _flush(self) -> None:
        written = b""
        with contextlib.suppress(SSL.Error):
            while True:
                written += self._openssl.bio_read(MAX_PLAINTEXT_BYTES)
        if not written:
            return
        self._used_nonce = last_explicit_nonce(written, self._used_nonce)
        for datagram in split_datagrams(written, MTU_BYTES):
            self._send(datagram)


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
        self._certificate = certificate
        self._fingerprints = fingerprints
        self._send = send
        self._on_connected = on_connected
        self._on_closed = on_closed
        self._counters = counters
        self._max_queue_datagrams = max_queue_datagrams
        self._queue: deque[bytes] = deque()
        self._plain_records = 0
        self._current: DtlsSession | None = None
        """None before the start, between two attempts, and in the end."""
        self._attempts = 0
        self._work: asyncio.Handle | None = None
        """Takes what is in the queue, with the event loop's next turn."""
        self._timer: asyncio.TimerHandle | None = None
        """The next repetition, or the next attempt."""
        self._over = False

    def start(self) -> None:
        """Of a running event loop, whose timers move it on."""
        self._begin()

    def feed(self, data: bytes) -> None:
        """One datagram from a validated path. Never raises; what is not taken is counted."""
        reason = drop_reason(data, handshaking=self.session is None)
        if reason is None and len(self._queue) >= self._max_queue_datagrams:
            reason = "dtls_queue_full"
        if reason is not None:
            self._counters[reason] += 1
            return
        if self.session is None:
            data, self._plain_records = renumber_plaintext(data, self._plain_records)
        self._queue.append(data)
        self._plan_work()

    def close(self) -> None:
        """End with close_notify. Further calls do nothing."""
        self._end()

    def _begin(self) -> None:
        self._timer = None
        if self._attempts == len(RESTART_DELAYS_S):
            self._finish("dtls_failed")
            return
        self._attempts += 1
        self._current = DtlsSession(self._certificate, self._role, self._fingerprints, self._send, self._counters)
        self._move(self._current, self._current.begin)
        self._plan_work()

    def _plan_work(self) -> None:
        if self._queue and self._work is None and self._current is not None:
            self._work = asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        self._work = None
        while self._queue and self._current is not None:
            datagram = self._queue.popleft()
            self._move(self._current, self._current.handle, datagram)

    def _handle_timer(self) -> None:
        self._timer = None
        if self._current is not None:
            self._move(self._current, self._current.handle_timeout)

    def _move(self, current: DtlsSession, step: Callable[..., None], *arguments: bytes) -> None:
        """One step, and what follows from it."""
        try:
            step(*arguments)
        except Exception:
            # Whatever else is made of a peer's bytes ends this attempt or session and nothing beside it.
            self._counters["dtls_faults"] += 1
            current.failed, current.ended = current.keys is None, current.keys is not None
        if current.failed:
            self._pause()
        elif current.refused is not None:
            self._finish(current.refused)
        elif current.keys is not None:
            self._settle(current, current.keys)
        if self._current is current:
            self._wait(current)

    def _settle(self, current: DtlsSession, keys: SrtpKeys) -> None:
        if self.session is None:
            self.session = current
            current.on_goodbye = self._handle_goodbye
            self._on_connected(self, keys)
        if current.ended:
            # Where aiortc's SCTP has packets of before, it reads them first.
            asyncio.get_running_loop().call_soon(self._finish, "peer_closed")

    def _handle_goodbye(self) -> None:
        self._finish("peer_closed")

    def _pause(self) -> None:
        """Between two attempts; datagrams wait for the next."""
        self._counters["dtls_restarts"] += 1
        if self._current is not None:
            self._current.close()
        self._current = None
        self._set_timer(RESTART_DELAYS_S[self._attempts - 1], self._begin)

    def _wait(self, current: DtlsSession) -> None:
        timeout_s = current.timeout_s()
        if timeout_s is not None:
            self._set_timer(timeout_s, self._handle_timer)
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, delay_s: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, call)

    def _finish(self, reason: str) -> None:
        if not self._over:
            self._end()
            self._on_closed(self, reason)

    def _end(self) -> None:
        self._over = True
        if self._current is not None:
            self._current.close()
        self._current = None
        self._queue.clear()
        for handle in (self._work, self._timer):
            if handle is not None:
                handle.cancel()
        self._work = self._timer = None


def _nothing() -> None:
    pass
