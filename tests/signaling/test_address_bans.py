"""A ban holds for the address as well, where the address is one person's and not a network's or a proxy's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.signaling.harness import Server, running
from tests.signaling.rooms import Person, founder

ONE, OTHER, LOCAL = "8.8.8.8", "9.9.9.9", "192.168.7.7"
SIX = "2606:4700::1111"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(trusted_proxies="127.0.0.0/8", guest_tokens_per_minute=1000) as running_server:
        yield running_server


def somebody(server: Server, room: str, forwarded_for: str) -> Person:
    """With a key that the server has never seen."""
    return Person(server, "Somebody", room, forwarded_for=forwarded_for)


async def banned_from(ada: Person, address: str) -> Person:
    person = somebody(ada.server, ada.room, address)
    await person.enter()
    await ada.good("POST", "bans", {"member_id": person.member_id})
    return person


@pytest.mark.parametrize("address", [ONE, SIX])
async def test_a_new_key_from_the_same_address_does_not_help(server: Server, address: str) -> None:
    ada = await founder(server)
    bob = await banned_from(ada, address)
    assert await bob.turned_away() == "banned"
    assert await somebody(server, ada.room, address).turned_away() == "banned"
    # What a client writes itself into the header stands before what the proxy adds.
    assert await somebody(server, ada.room, f"{OTHER}, {address}").turned_away() == "banned"
    await somebody(server, ada.room, OTHER).enter()
    elsewhere = await founder(server, "Eve")
    await somebody(server, elsewhere.room, address).enter()
    bob.forwarded_for = OTHER
    assert await bob.turned_away() == "banned", "the key is banned from everywhere"


async def test_owners_at_that_address_come_in_and_the_lifted_ban_is_lifted_there_too(server: Server) -> None:
    ada = await founder(server)
    bob = await banned_from(ada, ONE)
    ada.forwarded_for = ONE
    await ada.enter()
    await ada.good("DELETE", f"bans/{bob.member_id}")
    await somebody(server, ada.room, ONE).enter()


@pytest.mark.parametrize("address", [LOCAL, "10.1.2.3", "fd00::7", "127.0.0.1", "no address"])
async def test_addresses_that_many_share_are_not_banned(server: Server, address: str) -> None:
    ada = await founder(server)
    bob = await banned_from(ada, address)
    assert await bob.turned_away() == "banned"
    await somebody(server, ada.room, address).enter()


async def test_a_header_that_no_trusted_proxy_wrote_bans_nobody_else() -> None:
    async with running() as server:
        ada = await founder(server)
        await banned_from(ada, ONE)
        await somebody(server, ada.room, ONE).enter()
