"""The composition root: engine, transports and rooms of one process. The only file that wires things."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sfu import metrics
from sfu.api import ClusterPlace, NodeEvent, NodeInfo, NodeListener, NodePlace, NodeTopicListener, SubscriptionFigures
from sfu.config import SfuConfig
from sfu.control.adapt.adaptation import INTERVAL_S as ADAPTATION_INTERVAL_S
from sfu.control.adapt.adaptation import Adaptation
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.speakers import sort_levels
from sfu.directory import Directory
from sfu.engine import create_runtime
from sfu.engine.api import (
    DtlsReceived,
    EstimateChanged,
    Event,
    ListenConfig,
    RembReceived,
    StreamStarted,
    StunReceived,
    TransportFailed,
    UplinkNarrowed,
)
from sfu.ids import random_id
from sfu.rooms import Rooms
from sfu.timers import Timers
from sfu.transport.candidates import local_addresses, local_candidates
from sfu.transport.transports import Transports

if TYPE_CHECKING:
    from sfu.relay.neighbours import Neighbours

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0
CLOSE_TIMEOUT_S = 3.0
"""How long the goodbyes of all transports may take when the node closes."""


class Node(Rooms):
    """An SFU. Everything runs in the thread of the loop that `start` was called in."""

    def __init__(self, config: SfuConfig, cluster: ClusterPlace | None = None) -> None:
        """`cluster`: where this node takes part in one."""
        super().__init__()
        self._config = config
        self._cluster = cluster
        self._neighbours: Neighbours | None = None
        self._topics: dict[str, NodeTopicListener] = {}
        self._node_id = random_id("ND_")
        self._runtime = create_runtime(config.engine, seed=secrets.randbits(64), threads=config.engine_threads)
        self._transports = Transports(config, self._runtime)
        self._adaptation: Adaptation | None = None
        self._timers: Timers | None = None
        self._listeners: list[NodeListener] = []

    @property
    def node_id(self) -> str:
        return self._node_id

    # --- life -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        config, loop = self._config, asyncio.get_running_loop()
        addresses = local_addresses(config)
        listen = ListenConfig(
            addresses=addresses,
            udp_port=config.rtc_udp_port,
            tcp_port=config.rtc_tcp_port,
            max_queued_packets=config.max_queued_packets,
            max_hold_ns=int(config.max_hold_ms * 1e6),
        )
        await self._runtime.open(listen, self._handle_event)
        self._transports.candidates = local_candidates(config, addresses)
        control = ControlContext(
            config=config,
            engine=self._runtime.commands,
            loop=loop,
            make_transport=self._transports.make,
            notify=self._notify,
        )
        self._timers = timers = Timers(loop, idle=lambda: not directory and not self._transports)
        directory = Directory(control, on_added=timers.wake)
        self._started = control, directory
        self._adaptation = Adaptation(control, lambda: directory)
        if self._cluster is not None:
            from sfu.relay.neighbours import Neighbours  # a server by itself needs nothing of it

            self._neighbours = Neighbours(
                self._cluster, self._node_id, config, control, directory, addresses, self._topics
            )
            await self._neighbours.open()
        timers.every(POLL_INTERVAL_S, self._poll)
        timers.every(ADAPTATION_INTERVAL_S, self._adaptation.run)
        timers.every(config.speaker_interval_s, self._update_speakers)
        logger.info("media on UDP port %d, TCP port %d, engine %s", config.rtc_udp_port, config.rtc_tcp_port,
                    self._runtime.name)  # fmt: skip

    async def prepare(self) -> None:
        await self._transports.prepare()

    async def close(self) -> None:
        if self._timers is not None:
            self._timers.close()
        if self._started is None:
            return
        self._directory.close()
        if self._neighbours is not None:
            await self._neighbours.close()
        if self._control.closing:
            _, late = await asyncio.wait(self._control.closing, timeout=CLOSE_TIMEOUT_S)
            if late:
                logger.warning("%d transports did not end within %g s", len(late), CLOSE_TIMEOUT_S)
        await self._runtime.close()

    # --- events ---------------------------------------------------------------------------------------------

    def add_listener(self, listener: NodeListener) -> None:
        self._listeners.append(listener)

    def _notify(self, event: NodeEvent) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("a listener failed on %s", type(event).__name__)

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, StunReceived):
            self._transports.handle_stun(event)
        elif isinstance(event, DtlsReceived):
            self._transports.handle_dtls(event)
        elif isinstance(event, RembReceived):
            if self._adaptation is not None:
                self._adaptation.handle_estimate(event.transport, event.bitrate_bps)
        elif isinstance(event, EstimateChanged):
            if self._adaptation is not None:
                self._adaptation.handle_line(event.transport, event.bitrate_bps)
        elif isinstance(event, UplinkNarrowed):
            if self._adaptation is not None:
                self._adaptation.handle_uplink(event.transport, event.bitrate_bps)
        elif isinstance(event, TransportFailed):
            self._transports.handle_fault(event.transport)
        elif isinstance(event, StreamStarted):
            holder = self._control.tracks.get(event.track)
            if holder is not None:
                holder.handle_stream_started(event.track, event.payload_type)

    # --- periodic work --------------------------------------------------------------------------------------

    def _poll(self) -> None:
        self._transports.poll()
        self._directory.look_after()

    def _update_speakers(self) -> None:
        rooms = {room.name: room for room in self._directory}
        heard = sort_levels(self._runtime.commands.audio_levels(), self._control.tracks, rooms)
        for name, levels in heard.items():
            rooms[name].update_speakers(levels)

    def _subscription_figures(self, participant: Participant) -> Sequence[SubscriptionFigures]:
        return [] if self._adaptation is None else self._adaptation.subscription_figures(participant)

    # --- other nodes ------------------------------------------------------------------------------------------

    def send_to_nodes(self, topic: str, payload: bytes, node: str = "") -> None:
        if self._neighbours is not None:
            self._neighbours.relay.send(topic, payload, node)

    def listen_to_nodes(self, topic: str, listener: NodeTopicListener) -> None:
        self._topics[topic] = listener

    def set_nodes(self, nodes: Mapping[str, NodePlace]) -> None:
        if self._neighbours is not None:
            self._neighbours.set_nodes(nodes)

    # --- figures ----------------------------------------------------------------------------------------------

    def nodes(self) -> Sequence[NodeInfo]:
        return () if self._neighbours is None else self._neighbours.nodes()

    def head_counts(self) -> Mapping[str, int]:
        return {
            "rooms": len(self._directory),
            "participants": sum(len(room.participants()) for room in self._directory),
            "links": 0 if self._neighbours is None else self._neighbours.relay.links,
        }

    def metrics(self) -> Mapping[str, float]:
        own = metrics.collect(self._runtime, self._transports, self._control, self._directory)
        return own if self._neighbours is None else {**own, **self._neighbours.figures()}
