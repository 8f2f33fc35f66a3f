"""`ting doctor` for a node of a cluster: NATS, the node's name, its port."""

from __future__ import annotations

import asyncio
import socket

from sfu.api import Check
from sfu.bus.nats import NatsBus
from sfu.bus.settings import ClusterSettings
from signaling.cluster.registry import Registry
from signaling.cluster.settings import place_of


def check_node(settings: ClusterSettings, *, dev: bool) -> list[Check]:
    """Nothing for a server by itself."""
    if not settings.cluster:
        return []
    place = place_of(settings, dev=dev)
    return [_check_node_port(place.host, place.port), *asyncio.run(_check_registry(settings, place.name))]


def _check_node_port(host: str, port: int) -> Check:
    name = f"TCP port {port} for other nodes"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Check(name, False, f"cannot be opened: {error.strerror}; end what has it, or set `node_port`")
    return Check(name, True, "free")


async def _check_registry(settings: ClusterSettings, name: str) -> list[Check]:
    bus = NatsBus(settings, "doctor")
    await bus.open()
    try:
        if not bus.available:
            why = f"{bus.problem}; does it run, and where `cluster` says (nats://host:port, from this machine)?"
            return [Check("cluster (NATS)", False, why)]
        answers = Check("cluster (NATS)", True, "answers, with JetStream")
        registry = Registry(bus)
        await registry.caught_up(settings.cluster_timeout_s * 2)
        return [answers, await _check_name(registry, name, settings.node_ttl_s)]
    finally:
        await bus.close()


async def _check_name(registry: Registry, name: str, ttl_s: float) -> Check:
    there = registry.find(name)
    # What a process has left behind is taken away by the others, or by the next one of its name.
    if there is not None and await registry.beats(there, ttl_s):
        who = f"{name} is running at {there.address}:{there.port}"
        return Check("node name", False, f"{who}: if that is another one, give this one its own `node_name`")
    return Check("node name", True, f"{name}, and no other node has it")
