"""The `ting` command as a process: ready line, signals, exit codes, tokens, doctor."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from livekit import api
from livekit.protocol import models, rtc

from signaling.cli import main

ROOT = str(Path(__file__).resolve().parents[2])
pytestmark = pytest.mark.filterwarnings("ignore:.*HMAC key:Warning")  # the development key is short
READY = "Ting is ready: "


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**extra: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TING_")}
    return {**clean, **extra}


def run(*arguments: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signaling.cli", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(PYTHONPATH=ROOT, **extra),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@asynccontextmanager
async def serving(cwd: Path, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A `ting serve --dev` process and its URL."""
    ports = ["--rtc-udp-port", str(free_port(socket.SOCK_DGRAM)), "--rtc-tcp-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling.cli", "serve", "--dev", "--port", "0", *ports, *arguments,
        cwd=cwd, env=environment(PYTHONPATH=ROOT),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
            if not line.startswith(READY):
                raise AssertionError((await process.stderr.read()).decode())
        yield process, line.removeprefix(READY).strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def dev_token() -> str:
    grants = api.VideoGrants(room_join=True, room="r")
    return api.AccessToken("devkey", "secret").with_identity("a").with_grants(grants).to_jwt()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_until_a_signal_and_tell_the_calls(tmp_path: Path, number: signal.Signals) -> None:
    async with serving(tmp_path) as (process, url), aiohttp.ClientSession() as http:
        async with http.get(url + "/readyz") as response:
            assert response.status == 200
        ws = await http.ws_connect(url + "/rtc", params={"access_token": dev_token(), "protocol": "16"})
        assert rtc.SignalResponse.FromString(await ws.receive_bytes(timeout=5)).WhichOneof("message") == "join"
        process.send_signal(number)
        leave = None
        async with asyncio.timeout(5):
            async for message in ws:
                response_message = rtc.SignalResponse.FromString(message.data)
                if response_message.WhichOneof("message") == "leave":
                    leave = response_message.leave
            assert await process.wait() == 0
        assert leave is not None
        assert leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, url), aiohttp.ClientSession() as http:
        ws = await http.ws_connect(url + "/rtc", params={"access_token": dev_token(), "protocol": "16"})
        await ws.receive_bytes(timeout=5)
        ws._conn.transport.pause_reading()  # type: ignore[union-attr]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            while True:  # the first signal has arrived when the server takes nobody new
                try:
                    async with http.get(url + "/readyz") as response:
                        if response.status == 503:
                            break
                except aiohttp.ClientError:
                    break
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == -signal.SIGTERM


async def test_https(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, days=30)
    async with serving(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key)) as (_, url):
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(certificate))
        async with aiohttp.ClientSession() as http, http.get(url + "/healthz", ssl=context) as response:
            assert response.status == 200
            assert "max-age" in response.headers["Strict-Transport-Security"]


def write_certificate(folder: Path, days: int) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ting test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


# --- wrong use ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "extra", "word"),
    [
        (("serve",), {}, "no API key"),
        (("serve",), {"TING_KEYS": "k: short"}, "shorter than 32"),
        (("serve", "--dev", "--host", "0.0.0.0"), {}, "loopback"),
        (("serve", "--dev", "--port", "eighty"), {}, "--port"),
        (("serve", "--dev", "--port", "65536"), {}, "not a port"),
        (("serve", "--dev", "--advertise", "example.org"), {}, "advertise"),
        (("serve", "--dev", "--config", "missing.toml"), {}, "missing.toml"),
        (("serve", "--dev"), {"TING_NONSENSE": "1"}, "TING_NONSENSE"),
        (("serve", "--dev", "--tls-cert", "no.pem", "--tls-key", "no.pem"), {}, "tls_cert"),
        (("token", "--dev", "--room", "r", "--identity", " "), {}, "--identity"),
        (("token", "--dev", "--room", "a\nb", "--identity", "i"), {}, "--room"),
        (("token", "--dev", "--room", "r", "--identity", "i", "--ttl", "100000"), {}, "--ttl"),
    ],
)
def test_wrong_settings_are_one_line_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], extra: dict[str, str], word: str
) -> None:
    result = run(*arguments, cwd=tmp_path, **extra)
    assert (result.returncode, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("ting: ")
    assert word in result.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("serve", "--hots", "x"), ("token", "--dev"), ("serve", "--por", "1")]
)
def test_wrong_flags_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)


