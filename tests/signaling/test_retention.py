"""What is over goes: off the screens, out of pages and search, and out of the raw files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from signaling.rooms import policy as policies
from tests.signaling.harness import Server, eventually, running
from tests.signaling.rooms import Clock, Person, founder, places_of, visitor


@pytest.fixture
async def server(url: str) -> AsyncIterator[Server]:
    async with running(database_url=url) as running_server:
        yield running_server


def bodies(entries: list[dict[str, Any]]) -> list[Any]:
    return [e["body"] and e["body"].get("text") for e in entries if e["verb"] == "message"]


async def test_a_timer_of_the_room_removes_what_was_said(server: Server) -> None:
    clock = Clock(server)
    ada = await founder(server, policy={"retention_s": 60})
    bob = await visitor(server, ada.room)
    sync = await bob.sync(since=1)
    await sync.wait_for("opened")
    entry = await ada.say("a word that goes")
    assert entry["expires_at_ms"] == entry["at_ms"] + 60_000
    await ada.write("edit", entry["seq"], text="another word that goes")
    clock.advance(30)
    assert bodies(await bob.entries()) == ["another word that goes"]
    clock.advance(31)
    assert bodies(await bob.entries()) == [None], "whether or not it is gone from the disk"
    assert entry["seq"] in (await sync.wait_for("gone"))["seqs"]
    entries = await bob.entries()
    assert [e["body"] for e in entries if e["verb"] in ("message", "edit")] == [None, None]
    assert (await bob.good("GET", "search", params={"q": "another"}))["entries"] == []
    assert [e["body"] for e in entries if e["verb"] == "moderation"] != [None], "what was decided stays"


async def test_a_message_may_have_a_timer_of_its_own(server: Server) -> None:
    clock = Clock(server)
    ada = await founder(server)
    await ada.say("short", ttl_s=10)
    await ada.say("long")
    clock.advance(11)
    assert bodies(await ada.entries()) == [None, "long"]
    for ttl_s in (9, 0, -1, 10**12, "10"):
        draft = {"verb": "message", "client_id": "x", "body": {"text": "a"}, "ttl_s": ttl_s}
        assert await ada.refused("POST", "entries", draft) == "invalid_body"


async def test_a_new_policy_holds_for_what_is_there_and_can_be_taken_back(server: Server) -> None:
    clock = Clock(server)
    ada = await founder(server)
    await ada.say("old")
    await ada.good("PATCH", "", {"policy": {"retention_s": 3600}})
    (entry,) = [e for e in await ada.entries() if e["verb"] == "message"]
    assert entry["expires_at_ms"] == entry["at_ms"] + 3_600_000
    await ada.good("PATCH", "", {"policy": {"retention_s": None}})
    clock.advance(4000)
    assert bodies(await ada.entries()) == ["old"]
    await ada.good("PATCH", "", {"policy": {"retention_s": 60}})
    await eventually_gone(ada)


async def eventually_gone(person: Person) -> None:
    for _ in range(200):
        if set(bodies(await person.entries())) == {None}:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it is still there")


async def test_a_hold_is_an_entry_that_all_see_and_nothing_goes_while_it_lasts(server: Server) -> None:
    clock = Clock(server)
    ada = await founder(server, policy={"retention_s": 60})
    await ada.say("evidence")
    await ada.good("PATCH", "", {"policy": {"hold": True}})
    clock.advance(120)
    await ada.say("later", ttl_s=10)
    store = await server.services.storage.retention()
    assert await store.take(10**15, 100) == []
    assert [e["body"] for e in await ada.entries() if e["verb"] == "policy"] == [{"hold": True}]
    await ada.good("PATCH", "", {"policy": {"hold": False}})
    clock.advance(20)
    await eventually_gone(ada)


async def test_from_reading_it_begins_when_the_last_member_has_read_it(server: Server) -> None:
    clock = Clock(server)
    ada = await founder(server, policy={"retention_s": 60, "retention_from": "reading"})
    bob = await visitor(server, ada.room)
    await ada.good("PUT", f"members/{bob.member_id}", {"role": "member"})
    seq = (await ada.say("read me"))["seq"]
    await ada.good("PUT", "read", {"seq": seq})
    clock.advance(3600)
    assert bodies(await bob.entries()) == ["read me"]
    await bob.good("PUT", "read", {"seq": seq})
    clock.advance(20)
    assert bodies(await bob.entries()) == ["read me"]
    clock.advance(41)
    await eventually_gone(bob)


async def test_the_canary_is_nowhere_in_the_raw_files(tmp_path: Path) -> None:
    """SQLite's file, its write-ahead log, the folder of files. Before, it must be there: the search can find."""
    canary = f"canary{secrets.token_hex(8)}"
    async with running(data_dir=str(tmp_path), entry_burst=100) as server:
        clock = Clock(server)
        ada = await founder(server, policy={"retention_s": 60})
        for n in range(30):
            seq = (await ada.say(f"{canary} {n} " + "x" * 300 * (n % 4)))["seq"]
        await ada.write("edit", seq, text=f"{canary} edited")
        await ada.write("poll", question=f"{canary}?", options=[canary, "no"])
        await ada.write("react", seq, emoji="👍")
        assert places_of(canary, tmp_path)
        clock.advance(61)
        await eventually(lambda: not places_of(canary, tmp_path), "nothing is left")
        await ada.say("the room goes on")
        assert not places_of(canary, tmp_path)
    assert not places_of(canary, tmp_path)


async def test_what_one_removes_is_gone_from_the_files_too(tmp_path: Path) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    async with running(data_dir=str(tmp_path), retention_scrub_s=0.2) as server:
        ada = await founder(server)
        seq = (await ada.say(canary))["seq"]
        assert places_of(canary, tmp_path)
        await ada.write("delete", seq)
        await eventually(lambda: not places_of(canary, tmp_path), "nothing is left")


async def test_a_room_that_keeps_nothing_leaves_nothing(tmp_path: Path) -> None:
    canary = f"canary{secrets.token_hex(8)}"
    async with running(data_dir=str(tmp_path)) as server:
        ada = await founder(server, policy={"keeps": "nothing"})
        bob = await visitor(server, ada.room)
        sync = await bob.sync()
        await sync.wait_for("opened")
        await ada.say(canary)
        await sync.wait_for("entry")
        assert not places_of(canary, tmp_path)
    assert not places_of(canary, tmp_path)


def test_a_policy_of_an_older_version_has_the_defaults() -> None:
    assert policies.decode("{}") == policies.Policy()
