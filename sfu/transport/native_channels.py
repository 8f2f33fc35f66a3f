"""Data channels over the engine's own SCTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from sfu.api import DataKind
from sfu.engine.api import DataAssociation, DataOutcome
from sfu.transport.dtls import DtlsSession

_KINDS = (DataKind.RELIABLE, DataKind.LOSSY, DataKind.TRACK)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}


class NativeDataChannels:
    """`Channels` around a `DataAssociation`: packets to and from DTLS, one timer, events to callbacks."""

    def __init__(
        self,
        session: DtlsSession,
        association: DataAssociation,
        *,
        now_ns: Callable[[], int],
        on_message: Callable[[DataKind, bytes], None],
        on_ready: Callable[[], None],
        counters: Counter[str],
    ) -> None:
        self._session = session
        self._association = association
        self._now_ns = now_ns
        self._on_message = on_message
        self._on_ready = on_ready
        self._counters = counters
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for_ns: int | None = None
        self._stopped = False

    @property
    def ready(self) -> bool:
        return self._association.is_ready

    def start(self) -> None:
        self._session.set_packet_receiver(self._handle_packet)
        self._take(self._association.poll(self._now_ns()))

    def send(self, kind: DataKind, payload: bytes) -> bool:
        taken = self._association.send(_NUMBERS[kind], payload)
        self._take(self._association.poll(self._now_ns()))
        return taken

    async def stop(self) -> None:
        self._stopped = True
        self._session.set_packet_receiver(None)
        self._disarm()
        self._association.abort()
        self._take(self._association.poll(self._now_ns()))

    def _handle_packet(self, packet: bytes) -> None:
        self._take(self._association.handle_packet(self._now_ns(), packet))

    def _handle_timer(self) -> None:
        self._timer = self._armed_for_ns = None
        self._take(self._association.handle_timeout(self._now_ns()))

    def _take(self, outcome: DataOutcome) -> None:
        packets, events, due_ns = outcome
        if packets:
            self._session.send_packets(packets)
        self._arm(due_ns)
        for event in events:
            if not isinstance(event, str):
                if not self._stopped:
                    self._on_message(_KINDS[event[0]], event[1])
            elif event == "ready":
                self._on_ready()
            elif event != "closed":
                self._counters[event] += 1

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._armed_for_ns = None

    def _arm(self, due_ns: int | None) -> None:
        """A timer that fires too early, or for nothing, costs less than a new one for every packet."""
        if due_ns is not None and (self._armed_for_ns is None or due_ns < self._armed_for_ns):
            self._disarm()
            self._armed_for_ns = due_ns
            delay_s = max(0, due_ns - self._now_ns()) / 1e9
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._handle_timer)
