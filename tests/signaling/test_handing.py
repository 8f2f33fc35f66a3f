"""What was said in a room that keeps nothing comes to late ones from members, and never onto the server's disk."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, Sync, founder, places_of, visitor

POLICY = {"keeps": "nothing", "member_history": True}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(handing_answer_s=0.3) as running_server:
        yield running_server


async def listening(person: Person) -> Sync:
    sync = await person.sync()
    await sync.wait_for("opened")
    return sync


async def make_member(owner: Person, name: str) -> Person:
    person = await visitor(owner.server, owner.room, name)
    await owner.good("PUT", f"members/{person.member_id}", {"role": "member", "name": name})
    return person


def said(text: str = "before", **fields: Any) -> dict[str, Any]:
    entry = {"verb": "message", "from": "guest_x", "name": "Ada", "at_ms": now_ms() - 1000, "body": {"text": text}}
    return {**entry, **fields}


def now_ms() -> int:
    return round(time.time() * 1000)


async def answer(sync: Sync, *entries: dict[str, Any]) -> dict[str, Any]:
    wanted = await sync.wait_for("history_wanted")
    await sync.send("history", question=wanted["question"], entries=list(entries))
    return wanted


def texts(history: dict[str, Any]) -> list[str]:
    return [entry["body"]["text"] for entry in history["entries"]]


async def test_a_late_one_gets_it_from_a_member_and_nobody_else_does(server: Server) -> None:
    ada = await founder(server, policy=POLICY)
    adas, others = await listening(ada), await listening(await visitor(server, ada.room, "Eve"))
    late = await listening(await visitor(server, ada.room))
    await late.send("ask_history")
    wanted = await answer(adas, said("second", at_ms=2), said("first", at_ms=1))
    assert (wanted["room"], wanted["max_entries"], wanted["max_bytes"]) == (ada.room, 200, 60_000)
    history = await late.wait_for("history")
    assert (history["from_member"], texts(history)) == (ada.member_id, ["first", "second"])
    assert {(entry["seq"], entry["from_member"]) for entry in history["entries"]} == {(0, ada.member_id)}
    assert [entry["name"] for entry in history["entries"]] == ["Ada", ada.name]
    await ada.say("now")
    while (message := await others.receive())["type"] != "entry":
        assert message["type"] not in ("history", "history_wanted")


async def test_the_next_one_is_asked_when_one_has_nothing_is_silent_or_goes(server: Server) -> None:
    ada = await founder(server, policy=POLICY)
    bob, cyd, dan = [await make_member(ada, name) for name in ("Bob", "Cyd", "Dan")]
    adas, bobs, cyds, dans = [await listening(one) for one in (ada, bob, cyd, dan)]
    late = await listening(await visitor(server, ada.room, "Late"))
    await late.send("ask_history")
    await answer(adas)
    silent = await bobs.wait_for("history_wanted")
    await cyds.wait_for("history_wanted")
    await cyds.ws.close()
    await answer(dans, said("still there"))
    history = await late.wait_for("history")
    assert (history["from_member"], texts(history)) == (dan.member_id, ["still there"])
    await bobs.send("history", question=silent["question"], entries=[said("too late")])
    assert (await bobs.wait_for("error"))["code"] == "not_found"
    guest = await listening(await visitor(server, ada.room, "Guest"))
    await guest.send("history", question=silent["question"], entries=[said("of a stranger")])
    assert (await guest.wait_for("error"))["code"] == "not_found"


async def test_guests_are_never_asked(server: Server) -> None:
    ada = await founder(server, policy=POLICY)
    guests = await listening(await visitor(server, ada.room, "Guest"))
    late = await listening(await visitor(server, ada.room, "Late"))
    await late.send("ask_history")
    assert (await late.wait_for("history"))["entries"] == []
    await ada.say("x")
    while (message := await guests.receive())["type"] != "entry":
        assert message["type"] != "history_wanted"


@pytest.mark.parametrize(
    "entry",
    [
        said(" "), said("x" * 5000), said(to="guest_y"), said(target=1), said(verb="moderation"), said(verb="edit"),
        said(seq=7), said(at_ms=2**60), said(at_ms=2**52), said(name="a\x00"), said(name=""),
        said(body={"text": "x", "more": 1}), said(body=[]), 1, None, {},
    ],
)  # fmt: skip
async def test_what_is_no_entry_is_not_passed_on(server: Server, entry: Any) -> None:
    ada = await founder(server, policy=POLICY)
    adas, late = await listening(ada), await listening(await visitor(server, ada.room))
    await late.send("ask_history")
    await answer(adas, said(), entry)
    assert (await adas.wait_for("error"))["code"] == "invalid_body"
    assert (await late.wait_for("history"))["entries"] == []


async def test_what_is_over_is_not_passed_on(server: Server) -> None:
    ada = await founder(server, policy={**POLICY, "retention_s": 60})
    adas, late = await listening(ada), await listening(await visitor(server, ada.room))
    await late.send("ask_history")
    at_ms = now_ms()
    entries = [said("over", expires_at_ms=at_ms - 1), said("old", at_ms=at_ms - 61_000), said("short", at_ms=at_ms)]
    await answer(adas, *entries, said("long", at_ms=at_ms, expires_at_ms=at_ms + 10**9))
    history = await late.wait_for("history")
    assert texts(history) == ["short", "long"]
    assert {entry["expires_at_ms"] for entry in history["entries"]} == {at_ms + 60_000}


async def test_answers_and_questions_have_limits() -> None:
    limits = {"max_handed_entries": 3, "max_handed_bytes": 2000, "handing_asks_per_minute": 3}
    async with running(handing_answer_s=0.3, **limits) as server:
        ada = await founder(server, policy=POLICY)
        adas, late = await listening(ada), await listening(await visitor(server, ada.room))
        for entries, count in (([said()] * 3, 3), ([said()] * 4, 0), ([said("x" * 1000)] * 2, 0)):
            await late.send("ask_history")
            await answer(adas, *entries)
            assert len((await late.wait_for("history"))["entries"]) == count
        await late.send("ask_history")
        assert (await late.wait_for("error"))["code"] == "rate_limited"


async def test_few_ask_at_once() -> None:
    async with running(handing_answer_s=5, max_handing_asks=1) as server:
        ada = await founder(server, policy=POLICY)
        adas = await listening(ada)
        one, other = [await listening(await visitor(server, ada.room, name)) for name in ("One", "Other")]
        await one.send("ask_history")
        wanted = await adas.wait_for("history_wanted")
        await other.send("ask_history")
        assert (await other.wait_for("error"))["code"] == "rate_limited"
        await adas.send("history", question=wanted["question"], entries=[said()])
        assert texts(await one.wait_for("history")) == ["before"]
        await other.send("ask_history")
        await answer(adas, said("again"))
        assert texts(await other.wait_for("history")) == ["again"]


@pytest.mark.parametrize(
    "policy",
    [
        {}, {"keeps": "nothing"}, {"member_history": True}, {**POLICY, "history": False},
        # Members would hand on what the server must not read.
        {**POLICY, "kind": "sealed"},
    ],
)  # fmt: skip
async def test_only_where_the_owner_wants_it(server: Server, policy: dict[str, Any]) -> None:
    ada = await founder(server, policy=policy)
    late = await listening(await visitor(server, ada.room))
    await late.send("ask_history")
    assert (await late.wait_for("error"))["code"] == "forbidden"


async def test_without_history_for_guests_members_get_it(server: Server) -> None:
    ada = await founder(server, policy={**POLICY, "history": False})
    adas, bobs = await listening(ada), await listening(await make_member(ada, "Bob"))
    await bobs.send("ask_history")
    await answer(adas, said())
    assert texts(await bobs.wait_for("history")) == ["before"]


async def test_who_was_a_member_is_not_asked(server: Server) -> None:
    ada = await founder(server, policy=POLICY)
    bob = await make_member(ada, "Bob")
    bobs, late = await listening(bob), await listening(await visitor(server, ada.room, "Late"))
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "guest"})
    await late.send("ask_history")
    assert (await late.wait_for("history"))["entries"] == []
    await ada.say("x")
    while (message := await bobs.receive())["type"] != "entry" or message["verb"] != "message":
        assert message["type"] != "history_wanted"


async def test_nothing_of_it_is_on_the_disk(tmp_path: Path) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    async with running(data_dir=str(tmp_path)) as server:
        ada = await founder(server, policy=POLICY)
        adas, late = await listening(ada), await listening(await visitor(server, ada.room))
        await ada.say(canary)
        entry = await adas.wait_for("entry")
        await late.send("ask_history")
        await answer(adas, {field: entry[field] for field in ("verb", "from", "name", "at_ms", "body")})
        assert texts(await late.wait_for("history")) == [canary]
        assert not places_of(canary, tmp_path)
    assert not places_of(canary, tmp_path)
