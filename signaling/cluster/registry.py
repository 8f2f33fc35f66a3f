"""The registry seen by one who is no node: an operator's command, or the doctor."""

from __future__ import annotations

import asyncio
import contextlib

from sfu.bus.api import Bus, Entry
from sfu.bus.records import NODES, ORDERS, NodeRecord, Order, decode, encode

AGAIN_S = 1.0
"""After which an order that was not obeyed is said again."""


class Registry:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._nodes: dict[str, NodeRecord] = {}
        self._heard: dict[str, int] = {}
        """How often each was heard of."""
        self._changed = asyncio.Event()
        self._caught_up = asyncio.Event()
        bus.watch(NODES, self._told, self._caught_up.set)

    def _told(self, key: str, entry: Entry | None) -> None:
        name = key.removeprefix(NODES)
        record = decode(NodeRecord, entry.value) if entry is not None else None
        if record is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = record
            self._heard[name] = self._heard.get(name, 0) + 1
        self._changed.set()

    async def caught_up(self, timeout_s: float) -> bool:
        """Wait until all nodes are known; whether they are."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._caught_up.wait()
        return self._caught_up.is_set()

    def nodes(self) -> list[NodeRecord]:
        return [self._nodes[name] for name in sorted(self._nodes)]

    def find(self, name: str) -> NodeRecord | None:
        return self._nodes.get(name)

    async def order(self, verb: str, node: NodeRecord, timeout_s: float) -> bool:
        """Order this process until it is no longer there; whether it is so. Another one of its name may have come.

        An order is lost on a node that is just connecting to NATS again, so it is said more than once.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._is_there(node):
                    self._bus.emit(ORDERS, encode(Order(verb, node.name, node.instance)))
                    await self._absent(node, AGAIN_S)
        return not self._is_there(node)

    async def _absent(self, node: NodeRecord, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._is_there(node):
                    self._changed.clear()
                    await self._changed.wait()

    async def beats(self, node: NodeRecord, ttl_s: float) -> bool:
        """Wait for a heartbeat, as long as one may take; whether there was one."""
        before = self._heard.get(node.name, 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ttl_s):
                while self._heard.get(node.name, 0) == before:
                    self._changed.clear()
                    await self._changed.wait()
        return self._heard.get(node.name, 0) != before

    def _is_there(self, node: NodeRecord) -> bool:
        there = self._nodes.get(node.name)
        return there is not None and there.instance == node.instance
