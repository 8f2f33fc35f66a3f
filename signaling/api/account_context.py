"""What the routes of accounts share: the limit per address, what is switched off, and how a session begins."""

from __future__ import annotations

import re

from aiohttp import hdrs, web

from signaling.accounts.devices import AccountSession
from signaling.accounts.names import device_name
from signaling.accounts.openid import Departure, OpenidSignIn
from signaling.accounts.records import AccountRow
from signaling.accounts.service import Accounts
from signaling.addresses import ClientAddresses
from signaling.api.account_views import AccountView, account_view
from signaling.api.sessions import Sessions
from signaling.errors import ApiError
from signaling.limits import AddressLimiter

_ID = re.compile(r"[0-9a-f]{32}")


class AccountContext:
    """`limiter` is for tries to sign in, to register and to prove who one is."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, addresses: ClientAddresses, limiter: AddressLimiter
    ) -> None:
        self.accounts = accounts
        self.sessions = sessions
        self._addresses = addresses
        self._limiter = limiter

    def limit(self, request: web.Request) -> None:
        """Raises `ApiError` rate_limited."""
        wait_s = self._limiter.take(self._addresses.of(request))
        if wait_s:
            raise ApiError("rate_limited", "Too many tries; please wait a moment.", retry_after_s=wait_s)

    def begin_try(self, request: web.Request) -> None:
        """Before a try that may end with a cookie. Raises `ApiError` forbidden and rate_limited."""
        self.sessions.require_same_origin(request)
        self.limit(request)

    def require_passwords(self) -> None:
        """Raises `ApiError` not_found."""
        _require(self.accounts.settings.password_sign_in)

    def require_passkeys(self) -> None:
        """Raises `ApiError` not_found."""
        _require(self.accounts.settings.passkey_sign_in)

    def require_openid(self) -> OpenidSignIn:
        """Raises `ApiError` not_found."""
        if self.accounts.openid is None:
            raise ApiError("not_found", "There is nothing here.")
        return self.accounts.openid

    def keep_openid(self, request: web.Request, departure: Departure) -> None:
        """What the browser must bring back, for as long as the way to the provider and back may take."""
        timeout_s = self.accounts.settings.sign_in_timeout_s
        self.sessions.keep_openid(request, departure.browser_secret, timeout_s)

    async def sign_in(self, request: web.Request, account: AccountRow, proved_at: float) -> AccountView:
        """A new device, which takes the place of the one that this browser was before."""
        devices = self.accounts.devices
        earlier = await self.sessions.session_of(request)
        if earlier is not None:
            await devices.end(earlier.account_id, only=earlier.device_id)
        name = device_name(request.headers.get(hdrs.USER_AGENT, ""))
        secret, session = await devices.open(account, name, proved_at=proved_at)
        self.sessions.keep(request, secret, self.accounts.settings.session_max_s)
        return await self.view(account, session)

    async def view_of(self, session: AccountSession) -> AccountView:
        return await self.view(await self.accounts.get(session.account_id), session)

    async def view(self, account: AccountRow, session: AccountSession) -> AccountView:
        has_openid = await self.accounts.has_openid(account.account_id)
        return account_view(account, session, has_openid=has_openid, is_proved=self.accounts.is_proved(session))


def clean_id(text: str) -> str:
    """As `new_id` makes them. Raises `ApiError` not_found."""
    if _ID.fullmatch(text) is None:
        raise ApiError("not_found", "There is nothing here.")
    return text


def _require(is_on: bool) -> None:
    if not is_on:
        raise ApiError("not_found", "There is nothing here.")
