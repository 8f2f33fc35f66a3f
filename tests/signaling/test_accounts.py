"""Accounts over HTTP: signing in with a password, the cookie, other sites' pages, proofs, devices, admins."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.devices import hash_secret
from signaling.accounts.records import EndedDevice
from signaling.errors import ApiError
from tests.signaling.account_rig import PASSWORD, AccountServer, Browser, running_accounts
from tests.signaling.harness import Server, eventually
from tests.signaling.test_cli import write_certificate

COOKIE = "ting_session"


# --- off ----------------------------------------------------------------------------------------------------


async def test_without_accounts_none_of_their_routes_is_there(server: Server) -> None:
    browser = Browser(server)
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for path in ("/account", "/account/sign-in", "/account/sign-in/password", "/account/devices/x", "/accounts"):
            assert await browser(method, path, {} if method != "GET" else None) == 404
            assert browser.code == "not_found"
    assert server.services.accounts is None
    await browser.close()


async def test_a_way_that_is_off_is_not_there() -> None:
    async with running_accounts(password_sign_in=False, passkey_sign_in=False) as rig:
        browser = rig.browser()
        assert await browser("GET", "/account/sign-in") == 200
        assert browser.json == {"password": False, "passkey": False, "openid": None, "registration": "closed"}
        assert await browser.sign_in() == 404
        account = await rig.make("Ada", is_admin=True)
        secret, _ = await rig.accounts.devices.open(account, "Firefox", proved_at=rig.accounts.now_s())
        headers = {**browser.headers, "Cookie": f"{COOKIE}={secret}"}
        for method, path, body in (
            ("PUT", "/account/password", {"password": PASSWORD}),
            ("POST", "/account/prove/password", {"password": PASSWORD}),
            ("POST", "/account/prove/openid", None),
            ("POST", "/account/openid", None),
            ("POST", "/account/passkeys/options", None),
            ("POST", "/account/prove/passkey/options", None),
            ("POST", "/accounts", {"name": "Bob", "password": PASSWORD}),
        ):
            assert await browser(method, path, body, headers=headers) == 404, path
        for path in ("/account/sign-in/passkey/options", "/account/sign-in/openid"):
            assert await browser("POST", path, {} if path.endswith("openid") else None) == 404


async def test_the_document_of_the_api_has_every_route_of_accounts() -> None:
    async with running_accounts() as rig:
        async with rig.server.http.get(f"{rig.server.url}/api/openapi.json") as answer:
            document = await answer.json()
        served = {
            (route.method.lower(), route.resource.canonical)
            for route in rig.server.app.router.routes()
            if route.resource is not None and route.resource.canonical.startswith("/api/v1/account")
        }
        described = {
            (method, path)
            for path, operations in document["paths"].items()
            if path.startswith("/api/v1/account")
            for method in operations
        }
        # What is registered with GET answers HEAD too.
        assert described == {(method, path) for method, path in served if method != "head"}
        names = [one["operationId"] for operations in document["paths"].values() for one in operations.values()]
        assert len(names) == len(set(names))


# --- signing in and out ---------------------------------------------------------------------------------------


async def test_name_and_password_open_a_session(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path) as rig:
        made = await rig.make("Ada Lovelace")
        browser = rig.browser()
        assert await browser("GET", "/account") == 401
        assert browser.code == "unauthorized"
        assert await browser.sign_in("ada  LOVELACE ") == 200
        assert browser.json == {
            "account_id": made.account_id, "name": "Ada Lovelace", "is_admin": False, "has_password": True,
            "device_id": browser.json["device_id"], "is_proved": True,
        }  # fmt: skip
        assert browser.answer is not None
        assert browser.answer.headers["Cache-Control"] == "no-store"
        assert await browser("GET", "/account") == 200
        [cookie] = browser.http.cookie_jar
        raw = contents(tmp_path)
        assert hash_secret(cookie.value).encode() in raw
        assert cookie.value.encode() not in raw, "the database has the secret itself"
        assert PASSWORD.encode() not in raw
        assert b"127.0.0.1" not in raw
        assert await browser("POST", "/account/sign-out") == 204
        assert await browser("GET", "/account", headers={"Cookie": f"{COOKIE}={cookie.value}"}) == 401


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_whoever_signs_in_again_is_one_device() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        assert await browser.sign_in() == 200
        await browser("GET", "/account/devices")
        assert len(browser.json["devices"]) == 1


@pytest.mark.parametrize(
    ("name", "password"), [("Ada", "wrong"), ("Ada", ""), ("Bob", PASSWORD), ("", ""), ("\n", "x")]
)
async def test_wrong_names_and_passwords_look_alike(name: str, password: str) -> None:
    async with running_accounts() as rig:
        await rig.make()
        browser = rig.browser()
        assert await browser.sign_in(name, password) == 401
        assert browser.json["error"] == {"code": "sign_in_failed", "message": "The name or the password is wrong."}
        assert browser.answer is not None
        assert "Set-Cookie" not in browser.answer.headers


async def test_an_unknown_name_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody learns from the time which names there are."""
    async with running_accounts() as rig:
        await rig.make()
        hashed: list[str] = []
        passwords = rig.accounts.passwords
        verify = passwords.verify

        async def note(stored: str, password: str) -> bool:
            hashed.append(stored)
            return await verify(stored, password)

        monkeypatch.setattr(passwords, "verify", note)
        browser = rig.browser()
        assert [await browser.sign_in(name, "wrong") for name in ("Ada", "Nobody")] == [401, 401]
        assert [bool(stored) for stored in hashed] == [True, False]


