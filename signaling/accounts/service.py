"""Accounts: making them, signing in with a password, and what may be done with one's own and, as an admin, with others.

Whatever an admin does is told to `audit` first: an act that could not be written down does not happen.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from signaling.accounts.ceremonies import Site
from signaling.accounts.devices import AccountSession, Devices, OpenStore, hash_secret, new_id
from signaling.accounts.names import clean_account_name, name_key
from signaling.accounts.openid import OpenidSignIn
from signaling.accounts.outcomes import require, require_name
from signaling.accounts.passkeys import Ceremony, Passkeys
from signaling.accounts.passwords import Passwords
from signaling.accounts.provider import OpenidProvider
from signaling.accounts.records import AccountRow, AuditEntry, EndedDevice, InvitationRow, NewAccount, Outcome
from signaling.accounts.settings import AccountSettings
from signaling.errors import ApiError
from signaling.limits import AddressLimiter, Clock
from signaling.metrics import Metrics

_CODE_BYTES = 18
COMMAND = "ting"
"""The actor of what `ting account` does."""

Audit = Callable[[AuditEntry], Awaitable[None]]


class Accounts:
    """`clock` gives Unix time in seconds, `monotonic` seconds that never jump. Without `audit` the acts of admins go
    into the table of this database. Every method may raise `DatabaseError`."""

    def __init__(
        self,
        settings: AccountSettings,
        open_store: OpenStore,
        *,
        audit: Audit | None = None,
        openid: OpenidSignIn | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self.settings = settings
        self.openid = openid
        self.passkeys = Passkeys(settings, open_store, clock)
        self.devices = Devices(settings, open_store, clock)
        self.passwords = Passwords(settings)
        self._open_store = open_store
        self._audit = audit or self._write_down
        self.on_deleted: list[Callable[[str], Awaitable[None]]] = []
        """Awaited with the id of an account that is gone."""
        self._clock = clock
        self._tries = AddressLimiter(settings.account_tries_per_minute, settings.max_accounts, monotonic)

    @property
    def on_device_ended(self) -> list[Callable[[EndedDevice], None]]:
        """Called with every device that ends, also when its account does."""
        return self.devices.on_ended

    async def close(self) -> None:
        await self.devices.close()
        if self.openid is not None:
            await self.openid.close()

    # --- signing in -----------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str) -> AccountRow:
        """Raises `ApiError` sign_in_failed and rate_limited."""
        key = name_key(name)
        self.limit_tries(hash_secret(key))
        account = await (await self._open_store()).accounts.find_by_name(key)
        stored = account.password_hash if account is not None else ""
        right = await self.passwords.verify(stored, password)
        if account is None or not right or account.is_disabled:
            raise ApiError("sign_in_failed", "The name or the password is wrong.")
        if self.passwords.is_outdated(stored):
            await self._change(account.account_id, password_hash=await self.passwords.renew(password))
        return account

    async def prove(self, session: AccountSession, password: str) -> AccountSession:
        """The session with the new proof. Raises `ApiError` sign_in_failed and rate_limited."""
        self.limit_tries(session.account_id)
        account = await self.get(session.account_id)
        if not await self.passwords.verify(account.password_hash, password):
            raise ApiError("sign_in_failed", "The password is wrong.")
        return await self.devices.prove(session, self._clock())

    def now_s(self) -> float:
        """Unix time in seconds."""
        return self._clock()

    def is_proved(self, session: AccountSession) -> bool:
        """Whether they have proved within `step_up_s` who they are."""
        return 0 <= self._clock() - session.proved_at < self.settings.step_up_s

    def limit_tries(self, whose: str) -> None:
        """Raises `ApiError` rate_limited."""
        wait_s = self._tries.take(whose)
        if wait_s:
            raise ApiError("rate_limited", "Too many tries; please wait a moment.", retry_after_s=wait_s)

    # --- making accounts ------------------------------------------------------------------------------------

    async def register(self, name: str, password: str, invitation: str) -> AccountRow:
        """Raises `ApiError` registration_closed, invitation_over, invalid_name, invalid_password, name_taken and
        limit_reached."""
        self._require_registration(invitation)
        row = self._new_row(name, password_hash=await self.passwords.hash(password))
        await self._add(NewAccount(row, invitation=self._used_up(invitation)))
        return row

    async def begin_passkey_registration(self, site: Site, name: str, invitation: str) -> Ceremony:
        """Raises as `register`, but the invitation is looked at when it is finished."""
        self._require_registration(invitation)
        row = self._new_row(name)
        if await (await self._open_store()).accounts.find_by_name(row.name_key) is not None:
            require_name(Outcome.TAKEN)
        return await self.passkeys.begin_registration(site, row)

    async def finish_passkey_registration(self, ticket: str, credential: dict[str, Any], invitation: str) -> AccountRow:
        """Raises as `register`, and sign_in_expired and sign_in_failed."""
        self._require_registration(invitation)
        row, passkey = await self.passkeys.finish_registration(ticket, credential)
        await self._add(NewAccount(row, passkey=passkey, invitation=self._used_up(invitation)))
        return row

    async def _add(self, new: NewAccount) -> None:
        outcome = await (await self._open_store()).accounts.add(new, self.settings.max_accounts)
        if outcome is Outcome.MISSING:
            raise ApiError("invitation_over", "This invitation has been used, or its time is over.")
        require_name(outcome)

    def _require_registration(self, invitation: str) -> None:
        if self.settings.registration == "closed":
            raise ApiError("registration_closed", "Accounts are made by an admin here.")
        if self.settings.registration == "invite" and not invitation:
            raise ApiError("invitation_over", "An invitation is needed to make an account here.")

    def _used_up(self, invitation: str) -> str:
        return hash_secret(invitation) if self.settings.registration == "invite" else ""

    def _new_row(self, name: str, *, password_hash: str = "", is_admin: bool = False) -> AccountRow:
        shown = clean_account_name(name)
        return AccountRow(
            account_id=new_id(),
            name=shown,
            name_key=name_key(shown),
            password_hash=password_hash,
            is_admin=is_admin,
            is_disabled=False,
            created_at_ms=self._now_ms(),
        )

    # --- one's own --------------------------------------------------------------------------------------------

    async def get(self, account_id: str) -> AccountRow:
        """Raises `ApiError` not_found."""
        account = await (await self._open_store()).accounts.find(account_id)
        if account is None:
            raise ApiError("not_found", "There is no such account.")
        return account

    async def exists(self, account_id: str) -> bool:
        return await (await self._open_store()).accounts.find(account_id) is not None

    async def rename(self, account_id: str, name: str) -> None:
        """Raises `ApiError` invalid_name and name_taken."""
        shown = clean_account_name(name)
        await self._change(account_id, name=shown, name_key=name_key(shown))

    async def change_password(self, session: AccountSession, password: str) -> None:
        """Ends all other devices. Raises `ApiError` invalid_password."""
        await self._change(session.account_id, password_hash=await self.passwords.hash(password))
        await self.devices.end(session.account_id, but=session.device_id)

    async def has_openid(self, account_id: str) -> bool:
        """Whether one can sign in to it with the provider of the settings."""
        issuers = await (await self._open_store()).credentials.linked_issuers(account_id)
        return self.settings.openid_issuer in issuers

    async def unlink_openid(self, account_id: str) -> None:
        """Raises `ApiError` not_found and last_sign_in."""
        store = await self._open_store()
        require(await store.credentials.unlink(account_id, self.settings.openid_issuer))

    async def delete(self, account_id: str) -> None:
        """With everything that belongs to it. Raises `ApiError` not_found and last_admin."""
        require(await (await self._open_store()).accounts.delete(account_id))
        await self.devices.end(account_id)
        for listener in self.on_deleted:
            await listener(account_id)

    async def _change(self, account_id: str, **values: Any) -> None:
        require_name(await (await self._open_store()).accounts.change(account_id, **values))
        self.devices.forget(account_id)

    # --- as an admin --------------------------------------------------------------------------------------------

    async def page(self, after: str, limit: int) -> list[AccountRow]:
        """In order of their names, those behind the name `after`; empty: from the first. Raises `ApiError`
        invalid_name."""
        key = name_key(clean_account_name(after)) if after else ""
        return await (await self._open_store()).accounts.page(key, limit)

    async def find(self, name: str) -> AccountRow | None:
        return await (await self._open_store()).accounts.find_by_name(name_key(name))

    async def create(self, actor: str, name: str, password: str, *, is_admin: bool) -> AccountRow:
        """Raises `ApiError` invalid_name, invalid_password, name_taken and limit_reached."""
        row = self._new_row(name, password_hash=await self.passwords.hash(password), is_admin=is_admin)
        async with self._noted(actor, "account_created", row.account_id, {"is_admin": is_admin}):
            await self._add(NewAccount(row))
        return row

    async def change(self, actor: str, account_id: str, **values: bool) -> AccountRow:
        """`values`: is_admin, is_disabled. Who is disabled is signed out everywhere. Raises `ApiError` not_found and
        last_admin."""
        account = await self.get(account_id)
        if not values:
            return account
        async with self._noted(actor, "account_changed", account_id, values):
            await self._change(account_id, **values)
        if values.get("is_disabled"):
            await self.devices.end(account_id)
        return await self.get(account_id)

    async def set_password(self, actor: str, account_id: str, password: str) -> None:
        """For somebody who has forgotten theirs; signs out everywhere. Raises `ApiError` invalid_password and
        not_found."""
        await self.get(account_id)
        password_hash = await self.passwords.hash(password)
        async with self._noted(actor, "account_password_set", account_id, {}):
            await self._change(account_id, password_hash=password_hash)
        await self.devices.end(account_id)

    async def remove(self, actor: str, account_id: str) -> None:
        """As `delete`, of somebody else's."""
        await self.get(account_id)
        async with self._noted(actor, "account_ended", account_id, {}):
            await self.delete(account_id)

    async def invite(self, actor: str) -> tuple[str, int]:
        """A code that is good for one account, and until when (Unix time in milliseconds). Raises `ApiError`
        limit_reached."""
        code, now_ms = secrets.token_urlsafe(_CODE_BYTES), self._now_ms()
        expires_at_ms = now_ms + round(self.settings.account_invitation_ttl_s * 1000)
        row = InvitationRow(hash_secret(code), actor, now_ms, expires_at_ms)
        async with self._noted(actor, "account_invited", "", {"expires_at_ms": expires_at_ms}):
            require(
                await (await self._open_store()).accounts.add_invitation(row, self.settings.max_account_invitations)
            )
        return code, expires_at_ms

    @asynccontextmanager
    async def _noted(self, actor: str, act: str, subject: str, details: Mapping[str, Any]) -> AsyncIterator[None]:
        """Around an act: what is refused afterwards is written down too."""
        await self._audit(AuditEntry(self._now_ms(), actor, act, subject, details))
        try:
            yield
        except ApiError as error:
            await self._audit(AuditEntry(self._now_ms(), actor, f"{act}_refused", subject, {"reason": error.code}))
            raise

    async def note(self, actor: str, act: str, subject: str, details: Mapping[str, Any]) -> None:
        """What an admin is about to do elsewhere. Raises `DatabaseError`, and then it must not be done."""
        await self._audit(AuditEntry(self._now_ms(), actor, act, subject, details))

    async def _write_down(self, entry: AuditEntry) -> None:
        await (await self._open_store()).audit.add(entry)

    async def audit_entries(self, before_id: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """Newest first."""
        return await (await self._open_store()).audit.page(before_id, limit)

    def _now_ms(self) -> int:
        return round(self._clock() * 1000)


def create_accounts(
    settings: AccountSettings, open_store: OpenStore, metrics: Metrics, origin: str, *, audit: Audit | None = None
) -> Accounts | None:
    """None when the settings want none. `origin` is where browsers reach this server. Raises `ConfigError`."""
    if not settings.accounts:
        return None
    openid = None
    if settings.openid_issuer:
        provider = OpenidProvider(settings, metrics, time.time)
        openid = OpenidSignIn(settings, provider, open_store, origin, time.time)
    return Accounts(settings, open_store, audit=audit, openid=openid)
