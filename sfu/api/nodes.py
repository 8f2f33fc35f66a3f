"""This node and the others of its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sfu.ids import RoomName


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where a node takes connections of other nodes."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """This node among others: where it takes their connections, and what lets them in."""

    name: str
    """Of this node; no other has the same."""
    secret: str = field(repr=False)
    """The same on all nodes, at least 32 characters."""
    host: str
    port: int
    address: str = ""
    """Where the others reach it, when that is none of its own addresses."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """This node, or another one that it is connected to now."""

    name: str
    people: Mapping[RoomName, int]
    """How many are in each room whose clients are connected to it."""
    has_link: bool = False
    """Whether media can go between it and this one."""
    sent_bytes: int = 0
    received_bytes: int = 0
    """Of media over the link, as long as it is there; without what UDP and IP add."""
