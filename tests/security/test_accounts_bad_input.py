"""Every route of accounts for everybody who should not be let through, with everything that is not what it wants; and a
call beside it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.accounts import ceremonies
from signaling.accounts.provider import IdTokenError, _parse, check_claims
from signaling.accounts.records import AccountRow, PasskeyRow
from signaling.errors import ApiError
from tests.harness.postgres import Postgres, find_binaries, running_postgres
from tests.signaling.account_rig import PASSWORD, AccountServer, Browser, running_accounts
from tests.signaling.authenticator import Authenticator, b64, cbor
from tests.signaling.harness import bystander, relaxed

OPEN = {
    ("get", "/api/v1/account/sign-in"),
    ("post", "/api/v1/account/sign-in/passkey/options"),
}
"""What answers whoever asks without being asked for anything."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    with running_postgres(binaries) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[AccountServer]:
    changes: dict[str, Any] = {}
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        name = f"db_{secrets.token_hex(4)}"
        server.run(f"CREATE DATABASE {name}")
        changes["database_url"] = server.url(name)
    async with running_accounts(registration="open", api_requests_per_minute=1_000_000, **changes) as made:
        yield made


async def operations(rig: AccountServer) -> list[tuple[str, str, dict[str, Any]]]:
    async with rig.server.http.get(rig.server.url + "/api/openapi.json") as response:
        document = await response.json()
    found = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v1/account")
    ]
    assert len(found) > 25
    return found


async def ask(browser: Browser, method: str, path: str, body: Any, **options: Any) -> int:
    return await browser(method.upper(), path.removeprefix("/api/v1"), body, **options)


# --- who may ----------------------------------------------------------------------------------------------------


async def test_nobody_passes_a_route_that_is_not_theirs(rig: AccountServer) -> None:
    plain, admin = await rig.signed_in("Plain"), await rig.signed_in("Admin", is_admin=True)
    nobody, gone = rig.browser(), await rig.signed_in("Gone")
    victim = await rig.signed_in("Victim", is_admin=True)
    await rig.accounts.devices.prove(await rig.session(admin), 0)
    [cookie] = gone.http.cookie_jar
    await gone("POST", "/account/sign-out")
    gone.http.cookie_jar.update_cookies({"ting_session": cookie.value})
    await victim("GET", "/account")
    view = victim.json
    ids = {"account_id": view["account_id"], "device_id": view["device_id"], "passkey_id": secrets.token_hex(16)}
    checked = 0
    for method, path, operation in await operations(rig):
        access = operation["x-ting-access"]
        url = re.sub(r"{(\w+)}", lambda match: ids[match[1]], path)
        body = {} if "requestBody" in operation else None
        for name, browser in (("nobody", nobody), ("gone", gone)):
            status = await ask(browser, method, url, body)
            assert status == 401 if access != "anyone" else (status == 200) == ((method, path) in OPEN), (name, path)
        token = {**gone.headers, "Authorization": f"Bearer {rig.server.token('boss', room_admin=True)}"}
        if access != "anyone":
            assert await ask(gone, method, url, body, headers=token) == 401, path
        if access.startswith("admin"):
            assert await ask(plain, method, url, body) == 403, path
            assert plain.code == "forbidden"
        if access.endswith("proved"):
            assert await ask(admin, method, url, body) == 403, path
            assert admin.code == "step_up_needed"
        if "{device_id}" in path or "{passkey_id}" in path:
            assert await ask(plain, method, url, body) == 404, path
        checked += 1
    assert checked > 25
    assert await victim("GET", "/account") == 200
    assert victim.json == view


# --- what it says -----------------------------------------------------------------------------------------------

STRANGE: list[Any] = [
    [], 7, "text", True, {"x": 1}, {"name": None}, {"name": ["a"], "password": {}}, {"name": "a", "password": 7},
    {"ticket": "x", "credential": []}, {"ticket": 7, "credential": {}}, {"ticket": "x", "credential": {"id": {}}},
    {"name": "a" * 257}, {"name": "x", "password": "p" * 8193}, {"state": "x", "code": "c" * 4097}, {"is_admin": "yes"},
    {"is_admin": 1, "role": "owner"}, {"__proto__": {"is_admin": True}},
    b"", b"{", b"null", b"[" * 15_000, b'{"name": NaN}', b'{"name": "a", "name": "b"}', b'{"name": "\\ud800"}',
    b'{"name": "\\u0000", "password": "longer than eight"}', b"\xff\xfe", b'{"name": "' + b"a" * 20_000 + b'"}',
    b'{"name": 1e999}', b'{"is_admin": ' + b"9" * 5000 + b"}",
]  # fmt: skip


