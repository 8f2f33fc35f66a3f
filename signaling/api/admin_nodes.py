"""Routes for admins: the nodes of the cluster, and what goes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sfu.api import NodeInfo, Sfu
from signaling.api.typed import Access, Struct, route


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    """As it describes itself."""

    name: str
    version: str
    address: str
    """Host and port, where the other nodes reach it."""
    draining: bool
    rooms: int
    participants: int
    links: int


class NodeRegistry(Protocol):
    """Who is in the cluster."""

    @property
    def name(self) -> str:
        """Of this node."""
        ...

    @property
    def problem(self) -> str:
        """Why the registry does not answer, for a person; empty while it does."""
        ...

    def nodes(self) -> Sequence[RegisteredNode]:
        """All of them, this one too, as last heard; by name."""
        ...


class AdminNode(Struct):
    name: str
    version: str
    address: str
    here: bool
    """It is the one that answers."""
    connected: bool
    """It is the one that answers, or connected to it now."""
    registered: bool
    """False: it is connected, and the registry does not know it now."""
    draining: bool
    """It takes nobody new."""
    rooms: int
    participants: int
    """Whose clients are connected to it."""
    links: int
    """Over which it has exchanged media with others."""
    sent_bytes: int
    """Of media from the node that answers to this one, as long as their link is there."""
    received_bytes: int


class AdminNodes(Struct):
    nodes: list[AdminNode]
    """By name; none for a server by itself."""
    problem: str
    """Why the registry does not answer; empty while it does. What it knew last is shown."""


class AdminNodesEndpoint:
    """Only there where there are accounts. `registry` is None for a server by itself."""

    def __init__(self, sfu: Sfu, registry: NodeRegistry | None) -> None:
        self._sfu = sfu
        self._registry = registry

    @route("GET", "/api/v1/admin/nodes", access=Access.ADMIN)
    async def list_nodes(self) -> AdminNodes:
        """The nodes of the cluster, as the one that answers knows them."""
        registry = self._registry
        if registry is None:
            return AdminNodes(nodes=[], problem="")
        met = {node.name: node for node in self._sfu.nodes()}
        known = {node.name: node for node in registry.nodes()}
        nodes = [
            _view(known.get(name), met.get(name), name, here=name == registry.name) for name in sorted({*known, *met})
        ]
        return AdminNodes(nodes=nodes, problem=registry.problem)


def _view(known: RegisteredNode | None, met: NodeInfo | None, name: str, *, here: bool) -> AdminNode:
    people = {} if met is None else met.people
    return AdminNode(
        name=name,
        version="" if known is None else known.version,
        address="" if known is None else known.address,
        here=here,
        connected=met is not None,
        registered=known is not None,
        draining=known is not None and known.draining,
        # What is seen is newer than what was said with a heartbeat.
        rooms=len(people) if met is not None or known is None else known.rooms,
        participants=sum(people.values()) if met is not None or known is None else known.participants,
        links=0 if known is None else known.links,
        sent_bytes=0 if met is None else met.sent_bytes,
        received_bytes=0 if met is None else met.received_bytes,
    )
