"""A server with accounts, and browsers that use them: each has its cookies and says where it comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from signaling.accounts.devices import AccountSession
from signaling.accounts.records import AccountRow
from signaling.accounts.service import Accounts
from tests.signaling.harness import Server, running

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHEAP = {"password_memory_kib": 8, "password_passes": 1}
"""Hashes that cost nothing; what hashing costs is not what these tests are about."""
MANY = {"sign_in_tries_per_minute": 10_000, "account_tries_per_minute": 10_000}


class Browser:
    """As a page of the server itself; `json` is the body of the last answer."""

    def __init__(self, server: Server, user_agent: str = FIREFOX) -> None:
        self.url = server.url
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"User-Agent": user_agent})
        self.headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
        self.json: Any = None
        self.answer: aiohttp.ClientResponse | None = None

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> int:
        """Ask below /api/v1; the status."""
        given = {} if body is None else {"data" if isinstance(body, bytes) else "json": body}
        if isinstance(body, bytes):
            options["headers"] = {**self.headers, "Content-Type": "application/json", **options.get("headers", {})}
        options = {"headers": self.headers, **options, **given}
        async with self.http.request(method, f"{self.url}/api/v1{path}", **options) as response:
            text = await response.read()
            self.json = await response.json() if text else None
            self.answer = response
            return response.status

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    async def sign_in(self, name: str = "Ada", password: str = PASSWORD) -> int:
        return await self("POST", "/account/sign-in/password", {"name": name, "password": password})

    async def close(self) -> None:
        await self.http.close()


class AccountServer:
    def __init__(self, server: Server) -> None:
        self.server = server
        assert server.services.accounts is not None
        self.accounts: Accounts = server.services.accounts
        self.browsers: list[Browser] = []

    def browser(self, user_agent: str = FIREFOX) -> Browser:
        self.browsers.append(Browser(self.server, user_agent))
        return self.browsers[-1]

    async def session(self, browser: Browser) -> AccountSession:
        """That of a browser that is signed in."""
        [cookie] = [cookie for cookie in browser.http.cookie_jar if cookie.key == "ting_session"]
        found = await self.accounts.devices.session_of(cookie.value)
        assert found is not None
        return found

    async def make(self, name: str = "Ada", *, is_admin: bool = False) -> AccountRow:
        return await self.accounts.create("test", name, PASSWORD, is_admin=is_admin)

    async def signed_in(self, name: str = "Ada", *, is_admin: bool = False) -> Browser:
        """A browser of an account, which is made when it is not there."""
        if await self.accounts.find(name) is None:
            await self.make(name, is_admin=is_admin)
        browser = self.browser()
        assert await browser.sign_in(name) == 200, browser.json
        return browser


@asynccontextmanager
async def running_accounts(**changes: Any) -> AsyncIterator[AccountServer]:
    async with running(**{"accounts": True, **CHEAP, **MANY, **changes}) as server:
        rig = AccountServer(server)
        try:
            yield rig
        finally:
            for browser in rig.browsers:
                await browser.close()
