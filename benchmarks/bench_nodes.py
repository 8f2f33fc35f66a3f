"""What a link between two nodes adds, socket to socket: delay of a packet, and CPU time of carrying it.

    python benchmarks/bench_nodes.py [--packets 3000] [--seconds 5] [--rounds 3]

Delay: audio packets, one every 5 ms, to a subscriber of the node that they come to, and over a link to one of another
node in a process of its own; from before the send to after the receive.
CPU: one video of 1,000 packets a second to N subscribers of one engine, or over N links; the process's CPU time for
each packet that it sends. All with the Rust engine if it is there, the link as `sfu.relay.link` makes it.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path as FilePath

sys.path.insert(0, str(FilePath(__file__).resolve().parent.parent))

from benchmarks.bench_forward import (
    EXTENSIONS as PEER_EXTENSIONS,
)
from benchmarks.bench_forward import (
    HOST,
    Publisher,
    add_publisher,
    choose_cpus,
    free_port,
    make_keys,
    pin,
    run_loop,
    subscription_config,
)
from sfu.engine import create_runtime
from sfu.engine.api import (
    Address,
    Codec,
    EngineCommands,
    EngineRuntime,
    InboundLayer,
    InboundPayload,
    ListenConfig,
    Path,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.ids import TrackHandle
from sfu.kind import Kind
from sfu.relay.link import EXTENSIONS, Link
from sfu.relay.messages import LinkKeys

INTERVAL_S = 0.005
LINK_SSRC = 77
RECEIVER_BUFFER_BYTES = 4 * 1024 * 1024
AUDIO_TYPE, VIDEO_TYPE = 111, 96


def link_keys(number: int) -> LinkKeys:
    base = number.to_bytes(2, "big")
    return LinkKeys(1, base * 16, base * 6, b"rx" + base * 15, b"rx" + base * 5)


def swapped(keys: LinkKeys) -> LinkKeys:
    return LinkKeys(keys.number, keys.rx_key, keys.rx_salt, keys.tx_key, keys.tx_salt)


def over_link(shape: str, ssrc: int) -> SubscriptionConfig:
    """As `sfu.relay.departures` asks for it."""
    config = subscription_config(shape, 0)
    return replace(config, ssrc=ssrc, rtx_ssrc=ssrc + 1 if shape == "video" else None, mid="", extensions=EXTENSIONS)


def add_link(commands: EngineCommands, here: Address, there: Address, keys: LinkKeys) -> Link:
    link = Link(commands, 0, here, there, 64)
    link.take(keys)
    return link


def send_over(commands: EngineCommands, track: TrackHandle, link: Link, shape: str, ssrc: int) -> None:
    subscription = commands.add_subscription(link.handle, track, over_link(shape, ssrc))
    commands.set_subscription_paused(subscription, False)


async def open_engine() -> tuple[EngineRuntime, Address]:
    runtime = create_runtime("auto", seed=1)
    address = (HOST, free_port())
    await runtime.open(ListenConfig((HOST,), address[1], 0), lambda event: None)
    return runtime, address


def run_edge(connection: Connection, cpu: int) -> None:
    """The other node: tell the address; get those of the first and of the receiver; run until told to stop."""
    pin(cpu)

    async def run() -> None:
        runtime, here = await open_engine()
        connection.send(here)
        there, receiver = await asyncio.to_thread(connection.recv)
        link = add_link(runtime.commands, here, there, link_keys(1))
        payload = InboundPayload(AUDIO_TYPE, Codec.OPUS, 48_000)
        config = TrackConfig(Kind.AUDIO, (payload,), (InboundLayer(ssrc=LINK_SSRC),), extensions=EXTENSIONS)
        track = runtime.commands.add_track(link.handle, config)
        transport = runtime.commands.add_transport(TransportConfig())
        runtime.commands.set_srtp(transport, make_keys(1))
        runtime.commands.set_path(transport, Path("udp", here, receiver))
        subscription = runtime.commands.add_subscription(transport, track, subscription_config("audio", 0))
        runtime.commands.set_subscription_paused(subscription, False)
        connection.send("ready")
        await asyncio.to_thread(connection.recv)
        await runtime.close()

    run_loop(run())


def run_peer(connection: Connection, cpu: int, server: Address, packets: int) -> None:
    """Publisher and both receivers: tell the addresses; on a word send packets and see when each has come to both."""
    pin(cpu)
    publisher = Publisher("audio", server, 0)
    receivers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for receiver in receivers:
        receiver.bind((HOST, 0))
        receiver.settimeout(2.0)
    connection.send((publisher.socket.getsockname(), [receiver.getsockname() for receiver in receivers]))
    connection.recv()
    delays: list[list[float]] = [[], []]
    for number in range(packets):
        time.sleep(INTERVAL_S)
        [data] = publisher.next_frame()
        begin = time.perf_counter()
        publisher.socket.send(data)
        for which in (0, 1):
            receivers[which].recv(2048)
            if number >= packets // 10:  # caches are warm by then
                delays[which].append(time.perf_counter() - begin)
    connection.send([sorted(one) for one in delays])


async def measure_delay(packets: int, server_cpu: int, peer_cpu: int) -> tuple[list[float], list[float]]:
    """In seconds, sorted: to the subscriber on the same node, to the one on the other."""
    runtime, here = await open_engine()
    commands = runtime.commands
    context = multiprocessing.get_context("spawn")
    edge, edge_end = context.Pipe()
    peer, peer_end = context.Pipe()
    processes = [
        context.Process(target=run_edge, args=(edge_end, server_cpu), daemon=True),
        context.Process(target=run_peer, args=(peer_end, peer_cpu, here, packets), daemon=True),
    ]
    for process in processes:
        process.start()
    there = await asyncio.to_thread(edge.recv)
    publisher, (local, remote) = await asyncio.to_thread(peer.recv)
    track = add_publisher(commands, "audio", Path("udp", here, publisher), 0)
    transport = commands.add_transport(TransportConfig())
    commands.set_srtp(transport, make_keys(0))
    commands.set_path(transport, Path("udp", here, local))
    subscription = commands.add_subscription(transport, track, subscription_config("audio", 0))
    commands.set_subscription_paused(subscription, False)
    edge.send((here, remote))
    await asyncio.to_thread(edge.recv)
    link = add_link(commands, here, there, swapped(link_keys(1)))
    send_over(commands, track, link, "audio", LINK_SSRC)
    peer.send("go")
    delays: list[list[float]] = await asyncio.to_thread(peer.recv)
    edge.send("stop")
    await runtime.close()
    for process in processes:
        await asyncio.to_thread(process.join, 10)
    return delays[0], delays[1]


def run_source(connection: Connection, cpu: int, server: Address, seconds: float) -> None:
    """One video at a thousand packets a second, and a socket that takes all that comes of it."""
    pin(cpu)
    publisher = Publisher("video", server, 0)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((HOST, 0))
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVER_BUFFER_BYTES)
    connection.send((publisher.socket.getsockname(), sink.getsockname()))
    connection.recv()
    sent, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for data in publisher.next_frame():
            publisher.socket.send(data)
            sent += 1
        time.sleep(max(0.0, begin + sent / 1000 - time.perf_counter()))
    connection.send(sent)


async def measure_cpu(receivers: int, seconds: float, peer_cpu: int, *, links: bool) -> float:
    """Seconds of CPU for each packet sent."""
    runtime, here = await open_engine()
    commands = runtime.commands
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_source, args=(theirs, peer_cpu, here, seconds), daemon=True)
    process.start()
    publisher, sink = await asyncio.to_thread(ours.recv)
    track = add_publisher(commands, "video", Path("udp", here, publisher), 0)
    # Each has an address of its own; all of them lead to one socket that is not read, as bench_forward's do.
    for number in range(receivers):
        there = (f"127.0.1.{1 + number}", sink[1])
        if links:
            send_over(commands, track, add_link(commands, here, there, link_keys(number + 1)), "video", LINK_SSRC)
            continue
        transport = commands.add_transport(TransportConfig())
        commands.set_srtp(transport, make_keys(number))
        commands.set_path(transport, Path("udp", here, there))
        config = replace(subscription_config("video", 0), extensions=PEER_EXTENSIONS)
        commands.set_subscription_paused(commands.add_subscription(transport, track, config), False)
    ours.send("go")
    begin = time.process_time()
    await asyncio.to_thread(ours.recv)
    used = time.process_time() - begin
    sent = runtime.commands.stats().packets_sent
    await runtime.close()
    await asyncio.to_thread(process.join, 10)
    return used / max(sent, 1)


def middle_and_tail(times: list[float]) -> tuple[float, float]:
    """p50 and p99, in microseconds."""
    shares = statistics.quantiles(times, n=100)
    return shares[49] * 1e6, shares[98] * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="What a link between two nodes adds.")
    parser.add_argument("--packets", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--receivers", type=int, default=8)
    options = parser.parse_args()
    server_cpu, peer_cpu = choose_cpus()
    pin(server_cpu)
    for number in range(options.rounds):
        local, remote = run_loop(measure_delay(options.packets, server_cpu, peer_cpu))
        (near50, near99), (far50, far99) = middle_and_tail(local), middle_and_tail(remote)
        print(
            f"round {number + 1}: same node p50 {near50:.0f} us, p99 {near99:.0f} us; over a link p50 {far50:.0f} us, "
            f"p99 {far99:.0f} us; added p50 {far50 - near50:.0f} us, p99 {far99 - near99:.0f} us"
        )
        near, far = (
            run_loop(measure_cpu(options.receivers, options.seconds, peer_cpu, links=links)) * 1e6
            for links in (False, True)
        )
        print(
            f"round {number + 1}: 1 to {options.receivers}, CPU of a packet to a subscriber {near:.2f} us, "
            f"over a link {far:.2f} us: {far / near:.2f} times"
        )


if __name__ == "__main__":
    main()
