"""Signing in with an OpenID provider: a real one on loopback, and one that lies in every way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.signaling.account_rig import AccountServer
from tests.signaling.openid_rig import (
    CLIENT,
    PUBLIC_URL,
    SECRET,
    OpenidBrowser,
    Provider,
    b64,
    jwk,
    provider_and_server,
    public_pem,
    server_for,
    sign_token,
    signed_in,
)

with warnings.catch_warnings(record=True):
    # What it imports is outdated; that is its own affair.
    import oidc_provider_mock

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the provider's own


# --- a real provider ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    user = oidc_provider_mock.User(sub="ada", claims={"preferred_username": "Ada Lovelace"})
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=[user]) as server:
        yield f"http://localhost:{server.server_port}"


async def consent(url: str, subject: str) -> dict[str, str]:
    """As somebody who signs in there; what the provider puts into the address of our page."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data={"sub": subject}, allow_redirects=False) as response,
    ):
        assert response.status == 302, await response.text()
        target = response.headers["Location"]
    assert target.startswith(PUBLIC_URL + "/account/openid?")
    return dict(parse_qsl(urlsplit(target).query))


async def test_with_a_real_provider(issuer: str) -> None:
    async with server_for(issuer) as rig:
        browser = OpenidBrowser(rig)
        await browser("GET", "/account/sign-in")
        assert browser.json["openid"] == "Example ID"
        assert await browser.arrive(await consent(await browser.depart(), "ada")) == 200, browser.json
        assert browser.json["purpose"] == "sign_in"
        assert (browser.json["account"]["name"], browser.json["account"]["has_password"]) == ("Ada Lovelace", False)
        first = browser.json["account"]["account_id"]
        assert set(browser.cookies) == {"__Host-ting"}
        assert await browser("GET", "/account") == 200
        again = OpenidBrowser(rig)
        assert await again.arrive(await consent(await again.depart(), "ada")) == 200
        assert again.json["account"]["account_id"] == first
        other = OpenidBrowser(rig)
        assert await other.arrive(await consent(await other.depart(), "somebody else")) == 200
        assert other.json["account"]["account_id"] != first
        assert await other.arrive(await consent(await other.depart("/account/prove/openid"), "somebody else")) == 200
        assert (other.json["purpose"], other.json["account"]["is_proved"]) == ("prove", True)
        assert await other("DELETE", "/account") == 204


# --- one of our own ---------------------------------------------------------------------------------------------


@pytest.fixture
async def both() -> AsyncIterator[tuple[Provider, AccountServer]]:
    async with provider_and_server() as found:
        yield found


async def test_what_is_asked_of_the_provider(both: tuple[Provider, AccountServer]) -> None:
    provider, rig = both
    status, browser = await signed_in(provider, rig)
    assert status == 200, browser.json
    wishes, form = provider.wishes, provider.form
    assert wishes.pop("state")
    assert wishes.pop("nonce")
    challenge = wishes.pop("code_challenge")
    assert wishes == {
        "tenant": "1", "response_type": "code", "client_id": CLIENT, "scope": "openid profile",
        "redirect_uri": f"{PUBLIC_URL}/account/openid", "code_challenge_method": "S256",
    }  # fmt: skip
    assert b64(hashlib.sha256(form.pop("code_verifier").encode()).digest()) == challenge
    assert form == {"grant_type": "authorization_code", "code": "the code", "redirect_uri": wishes["redirect_uri"]}
    pair = base64.b64decode(provider.authorization.removeprefix("Basic ")).decode()
    assert pair == "ting%20client:a%20secret%3A%20with%2Fodd%20signs"
    await browser.depart("/account/prove/openid")
    provider.sign_in(browser.json["url"])
    assert (provider.wishes["prompt"], provider.wishes["max_age"]) == ("login", "0")


async def test_the_secret_goes_where_the_provider_wants_it() -> None:
    async with provider_and_server() as (provider, rig):
        provider.configuration = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert (await signed_in(provider, rig))[0] == 200
        assert (provider.form["client_id"], provider.form["client_secret"]) == (CLIENT, SECRET)
        assert provider.authorization == ""
    async with provider_and_server(openid_client_secret="") as (provider, rig):
        assert (await signed_in(provider, rig))[0] == 200
        assert (provider.form["client_id"], "client_secret" in provider.form) == (CLIENT, False)


