"""A node on loopback for one test; must end without transports, publications or unhandled errors."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from sfu.config import SfuConfig
from sfu.node import Node


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


BASE = SfuConfig(
    rtc_addresses=("127.0.0.1",),
    include_loopback=True,
    engine=os.environ.get("TING_ENGINE", "auto"),
    negotiation_debounce_s=0.01,
)


@pytest.fixture
async def start_node() -> AsyncIterator[Callable[..., Any]]:
    nodes: list[Node] = []
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))

    async def start(**changes: object) -> Node:
        ports = {"rtc_udp_port": free_port(socket.SOCK_DGRAM), "rtc_tcp_port": free_port(socket.SOCK_STREAM)}
        node = Node(replace(BASE, **{**ports, **changes}))  # type: ignore[arg-type]
        await node.start()
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        await node.close()
        assert node.metrics()["ting_transports"] == 0
        assert node.metrics()["ting_subscriptions"] == 0
        assert node.metrics()["ting_publications"] == 0
    assert problems == []
