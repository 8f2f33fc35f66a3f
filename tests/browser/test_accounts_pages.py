"""The pages for accounts and admins, in Chromium with its virtual authenticator, on a server with accounts."""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from sfu.api import NodeInfo
from sfu.ids import RoomName
from signaling.api.admin_nodes import AdminNode, AdminNodes
from tests.harness.server import free_ports
from tests.signaling.account_rig import PASSWORD, AccountServer, running_accounts
from tests.signaling.openid_rig import server_for
from tests.signaling.rooms import founder

with warnings.catch_warnings(record=True):
    # What it imports is outdated; that is its own affair.
    import oidc_provider_mock

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the provider's own
]

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@dataclass
class Person:
    """A browser of one person."""

    page: Page
    origin: str
    errors: list[str]

    def get(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    async def open(self, path: str) -> None:
        await self.page.goto(self.origin + path)

    async def sign_in(self, name: str, password: str = PASSWORD) -> None:
        await self.open("/account")
        await self.get("account-name").fill(name)
        await self.get("account-password").fill(password)
        await self.get("sign-in-password").click()
        await expect(self.get("signed-in-name")).to_have_text(name)

    async def prove(self, password: str = PASSWORD) -> None:
        """In the dialog that asks who one is."""
        await self.get("proof-password").fill(password)
        await self.get("proof-submit").click()
        await expect(self.get("proof")).to_have_count(0)


@dataclass
class World:
    rig: AccountServer
    browser: Browser
    people: list[Person]

    async def person(self, **options: Any) -> Person:
        context = await self.browser.new_context(locale=options.pop("locale", "en-US"), **options)
        page = await context.new_page()
        devtools = await context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        # Passkeys need a name.
        one = Person(page, f"http://localhost:{urlsplit(self.rig.server.url).port}", [])
        page.on("pageerror", lambda error: one.errors.append(str(error)))
        self.people.append(one)
        return one

    async def forget_proofs(self) -> None:
        """As if all had signed in long ago."""
        for person in self.people:
            for cookie in await person.page.context.cookies():
                if cookie["name"] == "ting_session":
                    session = await self.rig.accounts.devices.session_of(cookie["value"])
                    assert session is not None
                    await self.rig.accounts.devices.prove(session, 0)


@pytest_asyncio.fixture(loop_scope="session")
async def world(browser: Browser) -> AsyncIterator[World]:
    async with running_accounts(registration="open") as rig:
        made = World(rig, browser, [])
        yield made
        for person in made.people:
            await person.page.context.close()
        assert [person.errors for person in made.people if person.errors] == []


async def test_one_signs_in_with_a_password_and_out_again(world: World) -> None:
    await world.rig.make("Ada")
    ada = await world.person()
    await ada.open("/")
    await ada.get("account-link").click()
    await ada.get("account-name").fill("Ada")
    await ada.get("account-password").fill("wrong horse battery")
    await ada.get("sign-in-password").click()
    await expect(ada.get("account-problem")).to_have_attribute("data-problem", "sign_in_failed")
    await ada.get("account-password").fill(PASSWORD)
    await ada.get("sign-in-password").click()
    await expect(ada.get("signed-in-name")).to_have_text("Ada")
    await ada.open("/")
    await expect(ada.get("account-link")).to_have_text("Ada")
    await ada.get("account-link").click()
    await ada.get("sign-out").click()
    await expect(ada.get("sign-in")).to_be_visible()


async def test_one_signs_in_at_an_openid_provider_and_proves_oneself_there(browser: Browser) -> None:
    """A real provider on loopback, which asks in a page of its own who one is."""
    user = oidc_provider_mock.User(sub="ada", claims={"preferred_username": "Ada Lovelace"})
    port = free_ports().http
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=[user]) as provider:
        settings = {"port": port, "public_url": f"http://localhost:{port}"}
        async with server_for(f"http://localhost:{provider.server_port}", **settings) as rig:
            ada = await World(rig, browser, []).person(locale="zh-CN")
            # The provider's page asks a host of its own for its looks: nothing leaves this machine.
            await ada.page.route(lambda url: urlsplit(url).hostname != "localhost", lambda route: route.abort())
            await ada.open("/account")
            await expect(ada.get("sign-in-openid")).to_contain_text("Example ID")
            await ada.get("sign-in-openid").click()
            await ada.page.locator("input[name=sub]").fill("ada")
            await ada.page.get_by_role("button", name="Authorize").click()
            await expect(ada.get("signed-in-name")).to_have_text("Ada Lovelace")
            assert "code=" not in ada.page.url
            await ada.get("sign-out").click()
            await ada.get("sign-in-openid").click()
            await ada.page.get_by_role("button", name="Deny").click()
            await expect(ada.get("sign-in-openid")).to_be_visible()
            await ada.page.context.close()
            assert ada.errors == []


