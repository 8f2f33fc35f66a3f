"""What only a NATS server can do to the bus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sfu.bus.api import BusUnavailable
from sfu.bus.settings import ClusterSettings
from tests.harness.nats import Nats, find_servers, running_nats
from tests.harness.waiting import eventually
from tests.sfu.bus_rig import opened, until_available

SERVERS = find_servers()
pytestmark = pytest.mark.skipif(not SERVERS, reason="no NATS server is installed")
PASSWORD = "s3cret-of-nats"


def bus_at(url: str, **more: object):
    from sfu.bus.nats import NatsBus

    return NatsBus(replace(ClusterSettings(cluster=url), **more), "a")


@pytest.fixture(params=sorted(SERVERS))
def binary(request: pytest.FixtureRequest) -> Path:
    return SERVERS[request.param]


@pytest.fixture
def server(binary: Path) -> Iterator[Nats]:
    with running_nats(binary) as running:
        yield running


async def test_a_server_that_hangs_is_noticed_and_holds_nothing_up(server: Nats) -> None:
    a, b = bus_at(server.url), bus_at(server.url)
    async with opened(a, b):
        server.freeze()
        began = time.monotonic()
        with pytest.raises(BusUnavailable):
            await a.create("nodes/a", b"1")
        await until_available(a, available=False)
        # A probe each second that may take two: three, and the machine's share.
        assert time.monotonic() - began < 10
        assert "not answer" in a.problem
        await a.close()
        await until_available(b, available=False)
        server.thaw()
        await until_available(b)


async def test_what_was_given_up_is_not_written_later(server: Nats) -> None:
    bus = bus_at(server.url)
    async with opened(bus):
        revision = await bus.create("nodes/a", b"1")
        server.stop()
        await until_available(bus, available=False)
        with pytest.raises(BusUnavailable):
            await bus.update("nodes/a", b"2", revision)
        server.start()
        await until_available(bus)
        there = await bus.get("nodes/a")
        assert there is not None
        assert there.value == b"1"


async def test_a_watch_lives_on_when_its_consumer_is_taken_away(server: Nats) -> None:
    import nats

    bus = bus_at(server.url)
    seen: list[str] = []
    async with opened(bus):
        caught_up: list[None] = []
        bus.watch("nodes/", lambda key, _entry: seen.append(key), lambda: caught_up.append(None))
        await eventually(lambda: caught_up, "the watch runs")
        other = await nats.connect(server.url)
        try:
            manager = other.jsm()
            for consumer in await manager.consumers_info("KV_ting"):
                await manager.delete_consumer("KV_ting", consumer.name)
        finally:
            await other.close()
        await bus.create("nodes/a", b"1")
        await eventually(lambda: seen == ["nodes/a"], "the watch has begun anew")


async def test_two_clusters_on_one_server_do_not_hear_each_other(server: Nats) -> None:
    a, b, other = bus_at(server.url), bus_at(server.url), bus_at(server.url, cluster_name="other")
    heard: list[bytes] = []
    async with opened(a, b, other):
        await a.create("nodes/a", b"1")
        assert await other.get("nodes/a") is None
        b.listen("log", heard.append)
        assert other.emit("log", b"other")
        # On the same connection as the hint, so behind it.
        await other.create("nodes/x", b"")
        assert a.emit("log", b"ours")
        await eventually(lambda: heard == [b"ours"], "its own cluster's hint alone")


async def test_more_hints_than_the_queue_holds_are_dropped(server: Nats) -> None:
    a, b = bus_at(server.url), bus_at(server.url)
    heard: list[bytes] = []
    async with opened(a, b):
        b.listen("log", heard.append)
        taken = sum(a.emit("log", str(number).encode()) for number in range(5000))
        assert taken == 1024
        await eventually(lambda: len(heard) == taken, "what was taken arrives")


async def test_without_jetstream_it_says_so(binary: Path, tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    with running_nats(binary) as server:
        server.stop()
        config.write_text(f'listen: "127.0.0.1:{server.port}"\n')
        process = await asyncio.create_subprocess_exec(binary, "-c", config, stderr=asyncio.subprocess.DEVNULL)
        bus = bus_at(server.url)
        try:
            await bus.open()
            await eventually(lambda: "no JetStream" in bus.problem, f"the reason is named, not: {bus.problem}")
        finally:
            await bus.close()
            process.kill()
            await process.wait()


async def test_a_password_is_used_and_never_shown(binary: Path) -> None:
    with running_nats(binary, "--user", "ting", "--pass", PASSWORD) as server:
        where = server.url.removeprefix("nats://")
        good = bus_at(f"nats://ting:{PASSWORD}@{where}")
        async with opened(good):
            await good.create("nodes/a", b"1")
        bad = bus_at(f"nats://ting:{PASSWORD}-wrong@{where}")
        await bad.open()
        try:
            await eventually(lambda: "uthorization" in bad.problem, f"the reason is named, not: {bad.problem}")
            assert PASSWORD not in bad.problem
            assert PASSWORD not in repr(ClusterSettings(cluster=f"nats://ting:{PASSWORD}@{where}"))
        finally:
            await bad.close()


async def test_of_several_servers_one_is_enough(server: Nats) -> None:
    bus = bus_at(f"nats://127.0.0.1:1, {server.url}")
    async with opened(bus):
        await bus.create("nodes/a", b"1")
