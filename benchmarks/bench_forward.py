"""CPU time per forwarded packet: publishers, N subscribers to each of them, real UDP sockets.

    python benchmarks/bench_forward.py [--engine auto] [--shape video,audio] [--subscribers 1,8,50,200]
        [--publishers 1] [--congestion off|silent|on] [--json FILE|-]

The method is printed with the figures (`METHOD`) and told in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import platform
import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path as FilePath

sys.path.insert(0, str(FilePath(__file__).resolve().parent.parent))

from benchmarks.forward_feedback import INTERVAL_S, Reporter
from sfu.config import SfuConfig
from sfu.engine import create_runtime, engine_name
from sfu.engine.api import (
    Address,
    Codec,
    EngineCommands,
    EngineRuntime,
    Extension,
    InboundLayer,
    InboundPayload,
    Kind,
    ListenConfig,
    OutboundPayload,
    Path,
    SrtpKeys,
    SrtpProfile,
    SubscriptionConfig,
    TrackConfig,
    TransportConfig,
)
from sfu.engine.reference.rtp import build_extensions, build_header
from sfu.engine.reference.seqnum import EXT_SEQ_START
from sfu.engine.reference.srtp import SrtpContext
from sfu.errors import BindError, EngineError
from sfu.ids import TrackHandle

METHOD = """\
One publisher sends to one UDP port of the server (or as many as are asked for, each from a socket of its own, their
frames evenly spaced); the engine forwards to N subscribers, each a transport with keys
and a socket of its own. Video: frames of 6 packets with 1200 bytes of VP8 payload, sent back to back; NACK and RTX
negotiated, 512 packets kept per subscriber. Audio: single packets with 120 bytes of Opus payload. Extensions in and
out: MID, transport-cc, abs-send-time (audio: level as well). SRTP is AEAD_AES_128_GCM on both sides; the keys are
installed through the engine's commands, so there is no ICE and no DTLS. The server runs alone on one core. Publisher
and receivers run in two other processes on another core; every socket is drained. CPU is user plus system time of the
server process (time.process_time) over the measured seconds, divided by the packets that it sent in them: the share
of the socket reads and of the timers is in it, and so is what the kernel does on sending over loopback. The rate is
the larger of one real stream (30 frames or 50 packets a second) and what makes {rate} packets a second going out; it
is halved as long as anything is lost on the way."""
CONGESTION = {
    "off": "Transport-cc is not negotiated: nothing is estimated, paced or watched.",
    "silent": "Receivers give no feedback.",
    "on": "Every receiver gives transport-wide feedback every 50 ms.",
}

OUT_PACKETS_PER_S = 20_000
PACKETS_PER_FRAME = 6
UDP_GRO = 104
"""Of Linux; `socket` has no name for it."""
VIDEO_PAYLOAD_BYTES, AUDIO_PAYLOAD_BYTES = 1200, 120
FIRST_PUBLISHER = 60_000
"""Number of the first publisher's keys, above those of the subscribers."""
VIDEO_SSRC, VIDEO_TYPE, RTX_TYPE, AUDIO_TYPE = 1000, 96, 97, 111
WARM_UP_S = 0.7
MAX_HALVINGS = 4
MAX_WINDOWS = 20
"""How often the measured time is made longer while a crowded machine lets the publisher send nothing in it."""
KEYFRAME_EVERY = 100
EXTENSIONS = {Extension.AUDIO_LEVEL: 1, Extension.ABS_SEND_TIME: 2, Extension.TRANSPORT_CC: 3, Extension.MID: 4}
NO_CONGESTION = {one: id for one, id in EXTENSIONS.items() if one is not Extension.TRANSPORT_CC}
PROFILE = SrtpProfile.AEAD_AES_128_GCM
HOST = "127.0.0.1"
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    engine: str
    shape: str
    publishers: int
    subscribers: int
    packets_per_cpu_s: float
    cpu_us_per_packet: float
    bytes_per_packet: float
    packets_per_s: float
    cpu_load: float
    packets_sent: int
    packets_lost: int


