"""The `ting` command as a user meets it: ready line, signals, token, doctor, mistakes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import aiohttp
import pytest

from tests.harness.fixtures import Join
from tests.harness.server import ROOT, ServerProcess, free_ports

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


async def ting(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run the command to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys; from signaling.cli import main; sys.exit(main())", *arguments,
        cwd=ROOT, env={**os.environ, **environment}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_one_ready_line_and_a_clean_end(sign: signal.Signals) -> None:
    server = ServerProcess(rtc_addresses="")
    await server.start()
    assert sum(server.url in line for line in server.log) == 1, server.log
    assert await server.stop(sign) == 0
    server.assert_healthy()


async def test_health_and_metrics(server: ServerProcess) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with http.get(server.url + path) as response:
                assert response.status == 200, path
                assert await response.text()


async def test_token_of_the_command_opens_a_room(server: ServerProcess, join: Join, room: str) -> None:
    code, out, error = await ting("token", "--dev", "--room", room, "--identity", "anna")
    assert code == 0, error
    token = out.strip().splitlines()[-1]
    anna = await join(server.url, "anna", token=token)
    assert anna.room.name == room
    assert anna.room.local_participant.identity == "anna"


async def test_guest_token_opens_a_room(server: ServerProcess, join: Join, room: str) -> None:
    """What the web app does: a name and a room in, a token out."""
    url = f"{server.url}/api/v1/rooms/{room}"
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/tokens", json={"name": "Zoë 张"}) as response:
            assert response.status == 200, await response.text()
            guest = await response.json()
        zoe = await join(server.url, guest["identity"], token=guest["token"])
        assert (zoe.room.name, zoe.room.local_participant.name) == (room, "Zoë 张")
        async with http.get(url) as response:
            assert (await response.json())["num_participants"] == 1


async def test_tokens_are_not_in_the_log(server: ServerProcess, join: Join) -> None:
    alice, bob = await join(server.url, "alice"), await join(server.url, "bob")
    await alice.publish_tone(500)
    await (await bob.listen("alice")).assert_tone(500)
    text = "\n".join(server.log)
    assert "eyJ" not in text
    assert "a=fingerprint" not in text
    assert "candidate:" not in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--dev", "--port", "70000"],
        ["serve", "--dev", "--port", "many"],
        ["serve", "--dev", "--host", "0.0.0.0"],
        ["serve"],
        ["serve", "--dev", "--engine", "steam"],
        ["serve", "--config", "does-not-exist.toml"],
    ],
    ids=" ".join,
)
async def test_wrong_configuration_is_one_clear_line(arguments: list[str]) -> None:
    code, out, error = await ting(*arguments)
    assert (code, out) == (2, "")
    assert len(error.strip().splitlines()) == 1, error


async def test_a_port_in_use_is_one_clear_line() -> None:
    ports = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ports.udp))
        code, _, error = await ting(
            "serve", "--dev", "--port", str(ports.http), "--rtc-udp-port", str(ports.udp),
            "--rtc-tcp-port", str(ports.tcp),
        )  # fmt: skip
    assert code != 0
    assert "Traceback" not in error
    assert str(ports.udp) in error.strip().splitlines()[-1]


async def test_doctor_names_what_it_looked_at() -> None:
    ports = free_ports()
    code, out, error = await ting(
        "doctor", "--dev", "--port", str(ports.http), "--rtc-udp-port", str(ports.udp),
        "--rtc-tcp-port", str(ports.tcp),
    )  # fmt: skip
    assert code == 0, out + error
    for word in ("port", "engine", "clock", "file"):
        assert word in out.lower(), out


@pytest.mark.parametrize(
    "arguments", [[], ["serve"], ["token"], ["doctor"]], ids=lambda words: " ".join(words) or "ting"
)
async def test_help(arguments: list[str]) -> None:
    code, out, _ = await ting(*arguments, "--help")
    assert code == 0
    assert "usage" in out.lower()
    if arguments == ["serve"]:
        assert all(flag in out for flag in ("--host", "--port", "--rtc-udp-port", "--advertise", "--engine"))
