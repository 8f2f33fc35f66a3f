"""An engine with sockets and a clock around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.engine.api.config import Path
from sfu.engine.api.data import DataLink, DataListener, DataOptions, DtlsSecrets
from sfu.engine.api.engine import EngineCommands
from sfu.engine.api.events import Event
from sfu.ids import TransportHandle


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where a runtime listens: one UDP and one TCP socket per local address (TCP port 0 = no ICE-TCP)."""

    addresses: Sequence[str]
    udp_port: int
    tcp_port: int
    max_tcp_connections: int = 1000
    max_unauthenticated_tcp: int = 100
    socket_buffer_bytes: int = 4 * 1024 * 1024
    max_queued_packets: int = 16_384
    """Decided packets that may wait for a thread to send them, in each send queue of a runtime that has such."""
    max_hold_ns: int = 0
    """How long a large fan-out may wait for others that follow closely, in a runtime that holds such."""


class EngineRuntime(Protocol):
    """An engine at work: sockets, clock and driver around `EngineCommands`.

    Used from the event loop's thread only. Events arrive at `on_event` in that thread, one at a time, in order.
    """

    name: str
    commands: EngineCommands
    has_data_channels: bool
    """Whether `open_data` may have any to give."""

    async def open(self, listen: ListenConfig, on_event: Callable[[Event], None]) -> None:
        """Bind every address. Raises `BindError` naming the address and port when one cannot be opened."""
        ...

    def send(self, path: Path, data: bytes) -> None:
        """Send a STUN reply or a DTLS record. Never blocks, never raises: what cannot leave is counted."""
        ...

    def now_ns(self) -> int: ...

    def open_data(
        self,
        transport: TransportHandle,
        path: Path,
        secrets: DtlsSecrets,
        options: DataOptions,
        listener: DataListener,
    ) -> DataLink | None:
        """Data channels for a transport whose DTLS handshake is over: from now on the engine reads and writes its
        records, but for those that are no application data, which still come as `DtlsReceived`. In place of those that
        the transport had. None from a runtime that has none, or is closed."""
        ...

    def io_stats(self) -> Mapping[str, int]:
        """Counters of the sockets: datagrams and bytes in and out, send_failures, tcp_connections, tcp_refused."""
        ...

    async def close(self) -> None: ...
