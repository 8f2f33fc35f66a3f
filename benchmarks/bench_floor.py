"""The floor under bench_forward.py: the same packets encrypted and sent to the same receivers, by a bare loop in Rust.

    python benchmarks/bench_floor.py [--shape video] [--subscribers 1,50,200] [--run 6]

What an engine costs above it is what it costs to be an engine: receiving, deciding, rewriting, remembering.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_forward import (
    AUDIO_PAYLOAD_BYTES,
    HOST,
    OUT_PACKETS_PER_S,
    PACKETS_PER_FRAME,
    SOCKET_BUFFER_BYTES,
    VIDEO_PAYLOAD_BYTES,
    choose_cpus,
    pin,
    run_receivers,
)
from sfu.engine.native import load

ADDED_BYTES = 28 + 16
"""To a payload: header with extension, tag (sfu/rust/py/src/floor.rs)."""


def measure(
    shape: str, subscribers: int, run: int, frames_per_s: float, seconds: float, peer_cpu: int, *, joined: bool
) -> dict[str, float]:
    """`server_packets_per_cpu_s`, as `bench.py` calls it, and `lost` packets."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    size = VIDEO_PAYLOAD_BYTES if shape == "video" else AUDIO_PAYLOAD_BYTES
    arguments = (theirs, peer_cpu, subscribers, None, size + ADDED_BYTES if joined else 0)
    process = context.Process(target=run_receivers, args=arguments, daemon=True)
    process.start()
    addresses = ours.recv()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    sender.setblocking(False)
    sender.bind((HOST, 0))
    frames_per_s = frames_per_s or max(30 if shape == "video" else 50, OUT_PACKETS_PER_S / subscribers / run)
    frames, interval_ns = int(frames_per_s * seconds), int(1e9 / frames_per_s)
    begin = time.process_time()
    packets = load().bare_loop(sender.detach(), addresses, size, run, frames, interval_ns)
    cpu_s = time.process_time() - begin
    time.sleep(0.2)
    ours.send("count")
    received = ours.recv()
    ours.send(None)
    process.join(10)
    return {"server_packets_per_cpu_s": packets / cpu_s, "lost": packets - received}


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time per packet of a bare loop that encrypts and sends.")
    parser.add_argument("--shape", choices=("video", "audio"), default="video")
    parser.add_argument("--subscribers", default="1,50,200")
    parser.add_argument(
        "--run", type=int, default=0, help="packets of one GSO send (default: 6 for video, 1 for audio)"
    )
    parser.add_argument(
        "--frames-per-s", type=float, default=0.0, help="pace (default: such that the core is well used)"
    )
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument(
        "--joined", action="store_true", help="receivers take several datagrams as one (UDP_GRO), as load-test's do"
    )
    parser.add_argument("--json", action="store_true", help="instead of a table")
    options = parser.parse_args()
    server_cpu, peer_cpu = choose_cpus()
    pin(server_cpu)
    run = options.run or (PACKETS_PER_FRAME if options.shape == "video" else 1)
    if not options.json:
        print(f"{'':>10} {'shape':>6} {'N':>4} {'run':>4} {'us/packet':>10} {'packets/CPU-s':>14} {'lost':>5}")
    for subscribers in map(int, options.subscribers.split(",")):
        row = measure(
            options.shape, subscribers, run, options.frames_per_s, options.seconds, peer_cpu, joined=options.joined
        )
        if options.json:
            print(json.dumps(row))
            continue
        rate, lost = row["server_packets_per_cpu_s"], row["lost"]
        names = f"{'floor':>10} {options.shape:>6} {subscribers:>4} {run:>4}"
        print(f"{names} {1e6 / rate:>10.2f} {rate:>14,.0f} {lost:>5}", flush=True)


if __name__ == "__main__":
    main()
