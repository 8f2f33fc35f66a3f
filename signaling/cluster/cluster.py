"""This server among others: who they are is found on the bus, and told to the SFU, which connects to them."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from sfu.api import ClusterPlace, NodePlace, Sfu
from sfu.bus.membership import Membership, NameTaken
from sfu.bus.nats import NatsBus
from sfu.bus.records import ORDERS, NodeRecord, Order, decode
from sfu.bus.settings import ClusterSettings
from sfu.bus.signed import SignedBus
from signaling.api.admin_nodes import RegisteredNode
from signaling.cluster.news import ClusterNews
from signaling.revocations import Revocations
from signaling.version import VERSION

_log = logging.getLogger("ting.cluster")


def _own_address() -> str:
    """The address by which this host leaves for others: nothing is sent."""
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))
            except OSError:
                continue
            address = str(probe.getsockname()[0])
            if not ipaddress.ip_address(address).is_loopback:
                return address
    return "127.0.0.1"


class Cluster:
    def __init__(
        self,
        settings: ClusterSettings,
        place: ClusterPlace,
        sfu: Sfu,
        revocations: Revocations,
        *,
        dev: bool,
    ) -> None:
        self._sfu = sfu
        self.bus = SignedBus(NatsBus(settings, place.name), place.secret)
        record = NodeRecord(
            name=place.name,
            instance=sfu.node_id,
            address=settings.node_address or ("127.0.0.1" if dev else _own_address()),
            port=place.port,
            version=VERSION,
        )
        self.membership = Membership(self.bus, record, ttl_s=settings.node_ttl_s, describe=sfu.head_counts)
        self.news = ClusterNews(self.bus, revocations)
        self.on_drain: Callable[[], None] = _stop
        """Called when an operator drains this node: it shall take nobody new, send everybody elsewhere, and end."""
        self._was_in = False

    async def start(self) -> None:
        """Raises `NameTaken`. While the bus is away, the node is alone, and goes on trying."""
        await self.bus.open()
        if not self.bus.available:
            _log.error("the NATS server of the cluster (setting: cluster) is away: %s", self.bus.problem)
        self.membership.on_change(lambda _: self._tell())
        self.membership.on_refused(self._end)
        self.bus.listen(ORDERS, self._obey)
        self.news.start()
        await self.membership.start()
        self._tell()

    # --- as a NodeRegistry ------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.membership.record.name

    @property
    def problem(self) -> str:
        return self.bus.problem

    def nodes(self) -> list[RegisteredNode]:
        return [_registered(record) for _, record in sorted(self.membership.nodes().items())]

    # --- what an operator sees and wants ----------------------------------------------------------------------

    def add_metrics(self, registry: CollectorRegistry) -> None:
        for name, text, value in (
            ("ting_nodes", "Nodes of the cluster as far as this one knows", lambda: len(self.membership.nodes())),
            ("ting_bus_available", "Whether the cluster's NATS server answers", lambda: self.bus.available),
            ("ting_node_valid", "Whether this node is certainly in the registry", lambda: self.membership.valid),
            ("ting_node_draining", "Whether this node takes nobody new", lambda: self.membership.record.draining),
            ("ting_node_heartbeats_failed", "Heartbeats that did not reach the registry, since the start",
             lambda: self.membership.heartbeats_failed),
        ):  # fmt: skip
            Gauge(name, text, registry=registry).set_function(value)

    @property
    def ready(self) -> bool:
        """Whether the others have known of this node at some time. What is away later does not stop calls."""
        self._was_in = self._was_in or bool(self.membership.session)
        return self._was_in

    def _obey(self, payload: bytes) -> None:
        order = decode(Order, payload)
        me = self.membership.record
        if order is None or not order.means(me) or (order.verb == "drain" and me.draining):
            return
        _log.warning("an operator wants this node to %s", order.verb)
        if order.verb == "drain":
            self.drain()
            self.on_drain()
        elif order.verb == "evict":
            os.kill(os.getpid(), signal.SIGKILL)

    def drain(self) -> None:
        """The others hear that this node takes nobody new."""
        self.membership.announce(draining=True)

    async def close(self) -> None:
        await self.news.close()
        await self.membership.close()
        await self.bus.close()

    def _tell(self) -> None:
        peers = self.membership.peers().values()
        self._sfu.set_nodes({one.name: NodePlace(one.name, one.address, one.port) for one in peers})

    def _end(self, error: NameTaken) -> None:
        """Two of one name would be taken for one: this one stops, as if it had been asked to."""
        _log.critical("%s", error)
        _stop()


def _registered(record: NodeRecord) -> RegisteredNode:
    return RegisteredNode(
        record.name,
        record.version,
        f"[{record.address}]:{record.port}" if ":" in record.address else f"{record.address}:{record.port}",
        record.draining,
        record.rooms,
        record.participants,
        record.links,
    )


def _stop() -> None:
    """As if the process had been asked to."""
    os.kill(os.getpid(), signal.SIGTERM)
