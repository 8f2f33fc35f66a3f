"""Accounts over HTTP: admins, registering, limits, and what happens when the database or the process goes away."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from signaling.accounts.records import EndedDevice
from signaling.errors import ApiError
from tests.signaling.account_rig import PASSWORD, running_accounts
from tests.signaling.harness import eventually

# --- admins -------------------------------------------------------------------------------------------------------


async def test_admins_make_change_and_end_accounts() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        assert await admin("POST", "/accounts", {"name": "Bob", "password": PASSWORD}) == 201
        bob = admin.json["account_id"]
        assert await admin("POST", "/accounts", {"name": "BOB", "password": PASSWORD}) == 409
        assert admin.code == "name_taken"
        browser = await rig.signed_in("Bob")
        assert await admin("PATCH", f"/accounts/{bob}", {}) == 200
        assert (admin.json["is_disabled"], admin.json["is_admin"]) == (False, False)
        assert await admin("PATCH", f"/accounts/{bob}", {"is_disabled": True}) == 200
        assert admin.json["is_disabled"] is True
        assert await browser("GET", "/account") == 401
        assert await browser.sign_in("Bob") == 401
        assert await admin("PATCH", f"/accounts/{bob}", {"is_disabled": False, "is_admin": True}) == 200
        assert await browser.sign_in("Bob") == 200
        assert await browser("GET", "/accounts", None, params={"limit": 1}) == 200
        assert (browser.json["accounts"][0]["name"], browser.json["next"]) == ("Ada", "Ada")
        assert await browser("GET", "/accounts", None, params={"limit": 2, "after": "Ada"}) == 200
        assert ([row["name"] for row in browser.json["accounts"]], browser.json["next"]) == (["Bob"], None)
        assert await admin("DELETE", f"/accounts/{bob}") == 204
        assert await admin("DELETE", f"/accounts/{bob}") == 404
        assert await admin("PATCH", f"/accounts/{bob}", {"is_admin": True}) == 404
        assert await browser("GET", "/accounts") == 401


async def test_the_last_admin_stays() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        await admin("GET", "/account")
        me = admin.json["account_id"]
        for method, path, body in (
            ("DELETE", "/account", None),
            ("DELETE", f"/accounts/{me}", None),
            ("PATCH", f"/accounts/{me}", {"is_admin": False}),
            ("PATCH", f"/accounts/{me}", {"is_disabled": True}),
        ):
            assert await admin(method, path, body) == 409
            assert admin.code == "last_admin"
        assert await admin("GET", "/accounts") == 200


async def test_an_admin_of_before_is_none_at_once() -> None:
    async with running_accounts() as rig:
        first, second = await rig.signed_in(is_admin=True), await rig.signed_in("Bob", is_admin=True)
        await second("GET", "/account")
        bob = second.json["account_id"]
        assert await first("PATCH", f"/accounts/{bob}", {"is_admin": False}) == 200
        assert await second("GET", "/accounts") == 403


async def test_no_act_of_an_admin_without_an_entry() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        await admin("GET", "/account")
        me = admin.json["account_id"]
        await admin("POST", "/accounts", {"name": "Bob", "password": PASSWORD})
        bob = admin.json["account_id"]
        await admin("PATCH", f"/accounts/{bob}", {"is_admin": True})
        await admin("POST", "/accounts/invitations")
        await admin("DELETE", f"/accounts/{bob}")
        await admin("DELETE", f"/accounts/{me}")
        entries = [entry for _, entry in await rig.accounts.audit_entries(0, 100)][::-1]
        assert [(entry.actor, entry.act, entry.subject) for entry in entries[1:]] == [
            (f"account:{me}", "account_created", bob),
            (f"account:{me}", "account_changed", bob),
            (f"account:{me}", "account_invited", ""),
            (f"account:{me}", "account_ended", bob),
            (f"account:{me}", "account_ended", me),
            (f"account:{me}", "account_ended_refused", me),
        ]
        assert entries[2].details == {"is_admin": True}
        assert entries[-1].details == {"reason": "last_admin"}


async def test_an_act_that_cannot_be_written_down_does_not_happen() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)

        async def fail(_entry: object) -> None:
            raise OSError("no paper")

        rig.accounts._audit = fail
        assert await admin("POST", "/accounts", {"name": "Bob", "password": PASSWORD}) == 500
        assert await rig.accounts.find("Bob") is None


async def test_an_admin_sets_the_password_of_who_has_forgotten_it() -> None:
    async with running_accounts() as rig:
        admin, bob = await rig.signed_in(is_admin=True), await rig.signed_in("Bob")
        account = (await rig.session(bob)).account_id
        path = f"/accounts/{account}/password"
        assert await admin("PUT", path, {"password": "short"}) == 400
        assert await bob("PUT", path, {"password": "another password"}) == 403
        assert await admin("PUT", path, {"password": "another password"}) == 204
        assert await bob("GET", "/account") == 401
        assert [await bob.sign_in("Bob"), await bob.sign_in("Bob", "another password")] == [401, 200]
        [(_, entry)] = await rig.accounts.audit_entries(0, 1)
        assert (entry.act, entry.subject) == ("account_password_set", account)


# --- registering --------------------------------------------------------------------------------------------------


async def test_nobody_registers_where_it_is_closed() -> None:
    async with running_accounts() as rig:
        browser = rig.browser()
        body = {"name": "Ada", "password": PASSWORD, "invitation": "x"}
        assert await browser("POST", "/account/register", body) == 403
        assert browser.code == "registration_closed"
        assert await browser("POST", "/account/register/passkey/options", {"name": "Ada"}) == 403


async def test_an_invitation_makes_one_account() -> None:
    async with running_accounts(registration="invite") as rig:
        admin = await rig.signed_in(is_admin=True)
        await admin("POST", "/accounts/invitations")
        code = admin.json["code"]
        browser = rig.browser()
        for invitation in ("", "wrong"):
            body = {"name": "Bob", "password": PASSWORD, "invitation": invitation}
            assert await browser("POST", "/account/register", body) == 403
            assert browser.code == "invitation_over"
        # A name that is taken does not use it up.
        body = {"name": "Ada", "password": PASSWORD, "invitation": code}
        assert await browser("POST", "/account/register", body) == 409
        assert await browser("POST", "/account/register", {**body, "name": "Bob"}) == 200
        assert browser.json["is_admin"] is False
        assert await browser("GET", "/account") == 200
        assert await rig.browser()("POST", "/account/register", {**body, "name": "Cy"}) == 403


async def test_an_invitation_is_good_for_a_while() -> None:
    async with running_accounts(registration="invite", account_invitation_ttl_s=0.001) as rig:
        code, expires_at_ms = await rig.accounts.invite("test")
        assert expires_at_ms - rig.accounts.now_s() * 1000 <= 1
        await asyncio.sleep(0.002)  # the time that it is good for
        browser = rig.browser()
        assert (
            await browser("POST", "/account/register", {"name": "A", "password": PASSWORD, "invitation": code}) == 403
        )
        assert browser.code == "invitation_over"


async def test_where_it_is_open_everybody_registers_once() -> None:
    async with running_accounts(registration="open") as rig:
        browser = rig.browser()
        assert await browser("POST", "/account/register", {"name": "Ada", "password": PASSWORD}) == 200
        other = rig.browser()
        assert await other("POST", "/account/register", {"name": "\u0410da", "password": PASSWORD}) == 409
        assert other.code == "name_taken", "the first letter is Cyrillic"
        assert await other("POST", "/account/register", {"name": "Bob", "password": PASSWORD, "is_admin": True}) == 400


async def test_a_new_name_is_ones_own() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        await rig.make("Bob")
        assert await browser("PATCH", "/account", {"name": " Ada   Lovelace "}) == 200
        assert browser.json["name"] == "Ada Lovelace"
        await browser("GET", "/account")
        assert browser.json["name"] == "Ada Lovelace"
        assert await browser("PATCH", "/account", {"name": "BOB"}) == 409
        assert await browser("PATCH", "/account", {"name": "a\u202eb"}) == 400
        assert browser.code == "invalid_name"
        assert await rig.browser().sign_in("Ada Lovelace") == 200


# --- limits -------------------------------------------------------------------------------------------------------


async def test_tries_are_limited_per_address() -> None:
    async with running_accounts(sign_in_tries_per_minute=3) as rig:
        browser = rig.browser()
        statuses = [await browser.sign_in(f"name {number}") for number in range(4)]
        assert statuses == [401, 401, 401, 429]
        assert browser.answer is not None
        assert int(browser.answer.headers["Retry-After"]) >= 1
        assert await browser("POST", "/account/register", {"name": "x", "password": PASSWORD}) == 429
        assert await browser("POST", "/account/sign-in/passkey/options") == 429


async def test_tries_are_limited_per_account_from_wherever_they_come() -> None:
    async with running_accounts(account_tries_per_minute=3, trusted_proxies="127.0.0.0/8") as rig:
        await rig.make()
        browser = rig.browser()
        for number, status in enumerate((401, 401, 401, 429)):
            headers = {**browser.headers, "X-Forwarded-For": f"192.0.2.{number}"}
            body = {"name": ("Ada", "ada", "ADA ", "Ada")[number], "password": "wrong"}
            assert await browser("POST", "/account/sign-in/password", body, headers=headers) == status
        assert await browser.sign_in() == 429
        assert browser.answer is not None
        assert int(browser.answer.headers["Retry-After"]) >= 1
        assert await browser.sign_in("Bob") == 401


async def test_proofs_are_limited_too() -> None:
    async with running_accounts(account_tries_per_minute=2) as rig:
        browser = await rig.signed_in()
        statuses = [await browser("POST", "/account/prove/password", {"password": "wrong"}) for _ in range(3)]
        assert statuses == [401, 401, 429]


async def test_an_account_has_so_many_devices() -> None:
    async with running_accounts(max_devices_per_account=2) as rig:
        browsers = [await rig.signed_in() for _ in range(3)]
        assert [await browser("GET", "/account") for browser in browsers] == [401, 200, 200]


async def test_there_are_so_many_accounts_and_invitations() -> None:
    async with running_accounts(max_accounts=2, max_account_invitations=1) as rig:
        admin = await rig.signed_in(is_admin=True)
        assert await admin("POST", "/accounts", {"name": "Bob", "password": PASSWORD}) == 201
        assert await admin("POST", "/accounts", {"name": "Cy", "password": PASSWORD}) == 409
        assert admin.code == "limit_reached"
        assert await admin("POST", "/accounts/invitations") == 201
        assert await admin("POST", "/accounts/invitations") == 409


async def test_a_password_has_so_many_characters() -> None:
    async with running_accounts(min_password_length=9, max_password_length=10) as rig:
        for length in (9, 10):
            await rig.accounts.create("test", f"name {length}", "p" * length, is_admin=False)
        for length in (8, 11):
            with pytest.raises(ApiError, match="9 to 10 characters"):
                await rig.accounts.create("test", f"name {length}", "p" * length, is_admin=False)
        browser = rig.browser()
        assert await browser.sign_in("name 10", "p" * 10) == 200
        assert await browser.sign_in("name 10", "p" * 11) == 401


# --- faults -------------------------------------------------------------------------------------------------------


async def test_a_database_that_does_not_answer_is_said(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path, database_timeout_s=0.1) as rig:
        await rig.make()
        holder = sqlite3.connect(tmp_path / "ting.db", isolation_level=None, check_same_thread=False)
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        browser = rig.browser()
        assert await browser.sign_in() == 503
        assert browser.code == "unavailable"
        holder.execute("COMMIT")
        holder.close()
        assert await browser.sign_in() == 200


async def test_a_session_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path) as rig:
        browser, other = await rig.signed_in(), await rig.signed_in()
        device = (await rig.session(browser)).device_id
        gone = (await rig.session(other)).device_id
        cookies = [cookie.value for cookie in browser.http.cookie_jar]
        await other("POST", "/account/sign-out")
    async with running_accounts(data_dir=tmp_path) as rig:
        assert await rig.accounts.devices.is_alive(device)
        assert not await rig.accounts.devices.is_alive(gone)
        found = await rig.accounts.devices.session_of(cookies[0])
        assert found is not None
        assert (found.device_id, found.name) == (device, "Ada")


async def test_a_hash_of_other_settings_is_renewed(tmp_path: Path) -> None:
    """Also of a password that would be too short today."""
    async with running_accounts(data_dir=tmp_path) as rig:
        await rig.make()
    renewed = {"password_memory_kib": 16, "min_password_length": 100}
    async with running_accounts(data_dir=tmp_path, **renewed) as rig:
        for _ in range(2):
            assert await rig.browser().sign_in() == 200
        account = await rig.accounts.find("Ada")
        assert account is not None
        assert account.password_hash.startswith("$argon2id$v=19$m=16,t=1,p=1$")


async def test_what_ends_in_another_process_ends_here(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path, device_watch_s=0.02) as rig:
        browser = await rig.signed_in()
        device = (await rig.session(browser)).device_id
        ended: list[EndedDevice] = []
        rig.accounts.on_device_ended.append(ended.append)
        async with running_accounts(data_dir=tmp_path) as other:
            account = await other.accounts.find("Ada")
            assert account is not None
            await other.accounts.delete(account.account_id)
        await eventually(lambda: ended, "the end")
        assert [(each.device_id, each.account_id) for each in ended] == [(device, account.account_id)]
        assert await browser("GET", "/account") == 401
