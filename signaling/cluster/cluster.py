"""This server among others: who they are is found on the bus, and told to the SFU, which connects to them."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket

from sfu.api import ClusterPlace, NodePlace, Sfu
from sfu.bus.membership import Membership, NameTaken
from sfu.bus.nats import NatsBus
from sfu.bus.records import NodeRecord
from sfu.bus.settings import ClusterSettings
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
    def __init__(self, settings: ClusterSettings, place: ClusterPlace, sfu: Sfu, *, dev: bool) -> None:
        self._sfu = sfu
        self.bus = NatsBus(settings, place.name)
        record = NodeRecord(
            name=place.name,
            instance=sfu.node_id,
            address=settings.node_address or ("127.0.0.1" if dev else _own_address()),
            port=place.port,
            version=VERSION,
        )
        self.membership = Membership(self.bus, record, ttl_s=settings.node_ttl_s, describe=self._describe)

    async def start(self) -> None:
        """Raises `NameTaken`. While the bus is away, the node is alone, and goes on trying."""
        await self.bus.open()
        if not self.bus.available:
            _log.error("the NATS server of the cluster (setting: cluster) is away: %s", self.bus.problem)
        self.membership.on_change(lambda _: self._tell())
        self.membership.on_refused(self._end)
        await self.membership.start()
        self._tell()

    def drain(self) -> None:
        """The others hear that this node takes nobody new."""
        self.membership.announce(draining=True)

    async def close(self) -> None:
        await self.membership.close()
        await self.bus.close()

    def _describe(self) -> dict[str, object]:
        figures = self._sfu.metrics()
        return {
            "rooms": int(figures["ting_rooms"]),
            "participants": int(figures["ting_participants"]),
            "links": int(figures.get("ting_links", 0)),
        }

    def _tell(self) -> None:
        peers = self.membership.peers().values()
        self._sfu.set_nodes({one.name: NodePlace(one.name, one.address, one.port) for one in peers})

    def _end(self, error: NameTaken) -> None:
        """Two of one name would be taken for one: this one stops, as if it had been asked to."""
        _log.critical("%s", error)
        os.kill(os.getpid(), signal.SIGTERM)
