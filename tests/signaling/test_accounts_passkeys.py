"""Passkeys over HTTP, with an authenticator in software: adding, signing in, proving, removing, and every lie."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.signaling.account_rig import PASSWORD, AccountServer, Browser, running_accounts
from tests.signaling.authenticator import AT, UP, UV, Authenticator, b64


async def added(rig: AccountServer, browser: Browser, name: str = "phone", **options: Any) -> Authenticator:
    """A new passkey of the account that is signed in."""
    passkey = Authenticator(rig.server.url, **options)
    assert await browser("POST", "/account/passkeys/options") == 200, browser.json
    ceremony = browser.json
    body = {"ticket": ceremony["ticket"], "credential": passkey.create(ceremony["options"]), "name": name}
    assert await browser("POST", "/account/passkeys", body) == 201, browser.json
    return passkey


async def signed_in_with(browser: Browser, passkey: Authenticator, **lies: Any) -> int:
    assert await browser("POST", "/account/sign-in/passkey/options") == 200
    ceremony = browser.json
    body = {"ticket": ceremony["ticket"], "credential": passkey.get(ceremony["options"], **lies)}
    return await browser("POST", "/account/sign-in/passkey", body)


@pytest.mark.parametrize("options", [{}, {"eddsa": True}, {"counts": False}])
async def test_a_passkey_is_added_and_signs_in_without_a_name(options: dict[str, bool]) -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        passkey = await added(rig, browser, **options)
        assert (browser.json["name"], browser.json["used_at_ms"]) == ("phone", 0)
        other = rig.browser()
        for _ in range(2):
            assert await signed_in_with(other, passkey) == 200
            assert (other.json["name"], other.json["is_proved"]) == ("Ada", True)
        await browser("GET", "/account/passkeys")
        [shown] = browser.json["passkeys"]
        assert shown["used_at_ms"] > 0
        assert await browser("DELETE", f"/account/passkeys/{shown['passkey_id']}") == 204
        assert await signed_in_with(rig.browser(), passkey) == 401


async def test_the_options_ask_for_what_we_need() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        passkey = await added(rig, browser)
        await browser("POST", "/account/passkeys/options")
        options = browser.json["options"]
        assert options["authenticatorSelection"] == {
            "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
        }  # fmt: skip
        assert (options["attestation"], options["rp"]["id"]) == ("none", "127.0.0.1")
        assert [entry["id"] for entry in options["excludeCredentials"]] == [b64(passkey.credential_id)]
        await browser("POST", "/account/sign-in/passkey/options")
        options = browser.json["options"]
        assert (options["userVerification"], options["allowCredentials"]) == ("required", [])
    async with running_accounts(public_url="https://ting.example.org") as rig:
        browser = rig.browser()
        headers = {"Sec-Fetch-Site": "same-origin", "Host": "evil.test"}
        await browser("POST", "/account/sign-in/passkey/options", headers=headers)
        assert browser.json["options"]["rpId"] == "ting.example.org"


LIES: list[dict[str, Any]] = [
    {"type": "webauthn.create"},
    {"challenge": b64(bytes(32))},
    {"origin": "https://evil.test"},
    {"rp_id": "evil.test"},
    {"flags": UP},
    {"flags": UV},
    {"signature": b""},
    {"signature": bytes(70)},
    {"sign_count": 0},
    {"user_handle": None},
    {"user_handle": bytes(16)},
]


@pytest.mark.parametrize("lies", LIES)
async def test_a_lie_signs_nobody_in(lies: dict[str, Any]) -> None:
    async with running_accounts() as rig:
        passkey = await added(rig, await rig.signed_in())
        browser = rig.browser()
        assert await signed_in_with(browser, passkey) == 200
        stranger = rig.browser()
        assert await signed_in_with(stranger, passkey, **lies) == 401
        assert stranger.code == "sign_in_failed"
        assert await stranger("GET", "/account") == 401
        assert await signed_in_with(stranger, passkey) == 200


@pytest.mark.parametrize(
    "lies",
    [
        {"type": "webauthn.get"}, {"challenge": b64(bytes(32))}, {"origin": "https://evil.test"},
        {"rp_id": "evil.test"}, {"flags": UP | AT}, {"flags": UV | AT}, {"flags": UP | UV},
    ],
)  # fmt: skip
async def test_a_lie_adds_no_passkey(lies: dict[str, Any]) -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        await browser("POST", "/account/passkeys/options")
        ceremony = browser.json
        credential = Authenticator(rig.server.url).create(ceremony["options"], **lies)
        assert (
            await browser("POST", "/account/passkeys", {"ticket": ceremony["ticket"], "credential": credential}) == 401
        )
        await browser("GET", "/account/passkeys")
        assert browser.json["passkeys"] == []


async def test_an_answer_counts_once_and_for_what_was_asked() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        passkey = await added(rig, browser)
        await browser("POST", "/account/sign-in/passkey/options")
        ceremony = browser.json
        body = {"ticket": ceremony["ticket"], "credential": passkey.get(ceremony["options"])}
        assert await browser("POST", "/account/prove/passkey", body) == 401, "asked for to sign in"
        assert await browser("POST", "/account/sign-in/passkey", body) == 410
        assert browser.code == "sign_in_expired"
        await browser("POST", "/account/sign-in/passkey/options")
        ceremony = browser.json
        body = {"ticket": ceremony["ticket"], "credential": passkey.get(ceremony["options"])}
        statuses = await asyncio.gather(*(browser("POST", "/account/sign-in/passkey", body) for _ in range(4)))
        assert sorted(statuses) == [200, 410, 410, 410]


async def test_an_answer_may_come_too_late() -> None:
    async with running_accounts(sign_in_timeout_s=0.001) as rig:
        browser = await rig.signed_in()
        passkey = Authenticator(rig.server.url)
        await browser("POST", "/account/passkeys/options")
        ceremony = browser.json
        await asyncio.sleep(0.002)  # the time that it may take
        body = {"ticket": ceremony["ticket"], "credential": passkey.create(ceremony["options"])}
        assert await browser("POST", "/account/passkeys", body) == 410


async def test_only_so_many_sign_ins_wait() -> None:
    async with running_accounts(max_pending_sign_ins=2) as rig:
        passkey = await added(rig, await rig.signed_in())
        browser = rig.browser()
        ceremonies = []
        for _ in range(3):
            await browser("POST", "/account/sign-in/passkey/options")
            ceremonies.append(browser.json)
        bodies = [{"ticket": one["ticket"], "credential": passkey.get(one["options"])} for one in ceremonies]
        assert [await browser("POST", "/account/sign-in/passkey", body) for body in bodies] == [410, 200, 200]


async def test_a_passkey_proves_who_one_is() -> None:
    async with running_accounts() as rig:
        browser, stranger = await rig.signed_in(), await rig.signed_in("Bob")
        passkey, other = await added(rig, browser), await added(rig, stranger)
        for credential, status in ((other, 401), (passkey, 200)):
            await rig.accounts.devices.prove(await rig.session(browser), 0)
            assert await browser("DELETE", "/account") == 403
            await browser("POST", "/account/prove/passkey/options")
            ceremony = browser.json
            assert [entry["id"] for entry in ceremony["options"]["allowCredentials"]] == [b64(passkey.credential_id)]
            body = {"ticket": ceremony["ticket"], "credential": credential.get(ceremony["options"])}
            assert await browser("POST", "/account/prove/passkey", body) == status
        assert await browser("DELETE", "/account") == 204
        assert await signed_in_with(rig.browser(), passkey) == 401, "it went with the account"


async def test_anothers_ceremony_is_nobodys() -> None:
    async with running_accounts() as rig:
        browser, stranger = await rig.signed_in(), await rig.signed_in("Bob")
        await browser("POST", "/account/passkeys/options")
        ceremony = browser.json
        body = {"ticket": ceremony["ticket"], "credential": Authenticator(rig.server.url).create(ceremony["options"])}
        assert await stranger("POST", "/account/passkeys", body) == 401


async def test_a_passkey_belongs_to_one_account() -> None:
    async with running_accounts() as rig:
        browser, stranger = await rig.signed_in(), await rig.signed_in("Bob")
        passkey = await added(rig, browser)
        await stranger("POST", "/account/passkeys/options")
        ceremony = stranger.json
        body = {"ticket": ceremony["ticket"], "credential": passkey.create(ceremony["options"])}
        assert await stranger("POST", "/account/passkeys", body) == 409
        assert stranger.code == "taken"
        await browser("GET", "/account/passkeys")
        [shown] = browser.json["passkeys"]
        assert await stranger("DELETE", f"/account/passkeys/{shown['passkey_id']}") == 404


async def test_an_account_has_so_many_passkeys() -> None:
    async with running_accounts(max_passkeys_per_account=1) as rig:
        browser = await rig.signed_in()
        await added(rig, browser)
        assert await browser("POST", "/account/passkeys/options") == 409
        assert browser.code == "limit_reached"


async def test_an_account_is_made_with_a_passkey_alone() -> None:
    async with running_accounts(registration="open") as rig:
        browser = rig.browser()
        passkey = Authenticator(rig.server.url)
        assert await browser("POST", "/account/register/passkey/options", {"name": "Ada"}) == 200
        ceremony = browser.json
        assert ceremony["options"]["user"]["name"] == "Ada"
        body = {"ticket": ceremony["ticket"], "credential": passkey.create(ceremony["options"])}
        assert await browser("POST", "/account/register/passkey", body) == 200, browser.json
        assert (browser.json["name"], browser.json["has_password"]) == ("Ada", False)
        assert await signed_in_with(browser, passkey) == 200
        await browser("GET", "/account/passkeys")
        [shown] = browser.json["passkeys"]
        assert await browser("DELETE", f"/account/passkeys/{shown['passkey_id']}") == 409
        assert browser.code == "last_sign_in"
        assert await browser.sign_in("Ada", "") == 401
        assert await browser("POST", "/account/prove/password", {"password": ""}) == 401
        assert await browser("PUT", "/account/password", {"password": PASSWORD}) == 204
        assert await browser("DELETE", f"/account/passkeys/{shown['passkey_id']}") == 204
        assert await browser("POST", "/account/register/passkey/options", {"name": "ADA"}) == 409


async def test_whoever_is_disabled_has_no_passkey_either() -> None:
    async with running_accounts() as rig:
        browser = await rig.signed_in()
        passkey = await added(rig, browser)
        account = await rig.accounts.find("Ada")
        assert account is not None
        await rig.accounts.change("test", account.account_id, is_disabled=True)
        assert await signed_in_with(rig.browser(), passkey) == 401