async def test_one_makes_an_account_with_a_passkey_comes_back_and_deletes_it(world: World) -> None:
    ada = await world.person()
    await ada.open("/account")
    await ada.get("switch-register").click()
    await ada.get("account-name").fill("Ada")
    await ada.get("register-passkey").click()
    await expect(ada.get("signed-in-name")).to_have_text("Ada")
    await expect(ada.get("passkey")).to_have_count(1)
    await ada.get("sign-out").click()
    await ada.get("sign-in-passkey").click()
    await expect(ada.get("signed-in-name")).to_have_text("Ada")
    await world.forget_proofs()
    await ada.get("remove-passkey").click()
    await ada.get("confirm-yes").click()
    await ada.get("proof-passkey").click()
    await expect(ada.get("passkeys").get_by_test_id("account-problem")).to_have_attribute(
        "data-problem", "last_sign_in"
    )
    await ada.get("delete-account-button").click()
    await ada.get("confirm-yes").click()
    await expect(ada.get("sign-in")).to_be_visible()
    assert await world.rig.accounts.find("Ada") is None


async def test_one_ends_another_device(world: World) -> None:
    await world.rig.make("Ada")
    desk, phone = await world.person(), await world.person()
    await desk.sign_in("Ada")
    await phone.sign_in("Ada")
    await desk.page.reload()
    await expect(desk.get("device")).to_have_count(2)
    await expect(desk.page.locator('[data-testid="device"][data-this="true"]')).to_have_count(1)
    await desk.get("end-device").click()
    await expect(desk.get("device")).to_have_count(1)
    await phone.page.reload()
    await expect(phone.get("sign-in")).to_be_visible()
    await expect(desk.get("signed-in-name")).to_have_text("Ada")


async def test_what_is_weighty_asks_who_one_is(world: World) -> None:
    await world.rig.make("Ada")
    ada = await world.person()
    await ada.sign_in("Ada")
    await world.forget_proofs()
    await ada.get("new-password-input").fill("another long password")
    await ada.get("new-password-submit").click()
    await ada.get("proof").get_by_role("button", name="Close").click()
    await expect(ada.get("proof")).to_have_count(0)
    await expect(ada.get("new-password").get_by_test_id("done")).to_be_empty()
    await ada.get("new-password-submit").click()
    await ada.get("proof-password").fill("wrong horse battery")
    await ada.get("proof-submit").click()
    await expect(ada.get("proof").get_by_test_id("account-problem")).to_be_visible()
    await ada.prove()
    await expect(ada.get("new-password").get_by_test_id("done")).not_to_be_empty()
    await ada.get("add-passkey").click()
    await expect(ada.get("passkey")).to_have_count(1)
    await ada.get("sign-out").click()
    await ada.sign_in("Ada", "another long password")


async def test_a_room_that_is_made_signed_in_belongs_to_the_account(world: World) -> None:
    await world.rig.make("Ada")
    desk, phone = await world.person(), await world.person()
    await desk.sign_in("Ada")
    await desk.open("/")
    await expect(desk.get("account-link")).to_have_text("Ada")
    await desk.get("new-room").click()
    await expect(desk.page).to_have_url(re.compile("/r/.+"))
    room = urlsplit(desk.page.url).path.removeprefix("/r/")
    await expect(desk.get("account-link")).to_have_text("Ada")
    assert await desk.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('ting.key'))") == []
    # From the room's door one signs in and is back there.
    await phone.open(f"/r/{room}")
    await phone.get("account-link").click()
    await phone.get("account-name").fill("Ada")
    await phone.get("account-password").fill(PASSWORD)
    await phone.get("sign-in-password").click()
    await expect(phone.page).to_have_url(re.compile(f"/r/{room}$"))
    role = """async room => {
        const body = JSON.stringify({name: 'Ada'});
        const headers = {'Content-Type': 'application/json'};
        const answer = await fetch(`/api/v1/rooms/${room}/tokens`, {method: 'POST', headers, body});
        return (await answer.json()).role;
    }"""
    assert await phone.page.evaluate(role, room) == "owner"


