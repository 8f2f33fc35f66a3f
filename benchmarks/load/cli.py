"""`ting load-test`: options, the run, the report, and the exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from benchmarks.load import report
from benchmarks.load.errors import LoadError, UsageError
from benchmarks.load.livekit import LiveKitParticipant
from benchmarks.load.media import Clip, audio_clip, video_clips
from benchmarks.load.participant import MediaParticipant, Seat
from benchmarks.load.run import LoadPlan, LoadResult, LoadTest
from benchmarks.load.transport import Generator, LinkConditions
from benchmarks.load.view import make_view
from sfu.errors import SfuError
from signaling.grants import Grants
from signaling.tokens import TokenService

DESCRIPTION = """\
Simulate participants over real ICE, DTLS and SRTP against Ting or any other server that speaks the LiveKit protocol.
Publishers send real encoded media (or synthetic packets); subscribers check that every packet arrives, in order and in
time, ask for lost ones, and notice freezes. The tool names its own CPU and says when it was the limit."""

EPILOG = """\
examples:
  ting load-test --dev --publishers 1 --subscribers 50 --video 720p --duration 30s
  ting load-test --url wss://calls.example.org --api-key KEY --api-secret-file secret.txt --rooms 10 \\
      --publishers 4 --publishers-receive --video simulcast --audio --ramp 5 --plot meeting.png
  ting load-test --dev --publishers 1 --subscribers 5 --video 360p --loss 5 --delay 40ms --jitter 10ms

exit status: 0 it ran and every limit held; 1 a limit did not hold, or nobody could join; 2 it was asked wrongly."""

TOKEN_MARGIN_S = 3600


def main(
    arguments: Sequence[str] | None = None, program: str = "ting load-test", protocol: Protocol | None = None
) -> int:
    """`protocol` None means LiveKit's; the benchmark brings others."""
    parser = build_parser(program)
    options = parser.parse_args(arguments)
    try:
        plan, describe = make_plan(options)
        result = asyncio.run(_run(options, plan, protocol or livekit_protocol))
    except (LoadError, SfuError) as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 1 if isinstance(error, LoadError) and not isinstance(error, UsageError) else 2
    except KeyboardInterrupt:
        return 130
    document = report.to_json(result, describe)
    if options.json is not None:
        report.write(options.json, document)
    if options.plot is not None:
        report.plot(options.plot, result, describe)
    if options.json is None or str(options.json) != "-":
        report.print_table(result, describe)
    broken = report.broken_limits(result, max_loss=options.max_loss, max_p99_ms=options.max_p99)
    for words in broken:
        sys.stderr.write(f"{program}: {words}\n")
    return 1 if broken else 0


def build_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    server = parser.add_argument_group("server")
    server.add_argument("--url", default="http://127.0.0.1:7880", help="of the server (default http://127.0.0.1:7880)")
    server.add_argument("--api-key", metavar="KEY", help="API key that signs the tokens")
    server.add_argument("--api-secret-file", metavar="FILE", type=Path, help="file with the secret of --api-key")
    server.add_argument("--dev", action="store_true", help="sign with the development key of `ting serve --dev`")
    server.add_argument(
        "--server-pid", metavar="PID", type=_positive, action="append", default=[],
        help="process of the server on this machine: its CPU time and memory, with its children's, go into the report",
    )  # fmt: skip
    who = parser.add_argument_group("participants")
    who.add_argument("--rooms", type=_positive, default=1, metavar="N", help="rooms (default 1)")
    who.add_argument(
        "--room-prefix", default="load", metavar="NAME", help="rooms are NAME-1, NAME-2 ... (default load)"
    )
    who.add_argument("--publishers", type=_count, default=1, metavar="N", help="publishers in each room (default 1)")
    who.add_argument("--subscribers", type=_count, default=1, metavar="N", help="subscribers in each room (default 1)")
    who.add_argument("--publishers-receive", action="store_true", help="publishers receive too: a meeting")
    who.add_argument("--ramp", type=_rate, default=20.0, metavar="PER_S", help="joins per second (default 20)")
    who.add_argument("--churn", type=_rate, default=0.0, metavar="PER_S", help="leave and join again, per second")
    who.add_argument(
        "--duration", type=seconds, default=20.0, metavar="TIME", help="measured once all are in (default 20s)"
    )
    who.add_argument("--join-timeout", type=seconds, default=15.0, metavar="TIME", help="for one join (default 15s)")
    media = parser.add_argument_group("media")
    media.add_argument(
        "--video", metavar="WHAT", help="180p, 360p, 720p, simulcast, none, or BYTESxPACKETS@FPS (default 360p)"
    )
    media.add_argument("--codec", choices=("vp8", "h264"), default="vp8", help="of the video (default vp8)")
    media.add_argument(
        "--audio", nargs="?", const="opus", metavar="WHAT", help="opus (when nothing is named) or BYTES@PER_SECOND"
    )
    media.add_argument("--no-nack", action="store_true", help="receivers do not ask for lost packets")
    link = parser.add_argument_group("link of every participant, both directions")
    link.add_argument("--loss", type=_percent, default=0.0, metavar="PERCENT", help="packets lost")
    link.add_argument("--delay", type=seconds, default=0.0, metavar="TIME", help="one way, as in 40ms")
    link.add_argument("--jitter", type=seconds, default=0.0, metavar="TIME", help="added to the delay, up to TIME")
    link.add_argument("--rate", type=_bitrate, default=0, metavar="BITRATE", help="bottleneck, as in 800k or 2M")
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON (- for standard output)")
    output.add_argument("--plot", type=Path, metavar="FILE", help="plot the run (PNG or SVG by the name)")
    output.add_argument("--quiet", action="store_true", help="no live view")
    output.add_argument("--max-loss", type=_percent, metavar="PERCENT", help="exit 1 when more packets are lost")
    output.add_argument("--max-p99", type=_milliseconds, metavar="TIME", help="exit 1 when the latency's p99 is above")
    return parser