# --- the cookie -----------------------------------------------------------------------------------------------


async def set_cookie(browser: Browser) -> set[str]:
    assert browser.answer is not None
    [cookie] = browser.answer.headers.getall("Set-Cookie")
    name, _, rest = cookie.partition("=")
    return {name, *(part.strip() for part in rest.split(";")[1:])}


async def test_the_cookie_is_for_this_server_and_no_script() -> None:
    async with running_accounts(session_max_s=1000) as rig:
        browser = await rig.signed_in()
        assert await set_cookie(browser) == {COOKIE, "Max-Age=1000", "Path=/", "HttpOnly", "SameSite=Lax"}
        await browser("POST", "/account/sign-out")
        assert await set_cookie(browser) == {COOKIE, "Max-Age=0", "Path=/", "HttpOnly", "SameSite=Lax"}


@pytest.mark.parametrize("behind_proxy", [True, False])
async def test_with_tls_the_browser_keeps_it_to_this_host(tmp_path: Path, behind_proxy: bool) -> None:
    certificate, key = write_certificate(tmp_path, 10)
    tls: dict[str, Any] = {"tls_cert": certificate, "tls_key": key}
    async with running_accounts(**({"public_url": "https://ting.example.org"} if behind_proxy else tls)) as rig:
        await rig.make()
        browser = rig.browser()
        body, headers = {"name": "Ada", "password": PASSWORD}, {"Sec-Fetch-Site": "same-origin"}
        assert await browser("POST", "/account/sign-in/password", body, headers=headers, ssl=False) == 200
        assert {"__Host-ting", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= await set_cookie(browser)
        assert "Domain" not in str(await set_cookie(browser))


# --- other sites' pages -----------------------------------------------------------------------------------------

FOREIGN = [
    {},
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.test"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "ours"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_sites_page_changes_nothing(headers: dict[str, str]) -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in(is_admin=True)
        other = await rig.signed_in()
        foreign = {name: rig.server.url if value == "ours" else value for name, value in headers.items()}
        for method, path, body in (
            ("POST", "/account/sign-out", None),
            ("DELETE", "/account/devices", None),
            ("DELETE", "/account", None),
            ("PATCH", "/account", {"name": "Eve"}),
            ("POST", "/accounts", {"name": "Eve", "password": PASSWORD, "is_admin": True}),
            ("POST", "/account/sign-in/password", {"name": "Ada", "password": PASSWORD}),
        ):
            assert await browser(method, path, body, headers=foreign) == 403, path
            assert browser.code == "forbidden"
        assert await other("GET", "/account") == 200
        # Reading by address is what every page makes a browser do; the answer stays unseen there.
        assert await browser("GET", "/account", headers=foreign) == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "ours"}])
async def test_our_own_page_is_known_by_either_header(headers: dict[str, str]) -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        ours = {name: rig.server.url if value == "ours" else value for name, value in headers.items()}
        assert await browser("PATCH", "/account", {"name": "Ada L"}, headers=ours) == 200


async def test_behind_a_proxy_the_public_url_is_ours() -> None:
    async with running_accounts(public_url="https://ting.example.org:443/") as rig:
        browser = rig.browser()
        await rig.make()
        body = {"name": "Ada", "password": PASSWORD}
        for origin, status in (
            ("https://ting.example.org", 200),
            ("http://ting.example.org", 403),
            (rig.server.url.replace("http:", "https:"), 200),
            (rig.server.url, 403),
        ):
            headers = {"Origin": origin}
            assert await browser("POST", "/account/sign-in/password", body, headers=headers) == status, origin


# --- proofs -----------------------------------------------------------------------------------------------------


async def test_weighty_things_need_a_fresh_proof() -> None:
    async with running_accounts(step_up_s=0.001) as rig:
        browser = await rig.signed_in(is_admin=True)
        await asyncio.sleep(0.002)  # the age that the proof must have
        for method, path, body in (
            ("DELETE", "/account", None),
            ("PUT", "/account/password", {"password": "another password"}),
            ("POST", "/account/passkeys/options", None),
            ("POST", "/accounts", {"name": "Bob", "password": PASSWORD}),
            ("POST", "/accounts/invitations", None),
        ):
            assert await browser(method, path, body) == 403, path
            assert browser.code == "step_up_needed"
        await browser("GET", "/account")
        assert browser.json["is_proved"] is False
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        assert await browser("PUT", "/account/password", {"password": "another password"}) == 204