async def test_an_admin_makes_an_account_and_deletes_a_room(world: World) -> None:
    await world.rig.make("Ada", is_admin=True)
    admin, bob = await world.person(), await world.person()
    await admin.open("/admin")
    await admin.get("account-name").fill("Ada")
    await admin.get("account-password").fill(PASSWORD)
    await admin.get("sign-in-password").click()
    await expect(admin.page).to_have_url(f"{admin.origin}/admin")
    await admin.get("admin-accounts").click()
    await admin.get("new-account").click()
    await admin.get("create-name").fill("Bob")
    await admin.get("create-password").fill(PASSWORD)
    await admin.get("create-submit").click()
    await expect(admin.get("accounts-row")).to_have_count(2)
    await bob.sign_in("Bob")
    await bob.open("/admin")
    await expect(bob.get("no-admin")).to_be_visible()
    await bob.open("/")
    await bob.get("new-room").click()
    await expect(bob.page).to_have_url(re.compile("/r/.+"))
    room = urlsplit(bob.page.url).path.removeprefix("/r/")
    await admin.get("admin-overview").click()
    await expect(admin.get("sum-rooms").locator("dd")).to_have_text("1")
    await admin.get("admin-rooms").click()
    await expect(admin.get("rooms-row")).to_have_attribute("data-id", room)
    await world.forget_proofs()
    await admin.get("delete-room").click()
    await admin.get("confirm-yes").click()
    await admin.prove()
    await expect(admin.get("rooms-row")).to_have_count(0)
    await admin.get("admin-audit").click()
    await expect(admin.get("audit-row").first).to_contain_text("room_deleted")


async def test_an_admin_sees_the_nodes_of_a_cluster(world: World) -> None:
    await world.rig.make("Ada", is_admin=True)
    admin = await world.person()
    await admin.sign_in("Ada")
    await admin.get("to-admin").click()
    await admin.get("admin-nodes").click()
    await expect(admin.get("admin-part")).to_contain_text("by itself")
    here = AdminNode("one", "1.2", "10.0.0.1:7883", True, True, True, False, 1, 2, 1, 0, 0)
    there = AdminNode("two", "1.3", "10.0.0.2:7883", False, True, True, True, 1, 3, 1, 5_000_000, 700)
    lost = AdminNode("three", "1.2", "10.0.0.3:7883", False, False, True, False, 0, 0, 0, 0, 0)
    answer = msgspec.to_builtins(AdminNodes([here, there, lost], "the NATS server does not answer"))
    await admin.page.route("**/api/v1/admin/nodes", lambda route: route.fulfill(json=answer))
    await admin.get("admin-overview").click()
    await admin.get("admin-nodes").click()
    await expect(admin.get("registry-away")).to_contain_text("the NATS server does not answer")
    rows = admin.get("nodes-row")
    await expect(rows.nth(0)).to_contain_text("this node")
    await expect(rows.nth(1)).to_contain_text("connected, takes nobody new")
    await expect(rows.nth(1)).to_contain_text("5 MB")
    await expect(rows.nth(2)).to_contain_text("not connected")
    ada = await founder(world.rig.server)
    await (await world.rig.server.connect(ada.token)).expect("join")
    world.rig.server.sfu.cluster_nodes = [NodeInfo("one", {RoomName(ada.room): 1})]
    await admin.get("admin-calls").click()
    await expect(admin.get("calls-row")).to_contain_text("one: 1")


async def test_an_admin_disables_sets_a_password_and_invites(world: World) -> None:
    await world.rig.make("Ada", is_admin=True)
    bob = await world.rig.make("Bob")
    admin = await world.person()
    await admin.sign_in("Ada")
    await admin.get("to-admin").click()
    await admin.get("admin-accounts").click()
    row = admin.page.locator('[data-testid="accounts-row"][data-id="Bob"]')
    await row.get_by_test_id("change-account").click()
    await admin.get("toggle-disabled").click()
    await expect(row).to_contain_text("disabled")
    await expect(admin.get("change-dialog")).to_have_count(0)
    assert (await world.rig.accounts.get(bob.account_id)).is_disabled
    await row.get_by_test_id("change-account").click()
    await admin.get("toggle-disabled").click()
    await expect(row).not_to_contain_text("disabled")
    await row.get_by_test_id("change-account").click()
    await admin.get("set-password").fill("a password from the admin")
    await admin.get("set-password-submit").click()
    await expect(admin.get("change-dialog")).to_have_count(0)
    assert (await world.rig.accounts.sign_in("Bob", "a password from the admin")).account_id == bob.account_id
    # Nobody is left who could undo it.
    await admin.page.locator('[data-testid="accounts-row"][data-id="Ada"]').get_by_test_id("change-account").click()
    await admin.get("toggle-admin").click()
    await expect(admin.get("account-problem")).to_have_attribute("data-problem", "last_admin")
    await admin.get("change-dialog").get_by_role("button", name="Close").click()
    await admin.get("invite").click()
    await admin.get("invite-go").click()
    await expect(admin.get("invite-code")).not_to_be_empty()
