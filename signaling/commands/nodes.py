"""`ting nodes`: the nodes of the cluster as its registry has them; send one away."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence

import msgspec

from sfu.bus.nats import NatsBus
from sfu.bus.records import NodeRecord
from sfu.bus.signed import SignedBus
from signaling.cluster.registry import Registry
from signaling.cluster.settings import place_of
from signaling.commands.options import add_key_options, read_settings, say
from signaling.config import Settings
from signaling.errors import ConfigError

VERBS = {
    "drain": "let a node take nobody new, send its people to the others, and end",
    "evict": "end a node at once; its people come back on the others by themselves",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    add_key_options(parser)
    parser.add_argument("--cluster", metavar="URL", help="nats://host:port by which the nodes find each other")
    kinds = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    listed = kinds.add_parser("list", help="show the nodes", allow_abbrev=False)
    listed.add_argument("--json", action="store_true", help="print them as JSON")
    for verb, text in VERBS.items():
        act = kinds.add_parser(verb, help=text, allow_abbrev=False)
        act.add_argument("node", metavar="NAME", nargs="?", default="", help="which (default: this host's, node_name)")
        act.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait (default 60)")


def run(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    if not settings.cluster.cluster:
        raise ConfigError("cluster: this server is alone; nats://host:port of its cluster's NATS server is needed")
    return asyncio.run(_run(settings, options))


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    place = place_of(settings.cluster, dev=settings.listener.dev)
    bus = SignedBus(NatsBus(settings.cluster, "command"), place.secret)
    await bus.open()
    try:
        if not bus.available:
            say(f"cluster: the NATS server is away: {bus.problem}")
            return 1
        registry = Registry(bus)
        await registry.caught_up(settings.cluster.cluster_timeout_s * 2)
        if options.act == "list":
            return _list(registry.nodes(), as_json=options.json)
        name = options.node or place.name
        return await _order(registry, options.act, name, options.wait)
    finally:
        await bus.close()


def _list(nodes: Sequence[NodeRecord], *, as_json: bool) -> int:
    if as_json:
        say(json.dumps([msgspec.structs.asdict(node) for node in nodes], indent=2))
        return 0
    rows = [("NAME", "ADDRESS", "VERSION", "ROOMS", "PEOPLE", "LINKS", "STATE")]
    for node in nodes:
        where, state = f"{node.address}:{node.port}", "draining" if node.draining else "ready"
        figures = (str(node.rooms), str(node.participants), str(node.links))
        rows.append((node.name, where, node.version, *figures, state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


async def _order(registry: Registry, verb: str, name: str, wait_s: float) -> int:
    before = registry.find(name)
    if before is None:
        say(f"there is no node named {name}; those there are: {', '.join(node.name for node in registry.nodes())}")
        return 1
    if await registry.order(verb, before, wait_s):
        say(f"{name} is gone")
        return 0
    there = registry.find(name)
    is_draining = there is not None and there.draining
    say(f"{name} is draining still" if is_draining else f"{name} has not ended; is it running and reached by NATS?")
    return 1
