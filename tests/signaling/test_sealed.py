"""The delivery service of sealed rooms: one commit an epoch, told in order; who is there and waits; what is kept."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.signaling.harness import DEADLINE_S, Server, running
from tests.signaling.rooms import Clock, Person, Sync, founder, visitor

SEALED = {"kind": "sealed"}
GATE = "g" * 43


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    """Once with SQLite, once with PostgreSQL."""
    async with running(database_url=url) as running_server:
        yield running_server


def opaque(size: int = 40) -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()


class Member:
    """A device of a person, that has the room open."""

    def __init__(self, person: Person, sync: Sync, device: str) -> None:
        self.person = person
        self.sync = sync
        self.device = device

    async def commit(self, group: str, epoch: int, **fields: Any) -> tuple[int, Any]:
        return await self.person.call("POST", "seal/commits", self.draft(group, epoch, **fields))

    def draft(self, group: str, epoch: int, **fields: Any) -> dict[str, Any]:
        made = {"device": self.device, "gate": GATE, "group": group, "epoch": epoch}
        return {**made, "commit": opaque(), "group_info": opaque(), **fields}

    async def begin(self, group: str = "", epoch: int = -1, **fields: Any) -> str:
        """A new group; its id."""
        name = opaque(16)
        status, answer = await self.commit(group, epoch, new_group=True, group_id=name, commit="", **fields)
        assert (status, answer) == (201, {"epoch": 0})
        return name


async def member(person: Person, device: str = "") -> Member:
    device = device or opaque(16)
    sync = await person.sync(device=device)
    await sync.wait_for("seal_present")
    return Member(person, sync, device)


async def sealed(server: Server, **policy: Any) -> Member:
    return await member(await founder(server, policy={**SEALED, **policy}))


# --- the link ---


async def test_who_does_not_hold_the_link_changes_nothing(server: Server) -> None:
    ada = await sealed(server)
    mallory = await member(await visitor(server, ada.person.room))
    group = await ada.begin(history={"wrap": opaque(), "secrets": ""})
    other = {"gate": "o" * 43}
    for draft in (mallory.draft(group, 0, **other), mallory.draft(group, 0, new_group=True, group_id="n", **other)):
        assert await mallory.person.refused("POST", "seal/commits", draft) == "link_required"
    assert await mallory.person.refused("DELETE", "seal/gate") == "forbidden"
    state = await ada.person.good("GET", "seal")
    assert (state["group"], state["epoch"]) == (group, 0)
    assert (await ada.person.good("GET", "seal/history"))["epochs"][0]["secrets"] == ""
    assert (await mallory.commit(group, 0))[0] == 201, "somebody with the link may be anybody"
    for gate in (None, "", "o" * 42, "o" * 44, "ö" * 43):
        assert await ada.person.refused("POST", "seal/commits", ada.draft(group, 1, gate=gate)) == "invalid_body"


async def test_the_link_of_a_room_is_that_of_its_making_or_of_its_first_commit_until_an_owner_says_otherwise(
    server: Server,
) -> None:
    ada = await member(await founder(server, policy=SEALED, gate=GATE))
    mallory = await member(await visitor(server, ada.person.room))
    begin = mallory.draft("", -1, new_group=True, group_id=opaque(16), commit="", gate="o" * 43)
    assert await mallory.person.refused("POST", "seal/commits", begin) == "link_required"
    group = await ada.begin()
    await ada.person.good("DELETE", "seal/gate")
    assert (await ada.commit(group, 0, gate="n" * 43))[0] == 201
    assert await ada.person.refused("POST", "seal/commits", ada.draft(group, 1)) == "link_required"


# --- kinds ----------------------------------------------------------------------------------------------------


async def test_a_room_is_open_unless_it_is_made_sealed_and_the_door_says_which(server: Server) -> None:
    ada, bob = await founder(server), await founder(server, policy=SEALED)
    nobody = Person(server, "Nobody")
    assert (await nobody.good("GET", f"/api/v1/rooms/{ada.room}"))["kind"] == "open"
    assert (await nobody.good("GET", f"/api/v1/rooms/{bob.room}"))["kind"] == "sealed"
    assert (await bob.good("GET", "state"))["policy"]["kind"] == "sealed"


async def test_only_an_owner_opens_a_room_and_nobody_seals_one(server: Server) -> None:
    ada = await founder(server, policy=SEALED)
    bob = await visitor(server, ada.room)
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "moderator"})
    assert await bob.refused("PATCH", "", {"policy": {"kind": "open"}}) == "forbidden"
    assert (await ada.good("PATCH", "", {"policy": {"kind": "sealed"}}))["policy"]["kind"] == "sealed"
    assert (await ada.good("PATCH", "", {"policy": {"kind": "open"}}))["policy"]["kind"] == "open"
    entries = await ada.entries()
    assert [(e["from"], e["body"]) for e in entries if e["verb"] == "policy"] == [(ada.member_id, {"kind": "open"})]
    assert await ada.refused("PATCH", "", {"policy": {"kind": "sealed"}}) == "invalid_body"


@pytest.mark.parametrize("kind", ["sealed", "open"])
async def test_the_page_hears_of_the_operators_default(kind: str) -> None:
    async with running(default_kind=kind) as server:
        assert (await Person(server, "Page").good("GET", "/api/v1/config"))["default_kind"] == kind


async def test_an_open_room_has_no_keys(server: Server) -> None:
    ada = await founder(server)
    await ada.sync(device=opaque(16))
    device = opaque(16)
    for method, path, body in (
        ("GET", "seal", None),
        ("GET", "seal/epoch", None),
        ("GET", "seal/joins", None),
        ("POST", "seal/commits", {"device": device, "gate": GATE, "group": "", "epoch": -1, "group_info": ""}
         | {"new_group": True, "group_id": "g", "commit": ""}),
        ("GET", "seal/commits?group=g&since=0", None),
        ("POST", "seal/joins", {"device": device, "key_package": "a", "proof": "b"}),
        ("GET", "seal/history", None),
        ("GET", "seal/backup", None),
        ("PUT", "seal/backup", {"blob": "b"}),
        ("DELETE", "seal/backup", None),
    ):  # fmt: skip
        assert await ada.refused(method, path, body) == "not_sealed", (method, path)


# --- commits --------------------------------------------------------------------------------------------------


async def test_one_of_many_commits_wins_and_all_hear_of_it_alone(server: Server) -> None:
    ada = await sealed(server)
    others = [await member(await visitor(server, ada.person.room, f"V{n}")) for n in range(5)]
    assert await ada.person.good("GET", "seal") | {"present": []} == {
        "group": "", "epoch": -1, "group_info": "", "joins": [], "present": [],
    }  # fmt: skip
    group = await ada.begin()
    answers = await asyncio.gather(*(one.commit(group, 0) for one in others))
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409, 409]
    assert {answer["error"]["code"] for status, answer in answers if status == 409} == {"epoch_conflict"}
    winner = others[next(n for n, (status, _) in enumerate(answers) if status == 201)]
    for one in (ada, *others):
        heard = [await one.sync.wait_for("seal_commit") for _ in range(2)]
        assert [(h["group"], h["epoch"], h["device"], h["from"]) for h in heard] == [
            (group, 0, ada.device, ada.person.member_id), (group, 1, winner.device, winner.person.member_id),
        ]  # fmt: skip
    seal = await ada.person.good("GET", "seal")
    assert (seal["group"], seal["epoch"]) == (group, 1)


async def test_commits_are_told_in_the_order_of_their_epochs(server: Server) -> None:
    ada = await sealed(server)
    group = await ada.begin()
    for epoch in range(30):
        assert (await ada.commit(group, epoch))[0] == 201
    assert [(await ada.sync.wait_for("seal_commit"))["epoch"] for _ in range(31)] == list(range(31))


async def test_the_same_commit_again_is_the_same_and_tells_nobody_twice(server: Server) -> None:
    ada = await sealed(server)
    bob = await member(await visitor(server, ada.person.room))
    name, first = opaque(16), ada.draft("", -1, new_group=True, commit="")
    first["group_id"] = name
    for _ in range(2):
        assert await ada.person.call("POST", "seal/commits", first) == (201, {"epoch": 0})
    draft = ada.draft(name, 0)
    tries = await asyncio.gather(*(ada.person.call("POST", "seal/commits", draft) for _ in range(5)))
    assert tries == [(201, {"epoch": 1})] * 5
    assert (await bob.commit(name, 1))[0] == 201
    assert await ada.person.call("POST", "seal/commits", draft) == (201, {"epoch": 1}), "also when it went on since"
    stolen = {**draft, "device": bob.device}
    assert await bob.person.refused("POST", "seal/commits", stolen) == "epoch_conflict"
    assert [(await bob.sync.wait_for("seal_commit"))["epoch"] for _ in range(3)] == [0, 1, 2]
    assert "seal_commit" not in await bob.sync.settle()


async def test_a_group_is_replaced_by_compare_and_set_too(server: Server) -> None:
    ada = await sealed(server)
    group = await ada.begin()
    assert (await ada.commit(group, 0))[0] == 201
    for stale in (("", -1), (group, 0), (opaque(16), 1)):
        status, answer = await ada.commit(*stale, new_group=True, group_id=opaque(16), commit="")
        assert (status, answer["error"]["code"]) == (409, "epoch_conflict")
    other = await ada.begin(group, 1)
    assert (await ada.person.good("GET", "seal"))["group"] == other
    assert await ada.person.refused("GET", f"seal/commits?group={group}&since=0") == "epoch_gone"


@pytest.mark.parametrize(
    "wrong",
    [
        {"group": ""}, {"epoch": -1}, {"epoch": -2}, {"commit": ""}, {"new_group": True}, {"group_id": "x"},
        {"device": "short"}, {"commit": "not base64!"}, {"welcomed": ["x"]}, {"history": {"wrap": "a"}},
        {"new_group": True, "group_id": "g" * 22},
    ],
)  # fmt: skip
async def test_what_is_no_commit_is_refused(wrong: dict[str, Any]) -> None:
    async with running() as server:
        ada = await sealed(server)
        draft = {**ada.draft("g" * 22, 0), **wrong}
        assert await ada.person.refused("POST", "seal/commits", draft) == "invalid_body"


async def test_who_missed_commits_gets_them_and_who_missed_too_many_comes_in_anew(url: str) -> None:
    async with running(database_url=url, kept_commits=4) as server:
        ada = await sealed(server)
        group = await ada.begin()
        for epoch in range(6):
            await ada.commit(group, epoch)
        path = f"seal/commits?group={group}&since="
        page = await ada.person.good("GET", f"{path}2&limit=3")
        assert ([c["epoch"] for c in page["commits"]], page["more"]) == ([3, 4, 5], True)
        assert page["commits"][0]["from"] == ada.person.member_id
        assert page["commits"][0]["device"] == ada.device
        assert [c["epoch"] for c in (await ada.person.good("GET", f"{path}5"))["commits"]] == [6]
        assert (await ada.person.good("GET", f"{path}6"))["commits"] == []
        assert await ada.person.refused("GET", f"{path}1") == "epoch_gone"


async def test_every_part_of_a_commit_has_its_limit() -> None:
    limits = {"max_commit_bytes": 300, "max_group_info_bytes": 400, "max_welcome_bytes": 500, "max_history_bytes": 100}
    async with running(max_body_bytes=1000, **limits) as server:
        ada = await sealed(server)
        group = await ada.begin()
        keys = {"wrap": opaque(100), "secrets": opaque(100)}
        good = {"commit": opaque(300), "group_info": opaque(400), "welcome": opaque(500), "history": keys}
        larger: list[dict[str, Any]] = [
            {"commit": opaque(304)}, {"group_info": opaque(404)}, {"welcome": opaque(504)},
            {"history": {**keys, "wrap": opaque(104)}}, {"history": {**keys, "secrets": opaque(104)}},
        ]  # fmt: skip
        for large in larger:
            status, answer = await ada.commit(group, 0, **{**good, **large})
            assert (status, answer["error"]["code"]) == (413, "body_too_large"), large
        assert (await ada.commit(group, 0, **good))[0] == 201, "more than bodies elsewhere may have"


async def test_who_commits_too_often_waits() -> None:
    async with running(seal_commits_per_minute=3) as server:
        ada = await sealed(server)
        group = await ada.begin()
        answers = [await ada.commit(group, epoch) for epoch in range(3)]
        assert [status for status, _ in answers] == [201, 201, 429]


async def test_the_server_has_no_group_of_a_room_that_is_gone(server: Server) -> None:
    ada = await sealed(server)
    group = await ada.begin(history={"wrap": opaque(), "secrets": opaque()})
    await ada.person.good("PUT", "seal/backup", {"blob": opaque()})
    await ada.person.good("DELETE", "")
    again = await sealed(server)
    assert (await again.person.good("GET", "seal"))["group"] == ""
    assert (await again.person.good("GET", "seal/history"))["epochs"] == []
    assert await ada.person.refused("POST", "seal/commits", ada.draft(group, 0)) == "room_not_found"


# --- presence and joins -----------------------------------------------------------------------------------------


async def test_comings_and_goings_are_told(server: Server) -> None:
    ada = await sealed(server)
    bob = await member(await visitor(server, ada.person.room))
    here = {"device": bob.device, "member_id": bob.person.member_id, "name": "Bob"}
    while here not in (await ada.sync.wait_for("seal_changed"))["came"]:
        pass
    assert [p["device"] for p in (await ada.person.good("GET", "seal"))["present"]] == [ada.device, bob.device]
    await bob.sync.ws.close()
    assert (await ada.sync.wait_for("seal_changed"))["left"] == [here]
    assert [p["device"] for p in (await ada.person.good("GET", "seal"))["present"]] == [ada.device]


async def test_a_device_with_two_connections_leaves_with_the_last(server: Server) -> None:
    ada = await sealed(server)
    first = await member(await visitor(server, ada.person.room))
    second = await member(first.person, first.device)
    await first.sync.ws.close()
    other = await member(await visitor(server, ada.person.room, "Eve"))
    came: list[str] = []
    while other.device not in came:
        changed = await ada.sync.wait_for("seal_changed")
        assert changed["left"] == []
        came += [one["device"] for one in changed["came"]]
    assert first.device in [p["device"] for p in (await ada.person.good("GET", "seal"))["present"]]
    await second.sync.ws.close()
    assert [p["device"] for p in (await ada.sync.wait_for("seal_changed"))["left"]] == [first.device]


async def test_whoever_falls_silent_is_soon_no_longer_there() -> None:
    async with running(seal_ask_silent_s=0.05, seal_silent_s=1.0) as server:
        ada = await sealed(server)

        async def hear() -> set[str]:
            """Whoever reads nothing sends no pong either."""
            while not (left := (await ada.sync.wait_for("seal_changed"))["left"]):
                pass
            return {one["device"] for one in left}

        hearing = asyncio.create_task(hear())
        bob = await visitor(server, ada.person.room)
        ws = await server.http.ws_connect(f"{server.url}/api/v1/sync", autoping=False)
        device = opaque(16)
        await ws.send_json({"type": "open", "room": bob.room, "token": bob.token, "device": device})
        for _ in range(2):
            while (asked := await ws.receive(timeout=DEADLINE_S)).type is not aiohttp.WSMsgType.PING:
                pass
            await ws.pong(asked.data)
        assert device in [one["device"] for one in (await ada.person.good("GET", "seal"))["present"]]
        # From here on it neither answers nor closes.
        assert await hearing == {device}
        assert [one["device"] for one in (await ada.person.good("GET", "seal"))["present"]] == [ada.device]


async def test_a_ping_is_answered_and_nobody_is_asked_who_has_no_keys() -> None:
    async with running(seal_ask_silent_s=0.01, seal_silent_s=0.01) as server:
        ada = await founder(server)
        ws = await server.http.ws_connect(f"{server.url}/api/v1/sync", autoping=False)
        await ws.send_json({"type": "open", "room": ada.room, "token": ada.token, "device": opaque(16)})
        await ws.ping(b"there?")
        kinds = [(await ws.receive(timeout=DEADLINE_S)).type]
        while kinds[-1] is not aiohttp.WSMsgType.PONG:
            kinds.append((await ws.receive(timeout=DEADLINE_S)).type)
        assert set(kinds) == {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PONG}


@pytest.mark.parametrize("act", ["kick", "ban", "close"])
async def test_who_is_put_out_is_no_longer_there_even_if_its_connection_hangs(server: Server, act: str) -> None:
    ada = await sealed(server)
    bob = await member(await visitor(server, ada.person.room, sealed=True))
    await (await server.connect(bob.person.token)).expect("join")
    while bob.device not in [one["device"] for one in (await ada.sync.wait_for("seal_changed"))["came"]]:
        pass
    if act == "kick":
        await ada.person.good("POST", f"members/{bob.person.member_id}/kick")
    elif act == "ban":
        await ada.person.good("POST", "bans", {"member_id": bob.person.member_id})
    else:
        await bob.sync.send("close")
    while not (left := (await ada.sync.wait_for("seal_changed"))["left"]):
        pass
    assert [one["device"] for one in left] == [bob.device]


async def test_a_device_is_one_members(server: Server) -> None:
    ada = await sealed(server)
    thief = await visitor(server, ada.person.room)
    sync = await thief.sync(device=ada.device)
    assert (await sync.wait_for("closed"))["code"] == "taken"
    body = {"device": ada.device, "key_package": opaque(), "proof": opaque()}
    assert await thief.refused("POST", "seal/joins", body) == "taken"
    assert await thief.refused("POST", "seal/commits", ada.draft("", -1, new_group=True, group_id="g")) == "taken"


async def test_a_device_that_waits_is_shown_to_the_group_until_it_is_welcomed(server: Server) -> None:
    ada = await sealed(server)
    group = await ada.begin()
    bob, eve = [await member(await visitor(server, ada.person.room, name)) for name in ("Bob", "Eve")]
    for one in (bob, eve):
        body = {"device": one.device, "key_package": opaque(), "proof": opaque(32)}
        assert await one.person.call("POST", "seal/joins", body) == (202, {"ttl_s": 60.0})
        while one.device not in (await ada.sync.wait_for("seal_changed"))["waiting"]:
            pass
        asked = (await ada.person.good("GET", "seal/joins"))["joins"][-1]
        assert asked == {"from": one.person.member_id, "name": one.person.name, **body}
    assert [j["device"] for j in (await ada.person.good("GET", "seal"))["joins"]] == [bob.device, eve.device]
    late = await visitor(server, ada.person.room, "Late")
    told = await (await late.sync(device=opaque(16))).wait_for("seal_present")
    assert told["waiting"] == sorted([bob.device, eve.device])
    welcome = opaque(500)
    assert (await ada.commit(group, 0, welcome=welcome, welcomed=[bob.device]))[0] == 201
    news = await bob.sync.wait_for("seal_welcome")
    assert (news["group"], news["epoch"], news["welcome"]) == (group, 1, welcome)
    assert news["from"] == ada.person.member_id
    assert not {"seal_welcome", "seal_commit"} & set(await eve.sync.settle()), "nothing that it could use"
    assert (await ada.sync.wait_for("seal_commit"))["epoch"] == 1
    assert [j["device"] for j in (await ada.person.good("GET", "seal"))["joins"]] == [eve.device]
    assert (await eve.commit(group, 1))[0] == 201, "it goes in alone, and waits no more"
    assert (await ada.person.good("GET", "seal/joins"))["joins"] == []
    assert await ada.person.good("GET", "seal/epoch") == {"group": group, "epoch": 2}
    body = {"device": eve.device, "key_package": opaque(), "proof": opaque(32)}
    assert (await eve.person.call("POST", "seal/joins", body))[0] == 202
    await eve.sync.ws.close()
    await ada.sync.wait_for("seal_changed")
    while (await ada.person.good("GET", "seal"))["joins"]:
        pass


async def test_many_who_come_at_once_are_told_together_and_their_keys_are_fetched_once() -> None:
    async with running(presence_interval_s=1.0) as server:
        ada = await sealed(server)
        await ada.sync.wait_for("seal_changed")
        others = [await member(await visitor(server, ada.person.room, f"V{n}")) for n in range(8)]
        for one in others:
            body = {"device": one.device, "key_package": opaque(3000), "proof": opaque(32)}
            await one.person.call("POST", "seal/joins", body)
        came: list[str] = []
        waiting: list[str] = []
        rounds = size = 0
        while len(waiting) < len(others):
            heard = await ada.sync.wait_for("seal_changed")
            came += [one["device"] for one in heard["came"]]
            waiting += heard["waiting"]
            rounds, size = rounds + 1, size + len(json.dumps(heard))
        assert rounds < len(others)
        assert set(came) == set(waiting) == {one.device for one in others}
        assert size < 400 * len(others), "each of many hears of each: what is large is not in it"
        assert len((await ada.person.good("GET", "seal/joins"))["joins"]) == len(others)


async def test_whoever_waits_must_be_there_and_only_so_many_do() -> None:
    async with running(max_waiting_joins=1, max_key_package_bytes=100, seal_joins_per_minute=4) as server:
        ada = await sealed(server)
        bob = await member(await visitor(server, ada.person.room))
        body = {"device": opaque(16), "key_package": opaque(100), "proof": opaque(32)}
        assert await bob.person.refused("POST", "seal/joins", body) == "not_present"
        large = {**body, "device": bob.device, "key_package": opaque(104)}
        assert await bob.person.refused("POST", "seal/joins", large) == "body_too_large"
        for _ in range(2):
            await bob.person.call("POST", "seal/joins", {**body, "device": bob.device})
        assert await ada.person.refused("POST", "seal/joins", {**body, "device": ada.device}) == "limit_reached"
        await bob.person.call("POST", "seal/joins", {**body, "device": bob.device})
        assert await bob.person.refused("POST", "seal/joins", {**body, "device": bob.device}) == "rate_limited"


async def test_who_opens_the_room_may_ask_to_be_added_in_the_same_message() -> None:
    async with running(max_key_package_bytes=100, seal_joins_per_minute=2) as server:
        ada = await sealed(server)
        group = await ada.begin()
        bob = await visitor(server, ada.person.room)
        device, join = opaque(16), {"key_package": opaque(100), "proof": opaque(32)}
        sync = await bob.sync(device=device, join=join)
        told = await sync.wait_for("seal_present")
        assert (told["group"], told["epoch"], told["waiting"]) == (group, 0, [device])
        while not (news := await ada.sync.wait_for("seal_changed"))["waiting"]:
            pass
        assert ([one["device"] for one in news["came"]], news["waiting"]) == ([device], [device]), "told together"
        asked = {"from": bob.member_id, "name": bob.name, "device": device, **join}
        assert (await ada.person.good("GET", "seal/joins"))["joins"] == [asked]
        # One that is refused keeps nobody out of the room; with the next, the minute's second one is over.
        syncs = []
        for wish, count in (({**join, "key_package": opaque(104)}, 1), (join, 2), (join, 2)):
            syncs.append(await bob.sync(device=opaque(16), join=wish))
            assert len((await syncs[-1].wait_for("seal_present"))["waiting"]) == count
        refused = await bob.sync(device=opaque(16), join={"key_package": "", "proof": ""})
        assert (await refused.wait_for("error"))["code"] == "invalid_body"


async def test_a_wish_to_come_in_ends_by_itself() -> None:
    async with running(waiting_join_s=0.05) as server:
        ada = await sealed(server)
        body = {"device": ada.device, "key_package": opaque(), "proof": opaque(32)}
        assert await ada.person.call("POST", "seal/joins", body) == (202, {"ttl_s": 0.05})
        async with asyncio.timeout(5):
            while (await ada.person.good("GET", "seal"))["joins"]:
                pass


# --- keys of earlier epochs, backups ----------------------------------------------------------------------------


async def test_keys_of_epochs_are_kept_and_never_overwritten(server: Server) -> None:
    ada = await sealed(server)
    keys = {"wrap": opaque(), "secrets": opaque()}
    group = await ada.begin(history=keys)
    assert (await ada.commit(group, 0))[0] == 201
    assert (await ada.commit(group, 1, history={"wrap": opaque(), "secrets": ""}))[0] == 201
    page = await ada.person.good("GET", "seal/history")
    assert [(e["n"], e["epoch"]) for e in page["epochs"]] == [(1, 0), (2, 2)]
    assert page["epochs"][0] == {"n": 1, "group": group, "epoch": 0, **keys}
    evil = {"wrap": opaque(), "secrets": opaque()}
    again = {"new_group": True, "group_id": group, "commit": "", "history": evil}
    other = await ada.begin(group, 2)
    assert (await ada.commit(other, 0, **again))[0] == 201, "a new group by the name of an old one"
    assert (await ada.person.good("GET", "seal/history"))["epochs"] == page["epochs"]
    page = await ada.person.good("GET", "seal/history?since=0&limit=1")
    assert ([e["n"] for e in page["epochs"]], page["more"]) == ([1], True)


async def test_keys_of_earlier_epochs_are_for_those_who_may_read_what_was_said(server: Server) -> None:
    ada = await sealed(server, history=False)
    await ada.begin(history={"wrap": opaque(), "secrets": opaque()})
    bob = await visitor(server, ada.person.room)
    assert await bob.refused("GET", "seal/history") == "forbidden"
    assert len((await ada.person.good("GET", "seal/history"))["epochs"]) == 1
    await ada.person.good("PUT", f"members/{bob.member_id}", {"role": "member"})
    assert len((await bob.good("GET", "seal/history"))["epochs"]) == 1


async def test_only_so_many_epochs_are_kept(url: str) -> None:
    async with running(database_url=url, max_history_epochs=3) as server:
        ada = await sealed(server)
        keys = {"history": {"wrap": opaque(), "secrets": opaque()}}
        group = await ada.begin(**keys)
        for epoch in range(4):
            await ada.commit(group, epoch, **keys)
        assert [e["epoch"] for e in (await ada.person.good("GET", "seal/history"))["epochs"]] == [2, 3, 4]


async def test_keys_go_when_all_that_was_said_with_them_is_gone(server: Server) -> None:
    clock = Clock(server)
    ada = await sealed(server, retention_s=100)
    keys = {"history": {"wrap": opaque(), "secrets": opaque()}}
    group = await ada.begin(**keys)
    for epoch in range(2):
        await ada.commit(group, epoch, **keys)
    store = await server.services.storage.retention()
    assert await store.forget_epochs(round((time.time() + 99) * 1000)) == 0
    clock.advance(200)
    async with asyncio.timeout(20):
        while [e["epoch"] for e in (await ada.person.good("GET", "seal/history"))["epochs"]] != [2]:
            pass
    await ada.person.good("PATCH", "", {"policy": {"hold": True}})
    await ada.commit(group, 2, **keys)
    assert await store.forget_epochs(round((time.time() + 10_000) * 1000)) == 0, "nothing goes while it is held"


async def test_a_backup_is_its_owners_alone(server: Server) -> None:
    ada = (await sealed(server)).person
    bob = await visitor(server, ada.room)
    blobs = [opaque(), opaque()]
    assert await ada.refused("GET", "seal/backup") == "not_found"
    for blob in blobs:
        await ada.good("PUT", "seal/backup", {"blob": blob})
    assert await bob.refused("GET", "seal/backup") == "not_found"
    await bob.good("DELETE", "seal/backup")
    assert await ada.good("GET", "seal/backup") == {"blob": blobs[1]}
    await ada.good("DELETE", "seal/backup")
    assert await ada.refused("GET", "seal/backup") == "not_found"


async def test_backups_have_their_limits() -> None:
    async with running(max_seal_backup_bytes=200, max_seal_backups=1, seal_gives_per_minute=5) as server:
        ada = (await sealed(server)).person
        assert await ada.refused("PUT", "seal/backup", {"blob": opaque(204)}) == "body_too_large"
        await ada.good("PUT", "seal/backup", {"blob": opaque(200)})
        await ada.good("PUT", "seal/backup", {"blob": opaque(200)})
        bob = await visitor(server, ada.room)
        codes = [await bob.refused("PUT", "seal/backup", {"blob": opaque()}) for _ in range(6)]
        assert codes == ["limit_reached"] * 5 + ["rate_limited"]


# --- from device to device ----------------------------------------------------------------------------------------


async def test_a_question_goes_to_all_others_and_the_answer_to_one(server: Server) -> None:
    ada = await sealed(server)
    bob, eve = [await member(await visitor(server, ada.person.room, name)) for name in ("Bob", "Eve")]
    await bob.sync.send("seal_ask", ask={"epochs": [1, 2], "key": "k"})
    for one in (ada, eve):
        asked = await one.sync.wait_for("seal_ask")
        assert (asked["device"], asked["from"]) == (bob.device, bob.person.member_id)
        assert asked["ask"] == {"epochs": [1, 2], "key": "k"}
    await ada.sync.send("seal_give", device=bob.device, give={"data": "x"})
    given = await bob.sync.wait_for("seal_give")
    assert (given["device"], given["from"], given["give"]) == (ada.device, ada.person.member_id, {"data": "x"})
    await ada.sync.send("seal_give", device=opaque(16), give={})
    assert (await ada.sync.wait_for("error"))["code"] == "not_present"
    assert "seal_give" not in await eve.sync.settle()


async def test_questions_have_their_limits() -> None:
    async with running(max_seal_ask_bytes=200, seal_asks_per_minute=2, seal_gives_per_minute=1) as server:
        ada = await sealed(server)
        await ada.sync.send("seal_ask", ask={"x": "y" * 200})
        assert (await ada.sync.wait_for("error"))["code"] == "body_too_large"
        for _ in range(3):
            await ada.sync.send("seal_ask", ask={})
        assert (await ada.sync.wait_for("error"))["code"] == "rate_limited"
        for _ in range(2):
            await ada.sync.send("seal_give", device=ada.device, give={})
        assert (await ada.sync.wait_for("error"))["code"] == "rate_limited"


async def test_who_has_opened_without_a_device_hears_nothing_of_keys_and_says_nothing(server: Server) -> None:
    ada = await sealed(server)
    bob = await visitor(server, ada.person.room)
    sync = await bob.sync(since=0)
    await ada.begin()
    await ada.sync.send("seal_ask", ask={})
    await ada.sync.settle()
    assert not [kind for kind in await sync.settle() if kind.startswith("seal_")]
    await sync.send("seal_ask", ask={})
    assert (await sync.wait_for("error"))["code"] == "not_present"
