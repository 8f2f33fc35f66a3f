"""Passkeys in Chromium itself, with its virtual authenticator: the options and answers are those of a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page

from tests.signaling.account_rig import PASSWORD, AccountServer, running_accounts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ASK = """async ([method, path, body]) => {
    const answer = await fetch('/api/v1' + path, {
        method,
        headers: body === null ? {} : {'Content-Type': 'application/json'},
        body: body === null ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return [answer.status, text ? JSON.parse(text) : null];
}"""
CREATE = """async (options) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return (await navigator.credentials.create({publicKey})).toJSON();
}"""
GET = """async (options) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
    return (await navigator.credentials.get({publicKey})).toJSON();
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def rig() -> AsyncIterator[AccountServer]:
    async with running_accounts(registration="open") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, rig: AccountServer) -> AsyncIterator[Page]:
    """A page of the server under a name, as passkeys need one, with an authenticator that says yes."""
    context = await browser.new_context()
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})
    await page.goto(f"http://localhost:{urlsplit(rig.server.url).port}/healthz")
    yield page
    await context.close()


async def ask(page: Page, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, answer = await page.evaluate(ASK, [method, path, body])
    return status, answer


async def begin(page: Page, path: str, body: Any = None) -> tuple[str, dict[str, Any]]:
    status, ceremony = await ask(page, "POST", path, body)
    assert status == 200, ceremony
    return ceremony["ticket"], ceremony["options"]


async def test_a_browser_makes_an_account_with_a_passkey_and_comes_back(page: Page, rig: AccountServer) -> None:
    assert (await ask(page, "GET", "/account/sign-in"))[1]["passkey"] is True
    ticket, options = await begin(page, "/account/register/passkey/options", {"name": "Ada"})
    body = {"ticket": ticket, "credential": await page.evaluate(CREATE, options)}
    status, account = await ask(page, "POST", "/account/register/passkey", body)
    assert (status, account["name"]) == (200, "Ada"), account
    cookies = await page.context.cookies()
    assert [(cookie["name"], cookie["httpOnly"], cookie["sameSite"]) for cookie in cookies] == [
        ("ting_session", True, "Lax")
    ]
    assert await page.evaluate("document.cookie") == ""
    assert (await ask(page, "POST", "/account/sign-out"))[0] == 204
    assert (await ask(page, "GET", "/account"))[0] == 401
    ticket, options = await begin(page, "/account/sign-in/passkey/options")
    credential = await page.evaluate(GET, options)
    status, again = await ask(page, "POST", "/account/sign-in/passkey", {"ticket": ticket, "credential": credential})
    assert (status, again["account_id"]) == (200, account["account_id"]), again
    ticket, options = await begin(page, "/account/prove/passkey/options")
    credential = await page.evaluate(GET, options)
    status, _ = await ask(page, "POST", "/account/prove/passkey", {"ticket": ticket, "credential": credential})
    assert status == 200
    assert (await ask(page, "DELETE", "/account"))[0] == 204
    assert await rig.accounts.find("Ada") is None


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 401), ("localhost", 403)])
async def test_another_page_changes_nothing(page: Page, rig: AccountServer, host: str, status: int) -> None:
    """From another site the cookie does not come along; from another port of the same one it does, and the browser's
    own headers tell that the page is not ours."""
    await rig.make("Bob")
    assert (await ask(page, "POST", "/account/sign-in/password", {"name": "Bob", "password": PASSWORD}))[0] == 200
    target = page.url.replace("/healthz", "/api/v1/account/sign-out")

    async def attack(_request: web.Request) -> web.Response:
        form = f"<form method=post enctype=text/plain action='{target}'><input name=x></form>"
        return web.Response(text=f"{form}<script>document.forms[0].submit()</script>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", attack)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    other = await page.context.new_page()
    async with other.expect_response(target) as arrived:
        await other.goto(f"http://{host}:{runner.addresses[0][1]}/")
    answer = await arrived.value
    assert answer.status == status
    came_along = "ting_session" in (await answer.request.all_headers()).get("cookie", "")
    assert came_along is (host == "localhost")
    assert (await ask(page, "GET", "/account"))[0] == 200
    await runner.cleanup()
