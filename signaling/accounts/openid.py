"""Signing in with an OpenID provider: what is asked of it and why, and whose account an answer belongs to.

A sign-in is bound to the browser that began it: what `begin` gives for its cookie must come back to `finish`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from signaling.accounts.devices import OpenStore, hash_secret, new_id
from signaling.accounts.names import MAX_NAME_LENGTH, clean_account_name, name_key
from signaling.accounts.outcomes import require
from signaling.accounts.provider import OpenidIdentity, OpenidProvider, Redemption
from signaling.accounts.records import AccountRow, NewAccount, Outcome
from signaling.accounts.settings import AccountSettings
from signaling.accounts.tickets import Tickets
from signaling.errors import ApiError

CALLBACK_PATH = "/account/openid"
"""The page that the provider sends the browser to."""
_SECRET_BYTES = 32
_NAME_TRIES = 20


class Purpose(StrEnum):
    SIGN_IN = "sign_in"
    PROVE = "prove"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class _Pending:
    purpose: Purpose
    account_id: str
    invitation: str
    browser_hash: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Departure:
    url: str
    browser_secret: str
    """For a cookie of the browser that goes there."""


@dataclass(frozen=True, slots=True)
class Arrival:
    purpose: Purpose
    account: AccountRow
    signed_in_at: float
    """As in `OpenidIdentity`."""


class OpenidSignIn:
    """`origin` is where browsers reach this server. Every method may raise `DatabaseError`."""

    def __init__(
        self,
        settings: AccountSettings,
        provider: OpenidProvider,
        open_store: OpenStore,
        origin: str,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._open_store = open_store
        self._redirect_uri = origin + CALLBACK_PATH
        self._clock = clock
        self._pending: Tickets[_Pending] = Tickets(settings, clock)

    async def begin(self, purpose: Purpose, *, account_id: str = "", invitation: str = "") -> Departure:
        """Raises `ApiError` unavailable."""
        browser_secret, nonce, verifier = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3))
        pending = _Pending(purpose, account_id, invitation, hash_secret(browser_secret), nonce, verifier)
        state = self._pending.keep(pending)
        url = await self._provider.authorization_url(
            redirect_uri=self._redirect_uri,
            state=state,
            nonce=nonce,
            verifier=verifier,
            fresh=purpose is Purpose.PROVE,
        )
        return Departure(url, browser_secret)

    async def finish(self, state: str, code: str, answered_by: str, *, browser_secret: str, account_id: str) -> Arrival:
        """`account_id`: who is signed in now, or empty. Raises `ApiError` sign_in_expired, sign_in_failed,
        registration_closed, invitation_over, name_taken, taken, limit_reached and unavailable."""
        pending = self._pending.take(state)
        if not browser_secret or hash_secret(browser_secret) != pending.browser_hash:
            raise ApiError("sign_in_failed", "This sign-in was begun in another browser.")
        if pending.purpose is not Purpose.SIGN_IN and pending.account_id != account_id:
            raise ApiError("sign_in_failed", "This sign-in was begun by somebody else.")
        redemption = Redemption(code, pending.verifier, pending.nonce, self._redirect_uri)
        identity = await self._provider.redeem(redemption, answered_by)
        account = await self._account_of(pending, identity)
        return Arrival(pending.purpose, account, identity.signed_in_at)

    async def close(self) -> None:
        await self._provider.close()

    async def _account_of(self, pending: _Pending, identity: OpenidIdentity) -> AccountRow:
        store, issuer = await self._open_store(), self._provider.issuer
        if pending.purpose is Purpose.LINK:
            require(await store.credentials.link(pending.account_id, issuer, identity.subject))
        account_id = await store.credentials.find_linked(issuer, identity.subject)
        if account_id is None and pending.purpose is Purpose.SIGN_IN:
            return await self._register(pending.invitation, identity)
        account = None if account_id is None else await store.accounts.find(account_id)
        if account is None or account.is_disabled or pending.account_id not in ("", account.account_id):
            raise ApiError("sign_in_failed", "This sign-in belongs to no account here.")
        if pending.purpose is Purpose.PROVE:
            self._require_fresh(identity)
        return account

    def _require_fresh(self, identity: OpenidIdentity) -> None:
        """A provider may pass over `prompt` and `max_age`, but must then say when it really was (Core 1.0, 3.1.2.1)."""
        if self._clock() - identity.signed_in_at > self._settings.step_up_s:
            raise ApiError("sign_in_failed", "The provider did not ask who you are again.")

    async def _register(self, invitation: str, identity: OpenidIdentity) -> AccountRow:
        settings = self._settings
        if settings.registration == "closed" and not settings.openid_registration:
            raise ApiError("registration_closed", "Accounts are made by an admin here.")
        needs_invitation = settings.registration == "invite" and not settings.openid_registration
        if needs_invitation and not invitation:
            raise ApiError("invitation_over", "An invitation is needed to make an account here.")
        store = await self._open_store()
        for name in _names_for(identity):
            row = AccountRow(new_id(), name, name_key(name), "", False, False, round(self._clock() * 1000))
            link = (self._provider.issuer, identity.subject)
            used_up = hash_secret(invitation) if needs_invitation else ""
            outcome = await store.accounts.add(NewAccount(row, link=link, invitation=used_up), settings.max_accounts)
            if outcome is Outcome.MISSING:
                raise ApiError("invitation_over", "This invitation has been used, or its time is over.")
            if outcome is not Outcome.TAKEN:
                require(outcome)
                return row
        raise ApiError("name_taken", "Too many have the name already that the provider says.")


def _names_for(identity: OpenidIdentity) -> list[str]:
    """The provider's name, and others in case that somebody has it."""
    try:
        name = clean_account_name(identity.name[:MAX_NAME_LENGTH])
    except ApiError:
        name = "Member"
    stem = name[: MAX_NAME_LENGTH - 8].rstrip()
    numbered = [f"{stem} {number}" for number in range(2, _NAME_TRIES)]
    return [name, *numbered, f"{stem} {secrets.token_hex(3)}"]
