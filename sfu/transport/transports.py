"""All transports of a node: where they come from, and how events of the engine find them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sfu.engine.api import DtlsReceived, EngineRuntime, StunReceived, TransportConfig
from sfu.errors import RequestError
from sfu.ids import TransportHandle
from sfu.sdp.model import LocalCandidate
from sfu.transport.certificate import Certificate
from sfu.transport.ice_lite import IceRegistry
from sfu.transport.loading import AssociationLoader
from sfu.transport.settings import TransportSettings
from sfu.transport.transport import Transport, TransportEvents, TransportRole


class Transports:
    def __init__(self, config: TransportSettings, runtime: EngineRuntime) -> None:
        self._config = config
        self._runtime = runtime
        self._registry = IceRegistry(runtime)
        self._certificate = Certificate.generate()
        self._associations = AssociationLoader(self._certificate, needs_sctp=not runtime.has_data_channels)
        self._by_handle: dict[TransportHandle, Transport] = {}
        self.candidates: Sequence[LocalCandidate] = ()
        """What every description offers. Known once the ports are open."""

    def __iter__(self) -> Iterator[Transport]:
        return iter(list(self._by_handle.values()))

    def __len__(self) -> int:
        return len(self._by_handle)

    async def prepare(self) -> None:
        """Returns when transports can be made without a pause for what they load."""
        await self._associations.load()

    def make(self, role: TransportRole, group: int, tcp_only: bool) -> Transport:
        """Raises limit_exceeded."""
        limit = self._config.max_half_open_transports
        # So few are not counted with each that comes.
        if len(self._by_handle) >= limit and sum(not transport.connected for transport in self) >= limit:
            raise RequestError("too many calls are being set up", code="limit_exceeded")
        publishing = role is TransportRole.PUBLISH
        limits = TransportConfig(
            group=group,
            max_ssrcs=self._config.max_ssrcs_per_transport,
            max_packets_per_s=self._config.max_packets_per_s,
            max_feedback_per_s=self._config.max_feedback_per_s,
            max_bitrate_bps=self._config.max_bitrate_bps if publishing else 0,
        )
        transport = Transport(
            role=role,
            runtime=self._runtime,
            registry=self._registry,
            certificate=self._certificate,
            candidates=[one for one in self.candidates if not tcp_only or one.protocol == "tcp"],
            config=self._config,
            engine_config=limits,
        )
        self._by_handle[transport.handle] = transport
        transport.events.on(TransportEvents.CLOSED, lambda _reason: self._by_handle.pop(transport.handle, None))
        return transport

    def handle_stun(self, event: StunReceived) -> None:
        self._registry.handle_stun(self._runtime.now_ns(), event.path, event.data)

    def handle_dtls(self, event: DtlsReceived) -> None:
        transport = self._by_handle.get(event.transport)
        if transport is not None:
            transport.handle_dtls(self._runtime.now_ns(), event.path, event.data)

    def handle_fault(self, handle: TransportHandle) -> None:
        transport = self._by_handle.get(handle)
        if transport is not None:
            transport.handle_fault()

    def poll(self) -> None:
        """Once a second or so: what is due of any of them."""
        now_ns = self._runtime.now_ns()
        for transport in self:
            transport.poll(now_ns)

    @property
    def ice_drops(self) -> Counter[str]:
        return self._registry.drops

    def counters(self) -> Counter[str]:
        """Faults and drops of the transports that are there and of those that were."""
        total = Counter(self._registry.transport_counters)
        for transport in self:
            total.update(transport.counters)
        return total
