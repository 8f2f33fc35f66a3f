"""What is written on the bus: MessagePack maps, whose names are these fields.

A node of version N reads what N+1 wrote: fields that it does not know are ignored, those that it misses have their
defaults. So a field never changes its meaning or type, and none is taken away while nodes that read it may run; what
cannot be said so gets a new `v`, which older nodes leave alone.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

NODES = "nodes/"
VERSION = 1


class NodeRecord(msgspec.Struct, frozen=True):
    """One node, as it describes itself."""

    name: str
    instance: str
    """Another one for each process."""
    address: str
    """Where the other nodes reach it, with `port`."""
    port: int
    version: str
    """Of the program."""
    load: float = 0.0
    """0 is idle, 1 is full."""
    draining: bool = False
    """It takes nobody new."""
    session: str = ""
    """Another one for each time that it came into the registry."""
    rooms: int = 0
    participants: int = 0
    links: int = 0
    """Connections to other nodes that work."""
    v: int = VERSION


class Order(msgspec.Struct, frozen=True):
    """What an operator wants of a node; a hint."""

    verb: str
    """`drain` or `evict`."""
    node: str
    instance: str = ""
    """Which process of that name; empty is any. A process that came after the order is not meant."""
    v: int = VERSION

    def means(self, node: NodeRecord) -> bool:
        return self.node == node.name and self.instance in ("", node.instance)


ORDERS = "orders"
"""The topic of it."""
Record = TypeVar("Record", bound=msgspec.Struct)


def encode(record: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(record)


def decode(kind: type[Record], value: bytes) -> Record | None:
    """None for what is no such record, or one of a version that this program does not know."""
    try:
        record = msgspec.msgpack.decode(value, type=kind)
    except msgspec.DecodeError:
        return None
    return record if getattr(record, "v", None) == VERSION else None