def test_a_port_in_use_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        udp = str(free_port(socket.SOCK_DGRAM))
        result = run(
            "serve",
            "--dev",
            "--port",
            port,
            "--rtc-udp-port",
            udp,
            "--rtc-tcp-port",
            "0",
            "--log-level",
            "error",
            cwd=tmp_path,
        )
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert port in line
    assert "in use" in line


def test_a_media_port_in_use_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        result = run(
            "serve", "--dev", "--port", "0", "--rtc-udp-port", port, "--rtc-tcp-port", "0",
            "--rtc-addresses", "127.0.0.1", "--log-level", "error", cwd=tmp_path,
        )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert port in line


# --- token, version, help, doctor -----------------------------------------------------------------------


def test_token_prints_a_token_that_livekit_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TING_KEYS", "k: " + "s" * 32)
    code = main(
        ["token", "--room", "r", "--identity", "i", "--name", "N", "--ttl", "60", "--no-publish", "--room-admin",
         "--publish-source", "camera", "--metadata", "m", "--kind", "agent"]
    )  # fmt: skip
    assert code == 0
    claims = api.TokenVerifier("k", "s" * 32).verify(capsys.readouterr().out.strip())
    assert (claims.identity, claims.name, claims.metadata, claims.kind) == ("i", "N", "m", "agent")
    assert claims.video.room == "r"
    assert (claims.video.room_join, claims.video.can_publish, claims.video.room_admin) == (True, False, True)
    assert claims.video.can_publish_sources == ["camera"]


def test_version_and_help(tmp_path: Path) -> None:
    result = run("--version", cwd=tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("ting ")
    for arguments in (("--help",), ("serve", "--help"), ("token", "--help"), ("doctor", "--help")):
        result = run(*arguments, cwd=tmp_path)
        assert result.returncode == 0
        assert "ting.sample.toml" in result.stdout


def doctor(tmp_path: Path, *arguments: str) -> tuple[int, dict[str, tuple[bool | None, str]]]:
    ports = ("--port", str(free_port()), "--rtc-udp-port", str(free_port(socket.SOCK_DGRAM)), "--rtc-tcp-port", "0")
    result = run("doctor", "--json", *ports, *arguments, cwd=tmp_path, TING_KEYS="k: " + "s" * 32)
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document["ok"] is (result.returncode == 0)
    return result.returncode, {check["name"]: (check["ok"], check["message"]) for check in document["checks"]}


def test_doctor_on_a_good_machine(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path)
    assert (code, checks["clock"][0], checks["API keys"][0]) == (0, True, True)
    assert any(name.startswith("TCP port") for name in checks)
    assert any(name.startswith("UDP port") for name in checks)
    assert "engine" in checks
    plain = run("doctor", "--dev", cwd=tmp_path)
    assert "API keys" in plain.stdout
    assert all(line[:4].strip() in ("ok", "hint", "FAIL") for line in plain.stdout.splitlines())


def test_doctor_finds_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, checks = doctor(tmp_path, "--port", port)
    assert code == 1
    assert checks[f"TCP port {port} on 127.0.0.1"][0] is False


@pytest.mark.parametrize(
    ("days", "ok", "word"), [(365, True, "valid until"), (5, None, "valid until"), (-1, False, "expired")]
)
def test_doctor_reads_the_certificate(tmp_path: Path, days: int, ok: bool | None, word: str) -> None:
    certificate, key = write_certificate(tmp_path, days)
    _, checks = doctor(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key))
    assert checks["TLS certificate"][0] is ok
    assert word in checks["TLS certificate"][1]


def test_doctor_names_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nonsense", "utf-8")
    code, checks = doctor(tmp_path, "--tls-cert", "cert.pem", "--tls-key", "missing.pem")
    assert (code, checks["TLS certificate"][0]) == (1, False)
