"""A pair of virtual network cards: the load generator is in a network namespace of its own, the server is not.

Over loopback the kernel delivers a datagram, and wakes who sleeps for it, within the sender's system call. Here receive
packet steering (Documentation/networking/scaling.rst of the kernel) leaves that to the receiver's core, as a network
card does. Signalling goes through a forwarder of this process, since every server listens for it on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator

SERVER, LOAD = "198.18.0.1", "198.18.0.2"
"""Of the range for benchmarks (RFC 2544, appendix C.2.2)."""
_SERVER_CARD, _LOAD_CARD = "ting-bench-a", "ting-bench-b"
_NAMESPACE = "ting-bench"
PREFIX = ["ip", "netns", "exec", _NAMESPACE]
"""Runs a command beside the load generator's card."""


def is_possible() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


@contextlib.contextmanager
def veth_pair(server_cpus: set[int], load_cpus: set[int]) -> Iterator[None]:
    """While it lasts there are both cards. Raises `RuntimeError` where they cannot be made."""
    _remove()
    try:
        _run("ip netns add", _NAMESPACE)
        _run(f"ip link add {_SERVER_CARD} type veth peer name {_LOAD_CARD} netns {_NAMESPACE}")
        _run(f"ip address add {SERVER}/30 dev {_SERVER_CARD}")
        _run(f"ip link set {_SERVER_CARD} up")
        for command in (
            f"ip address add {LOAD}/30 dev {_LOAD_CARD}",
            f"ip link set {_LOAD_CARD} up",
            "ip link set lo up",
            f"ip route add default via {SERVER}",
        ):
            _run(*PREFIX, command)
        _steer(_SERVER_CARD, server_cpus)
        _steer(_LOAD_CARD, load_cpus, *PREFIX)
        yield
    finally:
        _remove()


@contextlib.asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[None]:
    """Whoever connects to this TCP port of `SERVER` gets that of loopback."""
    ends: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(lambda *one: _forward(port, ends, *one), SERVER, port)
    try:
        yield
    finally:
        server.close()
        for end in ends:
            end.close()


def _steer(card: str, cpus: set[int], *prefix: str) -> None:
    mask = f"{sum(1 << cpu for cpu in cpus):x}"
    write = ["sh", "-c", f"echo {mask} > /sys/class/net/{card}/queues/rx-0/rps_cpus"]
    _check([*prefix, *write])


def _run(*words: str) -> None:
    _check([part for word in words for part in word.split()])


def _check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def _remove() -> None:
    """The pair goes with the namespace that one of it is in."""
    subprocess.run(["ip", "netns", "delete", _NAMESPACE], capture_output=True, check=False)
    subprocess.run(["ip", "link", "delete", _SERVER_CARD], capture_output=True, check=False)


async def _forward(
    port: int, ends: set[asyncio.StreamWriter], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    ends |= {writer, other_writer}
    await asyncio.gather(_pump(reader, other_writer), _pump(other_reader, writer))
    ends -= {writer, other_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
