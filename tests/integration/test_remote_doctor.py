"""`ting doctor --from`: what is broken on the way to a server is named, with what to change."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from sfu.api import Check
from sfu.transport.reach import Candidate, _judge, candidates_of
from signaling.remote_doctor import check_server
from tests.harness.coturn import write_certificate
from tests.harness.server import ServerProcess, make_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StartProxy = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[ServerProcess]:
    process = ServerProcess()
    await process.start()
    yield process
    assert await process.stop() == 0
    process.assert_healthy()


@pytest_asyncio.fixture(loop_scope="session")
async def start_proxy() -> AsyncIterator[StartProxy]:
    """Starts something that stands between: `handler` answers what comes; gives its URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler, context: ssl.SSLContext | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        return f"{'https' if context else 'http'}://127.0.0.1:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


def passing_on(target: str, **changed: str) -> Handler:
    """A proxy that knows nothing of WebSockets, and changes these headers of what comes back."""

    async def handle(request: web.Request) -> web.StreamResponse:
        kept = {name: value for name, value in request.headers.items() if name in ("Authorization", "Content-Type")}
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, target + request.path_qs, headers=kept, data=await request.read()) as response,
        ):
            headers = {"Content-Type": response.headers["Content-Type"], "Date": response.headers["Date"], **changed}
            return web.Response(status=response.status, body=await response.read(), headers=headers)

    return handle


async def said(url: str, token: str = "") -> dict[str, Check]:
    return {check.name: check for check in await check_server(url, token)}


def failed(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.message for name, check in checks.items() if check.ok is False}


async def test_nothing_is_said_against_a_server_that_works(server: ServerProcess, room: str) -> None:
    checks = await said(server.url)
    assert failed(checks) == {}
    assert [name for name, check in checks.items() if check.ok] == [
        "HTTPS", "name", "server", "clock", "public URL", "WebSocket", "media over UDP", "media over TCP",
    ]  # fmt: skip
    assert str(server.ports.udp) in checks["media over UDP"].message
    assert failed(await said(server.url, make_token(room, "doctor"))) == {}
    assert "refused" in failed(await said(server.url, "nonsense"))["WebSocket"]


async def test_a_proxy_without_upgrade_is_named(server: ServerProcess, start_proxy: StartProxy) -> None:
    checks = await said(await start_proxy(passing_on(server.url)))
    assert "`Upgrade`" in failed(checks)["WebSocket"]


async def test_a_clock_that_is_off_is_named(server: ServerProcess, start_proxy: StartProxy) -> None:
    url = await start_proxy(passing_on(server.url, Date="Thu, 01 Jan 2015 00:00:00 GMT"))
    assert "behind" in failed(await said(url))["clock"]


async def test_a_wrong_certificate_is_named(server: ServerProcess, start_proxy: StartProxy, tmp_path: Path) -> None:
    write_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    url = await start_proxy(passing_on(server.url), context)
    assert "`tls_cert`" in failed(await said(url))["certificate"]
    plain = url.replace("https", "http")
    assert "cannot be reached" in failed(await said(plain))["server"]
    assert "`tls_cert`" in failed(await said(server.url.replace("http", "https")))["certificate"]


async def test_who_else_may_answer_there(start_proxy: StartProxy) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>It works!</html>")

    async def draining(_: web.Request) -> web.Response:
        return web.Response(text="draining\n", status=503)

    assert "something else" in failed(await said(await start_proxy(page)))["server"]
    assert "`database_url`" in failed(await said(await start_proxy(draining)))["server"]
    assert "cannot be reached" in failed(await said("http://127.0.0.1:1"))["server"]
    assert "DNS" in failed(await said("https://nowhere.invalid"))["name"]
    assert "https://" in failed(await said("call.example.org"))["URL"]


async def test_a_server_that_offers_what_cannot_be_reached() -> None:
    """Neither its ports, nor the URL that it was told."""
    changes = {"TING_ADVERTISE": "127.0.0.99", "TING_PUBLIC_URL": "http://localhost:1", "TING_RTC_TCP_PORT": "0"}
    server = ServerProcess(environment=changes)
    await server.start()
    try:
        messages = failed(await said(server.url))
    finally:
        assert await server.stop() == 0
    assert "`public_url`" in messages["public URL"]
    assert "`advertise`" in messages["media over UDP"]


async def test_where_guests_are_not_let_in_it_says_what_it_needs() -> None:
    server = ServerProcess(environment={"TING_GUESTS": "false"})
    await server.start()
    try:
        checks = await said(server.url)
    finally:
        assert await server.stop() == 0
    assert failed(checks) == {}
    assert "--token" in checks["API"].message


@pytest.mark.parametrize(
    ("hosts", "ok", "word"),
    [
        ({"198.51.100.7": True}, True, "198.51.100.7"),
        ({"8.8.8.8": False}, False, "firewall"),
        ({"10.0.0.7": False, "192.168.1.2": False}, False, "`advertise`"),
        ({"2600::1": False}, False, "IPv6"),
        ({"call.example.org": False}, False, "`rtc_udp_port`"),
        ({}, False, "`rtc_udp_port`"),
    ],
)
async def test_what_unanswered_ports_mean(hosts: dict[str, bool], ok: bool, word: str) -> None:
    check = _judge("media", "udp", {Candidate("udp", host, 7): good for host, good in hosts.items()}, "rtc_udp_port")
    assert (check.ok, word in check.message) == (ok, True), check


async def test_candidates_are_read_and_nonsense_is_not() -> None:
    lines = [
        "a=candidate:1 1 UDP 2130706431 192.0.2.1 7882 typ host",
        "a=candidate:2 1 tcp 1 2001:db8::1 7881 typ host tcptype passive",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host generation 0",
        "a=candidate:3 1 udp 1 192.0.2.1 port typ host", "a=candidate:", "a=candidate:4 1 sctp 1 x 9 typ host",
    ]  # fmt: skip
    assert candidates_of("\r\n".join(lines)) == [
        Candidate("udp", "192.0.2.1", 7882), Candidate("tcp", "2001:db8::1", 7881),
    ]  # fmt: skip


async def test_the_command_prints_it_and_fails_with_it(server: ServerProcess) -> None:

    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signaling.cli", "doctor", *arguments, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    code, out = await run("--from", server.url, "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    code, out = await run("--from", "http://127.0.0.1:1")
    assert (code, "FAIL  server" in out) == (1, True)
