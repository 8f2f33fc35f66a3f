"""This node among others: the connections to them, and what goes over them, put together."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from sfu.api import ClusterPlace, NodeInfo, NodePlace, NodeTopicListener
from sfu.control import moving
from sfu.control.context import ControlContext
from sfu.control.participant import Participant
from sfu.control.room import Room
from sfu.control.settings import ControlSettings
from sfu.directory import Directory
from sfu.errors import BindError
from sfu.relay.link import Link, Ssrcs
from sfu.relay.mesh import Greeting, Mesh, Peer
from sfu.relay.relay import NodeRelay


class Neighbours:
    def __init__(
        self,
        place: ClusterPlace,
        instance: str,
        config: ControlSettings,
        context: ControlContext,
        directory: Directory,
        addresses: Sequence[str],
        topics: Mapping[str, NodeTopicListener],
    ) -> None:
        """`instance` is another one at each start; `addresses` are those that take media."""
        self._place = place
        self._config = config
        self._context = context
        self._addresses = list(addresses)
        self._directory = directory
        group = next(context.groups)
        directory.fixed_groups.add(group)
        self.relay = context.relay = NodeRelay(
            place.name, config, context, directory, group, self._make_link, self._move, Ssrcs(), topics
        )
        greeting = Greeting(place.name, instance, _reached_at(self._addresses, place.address), config.rtc_udp_port)
        self.mesh = Mesh(config, place.secret, greeting, self.relay)

    async def open(self) -> None:
        """Raises `BindError`."""
        try:
            await self.mesh.open(self._place.host, self._place.port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BindError(f"node_port: cannot listen on port {self._place.port} for other nodes: {reason}") from None

    def set_nodes(self, nodes: Mapping[str, NodePlace]) -> None:
        self.mesh.set_nodes(nodes)

    def nodes(self) -> list[NodeInfo]:
        here = {room.name: len(room.participants()) for room in self._directory}
        own = NodeInfo(self._place.name, {room: people for room, people in here.items() if people})
        traffic = {one.transport: one for one in self._context.engine.stats().transports}
        return [own, *self.relay.others(traffic)]

    def figures(self) -> Mapping[str, float]:
        """For /metrics."""
        events = {f'ting_node_events_total{{event="{event}"}}': n for event, n in self.mesh.counters.items()}
        return {"ting_node_peers": len(self.mesh.peers), "ting_links": self.relay.links, **events}

    async def close(self) -> None:
        await self.mesh.close()
        self.relay.close()

    def _make_link(self, peer: Peer, group: int) -> Link:
        local = peer.local_host
        if local not in self._addresses:
            local = next((one for one in self._addresses if (":" in one) == (":" in local)), self._addresses[0])
        here = (local, self._config.rtc_udp_port)
        return Link(self._context.engine, group, here, peer.media, self._config.max_link_ssrcs)

    def _move(self, participant: Participant, room: Room) -> None:
        moving.move(participant, room, self._context)


def _reached_at(addresses: Sequence[str], address: str) -> list[str]:
    """Where other nodes may send media: also to where they connect to, such as the outer side of a NAT."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return list(addresses)
    return list(dict.fromkeys([*addresses, address]))
