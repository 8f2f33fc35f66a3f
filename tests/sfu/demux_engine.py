"""The demultiplexing part of the engine contract, and an outbox: enough engine to test sockets and transports with."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from sfu.engine.api import (
    MAX_DATAGRAM_BYTES,
    MAX_PATHS,
    AudioLevel,
    DtlsReceived,
    EngineStats,
    Event,
    OutboundPayload,
    Path,
    SrtpKeys,
    StunReceived,
    SubscriptionConfig,
    TrackConfig,
    Transmit,
    TransportConfig,
)
from sfu.errors import EngineError
from sfu.ids import SubscriptionHandle, TrackHandle, TransportHandle


class DemuxEngine:
    """Demultiplexes by RFC 7983; media is not known here."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[Path, bytes]] = []
        self.forgotten: list[Path] = []
        self.outbox: deque[Transmit] = deque()
        self.keys: dict[TransportHandle, SrtpKeys] = {}
        self.current: dict[TransportHandle, Path] = {}
        self.ice: dict[TransportHandle, tuple[str, str, str]] = {}
        self.checked_ns: dict[TransportHandle, int] = {}
        self.answered: set[bytes] = set()
        self.ticks = 0
        self.drops: Counter[str] = Counter()
        self._paths: dict[Path, TransportHandle] = {}
        self._transports: list[TransportHandle] = []
        self._next = 1
        self._events: deque[Event] = deque()

    def handle_datagram(self, now_ns: int, path: Path, data: bytes) -> None:
        self.datagrams.append((path, data))
        if not data:
            self.drops["not_rtc"] += 1
        elif len(data) > MAX_DATAGRAM_BYTES:
            self.drops["too_long"] += 1
        elif data[0] < 4:
            self._events.append(StunReceived(path, data))
        elif not 20 <= data[0] < 64:
            self.drops["not_rtc"] += 1
        elif path not in self._paths:
            self.drops["unknown_path"] += 1
        else:
            self._events.append(DtlsReceived(self._paths[path], path, data))

    def handle_timeout(self, now_ns: int) -> None:
        self.ticks += 1

    def next_timeout_ns(self) -> int | None:
        return None

    def poll_transmit(self) -> Transmit | None:
        return self.outbox.popleft() if self.outbox else None

    def poll_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def add_transport(self, config: TransportConfig) -> TransportHandle:
        handle = TransportHandle(self._next)
        self._next += 1
        self._transports.append(handle)
        return handle

    def set_srtp(self, transport: TransportHandle, keys: SrtpKeys) -> None:
        self._known(transport)
        self.keys[transport] = keys

    def allow_path(self, transport: TransportHandle, path: Path) -> None:
        self._known(transport)
        if self._paths.get(path) == transport:
            return
        mine = [known for known, owner in self._paths.items() if owner == transport]
        if len(mine) >= MAX_PATHS:
            del self._paths[next(known for known in mine if known != self.current.get(transport))]
        self._paths[path] = transport

    def set_path(self, transport: TransportHandle, path: Path) -> None:
        self.allow_path(transport, path)
        self.current[transport] = path

    def set_ice(self, transport: TransportHandle, local_ufrag: str, local_pwd: str, remote_ufrag: str) -> None:
        self._known(transport)
        self.ice[transport] = (local_ufrag, local_pwd, remote_ufrag)

    def last_check_ns(self, transport: TransportHandle) -> int | None:
        return self.checked_ns.get(transport)

    def has_answered(self, transport: TransportHandle, transaction_id: bytes) -> bool:
        return transaction_id in self.answered

    def forget_path(self, path: Path) -> None:
        self.forgotten.append(path)
        self._paths.pop(path, None)

    def remove_transport(self, transport: TransportHandle) -> None:
        self._known(transport)
        self._transports.remove(transport)
        self._paths = {path: owner for path, owner in self._paths.items() if owner != transport}

    def _known(self, transport: TransportHandle) -> None:
        if transport not in self._transports:
            raise EngineError("unknown transport")

    # The media half of the contract: no test here reaches it.
    def add_track(self, transport: TransportHandle, config: TrackConfig) -> TrackHandle:
        raise EngineError("no media here")

    def set_track_config(self, track: TrackHandle, config: TrackConfig) -> None:
        raise EngineError("no media here")

    def set_track_muted(self, track: TrackHandle, muted: bool) -> None:
        raise EngineError("no media here")

    def remove_track(self, track: TrackHandle) -> None:
        raise EngineError("no media here")

    def request_keyframe(self, track: TrackHandle, layer: int) -> None:
        raise EngineError("no media here")

    def add_subscription(
        self, transport: TransportHandle, track: TrackHandle, config: SubscriptionConfig
    ) -> SubscriptionHandle:
        raise EngineError("no media here")

    def set_wanted_bitrate(self, transport: TransportHandle, bitrate_bps: int) -> None:
        raise EngineError("no media here")

    def set_target_layer(self, subscription: SubscriptionHandle, spatial: int, temporal: int) -> None:
        raise EngineError("no media here")

    def set_payloads(self, subscription: SubscriptionHandle, payloads: Mapping[int, OutboundPayload]) -> None:
        raise EngineError("no media here")

    def set_fec(self, subscription: SubscriptionHandle, packets: int) -> None:
        raise EngineError("no media here")

    def set_subscription_paused(self, subscription: SubscriptionHandle, paused: bool) -> None:
        raise EngineError("no media here")

    def remove_subscription(self, subscription: SubscriptionHandle) -> None:
        raise EngineError("no media here")

    def audio_levels(self) -> list[AudioLevel]:
        return []

    def stats(self) -> EngineStats:
        return EngineStats((), (), (), self.drops, 0, 0, len(self.datagrams), 0, 0, 0)