NOW = int(time.time())
HS_KEY = public_pem()
STRANGER = rsa.generate_private_key(65537, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "x"}},
    "no nonce": {"claims": {"nonce": None}},
    "a nonce that is no text": {"claims": {"nonce": ["x"]}},
    "for another client": {"claims": {"aud": "other"}},
    "for nobody": {"claims": {"aud": None}},
    "for a part of us": {"claims": {"aud": "ting"}},
    "for others too, without azp": {"claims": {"aud": [CLIENT, "other"]}},
    "for others too, azp another": {"claims": {"aud": [CLIENT, "other"], "azp": "other"}},
    "azp another": {"claims": {"azp": "other"}},
    "aud an object": {"claims": {"aud": {CLIENT: 1}}},
    "of another issuer": {"claims": {"iss": "https://evil.test"}},
    "of no issuer": {"claims": {"iss": None}},
    "expired": {"claims": {"exp": NOW - 60}},
    "never expires": {"claims": {"exp": None}},
    "exp a text": {"claims": {"exp": str(NOW + 60)}},
    "exp true": {"claims": {"exp": True}},
    "exp endless": {"claims": {"exp": 10**300}},
    "no iat": {"claims": {"iat": None}},
    "from the future": {"claims": {"iat": NOW + 3600}},
    "not yet": {"claims": {"nbf": NOW + 3600}},
    "auth_time a text": {"claims": {"auth_time": "now"}},
    "no subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a long subject": {"claims": {"sub": "s" * 256}},
    "a number as subject": {"claims": {"sub": 7}},
    "NUL in the subject": {"claims": {"sub": "a\x00b"}},
    "alg none": {"token": lambda header, claims: f"{b64({**header, 'alg': 'none'})}.{b64(claims)}."},
    "alg None": {"token": lambda header, claims: f"{b64({**header, 'alg': 'None'})}.{b64(claims)}."},
    "no signature": {"token": lambda header, claims: f"{b64(header)}.{b64(claims)}."},
    "HS256 with the public key": {"token": lambda h, c: sign_token({**h, "alg": "HS256"}, c, HS_KEY)},
    "HS256 with our secret": {"token": lambda h, c: sign_token({**h, "alg": "HS256"}, c, SECRET.encode())},
    "ES256 said, RS256 done": {"header": {"alg": "ES256"}},
    "another's key": {"token": lambda header, claims: sign_token(header, claims, STRANGER)},
    "an unknown key": {"header": {"kid": "two"}},
    "a key in the header": {
        "token": lambda h, c: sign_token({**h, "kid": "x", "jwk": jwk("x", STRANGER)}, c, STRANGER)
    },
    "a kid that is none": {"header": {"kid": ["one"]}},
    "crit": {"header": {"crit": ["exp"]}},
    "an alg that is none": {"header": {"alg": ["RS256"]}},
    "garbage": {"token": lambda _header, _claims: "garbage"},
    "two dots": {"token": lambda _header, _claims: ".."},
    "not ASCII": {"token": lambda _header, _claims: "ä.ö.ü"},
    "a list": {"token": lambda header, _claims: f"{b64(header)}.{b64(b'[]')}.x"},
    "deep": {"token": lambda header, _claims: f"{b64(header)}.{b64(b'[' * 20_000)}.x"},
    "twice": {"token": lambda header, _claims: f"{b64(header)}." + b64(b'{"a":1,"a":2}') + ".x"},
}


@pytest.mark.parametrize("lie", LIES)
async def test_an_id_token_that_lies_signs_nobody_in(lie: str, both: tuple[Provider, AccountServer]) -> None:
    provider, rig = both
    for name, value in LIES[lie].items():
        setattr(provider, name, value)
    status, browser = await signed_in(provider, rig)
    assert (status, browser.code) == (401, "sign_in_failed")
    assert "__Host-ting" not in browser.cookies
    assert await rig.accounts.page("", 1) == []


def endless() -> web.StreamResponse:
    return web.Response(body=b'{"id_token": "' + b"a" * 100_000 + b'"}', content_type="application/json")