def pin(cpu: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def choose_cpus() -> tuple[int, int]:
    """(core of the server, core of everybody else); the same one twice when there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return 0, 0
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[-1]


def make_keys(number: int) -> SrtpKeys:
    """Different keys for each transport; what the peer sends with is `rx`."""
    base = number.to_bytes(2, "big")
    return SrtpKeys(PROFILE, base * 8, base * 6, (base + b"tx" * 7), (base + b"s" * 10))


# --- the other processes -------------------------------------------------------------------------------------


class Publisher:
    """Makes and protects packets at a steady pace; late wake-ups are caught up with."""

    def __init__(self, shape: str, server: Address, number: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.connect(server)
        self.is_video = shape == "video"
        keys = make_keys(FIRST_PUBLISHER + number)
        self.protect = SrtpContext(PROFILE, keys.rx_key, keys.rx_salt).protect_rtp
        self.ext_seq = EXT_SEQ_START
        self.frames = 0

    def send_frame(self) -> int:
        packets = self.next_frame()
        for index, data in enumerate(packets):
            try:
                self.socket.send(data)
            except ConnectionRefusedError:
                return index
        return len(packets)

    def next_frame(self) -> list[bytes]:
        """The protected packets of the next frame."""
        count = PACKETS_PER_FRAME if self.is_video else 1
        timestamp = self.frames * (3000 if self.is_video else 960) & 0xFFFFFFFF
        packets = []
        for index in range(count):
            twcc = (self.ext_seq & 0xFFFF).to_bytes(2, "big")
            elements = [(4, b"0"), (2, twcc + b"\0"), (3, twcc)]
            if not self.is_video:
                elements.append((1, b"\x20"))
            header = build_header(
                VIDEO_TYPE if self.is_video else AUDIO_TYPE,
                self.is_video and index == count - 1,
                self.ext_seq & 0xFFFF,
                timestamp,
                VIDEO_SSRC,
                extension_block=build_extensions(elements),
            )
            packets.append(self.protect(header, self.payload(index), VIDEO_SSRC, self.ext_seq))
            self.ext_seq += 1
        self.frames += 1
        return packets

    def payload(self, index: int) -> bytes:
        if not self.is_video:
            return bytes(AUDIO_PAYLOAD_BYTES)
        picture = 0x8000 | self.frames & 0x7FFF
        head = bytes((0x90 if index == 0 else 0x80, 0xE0)) + picture.to_bytes(2, "big") + bytes((self.frames & 0xFF, 0))
        if index == 0:
            is_key = self.frames % KEYFRAME_EVERY == 0
            head += bytes((0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00)) if is_key else b"\x11"
        return head + bytes(VIDEO_PAYLOAD_BYTES - len(head))


def run_publishers(connection: Connection, cpu: int, shape: str, server: Address, count: int) -> None:
    """Tell the addresses, then send at each rate (frames a second) that is asked for until "stop"; None ends it."""
    pin(cpu)
    publishers = [Publisher(shape, server, number) for number in range(count)]
    connection.send([publisher.socket.getsockname() for publisher in publishers])
    while (frames_per_s := connection.recv()) is not None:
        sent = 0
        start = time.perf_counter()
        for number in itertools.count():
            if connection.poll():
                break
            wait_s = start + number / (frames_per_s * count) - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            sent += publishers[number % count].send_frame()
        if connection.recv() is None:
            return
        connection.send(sent)


def run_receivers(
    connection: Connection, cpu: int, count: int, reports_to: Address | None = None, joined_bytes: int = 0
) -> None:
    """Tell the addresses, then drain every socket; on a word, tell how many datagrams came since the last one.

    `joined_bytes`: the size of each, where the kernel is to hand over several as one (UDP_GRO).
    """
    pin(cpu)
    poller = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(count):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        if joined_bytes:
            receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        receiver.bind((HOST, 0))
        receiver.setblocking(False)
        sockets[receiver.fileno()] = receiver
        poller.register(receiver, select.EPOLLIN)
    poller.register(connection.fileno(), select.EPOLLIN)
    connection.send([receiver.getsockname() for receiver in sockets.values()])
    reporters = {
        descriptor: Reporter(one, reports_to, make_keys(number), EXTENSIONS[Extension.TRANSPORT_CC])
        for number, (descriptor, one) in enumerate(sockets.items())
        if reports_to is not None
    }
    buffer = bytearray(65536)
    received, report_at_s = 0, 0.0
    while True:
        if reporters and time.monotonic() >= report_at_s:
            report_at_s = time.monotonic() + INTERVAL_S
            for reporter in reporters.values():
                reporter.report()
        for descriptor, _ in poller.poll(INTERVAL_S if reporters else None):
            one = sockets.get(descriptor)
            if one is None:
                if connection.recv() is None:
                    return
                connection.send(received)
                received = 0
                continue
            receive, reporter = one.recv_into, reporters.get(descriptor)
            try:
                while True:
                    size = receive(buffer)
                    received += -(-size // joined_bytes) if joined_bytes else 1
                    if reporter is not None:
                        reporter.arrived(buffer, size)
            except BlockingIOError:
                pass


# --- the server ----------------------------------------------------------------------------------------------


def set_up_call(
    commands: EngineCommands,
    shape: str,
    server: Address,
    publishers: Sequence[Address],
    receivers: Sequence[Address],
    extensions: Mapping[Extension, int] = EXTENSIONS,
) -> None:
    """Keys and paths straight into the engine, a track for each publisher, running subscriptions of every receiver."""
    paths = [Path("udp", server, one) for one in publishers]
    tracks = [add_publisher(commands, shape, path, number, extensions) for number, path in enumerate(paths)]
    for number, address in enumerate(receivers):
        transport = commands.add_transport(TransportConfig())
        commands.set_srtp(transport, make_keys(number))
        commands.set_path(transport, Path("udp", server, address))
        for index, track in enumerate(tracks):
            subscription = commands.add_subscription(transport, track, subscription_config(shape, index, extensions))
            commands.set_subscription_paused(subscription, False)


def add_publisher(
    commands: EngineCommands, shape: str, path: Path, number: int, extensions: Mapping[Extension, int] = EXTENSIONS
) -> TrackHandle:
    source = commands.add_transport(TransportConfig(max_packets_per_s=0))
    commands.set_srtp(source, make_keys(FIRST_PUBLISHER + number))
    commands.set_path(source, path)
    is_video = shape == "video"
    payload = (
        InboundPayload(VIDEO_TYPE, Codec.VP8, 90_000, RTX_TYPE)
        if is_video
        else InboundPayload(AUDIO_TYPE, Codec.OPUS, 48_000)
    )
    config = TrackConfig(
        Kind.VIDEO if is_video else Kind.AUDIO,
        (payload,),
        (InboundLayer(ssrc=VIDEO_SSRC),),
        mid="0",
        extensions=extensions,
        nack=is_video,
        keyframe_cache_bytes=SfuConfig().keyframe_cache_bytes,
    )
    return commands.add_track(source, config)


def subscription_config(shape: str, index: int, extensions: Mapping[Extension, int] = EXTENSIONS) -> SubscriptionConfig:
    is_video = shape == "video"
    payload_type = VIDEO_TYPE if is_video else AUDIO_TYPE
    return SubscriptionConfig(
        ssrc=10_000 + 2 * index,
        mid=str(index),
        cname="bench",
        payloads={payload_type: OutboundPayload(payload_type, RTX_TYPE if is_video else None)},
        rtx_ssrc=10_001 + 2 * index if is_video else None,
        extensions=extensions,
        nack=is_video,
    )


class Run:
    """One server and its two other processes for one shape and one number of publishers and of subscribers."""

    def __init__(
        self,
        engine: str,
        shape: str,
        publishers: int,
        subscribers: int,
        seconds: float,
        peer_cpu: int,
        congestion: str = "silent",
    ) -> None:
        self.engine = engine
        self.shape = shape
        self.publishers = publishers
        self.subscribers = subscribers
        self.seconds = seconds
        self.peer_cpu = peer_cpu
        self.congestion = congestion

    async def measure(self) -> Result:
        runtime = create_runtime(self.engine, seed=1)
        server = await open_on_free_port(runtime)
        context = multiprocessing.get_context("spawn")
        publisher, publisher_end = context.Pipe()
        receivers, receivers_end = context.Pipe()
        processes = [
            context.Process(
                target=run_publishers,
                args=(publisher_end, self.peer_cpu, self.shape, server, self.publishers),
                daemon=True,
            ),
            context.Process(
                target=run_receivers,
                args=(receivers_end, self.peer_cpu, self.subscribers, server if self.congestion == "on" else None),
                daemon=True,
            ),
        ]
        try:
            for process in processes:
                process.start()
            publisher_addresses = await asyncio.to_thread(publisher.recv)
            receiver_addresses = await asyncio.to_thread(receivers.recv)
            extensions = NO_CONGESTION if self.congestion == "off" else EXTENSIONS
            set_up_call(runtime.commands, self.shape, server, publisher_addresses, receiver_addresses, extensions)
            frame_packets = PACKETS_PER_FRAME if self.shape == "video" else 1
            real_time = 30 if self.shape == "video" else 50
            frames_per_s = max(real_time, OUT_PACKETS_PER_S / self.publishers / self.subscribers / frame_packets)
            for _ in range(MAX_HALVINGS):
                result = await self.run_once(runtime.commands, publisher, receivers, frames_per_s)
                if not result.packets_lost:
                    break
                frames_per_s /= 2
            return result
        finally:
            for pipe in (publisher, receivers):
                # A process that has failed has closed its end, and its own error is the one to see.
                with contextlib.suppress(OSError):
                    pipe.send(None)
            await runtime.close()
            for process in processes:
                await asyncio.to_thread(process.join, 10)

    async def run_once(
        self, commands: EngineCommands, publisher: Connection, receivers: Connection, frames_per_s: float
    ) -> Result:
        before = commands.stats()
        publisher.send(frames_per_s)
        await asyncio.sleep(WARM_UP_S)
        start, cpu_start, wall_start = commands.stats(), time.process_time(), time.perf_counter()
        for _ in range(MAX_WINDOWS):
            await asyncio.sleep(self.seconds)
            end, cpu_end, wall_end = commands.stats(), time.process_time(), time.perf_counter()
            if packets := end.packets_sent - start.packets_sent:
                break
        else:
            raise RuntimeError("The publisher was given no time: nothing was forwarded.")
        publisher.send("stop")
        published = await asyncio.to_thread(publisher.recv)
        await asyncio.sleep(0.2)
        after = commands.stats()
        receivers.send("count")
        received = await asyncio.to_thread(receivers.recv)
        cpu_s = cpu_end - cpu_start
        lost_in = published - (after.packets_received - before.packets_received)
        # What the server owes: every published packet to everyone. Feedback to the publisher is not counted.
        lost_out = published * self.subscribers - received
        return Result(
            engine=engine_name(self.engine),
            shape=self.shape,
            publishers=self.publishers,
            subscribers=self.subscribers,
            packets_per_cpu_s=round(packets / cpu_s, 1),
            cpu_us_per_packet=round(cpu_s / packets * 1e6, 3),
            bytes_per_packet=round((end.bytes_sent - start.bytes_sent) / packets, 1),
            packets_per_s=round(packets / (wall_end - wall_start), 1),
            cpu_load=round(cpu_s / (wall_end - wall_start), 3),
            packets_sent=packets,
            packets_lost=max(lost_in, lost_out, 0),
        )


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def open_on_free_port(runtime: EngineRuntime) -> Address:
    """Another program may take a port between its being found and its being bound: then the next one is tried."""
    for attempt in itertools.count(1):
        listen = ListenConfig((HOST,), free_port(), 0, socket_buffer_bytes=SOCKET_BUFFER_BYTES)
        try:
            await runtime.open(listen, lambda event: None)
            break
        except BindError:
            if attempt == 5:
                raise
    return HOST, listen.udp_port


# --- the command ---------------------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU time per forwarded packet, real UDP sockets, 1 to N.")
    parser.add_argument("--engine", default="auto", help="auto, rust or reference (default: auto)")
    parser.add_argument(
        "--shape", action="append", help="video or audio; repeatable or comma-separated (default: both)"
    )
    parser.add_argument("--subscribers", action="append", help="repeatable or comma-separated (default: 1,8,50,200)")
    parser.add_argument("--publishers", type=int, default=1, help="everybody gets the track of each (default: 1)")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of each run (default: 3)")
    parser.add_argument(
        "--congestion", choices=list(CONGESTION), default="silent", help="feedback of receivers (default: silent)"
    )
    parser.add_argument("--markdown", action="store_true", help="add the figures as rows of a Markdown table")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - for standard output")
    options = parser.parse_args(arguments)
    options.shape = ",".join(options.shape or ["video,audio"]).split(",")
    if not set(options.shape) <= {"video", "audio"}:
        parser.error("--shape is video or audio")
    try:
        options.subscribers = [int(one) for one in ",".join(options.subscribers or ["1,8,50,200"]).split(",")]
    except ValueError:
        parser.error("--subscribers are whole numbers")
    if min(options.subscribers) < 1 or options.publishers < 1 or options.seconds <= 0:
        parser.error("publishers, subscribers and seconds are above zero")
    try:
        engine_name(options.engine)
    except EngineError as error:
        parser.error(str(error))
    return options


def markdown_row(result: Result) -> str:
    """Engine, shape, publishers, N, CPU-µs per packet, packets and Mbit per CPU-second, bytes per packet, lost."""
    mbit = result.packets_per_cpu_s * result.bytes_per_packet * 8 / 1e6
    return (
        f"| {result.engine} | {result.shape} | {result.publishers} | {result.subscribers} "
        f"| {result.cpu_us_per_packet:.2f} | {result.packets_per_cpu_s:,.0f} | {mbit:,.0f} "
        f"| {result.bytes_per_packet:.0f} | {result.packets_lost} |"
    )


def run_loop(coroutine: object) -> Result:
    """On uvloop where it is installed, as the service does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    text = sys.stderr if options.json == "-" else sys.stdout
    server_cpu, peer_cpu = choose_cpus()
    pin(server_cpu)
    method = METHOD.format(rate=f"{OUT_PACKETS_PER_S:,}") + "\n" + CONGESTION[options.congestion]
    if server_cpu == peer_cpu:
        method += "\nThis machine has one core: everything shared it."
    print(method + "\n", file=text)
    print(f"{'engine':>10} {'shape':>6} {'N':>4} {'us/packet':>10} {'packets/CPU-s':>14} {'bytes':>6} "
          f"{'packets/s':>10} {'load':>5} {'lost':>5}", file=text)  # fmt: skip
    results = []
    for shape in options.shape:
        for subscribers in options.subscribers:
            run = Run(
                options.engine, shape, options.publishers, subscribers, options.seconds, peer_cpu, options.congestion
            )
            result = run_loop(run.measure())
            results.append(result)
            print(f"{result.engine:>10} {shape:>6} {subscribers:>4} {result.cpu_us_per_packet:>10.2f} "
                  f"{result.packets_per_cpu_s:>14,.0f} {result.bytes_per_packet:>6.0f} {result.packets_per_s:>10,.0f} "
                  f"{result.cpu_load:>5.0%} {result.packets_lost:>5}", file=text, flush=True)  # fmt: skip
    if options.markdown:
        print("\n" + "\n".join(map(markdown_row, results)), file=text)
    if options.json:
        report = {
            "python": platform.python_version(),
            "method": method,
            "results": [asdict(result) for result in results],
        }
        body = json.dumps(report, indent=2) + "\n"
        if options.json == "-":
            sys.stdout.write(body)
        else:
            FilePath(options.json).write_text(body, encoding="utf-8")
    lossy = [result for result in results if result.packets_lost]
    for result in lossy:
        print(f"{result.shape} to {result.subscribers}: {result.packets_lost} packets were lost", file=sys.stderr)
    return 1 if lossy else 0


if __name__ == "__main__":
    sys.exit(main())
