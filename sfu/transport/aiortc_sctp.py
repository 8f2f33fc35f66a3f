"""SCTP by aiortc on a DTLS session of ours; the only file that knows aiortc's private names.

aiortc's association asks of its DTLS transport what `_Below` has. What we change of it: a peer can make it hold only
so much, and nothing that a peer sends can raise. tests/sfu/test_aiortc_names.py fails when aiortc's minor version or
one of the names that are used here changes.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import cast

from aiortc import RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport

from sfu.transport.dtls import DtlsSession
from sfu.transport.sctp_guard import is_sound

AIORTC_VERSION = "1.16"

MAX_SCTP_FAULTS = 32
MAX_SCTP_STREAMS = 64
MAX_SCTP_WAITING_CHUNKS = 4096
"""Chunks of messages that are not complete, or behind a gap, per association."""
MAX_SCTP_QUEUE_PACKETS = 128
"""Packets that wait for the event loop; the peer repeats what is dropped."""


class _Below:
    """What aiortc's SCTP takes for its DTLS transport."""

    def __init__(self, session: DtlsSession) -> None:
        self._session = session
        self._role = str(session.role)

    @property
    def state(self) -> str:
        return "closed" if self._session.ended else "connected"

    def _register_data_receiver(self, receiver: object) -> None:
        """`SctpAssociation.begin` asks the session itself."""

    def _unregister_data_receiver(self, receiver: object) -> None:
        self._session.set_packet_receiver(None)

    async def _send_data(self, data: bytes) -> None:
        self._session.send(data)


class SctpAssociation(RTCSctpTransport):
    """aiortc's SCTP with limits on what a peer can make it hold, and faults that stay inside."""

    def __init__(self, session: DtlsSession, counters: Counter[str]) -> None:
        super().__init__(cast(RTCDtlsTransport, _Below(session)))
        self._counters = counters
        self._session = session
        self._faults = 0
        self._received: deque[bytes] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def begin(self, remote_max_message_size: int) -> None:
        """Start the association; both sides initiate (RFC 8841 §9.3)."""
        await self.start(RTCSctpCapabilities(maxMessageSize=remote_max_message_size), self.port)
        self._session.set_packet_receiver(self._take)

    async def stop(self) -> None:
        self._received.clear()
        await super().stop()

    def _take(self, packet: bytes) -> None:
        if not is_sound(packet):
            self._counters["sctp_unsound"] += 1
        elif len(self._received) >= MAX_SCTP_QUEUE_PACKETS:
            self._counters["sctp_queue_full"] += 1
        else:
            self._received.append(packet)
            if self._pump is None:
                self._pump = asyncio.get_running_loop().create_task(self._handle_received())

    async def _handle_received(self) -> None:
        """There is one at a time, as long as there is something."""
        while self._received:
            await self._handle_data(self._received.popleft())
        self._pump = None

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
