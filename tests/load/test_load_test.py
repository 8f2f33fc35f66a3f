"""`ting load-test` as a command against a real server."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.server import ROOT, ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run(*arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys; from signaling.cli import main; sys.exit(main())",
        "load-test", "--quiet", *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def measure(server: ServerProcess, room: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    code, output, errors = await run("--dev", "--url", server.url, "--room-prefix", room, "--json", "-", *arguments)
    assert output, errors
    result: dict[str, Any] = json.loads(output)["result"]
    return code, result, errors


async def test_a_clean_call_loses_nothing(server: ServerProcess, room: str, tmp_path: Path) -> None:
    plot = tmp_path / "run.png"
    code, result, errors = await measure(
        server, room, "--rooms", "2", "--publishers", "1", "--subscribers", "3", "--video", "360p", "--audio",
        "--duration", "3s", "--max-loss", "0", "--max-p99", "5s", "--server-pid", str(server.pid), "--plot", str(plot),
    )  # fmt: skip
    assert (code, errors) == (0, "")
    assert result["joins"] == 8
    assert result["streams_received"] == result["streams_expected"] == 12
    assert result["packets_lost"] == result["auth_failures"] == result["unknown_ssrc"] == result["malformed"] == 0
    assert result["decoded_frames"] > 30
    assert result["decode_errors"] == 0
    assert 0 < result["latency_p50_ms"] <= result["latency_p99_ms"]
    assert result["join_p50_ms"] > 0
    assert result["srtp_profile"] == "SRTP_AEAD_AES_128_GCM"
    assert result["server_packets_per_cpu_s"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")


async def test_simulcast_in_a_meeting_and_churn(server: ServerProcess, room: str) -> None:
    code, result, errors = await measure(
        server, room, "--publishers", "3", "--subscribers", "0", "--publishers-receive", "--video", "simulcast",
        "--churn", "1", "--duration", "4s",
    )  # fmt: skip
    assert (code, errors) == (0, "")
    assert result["joins"] > 3
    assert result["streams_received"] >= result["streams_expected"] == 6
    assert result["packets_lost"] == 0
    assert result["decoded_frames"] > 10


async def test_h264_and_synthetic_packets_arrive(server: ServerProcess, room: str) -> None:
    for more in (("--video", "180p", "--codec", "h264"), ("--video", "900x3@30", "--audio", "120@50")):
        code, result, errors = await measure(server, room, *more, "--duration", "2s")
        assert (code, errors) == (0, "")
        assert result["frames"] > 20
        assert (result["decoded_frames"] > 20) == ("h264" in more)


async def test_lost_packets_are_asked_for_and_counted(server: ServerProcess, room: str) -> None:
    lossy = ("--loss", "5", "--delay", "10ms", "--video", "360p", "--duration", "5s", "--subscribers", "2")
    code, result, _ = await measure(server, room, *lossy)
    assert code == 0
    assert result["link_drops"] > 10
    assert result["packets_recovered"] > 10
    assert result["retransmissions_to_server"] > 0
    assert result["loss_percent"] < 1
    assert result["latency_p50_ms"] > 19  # two times 10, in buckets of 3 %
    code, result, errors = await measure(
        server, room + "-plain", *lossy, "--no-nack", "--max-loss", "2", "--max-p99", "5ms"
    )
    assert code == 1
    assert result["loss_percent"] > 2
    assert result["packets_recovered"] == 0
    assert "of the packets were lost, more than 2 %" in errors
    assert "more than 5 ms" in errors


async def test_who_cannot_join_is_told_why(server: ServerProcess, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the wrong secret, and long enough to be one")
    code, _, errors = await run("--url", server.url, "--api-key", "devkey", "--api-secret-file", str(secret))
    assert code == 1
    assert "nobody could join: the server refuses the connection: HTTP 401 (2)" in errors
    code, _, errors = await run("--url", "http://127.0.0.1:9", "--dev")
    assert code == 1
    assert "the server cannot be reached" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--dev", "--video", "4k"),
        ("--dev", "--publishers", "0", "--subscribers", "0"),
        ("--dev", "--publishers", "1", "--video", "none"),
        ("--api-key", "x"),
        ("--dev", "--loss", "101"),
        ("--dev", "--ramp", "0"),
        ("--dev", "--duration", "soon"),
        ("--dev", "--rate", "fast"),
        ("--dev", "--subscribers", "-1"),
        ("--dev", "--nonsense"),
    ],
)
async def test_wrong_options_end_with_2(arguments: tuple[str, ...]) -> None:
    code, output, errors = await run(*arguments)
    assert code == 2, errors
    assert output == ""
    assert "Traceback" not in errors
