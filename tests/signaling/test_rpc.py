"""PerformRpc: a call of the server API to a participant, which is played here packet by packet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.protocol import models

from sfu.api import DataKind
from tests.signaling.fake_sfu import FakeSession
from tests.signaling.harness import Server, eventually, running
from tests.signaling.test_twirp import call

CALL = {"room": "lobby", "destinationIdentity": "alice", "method": "greet", "payload": "hello"}


async def request_of(session: FakeSession) -> models.RpcRequest:
    await eventually(lambda: session.data, "the request")
    kind, payload = session.data.pop()
    packet = models.DataPacket.FromString(payload)
    assert kind is DataKind.RELIABLE
    assert packet.participant_identity == packet.rpc_request.id, "where the answer is to go"
    return packet.rpc_request


def send(session: FakeSession, **value: Any) -> None:
    session.receive_data(DataKind.RELIABLE, models.DataPacket(**value).SerializeToString())


def acknowledge(session: FakeSession, request: models.RpcRequest) -> None:
    send(session, rpc_ack=models.RpcAck(request_id=request.id))


def answer(session: FakeSession, request: models.RpcRequest, **fields: Any) -> None:
    response = models.RpcResponse(request_id=request.id, **fields)
    send(session, rpc_response=response, destination_identities=[request.id])


@asynccontextmanager
async def calling(server: Server, **fields: Any) -> AsyncIterator[tuple[FakeSession, asyncio.Task[Any]]]:
    """Alice is there and is called."""
    await server.join("alice")
    task = asyncio.create_task(call(server, "PerformRpc", {**CALL, **fields}))
    try:
        yield server.sfu.session_of("lobby", "alice"), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def error(task: asyncio.Task[Any]) -> tuple[int, str, str]:
    status, body, _ = await task
    return status, body["code"], body["meta"]["rpc_code"]


async def test_the_answer_comes_back_and_goes_to_nobody_else(server: Server) -> None:
    await server.join("bob")
    async with calling(server, responseTimeoutMs=5000) as (alice, task):
        request = await request_of(alice)
        assert (request.method, request.payload, request.version) == ("greet", "hello", 1)
        assert request.response_timeout_ms == 5000
        acknowledge(alice, request)
        answer(alice, request, payload="good day")
        status, body, _ = await task
        assert (status, body) == (200, {"payload": "good day"})
        answer(alice, request, payload="again")
    assert server.sfu.session_of("lobby", "bob").data == []


async def test_an_answer_without_acknowledgement_will_do(server: Server) -> None:
    async with calling(server) as (alice, task):
        answer(alice, await request_of(alice), payload="")
        assert (await task)[:2] == (200, {"payload": ""})


@pytest.mark.parametrize(
    ("code", "expected"),
    [(101, (500, "internal")), (1400, (400, "invalid_argument")), (1404, (501, "unimplemented")),
     (1500, (500, "internal"))],
)  # fmt: skip
async def test_errors_of_the_participant(server: Server, code: int, expected: tuple[int, str]) -> None:
    async with calling(server) as (alice, task):
        request = await request_of(alice)
        answer(alice, request, error=models.RpcError(code=code, message="no " * 1000, data="why"))
        status, body, _ = await task
        assert (status, body["code"]) == expected
        assert body["meta"] == {"rpc_code": str(code), "rpc_message": ("no " * 1000)[:256], "rpc_data": "why"}


async def test_nobody_acknowledges() -> None:
    async with running(rpc_ack_timeout_s=0.2) as server, calling(server) as (_, task):
        assert await error(task) == (408, "canceled", "1501")


async def test_nobody_answers(server: Server) -> None:
    async with calling(server, responseTimeoutMs=200) as (alice, task):
        acknowledge(alice, await request_of(alice))
        assert await error(task) == (408, "canceled", "1502")


async def test_no_call_waits_for_longer_than_the_server_allows() -> None:
    async with running(max_rpc_timeout_s=0.2) as server, calling(server, responseTimeoutMs=4_000_000_000) as (_, task):
        assert await error(task) == (408, "canceled", "1502")


async def test_the_participant_leaves(server: Server) -> None:
    async with calling(server) as (alice, task):
        acknowledge(alice, await request_of(alice))
        alice.leave()
        assert await error(task) == (503, "unavailable", "1503")


async def test_an_answer_that_is_too_long(server: Server) -> None:
    async with calling(server) as (alice, task):
        answer(alice, await request_of(alice), payload="x" * 15_361)
        assert await error(task) == (500, "internal", "1504")


async def test_a_request_that_is_too_long(server: Server) -> None:
    async with calling(server, payload="x" * 15_361) as (alice, task):
        assert await error(task) == (400, "malformed", "1402")
        assert alice.data == []


async def test_nobody_can_answer_for_another(server: Server) -> None:
    await server.join("eve")
    async with calling(server, responseTimeoutMs=300) as (alice, task):
        request = await request_of(alice)
        answer(server.sfu.session_of("lobby", "eve"), request, payload="lies")
        assert await error(task) == (408, "canceled", "1502")


async def test_packets_that_are_no_answer_go_their_way(server: Server) -> None:
    await server.join("bob")
    async with calling(server) as (alice, task):
        request = await request_of(alice)
        bob = server.sfu.session_of("lobby", "bob")
        alice.receive_data(DataKind.RELIABLE, b"\xff\xff")
        send(alice, rpc_ack=models.RpcAck(request_id="another"), destination_identities=["bob"])
        send(alice, user=models.UserPacket(payload=b"hi"))
        assert len(bob.data) == 2
        answer(alice, request, payload="done")
        assert (await task)[0] == 200


async def test_calls_of_one_participant_are_limited() -> None:
    async with running(max_rpc_calls_per_participant=1) as server, calling(server) as (alice, task):
        request = await request_of(alice)
        status, body, _ = await call(server, "PerformRpc", CALL)
        assert (status, body["code"]) == (429, "resource_exhausted")
        answer(alice, request, payload="done")
        assert (await task)[0] == 200


@pytest.mark.parametrize("fields", [{"method": ""}, {"method": "m" * 65}, {"destinationIdentity": ""}])
async def test_what_is_no_call(server: Server, fields: dict[str, str]) -> None:
    await server.join("alice")
    status, body, _ = await call(server, "PerformRpc", {**CALL, **fields})
    assert (status, body["code"]) == (400, "invalid_argument")
