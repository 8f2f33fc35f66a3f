"""Programs in a sealed room of a real server: the group keeps itself, entries and files come through, and nobody else
reads them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sealed.content import SealBroken, open_file, padded_size, seal_file, to_text
from sealed.keeper import SealedKeeper
from sealed.member import SealedMember
from sealed.mls import Library
from tests.signaling.harness import DEADLINE_S, Server, eventually, running

Come = Callable[..., Awaitable[SealedMember]]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as running_server:
        yield running_server


@asynccontextmanager
async def gathering(server: Server, library: Library, key: str = "") -> AsyncIterator[Come]:
    """`await come(name)`: inside a new room, of which `key` is the owner's."""
    secret, people = to_text(secrets.token_bytes(32)), list[SealedMember]()
    body = {"key": key or secrets.token_urlsafe(32), "policy": {"kind": "sealed"}}
    async with server.http.post(f"{server.url}/api/v1/rooms", json=body) as answer:
        name = (await answer.json())["name"]

    async def come(person: str, kind: type[SealedMember] = SealedMember, link: str = secret) -> SealedMember:
        member = kind(server.http, f"{server.url}/r/{name}#s={link}", person, library=library)
        people.append(member)
        await member.come()
        if link == secret:
            async with asyncio.timeout(DEADLINE_S):
                await member.inside()
        return member

    yield come
    for one in people:
        await one.close()


async def next_entry(member: SealedMember, verb: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while (entry := await member.entries.get())["verb"] != verb:
            pass
    return entry


async def agree(*members: SealedMember) -> None:
    def do() -> bool:
        codes = {tuple(one.code) for one in members if one.is_inside}
        return (
            len(codes) == 1 and all(one.is_inside for one in members) and len(members[0].identities()) == len(members)
        )

    await eventually(do, "one code")


async def test_a_keeper_lets_in_and_puts_out_and_all_have_one_code(server: Server, library: Library) -> None:
    async with gathering(server, library) as come:
        keeper, bob, eve = await come("Keeper", SealedKeeper), await come("Bob"), await come("Eve")
        await agree(keeper, bob, eve)
        code = keeper.code
        await eve.close()
        await agree(keeper, bob)
        assert keeper.code != code
        assert (await keeper.media_key("x")) == await bob.media_key("x") != await eve.media_key("x")


async def test_entries_and_files_are_read_by_members(server: Server, library: Library) -> None:
    async with gathering(server, library) as come:
        keeper, bob = await come("Keeper", SealedKeeper), await come("Bob")
        await keeper.write("message", {"text": "hello"})
        said = await next_entry(bob, "message")
        assert said["body"] == {"text": "hello"}
        await bob.write("react", {"emoji": "🐝"}, target=said["seq"])
        assert (await next_entry(keeper, "react"))["body"] == {"emoji": "🐝"}
        await bob.write("message", {"text": "for you"}, to=keeper.identity)
        assert (await next_entry(keeper, "message"))["body"] == {"text": "for you"}
        content = secrets.token_bytes(150_000)
        await keeper.send_file("secret plan.pdf", content, "application/pdf")
        body = (await next_entry(bob, "file"))["body"]
        assert (body["name"], body["type"], body["size"]) == ("secret plan.pdf", "application/pdf", len(content))
        assert await bob.fetch(body) == content


async def test_a_keeper_finds_what_was_said_before_it_came(server: Server, library: Library) -> None:
    async with gathering(server, library) as come:
        first = await come("First", SealedKeeper)
        await first.write("message", {"text": "early"})
        await next_entry(first, "message")
        late = await come("Late", SealedKeeper)
        await agree(first, late)
        [said] = [one for one in await late.entries_before() if one["verb"] == "message"]
        assert said["body"] == {"text": "early"}
        await first.close()
        await late.close()
        alone = await come("Alone", SealedKeeper)
        assert {"text": "early"} in [one["body"] for one in await alone.entries_before()]


async def test_whoever_was_put_out_reads_with_the_link_nothing_of_what_comes(server: Server, library: Library) -> None:
    key = secrets.token_urlsafe(32)
    async with gathering(server, library, key=key) as come:
        first, other, bob = await come("First", SealedKeeper), await come("Other", SealedKeeper), await come("Bob")
        assert isinstance(first, SealedKeeper)
        assert isinstance(other, SealedKeeper)
        await first.write("message", {"text": "before"})
        await next_entry(bob, "message")
        rooms = f"{server.url}/api/v1/rooms/{first._room}"
        async with server.http.post(f"{rooms}/tokens", json={"key": key, "name": "Ada", "sealed": True}) as answer:
            owner = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        async with server.http.post(f"{rooms}/bans", json={"member_id": bob.identity}, headers=owner) as answer:
            assert answer.status == 204
        for one in (first, other):
            await next_entry(one, "moderation")
        await agree(first, other)
        await eventually(lambda: not (first._put_out or other._put_out), "a new history secret")
        assert len(first._history_secrets) == 2, "and one only"
        await other.close()
        await first.write("message", {"text": "after"})
        await next_entry(first, "message")
        await first.close()
        second = await come("Second", SealedKeeper)
        assert await said(second) == [{"text": "before"}, None]
        await second.write("message", {"text": "alone"})
        await next_entry(second, "message")
        late = await come("Late", SealedKeeper)
        assert await said(late) == [{"text": "before"}, None, {"text": "alone"}], "handed on inside"
        await second.close()
        await late.close()
        third = await come("Third", SealedKeeper)
        assert await said(third) == [{"text": "before"}, None, None]


async def said(keeper: SealedMember) -> list[dict[str, Any] | None]:
    """Oldest first; None for what does not open."""
    bodies = [one["body"] for one in await keeper.entries_before() if one["verb"] == "message"]
    return [None if "sealed" in body else body for body in bodies]


async def test_whoever_has_another_link_stays_outside(server: Server, library: Library) -> None:
    async with gathering(server, library) as come:
        keeper = await come("Keeper", SealedKeeper)
        stranger = await come("Stranger", link=to_text(secrets.token_bytes(32)))
        bob = await come("Bob")
        await agree(keeper, bob)
        with pytest.raises(RuntimeError):
            _ = stranger.epoch


async def test_a_link_without_its_secret_is_none(server: Server, library: Library) -> None:
    with pytest.raises(ValueError, match="secret"):
        SealedMember(server.http, f"{server.url}/r/den", "Bob", library=library)


@pytest.mark.parametrize("size", [0, 1, 1024, 65_536, 65_537, 200_000])
def test_a_file_comes_back_and_no_piece_can_be_changed_or_left_out(size: int) -> None:
    key, content = secrets.token_bytes(32), secrets.token_bytes(size)
    stored = seal_file(content, key)
    assert len(stored) >= padded_size(size)
    assert open_file(stored, key, size) == content
    for wrong in (stored[:-1], stored + b"x", bytes([stored[0] ^ 1]) + stored[1:], stored[65_552:] or b""):
        with pytest.raises(SealBroken):
            open_file(wrong, key, size)
    with pytest.raises(SealBroken):
        open_file(stored, secrets.token_bytes(32), size)
