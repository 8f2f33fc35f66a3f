"""A server that is killed while members of a sealed room race for the next epoch: each epoch has one commit, the one
that was acknowledged, and none is missing.

`SEAL_KILLS` sets how often it is killed (4 when nothing is set).
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import secrets
from typing import Any

import aiohttp
import pytest

from tests.harness.server import ServerProcess
from tests.harness.waiting import eventually

KILLS = int(os.environ.get("SEAL_KILLS", "4"))
COMMITTERS = 3
DEADLINE_S = 60.0
_GONE = (aiohttp.ClientError, ConnectionError, TimeoutError)


def opaque(size: int = 200) -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()


class Committer:
    """Makes one epoch after the other, and asks again with the same bytes until it knows what became of it."""

    def __init__(self, server: ServerProcess, http: aiohttp.ClientSession, room: str, key: str) -> None:
        self._server = server
        self._http = http
        self._room = room
        self._key = key
        self._device = opaque(16)
        self._token = ""
        self.acknowledged: dict[int, str] = {}
        """Commits by the epoch that they have made."""
        self.beaten = 0
        self.done = asyncio.Event()

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        kind = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._server.url}/api/v1/rooms/{self._room}/{path}"
        async with self._http.request(method, url, headers=headers, **kind) as answer:
            return answer.status, await answer.json()

    async def insist(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Until there is an answer that is one."""
        while True:
            try:
                status, answer = await self.call(method, path, body)
                if status < 500:
                    return status, answer
            except _GONE:
                pass
            await asyncio.sleep(0.02)

    async def begin(self, group: str) -> None:
        self._token = (await self.insist("POST", "tokens", {"name": "C", "key": self._key, "sealed": True}))[1]["token"]
        if group:
            draft = self._draft("", -1) | {"new_group": True, "group_id": group, "commit": ""}
            assert await self.insist("POST", "seal/commits", draft) == (201, {"epoch": 0})

    def _draft(self, group: str, epoch: int) -> dict[str, Any]:
        made = {"device": self._device, "gate": "g" * 43, "group": group, "epoch": epoch}
        return {**made, "commit": opaque(), "group_info": opaque()}

    async def run(self, group: str) -> None:
        while not self.done.is_set():
            _, seal = await self.insist("GET", "seal")
            draft = self._draft(group, seal["epoch"])
            status, answer = await self.insist("POST", "seal/commits", draft)
            if status == 201:
                self.acknowledged[answer["epoch"]] = draft["commit"]
            else:
                assert answer["error"]["code"] == "epoch_conflict", answer
                self.beaten += 1

    async def commits(self, group: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        more = True
        while more:
            path = f"seal/commits?group={group}&since={len(found) - 1}&limit=200"
            _, page = await self.insist("GET", path)
            found, more = found + page["commits"], page["more"]
        return found


@pytest.mark.integration
@pytest.mark.timeout(120 + 15 * KILLS)
async def test_every_epoch_has_the_one_commit_that_was_acknowledged(lasting_server: ServerProcess) -> None:
    chance, server = random.Random(12), lasting_server
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        body = {"key": secrets.token_urlsafe(32), "policy": {"kind": "sealed"}}
        async with http.post(f"{server.url}/api/v1/rooms", json=body) as answer:
            room = (await answer.json())["name"]
        group = opaque(16)
        committers = [Committer(server, http, room, secrets.token_urlsafe(32)) for _ in range(COMMITTERS)]
        for number, committer in enumerate(committers):
            await committer.begin("" if number else group)
        tasks = [asyncio.create_task(committer.run(group)) for committer in committers]

        def acknowledged() -> int:
            return sum(len(committer.acknowledged) for committer in committers)

        for _ in range(KILLS):
            before = acknowledged()
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            await eventually(lambda: acknowledged() > before, "a commit", DEADLINE_S)  # noqa: B023
            await server.kill()
            await server.start()
        for committer in committers:
            committer.done.set()
        await asyncio.gather(*tasks)
        commits = await committers[0].commits(group)
    assert [commit["epoch"] for commit in commits] == list(range(len(commits))), "gaps"
    made = [committer.acknowledged for committer in committers]
    assert sum(map(len, made)) == len(set().union(*made)) == len(commits) - 1, "lost, or two for one epoch"
    for one in made:
        for epoch, commit in one.items():
            assert commits[epoch]["commit"] == commit, "another's"
    assert sum(committer.beaten for committer in committers) > 0, "nobody raced"
