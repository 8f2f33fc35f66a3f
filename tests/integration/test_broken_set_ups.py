"""Twelve set-ups that are broken for real: `ting doctor`, here or from elsewhere, names each with what to change."""

from __future__ import annotations

import asyncio
import resource
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sfu.api import Check
from sfu.bus.membership import Membership
from sfu.bus.nats import NatsBus
from sfu.bus.records import NodeRecord
from sfu.bus.settings import ClusterSettings
from signaling.doctor import run_checks
from tests.harness.coturn import write_certificate
from tests.harness.nats import find_servers, running_nats
from tests.harness.server import ServerProcess, free_ports
from tests.integration.test_remote_doctor import StartProxy, passing_on, said, server, start_proxy
from tests.signaling.harness import make_settings

__all__ = ["server", "start_proxy"]  # fixtures
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Stage:
    server: ServerProcess
    start_proxy: StartProxy
    folder: Path

    async def here(self, **changes: Any) -> dict[str, Check]:
        """What the doctor says on the server's own machine."""
        settings = make_settings(**{"data_dir": self.folder / "data", "rtc_addresses": "127.0.0.1", **changes})
        checks = await asyncio.to_thread(run_checks, settings)
        return {check.name: check for check in checks}

    def cluster(self, url: str, **changes: Any) -> dict[str, Any]:
        database = "postgresql://ting@127.0.0.1:1/ting"
        return {"cluster": url, "cluster_secret": secrets.token_hex(16), "database_url": database, **changes}


Broken = Callable[[Stage], Awaitable[dict[str, Check]]]


@asynccontextmanager
async def wrong_server(**environment: str) -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment=environment)
    await process.start()
    try:
        yield process
    finally:
        assert await process.stop() == 0


async def no_advertise(stage: Stage) -> dict[str, Check]:
    return await stage.here()


async def udp_closed(stage: Stage) -> dict[str, Check]:
    async with wrong_server(TING_ADVERTISE="127.0.0.99", TING_RTC_TCP_PORT="0") as process:
        return await said(process.url)


async def wrong_certificate(stage: Stage) -> dict[str, Check]:
    certificate, key = stage.folder / "cert.pem", stage.folder / "key.pem"
    write_certificate(certificate, key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return await said(await stage.start_proxy(passing_on(stage.server.url), context))


async def clock_off(stage: Stage) -> dict[str, Check]:
    return await said(await stage.start_proxy(passing_on(stage.server.url, Date="Thu, 01 Jan 2015 00:00:00 GMT")))


async def no_upgrade(stage: Stage) -> dict[str, Check]:
    return await said(await stage.start_proxy(passing_on(stage.server.url)))


async def ipv6_only(stage: Stage) -> dict[str, Check]:
    return await said(f"http://[::1]:{stage.server.ports.http}")


async def wrong_public_url(stage: Stage) -> dict[str, Check]:
    async with wrong_server(TING_PUBLIC_URL="http://localhost:1") as process:
        return await said(process.url)


async def nats_away(stage: Stage) -> dict[str, Check]:
    return await stage.here(**stage.cluster("nats://127.0.0.1:1"))


async def database_away(stage: Stage) -> dict[str, Check]:
    return await stage.here(database_url="postgresql://ting@127.0.0.1:1/ting")


async def two_of_one_name(stage: Stage) -> dict[str, Check]:
    with running_nats(next(iter(find_servers().values()))) as nats:
        bus = NatsBus(ClusterSettings(cluster=nats.url), "berlin-1")
        record = NodeRecord("berlin-1", "other", "192.0.2.7", 7883, "0.1.0")
        other = Membership(bus, record, ttl_s=3.0)
        await bus.open()
        await other.start()
        try:
            alone = await stage.here(**stage.cluster(nats.url, node_name="berlin-2"))
            assert alone["node name"].ok, alone["node name"]
            assert alone["cluster (NATS)"].ok
            return await stage.here(**stage.cluster(nats.url, node_name="berlin-1"))
        finally:
            await other.close()
            await bus.close()


async def port_taken(stage: Stage) -> dict[str, Check]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        checks = await stage.here(port=port)
    return {"TCP port": checks[f"TCP port {port} on 127.0.0.1"]}


async def few_files(stage: Stage) -> dict[str, Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        return await stage.here()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("broken", "name", "ok", "change"),
    [
        (no_advertise, "advertised address", None, "`advertise`"),
        (udp_closed, "media over UDP", False, "`advertise`"),
        (wrong_certificate, "certificate", False, "`tls_cert`"),
        (clock_off, "clock", False, "set it by NTP"),
        (no_upgrade, "WebSocket", False, "`Upgrade`"),
        (ipv6_only, "name", None, "add an A record"),
        (wrong_public_url, "public URL", False, "`public_url`"),
        (nats_away, "cluster (NATS)", False, "`cluster`"),
        (database_away, "database (PostgreSQL)", False, "`database_url`"),
        (two_of_one_name, "node name", False, "`node_name`"),
        (port_taken, "TCP port", False, "`port`"),
        (few_files, "file limit", None, "`LimitNOFILE=4096`"),
    ],
)
async def test_it_is_named_with_what_to_change(
    server: ServerProcess,
    start_proxy: StartProxy,
    tmp_path: Path,
    broken: Broken,
    name: str,
    ok: bool | None,
    change: str,
) -> None:
    checks = await broken(Stage(server, start_proxy, tmp_path))
    assert (checks[name].ok, change in checks[name].message) == (ok, True), checks[name]


async def test_a_set_up_that_is_whole_has_none_of_these(tmp_path: Path, server: ServerProcess) -> None:
    """So that the words above are not there anyway."""
    with running_nats(next(iter(find_servers().values()))) as nats:
        stage = Stage(server, None, tmp_path)  # type: ignore[arg-type]
        ports = free_ports()
        changes = stage.cluster(nats.url, node_name="berlin-1", node_port=ports.tcp)
        checks = await stage.here(**changes, advertise="192.0.2.1", rtc_udp_port=ports.udp)
    assert {name for name, check in checks.items() if check.ok is False} == {"database (PostgreSQL)"}
    assert checks["advertised address"].ok
    assert {"clock", "name", "public URL", "certificate", "WebSocket"} & {
        name for name, check in (await said(server.url)).items() if not check.ok
    } == set()
