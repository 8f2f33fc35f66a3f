"""Accounts in rooms that last: owning them, adopting a guest's, and what a device that ends takes along."""

from __future__ import annotations

import secrets

from tests.signaling.account_rig import Browser, running_accounts
from tests.signaling.rooms import Person, founder


async def make_room(browser: Browser, **fields: object) -> str:
    assert await browser("POST", "/rooms", fields) == 201, browser.json
    return str(browser.json["name"])


async def enter(browser: Browser, room: str, **fields: object) -> str:
    assert await browser("POST", f"/rooms/{room}/tokens", {"name": "Ada", **fields}) == 200, browser.json
    return str(browser.json["token"])


async def test_a_room_of_an_account_is_its_on_every_device() -> None:
    async with running_accounts() as rig:
        laptop, phone = await rig.signed_in(), await rig.signed_in()
        room = await make_room(laptop)
        await enter(phone, room)
        assert phone.json["role"] == "owner"
        stranger = await rig.signed_in("Bob")
        await enter(stranger, room)
        assert stranger.json["role"] == "guest"
        guest = rig.browser()
        await enter(guest, room)
        assert guest.json["role"] == "guest"


async def test_an_account_adopts_what_a_guest_key_owns() -> None:
    async with running_accounts() as rig:
        guest = await founder(rig.server)
        browser = await rig.signed_in()
        await enter(browser, guest.room, key=guest.key)
        assert browser.json["role"] == "owner"
        assert (await guest.enter())["role"] == "guest", "the key has given it away"
        await enter(await rig.signed_in(), guest.room)


async def test_another_sites_page_makes_no_rooms_in_ones_name() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        browser.headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert await browser("POST", "/rooms", {"key": secrets.token_urlsafe(32)}) == 403


async def test_a_device_that_ends_leaves_the_call_and_the_log_at_once() -> None:
    async with running_accounts() as rig:
        laptop, phone = await rig.signed_in(), await rig.signed_in()
        room = await make_room(laptop)
        token = await enter(phone, room)
        person = Person(rig.server, "Ada", room, token=token, identity=phone.json["identity"])
        client = await rig.server.connect(token)
        await client.expect("join")
        sync = await person.sync(since=1)
        await sync.wait_for("opened")
        device_id = rig.server.tokens.verify(token).device
        assert device_id
        assert await laptop("DELETE", f"/account/devices/{device_id}") == 204, laptop.json
        assert (await sync.wait_for("closed"))["code"] == "unauthorized"
        await client.closed()
        assert await person.refused("GET", "entries") == "unauthorized"
        refused = await rig.server.http.get(f"{rig.server.url}/rtc/validate", params={"access_token": token})
        assert refused.status == 401
        await enter(laptop, room)


async def test_without_accounts_a_token_of_a_device_is_worth_nothing() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        room = await make_room(browser)
        token = await enter(browser, room)
        rig.server.services.lasting.door._is_device_alive = None
        person = Person(rig.server, "Ada", room, token=token)
        assert await person.refused("GET", "entries") == "unauthorized"
