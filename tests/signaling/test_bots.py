"""Bots with scopes, incoming webhooks, outgoing hooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from aiohttp import web

from signaling.addresses import parse_networks
from signaling.bots.guarded import is_acceptable, may_reach
from tests.signaling.harness import KEY, SECRET, Server, eventually, running
from tests.signaling.rooms import Person, founder, visitor

LOOPBACK = {"hook_networks": "127.0.0.0/8", "hook_retry_initial_s": 0.05}


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    async with running(database_url=url, **LOOPBACK) as running_server:
        yield running_server


async def make_bot(owner: Person, *scopes: str) -> Person:
    made = await owner.good("POST", "bots", {"name": "Robo", "scopes": scopes})
    return Person(owner.server, "Robo", owner.room, token=made["token"], identity=f"bot_{made['bot_id']}")


# --- bots -------------------------------------------------------------------------------------------------


async def test_a_bot_may_what_its_scopes_say(server: Server) -> None:
    ada = await founder(server)
    reader, writer, moderator = [await make_bot(ada, scope) for scope in ("read", "write", "moderate")]
    await ada.say("hello")
    assert [e["verb"] for e in await reader.entries()][-1] == "message"
    assert (await reader.write("message", text="x"))[1]["error"]["code"] == "forbidden"
    entry = await writer.say("I am a bot")
    assert (entry["from"], entry["name"]) == (writer.identity, "Robo")
    assert await writer.refused("GET", "entries") == "forbidden"
    assert await writer.refused("POST", "lower-hands") == "forbidden"
    await moderator.good("POST", "lower-hands")
    assert await moderator.refused("DELETE", "") == "forbidden"
    assert await moderator.refused("POST", "bots", {"name": "More", "scopes": ["read"]}) == "forbidden"
    assert [(name, act) for name, act in await ada.acts() if act == "lower_hands"] == [("Robo", "lower_hands")]


async def test_a_bot_follows_the_log_on_one_socket(server: Server) -> None:
    ada = await founder(server)
    bot = await make_bot(ada, "read")
    sync = await bot.sync(since=0)
    await sync.wait_for("opened")
    await ada.say("news")
    while (await sync.wait_for("entry"))["verb"] != "message":
        pass
    await sync.send("write", verb="message", client_id="1", body={"text": "x"})
    assert (await sync.wait_for("refused"))["code"] == "forbidden"


async def test_a_bot_that_is_removed_or_elsewhere_may_nothing(server: Server) -> None:
    ada, other = await founder(server), await founder(server, "Other")
    bot = await make_bot(ada, "read", "write")
    assert await bot.refused("GET", f"/api/v1/rooms/{other.room}/entries") == "room_not_found"
    (listed,) = (await ada.good("GET", "bots"))["bots"]
    assert (listed["scopes"], listed["token"]) == (["read", "write"], "")
    await ada.good("DELETE", f"bots/{listed['bot_id']}")
    assert await bot.refused("GET", "entries") == "room_not_found"
    assert await ada.refused("DELETE", f"bots/{listed['bot_id']}") == "not_found"
    assert [act for _, act in await ada.acts()][-2:] == ["add_bot", "remove_bot"]


async def test_bots_are_limited_and_no_guests_business() -> None:
    async with running(max_bots=1, max_hooks=1, **LOOPBACK) as server:
        ada = await founder(server)
        await make_bot(ada, "read")
        assert await ada.refused("POST", "bots", {"name": "Robo", "scopes": ["read"]}) == "limit_reached"
        await ada.good("POST", "hooks", {"url": "https://example.org/hook"})
        assert await ada.refused("POST", "hooks", {"url": "https://example.org/hook"}) == "limit_reached"
        bob = await visitor(server, ada.room)
        assert await bob.refused("GET", "bots") == "forbidden"
        for scopes in ([], ["everything"], ["read"] * 5):
            assert await ada.refused("POST", "bots", {"name": "R", "scopes": scopes}) == "invalid_body"


async def test_an_incoming_webhook_takes_text_and_json(server: Server) -> None:
    ada = await founder(server)
    path = (await ada.good("POST", "bots", {"name": "Build", "scopes": ["post"]}))["post_path"]
    nobody = Person(server, "curl")
    await nobody.good("POST", path, {"text": "green"})
    async with server.http.post(server.url + path, data="red", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 200
    said = [(e["name"], e["body"]["text"]) for e in await ada.entries() if e["verb"] == "message"]
    assert said == [("Build", "green"), ("Build", "red")]
    for body in ({}, {"text": 1}, {"text": ""}, {"text": "a", "as": "Ada"}, [], "text"):
        assert await nobody.refused("POST", path, body) == "invalid_body"
    assert await nobody.refused("POST", path[:-1] + "x", {"text": "a"}) == "not_found"
    # Its address posts, and its token reads nothing.
    bot = Person(server, "Build", ada.room, token=path.rpartition("/")[2])
    assert await bot.refused("GET", "entries") == "forbidden"


# --- outgoing hooks ---------------------------------------------------------------------------------------


class Receiver:
    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.taken: list[dict[str, Any]] = []
        self.tries = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        claims = jwt.decode(request.headers["Authorization"], SECRET, algorithms=["HS256"], issuer=KEY)
        assert claims["sha256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.tries += 1
        if self.status == 200:
            self.taken.append(json.loads(body))
        return web.Response(status=self.status)

    @property
    def texts(self) -> list[str]:
        return [e["body"]["text"] for taken in self.taken for e in taken["entries"] if e["verb"] == "message"]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def test_a_hook_hears_of_new_entries_in_order_and_of_nothing_private(server: Server) -> None:
    async with receiving() as receiver:
        ada = await founder(server)
        bob = await visitor(server, ada.room)
        await ada.say("before")
        await ada.good("POST", "hooks", {"url": receiver.url, "verbs": ["message", "react"]})
        await ada.say("for Bob", to=bob.member_id)
        for n in range(5):
            await ada.say(str(n))
        await eventually(lambda: len(receiver.texts) == 5, "all are delivered")
        assert receiver.texts == ["0", "1", "2", "3", "4"]
        assert "for Bob" not in json.dumps(receiver.taken)
        assert receiver.taken[0]["room"] == ada.room


async def test_a_receiver_that_fails_gets_it_again_and_misses_nothing(server: Server) -> None:
    async with receiving() as receiver:
        ada = await founder(server)
        receiver.status = 500
        await ada.good("POST", "hooks", {"url": receiver.url})
        await ada.say("one")
        await eventually(lambda: receiver.tries >= 2, "it is tried again")
        await ada.say("two")
        receiver.status = 200
        await eventually(lambda: receiver.texts == ["one", "two"], "both come")


async def test_a_hook_goes_on_after_a_restart(tmp_path: Any) -> None:
    async with receiving() as receiver:
        async with running(data_dir=str(tmp_path), **LOOPBACK) as server:
            ada = await founder(server)
            receiver.status = 503
            await ada.good("POST", "hooks", {"url": receiver.url})
            await ada.say("said before the restart")
            await eventually(lambda: receiver.tries >= 1, "a try")
        receiver.status = 200
        async with running(data_dir=str(tmp_path), **LOOPBACK):
            await eventually(lambda: receiver.texts == ["said before the restart"], "it comes")


async def test_a_receiver_that_is_gone_is_left_alone(server: Server) -> None:
    async with receiving() as receiver:
        ada = await founder(server)
        receiver.status = 410
        await ada.good("POST", "hooks", {"url": receiver.url})
        await ada.say("one")
        for _ in range(200):
            if (await ada.good("GET", "hooks"))["hooks"][0]["gone"]:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("it was not noted")
        await ada.say("two")
        assert receiver.tries == 1


async def test_what_is_removed_before_it_is_delivered_is_not_delivered(server: Server) -> None:
    async with receiving() as receiver:
        ada = await founder(server)
        receiver.status = 500
        await ada.good("POST", "hooks", {"url": receiver.url})
        seq = (await ada.say("a secret"))["seq"]
        await eventually(lambda: receiver.tries >= 1, "a try")
        await ada.write("delete", seq)
        receiver.status = 200
        await eventually(lambda: receiver.taken, "a delivery")
        assert "a secret" not in json.dumps(receiver.taken)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/x", "http://[::1]/x", "http://169.254.169.254/latest", "http://10.1.2.3/", "http://[::ffff:10.0.0.1]/",
     "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://0.0.0.0/", "http://224.0.0.1/", "ftp://example.org/",
     "file:///etc/passwd", "http://user:pw@example.org/", "http://example.org:0/", "https://", "x", "http://a b/"],
)  # fmt: skip
async def test_hooks_reach_nothing_of_our_own_network(url: str) -> None:
    assert not is_acceptable(url, ())
    async with running() as server:
        ada = await founder(server)
        assert await ada.refused("POST", "hooks", {"url": url}) == "invalid_body"


async def test_a_name_that_means_this_machine_is_refused_when_it_is_resolved() -> None:
    async with receiving() as receiver, running(hook_retry_initial_s=0.05) as server:
        ada = await founder(server)
        await ada.good("POST", "hooks", {"url": receiver.url.replace("127.0.0.1", "localhost")})
        await ada.say("one")
        for _ in range(200):
            if (await ada.good("GET", "hooks"))["hooks"][0]["failures"]:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("it was not refused")
        assert receiver.tries == 0


def test_networks_that_the_operator_allows() -> None:
    allowed = parse_networks(["10.0.0.0/8"])
    assert may_reach("10.1.1.1", allowed)
    assert not may_reach("192.168.1.1", allowed)
    assert may_reach("93.184.215.14", ())
    assert not may_reach("nonsense", ())


# --- sealed rooms -------------------------------------------------------------------------------------------


async def test_in_a_sealed_room_bots_write_no_plain_text_and_hooks_carry_no_ciphertext(server: Server) -> None:
    sealed = {"sealed": {"group": "g", "epoch": 0, "data": "Y2lwaGVydGV4dA"}}
    async with receiving() as receiver:
        ada = await founder(server, policy={"kind": "sealed"})
        bot = await ada.good("POST", "bots", {"name": "Bot", "scopes": ["write", "post"]})
        assert await ada.refused("POST", bot["post_path"], {"text": "plain"}) == "sealed_room"
        robot = Person(server, "Bot", ada.room, token=bot["token"])
        assert (await robot.write("message", text="plain"))[1]["error"]["code"] == "sealed_room"
        await ada.good("POST", "hooks", {"url": receiver.url, "verbs": ["message", "hand"]})
        assert (await robot.write("message", **sealed))[0] == (await ada.write("hand", **sealed))[0] == 200
        await eventually(lambda: sum(len(document["entries"]) for document in receiver.taken) == 2, "both are told")
        told = [entry for document in receiver.taken for entry in document["entries"]]
        assert [(entry["verb"], entry["body"]) for entry in told] == [
            ("message", {"sealed": True}), ("hand", {"sealed": True}),
        ]  # fmt: skip
