"""Passkeys: signing in, proving who one is, adding and removing them. The ceremonies themselves are in `ceremonies`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from signaling.accounts import ceremonies
from signaling.accounts.ceremonies import Site
from signaling.accounts.devices import OpenStore, new_id
from signaling.accounts.names import clean_account_name
from signaling.accounts.outcomes import require
from signaling.accounts.records import AccountRow, PasskeyRow
from signaling.accounts.settings import AccountSettings
from signaling.accounts.tickets import Tickets
from signaling.errors import ApiError

_CHALLENGE_BYTES = 32


class _Purpose(StrEnum):
    SIGN_IN = "sign_in"
    PROVE = "prove"
    ADD = "add"
    REGISTER = "register"


@dataclass(frozen=True, slots=True)
class _Pending:
    purpose: _Purpose
    site: Site
    challenge: bytes
    account: AccountRow | None


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the page hands to the browser, and the ticket that it brings back with the answer."""

    ticket: str
    options: dict[str, Any]


class Passkeys:
    """Every method may raise `DatabaseError`."""

    def __init__(self, settings: AccountSettings, open_store: OpenStore, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._open_store = open_store
        self._clock = clock
        self._pending: Tickets[_Pending] = Tickets(settings, clock)

    # --- signing in and proving -----------------------------------------------------------------------------

    async def begin_sign_in(self, site: Site) -> Ceremony:
        return await self._request(_Purpose.SIGN_IN, site, None, [])

    async def finish_sign_in(self, ticket: str, credential: dict[str, Any]) -> AccountRow:
        """Raises `ApiError` sign_in_expired and sign_in_failed."""
        pending = self._take(ticket, _Purpose.SIGN_IN)
        passkey = await self._verify(pending, credential)
        account = await (await self._open_store()).accounts.find(passkey.account_id)
        if account is None or account.is_disabled:
            raise _failed()
        return account

    async def begin_proof(self, site: Site, account: AccountRow) -> Ceremony:
        store = await self._open_store()
        return await self._request(
            _Purpose.PROVE, site, account, await store.credentials.list_passkeys(account.account_id)
        )

    async def finish_proof(self, account_id: str, ticket: str, credential: dict[str, Any]) -> None:
        """Raises `ApiError` sign_in_expired and sign_in_failed."""
        pending = self._take(ticket, _Purpose.PROVE, account_id)
        passkey = await self._verify(pending, credential)
        if passkey.account_id != account_id:
            raise _failed()

    # --- having them ------------------------------------------------------------------------------------------

    async def begin_adding(self, site: Site, account: AccountRow) -> Ceremony:
        """Raises `ApiError` limit_reached."""
        store = await self._open_store()
        known = await store.credentials.list_passkeys(account.account_id)
        if len(known) >= self._settings.max_passkeys_per_account:
            raise ApiError("limit_reached", "The account has as many passkeys as it may.")
        return await self._create(_Purpose.ADD, site, account, known)

    async def finish_adding(self, account_id: str, ticket: str, credential: dict[str, Any], name: str) -> PasskeyRow:
        """Raises `ApiError` invalid_name, sign_in_expired, sign_in_failed, taken and limit_reached."""
        shown = clean_passkey_name(name)
        pending = self._take(ticket, _Purpose.ADD, account_id)
        passkey = await self._made(pending, account_id, credential, shown)
        store = await self._open_store()
        require(await store.credentials.add_passkey(passkey, self._settings.max_passkeys_per_account))
        return passkey

    async def begin_registration(self, site: Site, account: AccountRow) -> Ceremony:
        """For an account that is not there yet."""
        return await self._create(_Purpose.REGISTER, site, account, [])

    async def finish_registration(self, ticket: str, credential: dict[str, Any]) -> tuple[AccountRow, PasskeyRow]:
        """The account to make, and its passkey. Raises `ApiError` sign_in_expired and sign_in_failed."""
        pending = self._take(ticket, _Purpose.REGISTER)
        assert pending.account is not None
        return pending.account, await self._made(pending, pending.account.account_id, credential, "")

    async def of_account(self, account_id: str) -> list[PasskeyRow]:
        return await (await self._open_store()).credentials.list_passkeys(account_id)

    async def remove(self, account_id: str, passkey_id: str) -> None:
        """Raises `ApiError` not_found and last_sign_in."""
        store = await self._open_store()
        require(await store.credentials.delete_passkey(account_id, passkey_id))

    # --- the two ceremonies -------------------------------------------------------------------------------------

    async def _request(
        self, purpose: _Purpose, site: Site, account: AccountRow | None, known: list[PasskeyRow]
    ) -> Ceremony:
        challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        timeout_s = self._settings.sign_in_timeout_s
        options = await asyncio.to_thread(ceremonies.request_options, site, known, challenge, timeout_s)
        return Ceremony(self._pending.keep(_Pending(purpose, site, challenge, account)), options)

    async def _create(self, purpose: _Purpose, site: Site, account: AccountRow, known: list[PasskeyRow]) -> Ceremony:
        challenge = secrets.token_bytes(_CHALLENGE_BYTES)
        timeout_s = self._settings.sign_in_timeout_s
        options = await asyncio.to_thread(ceremonies.creation_options, site, account, known, challenge, timeout_s)
        return Ceremony(self._pending.keep(_Pending(purpose, site, challenge, account)), options)

    def _take(self, ticket: str, purpose: _Purpose, account_id: str = "") -> _Pending:
        pending = self._pending.take(ticket)
        if pending.purpose is not purpose:
            raise _failed()
        if account_id and (pending.account is None or pending.account.account_id != account_id):
            raise _failed()
        return pending

    async def _verify(self, pending: _Pending, credential: dict[str, Any]) -> PasskeyRow:
        store = await self._open_store()
        passkey = await store.credentials.find_passkey(await asyncio.to_thread(ceremonies.credential_id_of, credential))
        if passkey is None:
            raise _failed()
        sign_count = await asyncio.to_thread(
            ceremonies.verify_request,
            pending.site,
            credential,
            pending.challenge,
            passkey,
            says_whose=pending.purpose is _Purpose.SIGN_IN,
        )
        await store.credentials.use_passkey(passkey.passkey_id, sign_count, self._now_ms())
        return passkey

    async def _made(self, pending: _Pending, account_id: str, credential: dict[str, Any], name: str) -> PasskeyRow:
        new = await asyncio.to_thread(ceremonies.verify_creation, pending.site, credential, pending.challenge)
        return PasskeyRow(
            passkey_id=new_id(),
            account_id=account_id,
            credential_id=new.credential_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            name=name,
            created_at_ms=self._now_ms(),
            used_at_ms=0,
        )

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def clean_passkey_name(name: str) -> str:
    """Empty, or a name as an account has one. Raises `ApiError` invalid_name."""
    return clean_account_name(name) if name.strip() else ""


def _failed() -> ApiError:
    return ApiError("sign_in_failed", "The passkey could not be verified.")