def make_plan(options: argparse.Namespace) -> tuple[LoadPlan, dict[str, object]]:
    """The plan, and its description for the report. Raises `LoadError`."""
    clips = make_clips(options.video, options.codec, options.audio)
    if not options.publishers and not options.subscribers:
        raise UsageError("there is nobody to join: --publishers or --subscribers")
    if not clips and options.publishers:
        raise UsageError("publishers need --video or --audio")
    link = LinkConditions(options.loss, options.delay, options.jitter, options.rate)
    plan = LoadPlan(
        rooms=options.rooms,
        publishers=options.publishers,
        subscribers=options.subscribers,
        publishers_receive=options.publishers_receive,
        clips=clips,
        duration_s=options.duration,
        ramp_per_s=options.ramp,
        churn_per_s=options.churn,
        uplink=link,
        downlink=link,
        server_pids=options.server_pid,
        make=_unmade,
    )
    describe: dict[str, object] = {
        "host": urlsplit(options.url).netloc,
        "rooms": options.rooms,
        "publishers": options.publishers,
        "subscribers": options.subscribers,
        "publishers_receive": options.publishers_receive,
        "video": (options.video or ("none" if options.audio else "360p")),
        "codec": options.codec,
        "audio": options.audio or "none",
        "duration_s": options.duration,
        "ramp_per_s": options.ramp,
        "churn_per_s": options.churn,
        "loss_percent": 100 * options.loss,
        "delay_ms": 1000 * options.delay,
        "jitter_ms": 1000 * options.jitter,
        "rate_bps": options.rate,
        "nack": not options.no_nack,
    }
    return plan, describe


def make_clips(video: str | None, codec: str, audio: str | None) -> list[list[Clip]]:
    """One entry per track of a publisher. Without a word on either, video of 360p."""
    wish = video or ("none" if audio else "360p")
    tracks = [] if wish == "none" else [video_clips(wish, codec)]
    return [*tracks, [audio_clip(audio)]] if audio else tracks


def _unmade(_generator: Generator, _seat: Seat) -> MediaParticipant:
    raise AssertionError("the plan was not finished")


Make = Callable[[Generator, Seat], MediaParticipant]
Protocol = Callable[[argparse.Namespace, float], AbstractAsyncContextManager[Make]]
"""Options and the tokens' lifetime in seconds to what makes participants."""


async def _run(options: argparse.Namespace, plan: LoadPlan, protocol: Protocol) -> LoadResult:
    total = plan.rooms * (plan.publishers + plan.subscribers)
    ttl_s = plan.duration_s + total / plan.ramp_per_s + TOKEN_MARGIN_S
    async with protocol(options, ttl_s) as make:
        with make_view(total, plan.duration_s, quiet=options.quiet) as view:
            return await LoadTest(replace(plan, make=make), view).run()


@contextlib.asynccontextmanager
async def livekit_protocol(options: argparse.Namespace, ttl_s: float) -> AsyncIterator[Make]:
    key, secret = _credentials(options)
    tokens = TokenService({key: secret})
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        def make(generator: Generator, seat: Seat) -> LiveKitParticipant:
            grants = Grants(
                identity=f"load-{seat.room + 1}-{seat.number + 1}",
                name=f"Load {seat.number + 1}",
                room=f"{options.room_prefix}-{seat.room + 1}",
                room_join=True,
                can_publish=bool(seat.publish),
                can_subscribe=seat.subscribe,
            )
            return LiveKitParticipant(
                generator,
                http,
                options.url,
                tokens.issue(grants, ttl_s),
                seat,
                nack=not options.no_nack,
                timeout_s=options.join_timeout,
            )

        yield make


def _credentials(options: argparse.Namespace) -> tuple[str, str]:
    if options.api_key and options.api_secret_file:
        try:
            return options.api_key, options.api_secret_file.read_text().strip()
        except OSError as error:
            raise UsageError(f"--api-secret-file: {error.strerror}") from error
    if options.api_key or options.api_secret_file:
        raise UsageError("--api-key and --api-secret-file go together")
    if not options.dev:
        raise UsageError("how are tokens signed? --api-key with --api-secret-file, or --dev")
    return "devkey", "secret"


# --- values ----------------------------------------------------------------------------------------------------


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 100_000:
        raise argparse.ArgumentTypeError("a number from 0 to 100000")
    return value


def _positive(text: str) -> int:
    value = _count(text)
    if not value:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _rate(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0.001 <= float(text) <= 10_000:
            return float(text)
    raise argparse.ArgumentTypeError("a number per second from 0.001 to 10000")


def _percent(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text.removesuffix("%")) <= 100:
            return float(text.removesuffix("%")) / 100
    raise argparse.ArgumentTypeError("a percentage from 0 to 100")


_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A time as options name it; a bare number means seconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("a time as in 500ms, 20s, 5m or 1h")
    return float(match[1]) * _TIME_UNITS[match[2] or "s"]


def _milliseconds(text: str) -> float:
    """A bare number means milliseconds here."""
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 1000 * seconds(text)


def _bitrate(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kM]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError("a bitrate as in 800k or 2M")
    return round(float(match[1]) * {"": 1, "k": 1_000, "M": 1_000_000}[match[2]])
