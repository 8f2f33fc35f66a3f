"""A server that is killed in the middle of writing: what was acknowledged is there, once, in one order for everybody.

`LOG_KILLS` sets how often it is killed (4 when nothing is set).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
from typing import Any

import aiohttp
import pytest

from tests.harness.server import ServerProcess
from tests.harness.waiting import eventually

KILLS = int(os.environ.get("LOG_KILLS", "4"))
WRITERS = 4
DEADLINE_S = 60.0
_GONE = (aiohttp.ClientError, ConnectionError, TimeoutError)


class Writer:
    """Says one thing after the other, and each again, with the same client id, until it is acknowledged."""

    def __init__(self, server: ServerProcess, room: str, key: str, name: str) -> None:
        self._server = server
        self._room = room
        self._key = key
        self._name = name
        self.acknowledged: dict[str, int] = {}
        """`seq` by client id."""
        self.done = asyncio.Event()

    async def run(self, session: aiohttp.ClientSession) -> None:
        token = ""
        while not self.done.is_set():
            client_id, tries = secrets.token_hex(8), 0
            while not self.done.is_set():
                try:
                    token = token or await enter(session, self._server, self._room, self._name, self._key)
                    entry = {"verb": "message", "client_id": client_id, "body": {"text": f"{self._name} {client_id}"}}
                    async with session.post(
                        f"{self._server.url}/api/v1/rooms/{self._room}/entries",
                        json=entry, headers={"Authorization": f"Bearer {token}"},
                    ) as answer:  # fmt: skip
                        if answer.status == 200:
                            self.acknowledged[client_id] = (await answer.json())["seq"]
                            break
                except _GONE:
                    tries += 1
                await asyncio.sleep(0.02)


async def enter(session: aiohttp.ClientSession, server: ServerProcess, room: str, name: str, key: str) -> str:
    async with session.post(f"{server.url}/api/v1/rooms/{room}/tokens", json={"name": name, "key": key}) as answer:
        answer.raise_for_status()
        token: str = (await answer.json())["token"]
        return token


async def read_all(
    session: aiohttp.ClientSession, server: ServerProcess, room: str, token: str
) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    more = True
    while more:
        since = entries[-1]["seq"] if entries else 0
        async with session.get(
            f"{server.url}/api/v1/rooms/{room}/entries", params={"since": since, "limit": 200},
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:  # fmt: skip
            answer.raise_for_status()
            page = await answer.json()
        entries += page["entries"]
        more = page["more"]
    return entries


async def listen(
    session: aiohttp.ClientSession, server: ServerProcess, room: str, token: str, heard: list[int]
) -> None:
    """A client that comes back with the last entry that it has, like the page."""
    while True:
        with contextlib.suppress(*_GONE, TypeError):
            async with session.ws_connect(f"{server.url}/api/v1/sync") as ws:
                await ws.send_json({"type": "open", "room": room, "token": token, "since": heard[-1] if heard else 0})
                while True:
                    message = await ws.receive_json()
                    if message["type"] == "entry" and message["seq"] > (heard[-1] if heard else 0):
                        heard.append(message["seq"])
        await asyncio.sleep(0.02)


def acknowledged(writers: list[Writer]) -> int:
    return sum(len(writer.acknowledged) for writer in writers)


@pytest.mark.integration
@pytest.mark.timeout(120 + 15 * KILLS)
async def test_nothing_that_was_acknowledged_is_lost_or_doubled(lasting_server: ServerProcess) -> None:
    chance, server = random.Random(11), lasting_server
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        key = secrets.token_urlsafe(32)
        async with session.post(f"{server.url}/api/v1/rooms", json={"key": key}) as answer:
            room = (await answer.json())["name"]
        token, heard = await enter(session, server, room, "Listener", key), [0]
        writers = [Writer(server, room, secrets.token_urlsafe(32), f"W{n}") for n in range(WRITERS)]
        tasks = [asyncio.create_task(writer.run(session)) for writer in writers]
        listener = asyncio.create_task(listen(session, server, room, token, heard))
        for _ in range(KILLS):
            before = acknowledged(writers)
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            await eventually(lambda: acknowledged(writers) > before, "an entry", DEADLINE_S)  # noqa: B023
            await server.kill()
            await server.start()
        for writer in writers:
            writer.done.set()
        await asyncio.gather(*tasks)
        entries = await read_all(session, server, room, token)
        await eventually(lambda: heard[-1] >= entries[-1]["seq"], "the listener has it all", DEADLINE_S)
        listener.cancel()
    seqs = [entry["seq"] for entry in entries]
    assert seqs == list(range(1, len(seqs) + 1)), "gaps"
    assert heard[1:] == seqs, "the one who listened heard something else"
    said = {entry["body"]["text"]: entry["seq"] for entry in entries if entry["verb"] == "message"}
    assert len(said) == sum(1 for entry in entries if entry["verb"] == "message"), "doubled"
    for number, writer in enumerate(writers):
        for client_id, seq in writer.acknowledged.items():
            assert said.get(f"W{number} {client_id}") == seq, "lost"
    assert acknowledged(writers) >= KILLS
