"""Whose account an answer of an OpenID provider belongs to: new ones, linked ones, and proofs of who one is."""

from __future__ import annotations

import time

from tests.signaling.account_rig import PASSWORD
from tests.signaling.openid_rig import OpenidBrowser, provider_and_server, signed_in

NOW = int(time.time())


async def test_who_gets_an_account() -> None:
    closed = {"openid_registration": False}
    async with provider_and_server(**closed) as (provider, rig):
        status, browser = await signed_in(provider, rig)
        assert (status, browser.code) == (403, "registration_closed")
    async with provider_and_server(**closed, registration="open") as (provider, rig):
        assert (await signed_in(provider, rig))[0] == 200
    async with provider_and_server(**closed, registration="invite") as (provider, rig):
        code, _ = await rig.accounts.invite("test")
        for invitation, status in (("", 403), ("wrong", 403), (code, 200), (code, 200)):
            browser = OpenidBrowser(rig)
            assert await browser.arrive(provider.sign_in(await browser.depart(invitation=invitation))) == status
        provider.subject = "sub-2"
        browser = OpenidBrowser(rig)
        assert await browser.arrive(provider.sign_in(await browser.depart(invitation=code))) == 403
        assert browser.code == "invitation_over"


async def test_names_that_are_taken_or_none() -> None:
    async with provider_and_server() as (provider, rig):
        names = []
        for number, claims in enumerate(
            ({}, {}, {"preferred_username": "a\u202eb"}, {"preferred_username": 7, "name": "N" * 100},
             {"preferred_username": None})
        ):  # fmt: skip
            provider.subject, provider.claims = f"sub-{number}", claims
            provider.userinfo = {"sub": "another", "name": "Eve"} if number == 4 else {}
            status, browser = await signed_in(provider, rig)
            assert status == 200, browser.json
            names.append(browser.json["account"]["name"])
        assert names == ["Ada", "Ada 2", "Member", "N" * 64, "Member 2"]
        provider.subject, provider.userinfo = "sub-9", {"sub": "sub-9", "name": "Grace"}
        assert (await signed_in(provider, rig))[1].json["account"]["name"] == "Grace"


async def test_an_account_is_linked_by_its_owner_only() -> None:
    async with provider_and_server(openid_registration=False) as (provider, rig):
        await rig.make("Ada")
        await rig.make("Bob")
        browser, stranger = OpenidBrowser(rig), OpenidBrowser(rig)
        assert await browser.sign_in("Ada") == 200
        assert await stranger.sign_in("Bob") == 200
        ada = browser.json["account_id"]
        answer = provider.sign_in(await browser.depart("/account/openid"))
        stranger.cookies["__Host-ting_openid"] = browser.cookies["__Host-ting_openid"]
        assert await stranger.arrive(answer) == 401
        answer = provider.sign_in(await browser.depart("/account/openid"))
        assert await browser.arrive(answer) == 200
        assert (browser.json["purpose"], browser.json["account"]["has_openid"]) == ("link", True)
        answer = provider.sign_in(await stranger.depart("/account/openid"))
        assert await stranger.arrive(answer) == 409
        assert stranger.code == "taken"
        status, other = await signed_in(provider, rig)
        assert (status, other.json["account"]["account_id"]) == (200, ada)
        await rig.accounts.change("test", ada, is_disabled=True)
        assert (await signed_in(provider, rig))[0] == 401
        await rig.accounts.change("test", ada, is_disabled=False)
        assert await browser.sign_in("Ada") == 200
        assert [await browser("DELETE", "/account/openid") for _ in range(2)] == [204, 404]
        assert (await signed_in(provider, rig))[0] == 403


async def test_the_provider_stays_while_it_is_the_only_way_in() -> None:
    async with provider_and_server() as (provider, rig):
        _, browser = await signed_in(provider, rig)
        assert browser.json["account"]["has_openid"] is True
        assert await browser("DELETE", "/account/openid") == 409
        assert browser.code == "last_sign_in"
        assert await browser("PUT", "/account/password", {"password": PASSWORD}) == 204
        assert await browser("DELETE", "/account/openid") == 204
        await browser("GET", "/account")
        assert browser.json["has_openid"] is False


async def test_only_a_fresh_sign_in_proves_who_one_is() -> None:
    async with provider_and_server() as (provider, rig):
        for auth_time, is_proved in ((None, False), (NOW - 3600, False), (int(time.time()), True)):
            provider.claims = {"auth_time": auth_time}
            status, browser = await signed_in(provider, rig)
            assert (status, browser.json["account"]["is_proved"]) == (200, is_proved)
            status = await browser.arrive(provider.sign_in(await browser.depart("/account/prove/openid")))
            assert status == (200 if is_proved else 401)
            await browser("GET", "/account")
            assert browser.json["is_proved"] is is_proved
        provider.claims, provider.subject = {}, "sub-2"
        status = await browser.arrive(provider.sign_in(await browser.depart("/account/prove/openid")))
        assert status == 401, "somebody else's proof"
        assert await browser("PUT", "/account/password", {"password": PASSWORD}) == 204