async def test_strange_bodies_are_their_senders_fault(rig: AccountServer) -> None:
    admin = await rig.signed_in(is_admin=True)
    for method, path, operation in await operations(rig):
        if "requestBody" not in operation:
            continue
        url = re.sub(r"{(\w+)}", lambda _: secrets.token_hex(16), path)
        for body in STRANGE:
            status = await ask(admin, method, url, body)
            assert 400 <= status < 500, (method, path, body)
        headers = {**admin.headers, "Content-Type": "text/plain"}
        assert await ask(admin, method, url, None, headers=headers, data=b"{}") == 400, path
    assert await admin("GET", "/account") == 200
    assert (admin.json["name"], admin.json["is_admin"]) == ("Ada", True)


async def test_strange_paths_and_queries_are_their_senders_fault(rig: AccountServer) -> None:
    admin = await rig.signed_in(is_admin=True)
    strange = ("%00", "%0a", "..%2f..%2fetc", "'%20OR%201=1--", "x" * 5000, "%ff", "%ED%A0%80", "me", "{account_id}")
    for method, path, operation in await operations(rig):
        if "{" not in path:
            continue
        body = {"password": PASSWORD} if path.endswith("/password") else {}
        for value in strange:
            url = re.sub(r"{\w+}", value, path)
            status = await ask(admin, method, url, body if "requestBody" in operation else None)
            assert status == 404, (method, path, value)
    bad = ("limit=0", "limit=201", "limit=x", "limit=1e3", "limit=", "x=1", "after=%00", "after=" + "a" * 257)
    for query in bad:
        assert await admin("GET", f"/accounts?{query}") == 400, query
    for query in ("after='--", "after=%ED%A0%80", "after=", "limit=200"):
        assert await admin("GET", f"/accounts?{query}") == 200, query


async def test_strange_cookies_are_nobodys(rig: AccountServer) -> None:
    browser = rig.browser()
    for value in ("", "x", "a" * 43, "a" * 10_000, "\u00e4", '"quoted"', "a;b", "%00", "../.."):
        for cookie in (f"ting_session={value}", f"ting_session=a; ting_session={value}", f"TING_SESSION={value}"):
            assert await browser("GET", "/account", headers={**browser.headers, "Cookie": cookie}) == 401, cookie


# --- passkeys ---------------------------------------------------------------------------------------------------

SITE = ceremonies.Site("ting.test", ("https://ting.test",), "Ting")
ACCOUNT = AccountRow(secrets.token_hex(16), "Ada", "ada", "", False, False, 0)
DEEP = b"\x81" * 20_000
BOMBS = [
    b"", b"\xa0", b"\xff", b"\xbf", DEEP, b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\xa1\x63fmt\x64none",
    b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\xc1" * 1000, b"\xd8\x1c" * 1000,
]  # fmt: skip


def ceremony() -> tuple[Authenticator, bytes, dict[str, Any]]:
    challenge = secrets.token_bytes(32)
    return Authenticator("https://ting.test"), challenge, ceremonies.creation_options(SITE, ACCOUNT, [], challenge, 60)


def refused(work: Any, *values: Any, **more: Any) -> bool:
    """Whether it is refused as a client's fault; anything else that is raised goes through."""
    try:
        work(*values, **more)
    except ApiError as error:
        return error.code == "sign_in_failed"
    return False


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_no_attestation_breaks_the_reader(bomb: bytes) -> None:
    passkey, challenge, options = ceremony()
    credential = passkey.create(options)
    for attestation in (bomb, cbor({"fmt": "none", "attStmt": {}, "authData": bomb}), cbor({"fmt": "none"}) + bomb):
        credential["response"]["attestationObject"] = b64(attestation)
        assert refused(ceremonies.verify_creation, SITE, credential, challenge)


