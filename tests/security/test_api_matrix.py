"""Every route of our own API, from its own OpenAPI document, for everybody who should not be let through."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from signaling.app import SERVICES
from signaling.grants import Grants
from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, founder, visitor

RANKS = {"anyone": 0, "guest": 1, "member": 2, "moderator": 3, "owner": 4}
NEVER = 9
"""Accounts, admins and bots: no room token opens their routes."""
PEOPLE = {
    "nobody": 0, "foreign owner": 0, "knocking": 0, "kicked": 0, "banned": 0, "publisher of another room": 0,
    "guest": 1, "member": 2, "moderator": 3, "owner": 4,
}  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(
        api_requests_per_minute=1_000_000, guest_tokens_per_minute=10_000, rooms_per_hour=1000
    ) as server:
        yield server


async def everybody(server: Server) -> tuple[Person, dict[str, Person]]:
    ada = await founder(server)
    people = {"owner": ada, "nobody": Person(server, "Nobody", ada.room)}
    people["foreign owner"] = await founder(server, "Foreign")
    for name in ("guest", "member", "moderator", "kicked", "banned"):
        people[name] = await visitor(server, ada.room, name.title())
        if name in ("member", "moderator"):
            await ada.good("PUT", f"members/{people[name].member_id}", {"role": name})
    await (await server.connect(people["kicked"].token)).expect("join")
    await ada.good("POST", f"members/{people['kicked'].member_id}/kick")
    await ada.good("POST", "bans", {"member_id": people["banned"].member_id})
    await ada.good("PATCH", "", {"policy": {"entry": "knock"}})
    people["knocking"] = await visitor(server, ada.room, "Knocking")
    other = Grants(identity="p", room="other", room_join=True, room_admin=True)
    people["publisher of another room"] = Person(server, "P", ada.room, token=server.tokens.issue(other, 60))
    return ada, people


async def operations(server: Server) -> list[tuple[str, str, dict[str, Any]]]:
    async with server.http.get(server.url + "/api/openapi.json") as response:
        document = await response.json()
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_nobody_passes_a_route_that_is_not_theirs(server: Server) -> None:
    ada, people = await everybody(server)
    seq = (await ada.say("to be protected"))["seq"]
    before = await ada.entries()
    checked = 0
    for method, path, operation in await operations(server):
        needed = RANKS.get(operation["x-ting-access"], NEVER)
        for name, rank in PEOPLE.items():
            if rank >= needed or (not path.startswith("/api/v1/rooms/{room}/") and needed == 0):
                continue
            url = re.sub(r"{(\w+)}", lambda m: ada.room if m[1] == "room" else str(seq), path)
            person = people[name]
            headers = {"Authorization": f"Bearer {person.token}"} if person.token else {}
            body = {"json": {}} if "requestBody" in operation else {}
            async with server.http.request(method, server.url + url, headers=headers, **body) as response:
                answer = await response.text()
                assert response.status in (401, 403, 404), (name, method, path, response.status, answer)
                if name in ("foreign owner", "publisher of another room") and needed < NEVER:
                    assert response.status == 404, (name, method, path, answer)
            checked += 1
    assert checked > 100
    assert await ada.entries() == before, "somebody left a trace"


async def test_no_request_without_a_body_or_with_a_strange_one_is_our_fault(server: Server) -> None:
    """Whoever may use a route and sends nonsense hears so; nothing is ever a 5xx."""
    ada, _ = await everybody(server)
    strange: list[Any] = [None, [], {}, {"x": 1}, "text", 7, {"verb": ["message"], "client_id": {}}, {"role": None}]
    for method, path, operation in await operations(server):
        if operation["x-ting-access"] not in RANKS or path in ("/api/v1/sync", "/api/v1/rooms/{room}/events"):
            continue
        if (method, path) == ("DELETE", "/api/v1/rooms/{room}"):
            continue
        for value in strange if "requestBody" in operation else [None]:
            url = re.sub(r"{(\w+)}", lambda m: ada.room if m[1] == "room" else secrets.token_hex(4), path)
            headers = {"Authorization": f"Bearer {ada.token}"}
            body = {"json": value} if "requestBody" in operation else {}
            async with server.http.request(method, server.url + url, headers=headers, **body) as response:
                assert response.status < 500, (method, path, value, await response.text())


async def test_the_document_has_every_route_and_no_other(server: Server) -> None:
    documented = {(method, path) for method, path, _ in await operations(server)}
    served = {
        (route.method, info.get("path") or info.get("formatter"))
        for route in server.app.router.routes()
        if (info := route.resource.get_info() if route.resource else {})
        and str(info.get("path") or info.get("formatter")).startswith("/api/")
    }
    assert {(m, p) for m, p in served if m != "HEAD"} == {(m, p) for m, p in documented if m != "HEAD"}
    assert isinstance(server.app, web.Application)
    assert SERVICES in server.app


async def test_the_page_reads_without_scripts_and_strangers(server: Server) -> None:
    async with server.http.get(server.url + "/api/docs") as response:
        text = await response.text()
    assert response.content_type == "text/html"
    assert "/api/v1/rooms/{room}/entries" in text
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!/|#)', text)


async def test_every_answer_is_as_the_document_says(server: Server) -> None:
    """The schemas are sound, every reference has its target, every operation a name of its own."""
    async with server.http.get(server.url + "/api/openapi.json") as response:
        text = await response.text()
        document = await response.json()
    names = set(document["components"]["schemas"])
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= names
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids)), sorted(ids)
    assert document["openapi"] == "3.1.0"
