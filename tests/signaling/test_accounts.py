"""Accounts over HTTP: signing in with a password, the cookie, other sites' pages, proofs, devices, admins."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from signaling.accounts.devices import hash_secret
from signaling.accounts.records import EndedDevice
from tests.signaling.account_rig import PASSWORD, Browser, running_accounts
from tests.signaling.harness import Server
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
            "has_openid": False,            "device_id": browser.json["device_id"], "is_proved": True,
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
        await rig.accounts.devices.prove(await rig.session(browser), 0)
        assert await browser("DELETE", "/account") == 403
        assert await browser("POST", "/account/prove/password", {"password": "wrong"}) == 401
        assert browser.code == "sign_in_failed"
        assert await browser("DELETE", "/account") == 403
        assert await browser("POST", "/account/prove/password", {"password": PASSWORD}) == 200
        assert browser.json["is_proved"] is True
        assert await browser("DELETE", "/account") == 204
        assert await browser("GET", "/account") == 401
        assert await browser.sign_in() == 401


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
        assert await rig.accounts.devices.is_alive(gone)
        for nobody in ("x", "0" * 32, "%00"):
            assert await first("DELETE", f"/account/devices/{nobody}") == 404
        assert await stranger("DELETE", f"/account/devices/{gone}") == 404
        assert ended == []
        assert await first("DELETE", f"/account/devices/{gone}") == 204
        assert [device.device_id for device in ended] == [gone]
        assert not await rig.accounts.devices.is_alive(gone)
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