@pytest.mark.parametrize("fmt", ["packed", "tpm", "android-key", "android-safetynet", "apple", "fido-u2f", "x"])
def test_attestations_that_were_not_asked_for_are_refused_when_they_lie(fmt: str) -> None:
    passkey, challenge, options = ceremony()
    credential = passkey.create(options)
    raw = base64.urlsafe_b64decode(credential["response"]["attestationObject"] + "==")
    data = raw[raw.index(b"authData") + 8 :]
    body = data[2:] if data[0] == 0x58 else data[3:]
    lie = cbor({"fmt": fmt, "attStmt": {"alg": -7, "sig": b"x", "x5c": b"x", "ver": "2.0"}, "authData": body})
    credential["response"]["attestationObject"] = b64(lie)
    assert refused(ceremonies.verify_creation, SITE, credential, challenge)


@relaxed
@given(st.integers(min_value=0), st.integers(0, 255), st.sampled_from(["attestationObject", "clientDataJSON"]))
def test_a_changed_byte_never_breaks_the_reader(place: int, value: int, part: str) -> None:
    passkey, challenge, options = ceremony()
    credential = passkey.create(options)
    raw = bytearray(base64.urlsafe_b64decode(credential["response"][part] + "=="))
    raw[place % len(raw)] = value
    credential["response"][part] = b64(bytes(raw))
    refused(ceremonies.verify_creation, SITE, credential, challenge)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(
    ["id", "rawId", "type", "response", "authenticatorAttachment", "clientDataJSON", "authenticatorData", "signature",
     "userHandle", "attestationObject", "transports"]
)  # fmt: skip


@relaxed
@given(_NAMES, _JSON)
def test_no_value_in_an_answer_breaks_the_reader(name: str, value: Any) -> None:
    passkey, challenge, options = ceremony()
    created = passkey.create(options)
    new = ceremonies.verify_creation(SITE, created, challenge)
    row = PasskeyRow("p", ACCOUNT.account_id, new.credential_id, new.public_key, 0, "", 0, 0)
    answer = passkey.get({"challenge": b64(challenge)})
    for credential in (created, answer):
        holder = credential["response"] if name in credential["response"] or name == "transports" else credential
        holder[name] = value
    refused(ceremonies.verify_creation, SITE, created, challenge)
    refused(ceremonies.credential_id_of, answer)
    refused(ceremonies.verify_request, SITE, answer, challenge, row, says_whose=True)


# --- ID tokens --------------------------------------------------------------------------------------------------


@relaxed
@given(st.text(max_size=200) | st.lists(st.binary(max_size=60).map(b64), min_size=3, max_size=3).map(".".join))
def test_any_text_is_an_id_token_or_none(token: str) -> None:
    try:
        header, claims = _parse(token)
    except IdTokenError:
        return
    assert isinstance(header, dict)
    assert isinstance(claims, dict)


_CLAIMS = st.sampled_from(["iss", "aud", "azp", "exp", "iat", "nbf", "auth_time", "nonce", "sub"])
GOOD = {"iss": "https://id.test", "aud": "ting", "exp": 2000, "iat": 1000, "nonce": "n", "sub": "s"}


def test_the_claims_that_are_good() -> None:
    check_claims(GOOD, "https://id.test", "ting", "n", 1500)


@relaxed
@given(_CLAIMS, _JSON | st.floats())
def test_no_claim_breaks_the_reader(name: str, value: Any) -> None:
    claims = json.loads(json.dumps({**GOOD, name: value}))
    try:
        check_claims(claims, "https://id.test", "ting", "n", 1500)
    except IdTokenError:
        return
    assert name in ("iat", "nbf", "auth_time", "exp", "sub") or claims[name] in (GOOD.get(name), "ting", ["ting"])


# --- a call beside it -------------------------------------------------------------------------------------------


async def test_guessing_passwords_slows_no_call() -> None:
    """With hashes that cost what they cost, and more guesses than CPUs."""
    costly = {"password_memory_kib": 19_456, "password_passes": 2}
    async with running_accounts(**costly) as rig, bystander(rig.server):
        await rig.make()
        statuses = await asyncio.gather(*(rig.browser().sign_in("Ada", "wrong") for _ in range(12)))
        assert statuses == [401] * 12
        assert await rig.browser().sign_in() == 200
