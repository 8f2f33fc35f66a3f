"""Token buckets, client addresses, and the gate in front of HTTP."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from sfu.limits import TokenBucket
from signaling.addresses import client_address, is_in, parse_networks
from signaling.limits import AddressLimiter, limit_key
from signaling.livekit.endpoint import join_options
from tests.signaling.harness import Server, eventually, relaxed, running


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_fills_at_its_rate_up_to_its_size() -> None:
    bucket = TokenBucket(10, 20)
    assert sum(bucket.take(0) for _ in range(30)) == 20
    assert sum(bucket.take(0.5) for _ in range(30)) == 5
    assert not bucket.take(1000, 21)
    assert bucket.take(1000, 20)
    assert bucket.wait_s(20) == 2


def test_addresses_have_a_bucket_each_and_are_forgotten() -> None:
    clock = Clock()
    limiter = AddressLimiter(60, 2, clock)
    assert [limiter.take("192.0.2.1") for _ in range(60)] == [0] * 60
    assert limiter.take("192.0.2.1") == 1
    assert limiter.take("192.0.2.2") == 0
    assert limiter.take("192.0.2.3") == 0  # the first is forgotten
    assert limiter.take("192.0.2.1") == 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_limits_count_a_subscriber_not_an_address(address: str, key: str) -> None:
    assert limit_key(address) == key


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.2.3", True), ("", False), ("::ffff:10.1.2.3", True), ("110.1.2.3", False),
     ("10.1.2.3.evil", False), ("::1", False)],
)  # fmt: skip
def test_networks_are_compared_as_addresses(address: str, inside: bool) -> None:
    assert is_in(address, parse_networks(["10.0.0.0/8"])) is inside


def test_a_long_chain_of_proxies_is_cut() -> None:
    hops = ", ".join(["10.0.0.1"] * 5000)
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": hops})
    assert client_address(request, ()) == (request.remote or "")


@relaxed
@given(st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=200))
def test_any_forwarded_header_gives_an_address(header: str) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": header}).clone(remote="10.0.0.1")
    ipaddress.ip_address(client_address(request, parse_networks(["10.0.0.0/8"])))


@relaxed
@given(st.dictionaries(st.sampled_from(["protocol", "sdk", "version", "browser", "os", "auto_subscribe"]), st.text()))
def test_any_description_of_a_client_is_cut_to_size(query: dict[str, str]) -> None:
    options = join_options(query)
    client = options.client
    assert 0 <= client.protocol <= 9999
    assert max(map(len, (client.sdk, client.version, client.browser, client.os))) <= 64


async def test_a_body_that_drips_is_refused() -> None:
    async with running(request_timeout_s=0.2) as server:
        reader, writer = await open_connection(server)
        writer.write(
            b"POST /api/v1/rooms/r/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(3):
            assert b" 408 " in await reader.readline()
        writer.close()


async def open_connection(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = server.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def is_cut(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection without a word."""
    try:
        async with asyncio.timeout(3):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_connections_without_a_request_are_closed() -> None:
    async with running(request_timeout_s=0.2) as server:
        reader, writer = await open_connection(server)
        writer.write(b"GET /healthz HT")  # and never the rest
        assert await is_cut(reader)
        writer.close()
        assert server.value("ting_connections_refused_total", reason="too_slow") == 1


async def test_connections_that_made_a_request_may_stay() -> None:
    async with running(request_timeout_s=0.2) as server:
        client = await server.join()
        reader, writer = await open_connection(server)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        other_reader, other_writer = await open_connection(server)
        assert await is_cut(other_reader)  # the time is over for this one
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await client.ping()
        for each in (writer, other_writer):
            each.close()


async def test_many_of_one_address_may_come_at_once() -> None:
    """Those above the usual number have less time, and whoever uses it for a request is served."""
    async with running(max_pending_connections_per_ip=1, burst_request_timeout_s=0.2) as server:
        first, *others = [await open_connection(server) for _ in range(3)]
        others[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await others[0][0].readuntil(b"\r\n\r\n")
        assert await is_cut(others[1][0])
        first[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await first[0].readuntil(b"\r\n\r\n")
        for _, writer in (first, *others):
            writer.close()


async def test_one_address_may_have_so_many_unfinished_connections() -> None:
    async with running(max_pending_connections_per_ip=1, max_burst_connections_per_ip=3) as server:
        waiting = [await open_connection(server) for _ in range(3)]
        reader, writer = await open_connection(server)
        assert await is_cut(reader)
        writer.close()
        assert server.value("ting_connections_refused_total", reason="too_many") == 1
        for _, each in waiting:
            each.close()
            await each.wait_closed()
        await eventually(lambda: server.value("ting_connections_refused_total", reason="too_many") == 1)
        async with asyncio.timeout(5):
            while True:
                try:
                    async with server.http.get(server.url + "/healthz") as response:
                        assert response.status == 200
                        break
                except OSError:
                    continue