ANSWERS = {
    "too large": endless,
    "elsewhere": lambda: web.Response(status=302, headers={"Location": "/userinfo"}),
    "an error": lambda: web.json_response({"error": "invalid_grant"}, status=400),
    "not JSON": lambda: web.Response(text="<html>"),
    "a list": lambda: web.json_response([]),
    "no token": lambda: web.json_response({}),
    "a token that is no text": lambda: web.json_response({"id_token": {}}),
    "compressed": lambda: web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
    "twice": lambda: web.Response(text='{"id_token": "a", "id_token": "b"}'),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_bad_answer_signs_nobody_in(answer: str, both: tuple[Provider, AccountServer]) -> None:
    provider, rig = both
    provider.answer = ANSWERS[answer]
    status, browser = await signed_in(provider, rig)
    assert (status, browser.code) == (401, "sign_in_failed")
    assert "userinfo" not in provider.asked


async def test_a_provider_that_does_not_answer_in_time() -> None:
    gone = asyncio.Event()

    async def wait(_request: web.Request) -> web.Response:
        await gone.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", wait)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with server_for(f"http://127.0.0.1:{runner.addresses[0][1]}", openid_timeout_s=0.1) as rig:
        browser = OpenidBrowser(rig)
        assert await browser("POST", "/account/sign-in/openid", {}) == 503
        assert browser.code == "unavailable"
        gone.set()
        await runner.cleanup()
        assert await browser("POST", "/account/sign-in/openid", {}) == 503


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://evil.test"}, {"issuer": None}, {"token_endpoint": "http://192.0.2.1/token"},
        {"token_endpoint": None}, {"jwks_uri": "/etc/passwd"}, {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"}, {"authorization_endpoint": 7},
        {"token_endpoint": "https://user:password@id.test/"},
    ],
)  # fmt: skip
async def test_a_configuration_that_is_not_usable(configuration: dict[str, Any]) -> None:
    async with provider_and_server() as (provider, rig):
        provider.configuration = configuration
        browser = OpenidBrowser(rig)
        assert await browser("POST", "/account/sign-in/openid", {}) == 503
        assert provider.asked == ["configuration"]
        provider.configuration = {}
        assert (await signed_in(provider, rig))[0] == 200


# --- keys -------------------------------------------------------------------------------------------------------


async def test_keys_are_kept_and_fetched_once_more_for_an_unknown_one(both: tuple[Provider, AccountServer]) -> None:
    provider, rig = both
    for _ in range(2):
        assert (await signed_in(provider, rig))[0] == 200
    assert (provider.asked.count("configuration"), provider.asked.count("keys")) == (1, 1)
    provider.keys, provider.header = [jwk("two")], {"kid": "two"}
    assert (await signed_in(provider, rig))[0] == 200
    assert provider.asked.count("keys") == 2
    provider.header = {"kid": "three"}
    assert (await signed_in(provider, rig))[0] == 401
    assert provider.asked.count("keys") == 3
    provider.header = {"kid": "one"}
    assert (await signed_in(provider, rig))[0] == 401, "it was taken out of the set"


async def test_the_configuration_is_read_again_after_a_while() -> None:
    async with provider_and_server(openid_refresh_s=0.000_001) as (provider, rig):
        assert (await signed_in(provider, rig))[0] == 200
        assert provider.asked.count("configuration") > 1
        provider.configuration = {"issuer": "https://evil.test"}
        assert (await signed_in(provider, rig))[0] == 200, "the last good one goes on"


# --- the way there and back ---------------------------------------------------------------------------------------


async def test_an_answer_counts_once_and_in_the_browser_that_asked(both: tuple[Provider, AccountServer]) -> None:
    provider, rig = both
    browser, other = OpenidBrowser(rig), OpenidBrowser(rig)
    answer = provider.sign_in(await browser.depart())
    assert await browser.arrive({**answer, "state": "wrong"}) == 410
    await other.depart()
    assert await other.arrive(answer) == 401, "login CSRF"
    assert await browser.arrive(answer) == 410, "it was spent on the other browser"
    answer = provider.sign_in(await browser.depart())
    assert await browser.arrive(answer) == 200
    assert await browser.arrive(answer) == 410
    assert provider.asked.count("token") == 1


async def test_an_answer_may_come_too_late() -> None:
    async with provider_and_server(sign_in_timeout_s=0.000_001) as (provider, rig):
        assert (await signed_in(provider, rig))[0] == 410


@pytest.mark.parametrize(("says", "given", "status"), [
    (False, "", 200), (False, "right", 200), (False, "https://evil.test", 401), (True, "", 401), (True, "right", 200),
])  # fmt: skip
async def test_who_answers_is_looked_at(says: bool, given: str, status: int) -> None:
    """RFC 9207: mix-up of providers."""
    async with provider_and_server() as (provider, rig):
        provider.configuration = {"authorization_response_iss_parameter_supported": says}
        browser = OpenidBrowser(rig)
        answer = provider.sign_in(await browser.depart())
        assert await browser.arrive({**answer, "iss": provider.issuer if given == "right" else given}) == status
        assert provider.asked.count("token") == (status == 200)
