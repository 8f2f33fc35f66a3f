"""Delay of one forwarded packet on an idle server, socket to socket, and memory of one idle subscription.

    python benchmarks/bench_latency.py [--engine auto] [--packets 2000] [--subscriptions 2000]

Delay: audio packets, one every 5 ms to one subscriber; from before the publisher's send to after the receiver's
receive, in one process on another core than the server. Floor: in the same run, turn and turn about, a datagram of that
size goes through a bare loop of recv and sendto on the server's core to the same receiver: the two system calls of the
peer, the two of the loop, and the two wake-ups, which no server can do without.
Memory: resident bytes that the server process gains for each
subscription of one video track with NACK and a cache of 512 packets, whose transports are there before.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path as FilePath

sys.path.insert(0, str(FilePath(__file__).resolve().parent.parent))

from benchmarks.bench_forward import (
    HOST,
    Publisher,
    add_publisher,
    choose_cpus,
    free_port,
    make_keys,
    pin,
    run_loop,
    set_up_call,
    subscription_config,
)
from sfu.engine import create_runtime, engine_name
from sfu.engine.api import ListenConfig, Path, TransportConfig

INTERVAL_S = 0.005


def run_echo(connection: Connection, cpu: int) -> None:
    """The floor: tell the address, get that of the receiver, pass on what comes until it is empty."""
    pin(cpu)
    loop = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    loop.bind((HOST, 0))
    connection.send(loop.getsockname())
    receiver = connection.recv()
    while data := loop.recv(2048):
        loop.sendto(data, receiver)


def run_peer(connection: Connection, cpu: int, server: tuple[str, int], echo: tuple[str, int], packets: int) -> None:
    """Tell both addresses; on a word, send and receive; then tell the delays in seconds: the server's, the floor's."""
    pin(cpu)
    publisher = Publisher("audio", server, 0)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((HOST, 0))
    receiver.settimeout(1.0)
    connection.send((publisher.socket.getsockname(), receiver.getsockname()))
    connection.recv()
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.connect(echo)
    delays: list[float] = []
    floor: list[float] = []
    for number in range(2 * packets):
        time.sleep(INTERVAL_S)
        [data] = publisher.next_frame()
        sender, times = (plain, floor) if number % 2 else (publisher.socket, delays)
        begin = time.perf_counter()
        sender.send(data)
        receiver.recv(2048)
        times.append(time.perf_counter() - begin)
    plain.send(b"")
    connection.send((sorted(delays), sorted(floor)))


async def measure_delay(engine: str, packets: int, server_cpu: int, peer_cpu: int) -> tuple[list[float], list[float]]:
    runtime = create_runtime(engine, seed=1)
    server = (HOST, free_port())
    await runtime.open(ListenConfig((HOST,), server[1], 0), lambda event: None)
    context = multiprocessing.get_context("spawn")
    echo, echo_end = context.Pipe()
    floor = context.Process(target=run_echo, args=(echo_end, server_cpu), daemon=True)
    floor.start()
    ours, theirs = context.Pipe()
    address = await asyncio.to_thread(echo.recv)
    process = context.Process(target=run_peer, args=(theirs, peer_cpu, server, address, packets), daemon=True)
    process.start()
    publisher, receiver = await asyncio.to_thread(ours.recv)
    echo.send(receiver)
    set_up_call(runtime.commands, "audio", server, [publisher], [receiver])
    ours.send("go")
    delays: tuple[list[float], list[float]] = await asyncio.to_thread(ours.recv)
    await runtime.close()
    for one in (process, floor):
        await asyncio.to_thread(one.join, 10)
    return delays


async def measure_memory(engine: str, subscriptions: int) -> float:
    """Bytes per subscription."""
    runtime = create_runtime(engine, seed=1)
    server = (HOST, free_port())
    await runtime.open(ListenConfig((HOST,), server[1], 0), lambda event: None)
    commands = runtime.commands
    track = add_publisher(commands, "video", Path("udp", server, (HOST, 9)), 0)
    transports = [commands.add_transport(TransportConfig()) for _ in range(subscriptions)]
    for number, transport in enumerate(transports):
        commands.set_srtp(transport, make_keys(number))
        commands.set_path(transport, Path("udp", server, (HOST, 10 + number)))
    before = resident_bytes()
    for transport in transports:
        commands.set_subscription_paused(
            commands.add_subscription(transport, track, subscription_config("video", 0)), False
        )
    gained = resident_bytes() - before
    await runtime.close()
    return gained / subscriptions


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as figures:
        return int(figures.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description="Delay of a forwarded packet, memory of a subscription.")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--packets", type=int, default=2000)
    parser.add_argument("--subscriptions", type=int, default=2000)
    options = parser.parse_args()
    server_cpu, peer_cpu = choose_cpus()
    pin(server_cpu)
    delays, floor = run_loop(measure_delay(options.engine, options.packets, server_cpu, peer_cpu))
    memory = run_loop(measure_memory(options.engine, options.subscriptions))
    name = engine_name(options.engine)
    for what, times in ((name, delays), ("floor", floor)):
        p10, p50, p99 = (times[int(len(times) * share)] * 1e6 for share in (0.1, 0.5, 0.99))
        print(f"{what:>10}: delay p10 {p10:.0f} us, p50 {p50:.0f} us, p99 {p99:.0f} us")
    added = (delays[len(delays) // 2] - floor[len(floor) // 2]) * 1e6
    print(f"{name:>10}: {added:.0f} us added at the median; {memory / 1024:.1f} KiB per idle subscription")


if __name__ == "__main__":
    main()