async def test_the_password_proves_who_one_is() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        await rig.accounts.devices.prove((await session(rig, browser)), 0)
        assert await browser("DELETE", "/account") == 403
        assert await browser("POST", "/account/prove/password", {"password": "wrong"}) == 401
        assert browser.code == "sign_in_failed"
        assert await browser("DELETE", "/account") == 403
        assert await browser("POST", "/account/prove/password", {"password": PASSWORD}) == 200
        assert browser.json["is_proved"] is True
        assert await browser("DELETE", "/account") == 204
        assert await browser("GET", "/account") == 401
        assert await browser.sign_in() == 401


async def session(rig: AccountServer, browser: Browser) -> Any:
    [cookie] = [cookie for cookie in browser.http.cookie_jar if cookie.key == COOKIE]
    return await rig.accounts.devices.session_of(cookie.value)


async def test_another_password_signs_out_everywhere_else() -> None:
    async with running_accounts() as rig:
        browser, other = await rig.signed_in(), await rig.signed_in()
        assert await browser("PUT", "/account/password", {"password": "short"}) == 400
        assert browser.code == "invalid_password"
        assert await browser("PUT", "/account/password", {"password": "ŝhärp pässwörd"}) == 204
        assert await browser("GET", "/account") == 200
        assert await other("GET", "/account") == 401
        assert await other.sign_in() == 401
        # The same letters, composed otherwise.
        assert await other.sign_in(password="s\u0302ha\u0308rp pa\u0308sswo\u0308rd") == 200


# --- devices ----------------------------------------------------------------------------------------------------


async def test_devices_are_listed_and_ended_one_by_one() -> None:
    async with running_accounts() as rig:
        first, second = await rig.signed_in(), await rig.signed_in()
        stranger = await rig.signed_in("Bob")
        ended: list[EndedDevice] = []
        rig.accounts.on_device_ended.append(ended.append)
        await first("GET", "/account/devices")
        devices = first.json["devices"]
        assert [(device["name"], device["is_this"]) for device in devices] == [
            ("Firefox on Linux", False), ("Firefox on Linux", True),
        ]  # fmt: skip
        gone = devices[0]["device_id"]
        assert await rig.accounts.device_is_alive(gone)
        for nobody in ("x", "0" * 32, "%00"):
            assert await first("DELETE", f"/account/devices/{nobody}") == 404
        assert await stranger("DELETE", f"/account/devices/{gone}") == 404
        assert ended == []
        assert await first("DELETE", f"/account/devices/{gone}") == 204
        assert [device.device_id for device in ended] == [gone]
        assert not await rig.accounts.device_is_alive(gone)
        assert await second("GET", "/account") == 401
        assert await first("DELETE", f"/account/devices/{gone}") == 404
        assert await first("GET", "/account") == 200
        assert len(ended) == 1


async def test_the_end_of_an_account_ends_its_devices() -> None:
    async with running_accounts() as rig:
        browsers = [await rig.signed_in() for _ in range(3)]
        ended: list[EndedDevice] = []
        rig.accounts.on_device_ended.append(ended.append)
        assert await browsers[0]("DELETE", "/account") == 204
        assert len({device.device_id for device in ended}) == 3
        assert [await browser("GET", "/account") for browser in browsers] == [401] * 3


async def test_a_listener_that_fails_stops_no_other() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        told: list[EndedDevice] = []

        def fail(_device: EndedDevice) -> None:
            raise RuntimeError("this listener fails")

        rig.accounts.on_device_ended.extend((fail, told.append))
        assert await browser("POST", "/account/sign-out") == 204
        assert len(told) == 1


# --- admins -------------------------------------------------------------------------------------------------------


async def test_admins_make_change_and_end_accounts() -> None:
    async with running_accounts() as rig:
        admin = await rig.signed_in(is_admin=True)
        assert await admin("POST", "/accounts", {"name": "Bob", "password": PASSWORD}) == 201
        bob = admin.json["account_id"]
        assert await admin("POST", "/accounts", {"name": "BOB", "password": PASSWORD}) == 409
        assert admin.code == "name_taken"
        browser = await rig.signed_in("Bob")
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
        device = (await session(rig, browser)).device_id
        gone = (await session(rig, other)).device_id
        cookies = [cookie.value for cookie in browser.http.cookie_jar]
        await other("POST", "/account/sign-out")
    async with running_accounts(data_dir=tmp_path) as rig:
        assert await rig.accounts.device_is_alive(device)
        assert not await rig.accounts.device_is_alive(gone)
        found = await rig.accounts.devices.session_of(cookies[0])
        assert found is not None
        assert (found.device_id, found.name) == (device, "Ada")


async def test_what_ends_in_another_process_ends_here(tmp_path: Path) -> None:
    async with running_accounts(data_dir=tmp_path, device_watch_s=0.02) as rig:
        browser = await rig.signed_in()
        device = (await session(rig, browser)).device_id
        ended: list[EndedDevice] = []
        rig.accounts.on_device_ended.append(ended.append)
        async with running_accounts(data_dir=tmp_path) as other:
            account = await other.accounts.find("Ada")
            assert account is not None
            await other.accounts.delete(account.account_id)
        await eventually(lambda: ended, "the end")
        assert [(each.device_id, each.account_id) for each in ended] == [(device, account.account_id)]
        assert await browser("GET", "/account") == 401
