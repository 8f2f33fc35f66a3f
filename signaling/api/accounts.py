"""Routes for whoever is signed in: one's own account, its devices and passkeys, and proofs of who one is."""

from __future__ import annotations

from aiohttp import web

from signaling.accounts.devices import AccountSession
from signaling.accounts.openid import Purpose
from signaling.accounts.records import PasskeyRow
from signaling.api.account_context import AccountContext, clean_id
from signaling.api.account_views import (
    AccountView,
    CeremonyView,
    Departure,
    DeviceList,
    DeviceView,
    NamedTicket,
    NewName,
    NewPassword,
    PasskeyList,
    PasskeyView,
    Ticket,
)
from signaling.api.typed import Access, route
from signaling.errors import ApiError

_PROOF = ("sign_in_failed", "rate_limited", "not_found", "unavailable")


class AccountEndpoint:
    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._accounts = context.accounts

    @route("GET", "/api/v1/account", access=Access.ACCOUNT)
    async def get_account(self, actor: AccountSession) -> AccountView:
        """Who is signed in."""
        return await self._context.view_of(actor)

    @route("PATCH", "/api/v1/account", access=Access.ACCOUNT, errors=("invalid_name", "name_taken"))
    async def rename_account(self, actor: AccountSession, body: NewName) -> AccountView:
        """Take another name."""
        await self._accounts.rename(actor.account_id, body.name)
        return await self._context.view_of(actor)

    @route("DELETE", "/api/v1/account", access=Access.ACCOUNT_PROVED, errors=("last_admin",))
    async def delete_account(self, request: web.Request, actor: AccountSession) -> None:
        """Delete the account.

        It is signed out everywhere; what its devices have open ends.
        """
        await self._accounts.delete(actor.account_id)
        self._context.sessions.drop(request, self._context.sessions.cookies.session)

    @route("PUT", "/api/v1/account/password", access=Access.ACCOUNT_PROVED, errors=("invalid_password", "not_found"))
    async def change_password(self, actor: AccountSession, body: NewPassword) -> None:
        """Set another password.

        All other devices are signed out.
        """
        self._context.require_passwords()
        await self._accounts.change_password(actor, body.password)

    # --- devices --------------------------------------------------------------------------------------------

    @route("POST", "/api/v1/account/sign-out", access=Access.ACCOUNT)
    async def sign_out(self, request: web.Request, actor: AccountSession) -> None:
        """Sign out here."""
        await self._accounts.devices.end(actor.account_id, only=actor.device_id)
        self._context.sessions.drop(request, self._context.sessions.cookies.session)

    @route("GET", "/api/v1/account/devices", access=Access.ACCOUNT)
    async def list_devices(self, actor: AccountSession) -> DeviceList:
        """Where the account is signed in, newest first."""
        rows = await self._accounts.devices.of_account(actor.account_id)
        return DeviceList(
            devices=[
                DeviceView(
                    device_id=row.device_id,
                    name=row.name,
                    created_at_ms=row.created_at_ms,
                    seen_at_ms=row.seen_at_ms,
                    is_this=row.device_id == actor.device_id,
                )
                for row in rows
            ]
        )

    @route("DELETE", "/api/v1/account/devices/{device_id}", access=Access.ACCOUNT, errors=("not_found",))
    async def end_device(self, actor: AccountSession, device_id: str) -> None:
        """Sign one device out.

        Its calls, tokens and links end at once.
        """
        if not await self._accounts.devices.end(actor.account_id, only=clean_id(device_id)):
            raise ApiError("not_found", "There is no such device.")

    @route("DELETE", "/api/v1/account/devices", access=Access.ACCOUNT)
    async def end_other_devices(self, actor: AccountSession) -> None:
        """Sign all other devices out."""
        await self._accounts.devices.end(actor.account_id, but=actor.device_id)

    # --- proving who one is -----------------------------------------------------------------------------------

    @route("POST", "/api/v1/account/prove/password", access=Access.ACCOUNT, errors=_PROOF)
    async def prove_with_password(self, request: web.Request, actor: AccountSession, body: NewPassword) -> AccountView:
        """Prove who one is with the password."""
        self._context.begin_try(request)
        self._context.require_passwords()
        return await self._context.view_of(await self._accounts.prove(actor, body.password))

    @route("POST", "/api/v1/account/prove/passkey/options", access=Access.ACCOUNT, errors=_PROOF)
    async def begin_proof_with_passkey(self, request: web.Request, actor: AccountSession) -> CeremonyView:
        """Begin to prove who one is with a passkey."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        account = await self._accounts.get(actor.account_id)
        ceremony = await self._accounts.passkeys.begin_proof(self._context.sessions.site_of(request), account)
        return CeremonyView(ticket=ceremony.ticket, options=ceremony.options)

    @route("POST", "/api/v1/account/prove/passkey", access=Access.ACCOUNT, errors=("sign_in_expired", *_PROOF))
    async def prove_with_passkey(self, request: web.Request, actor: AccountSession, body: Ticket) -> AccountView:
        """Prove who one is with what the passkey has answered."""
        self._context.begin_try(request)
        self._context.require_passkeys()
        await self._accounts.passkeys.finish_proof(actor.account_id, body.ticket, body.credential)
        return await self._context.view_of(await self._accounts.devices.prove(actor, self._accounts.now_s()))

    @route("POST", "/api/v1/account/prove/openid", access=Access.ACCOUNT, errors=_PROOF)
    async def begin_proof_with_openid(self, request: web.Request, actor: AccountSession) -> Departure:
        """Begin to prove who one is with the provider."""
        return await self._depart(request, actor, Purpose.PROVE)

    @route("POST", "/api/v1/account/openid", access=Access.ACCOUNT_PROVED, errors=_PROOF)
    async def begin_link_with_openid(self, request: web.Request, actor: AccountSession) -> Departure:
        """Begin to link the account to the provider, so that one can sign in with it."""
        return await self._depart(request, actor, Purpose.LINK)

    @route("DELETE", "/api/v1/account/openid", access=Access.ACCOUNT_PROVED, errors=("not_found", "last_sign_in"))
    async def unlink_openid(self, actor: AccountSession) -> None:
        """Take the link to the provider back."""
        await self._accounts.unlink_openid(actor.account_id)

    async def _depart(self, request: web.Request, actor: AccountSession, purpose: Purpose) -> Departure:
        self._context.begin_try(request)
        departure = await self._context.require_openid().begin(purpose, account_id=actor.account_id)
        self._context.keep_openid(request, departure)
        return Departure(url=departure.url)

    # --- passkeys ---------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/account/passkeys", access=Access.ACCOUNT)
    async def list_passkeys(self, actor: AccountSession) -> PasskeyList:
        """The account's passkeys, oldest first."""
        rows = await self._accounts.passkeys.of_account(actor.account_id)
        return PasskeyList(passkeys=[_passkey_view(row) for row in rows])

    @route(
        "POST", "/api/v1/account/passkeys/options", access=Access.ACCOUNT_PROVED,
        errors=("limit_reached", "not_found", "unavailable"),
    )  # fmt: skip
    async def begin_adding_passkey(self, request: web.Request, actor: AccountSession) -> CeremonyView:
        """Begin to add a passkey."""
        self._context.require_passkeys()
        account = await self._accounts.get(actor.account_id)
        ceremony = await self._accounts.passkeys.begin_adding(self._context.sessions.site_of(request), account)
        return CeremonyView(ticket=ceremony.ticket, options=ceremony.options)

    @route(
        "POST", "/api/v1/account/passkeys", access=Access.ACCOUNT_PROVED, status=201,
        errors=("invalid_name", "sign_in_expired", "sign_in_failed", "taken", "limit_reached", "not_found"),
    )  # fmt: skip
    async def add_passkey(self, actor: AccountSession, body: NamedTicket) -> PasskeyView:
        """Add the passkey with what it has answered."""
        self._context.require_passkeys()
        passkeys = self._accounts.passkeys
        return _passkey_view(await passkeys.finish_adding(actor.account_id, body.ticket, body.credential, body.name))

    @route(
        "DELETE", "/api/v1/account/passkeys/{passkey_id}", access=Access.ACCOUNT_PROVED,
        errors=("not_found", "last_sign_in"),
    )  # fmt: skip
    async def remove_passkey(self, actor: AccountSession, passkey_id: str) -> None:
        """Remove a passkey."""
        await self._accounts.passkeys.remove(actor.account_id, clean_id(passkey_id))


def _passkey_view(row: PasskeyRow) -> PasskeyView:
    return PasskeyView(
        passkey_id=row.passkey_id, name=row.name, created_at_ms=row.created_at_ms, used_at_ms=row.used_at_ms
    )
