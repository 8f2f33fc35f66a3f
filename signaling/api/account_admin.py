"""Routes for admins: other people's accounts, and invitations to make one."""

from __future__ import annotations

import msgspec

from signaling.accounts.devices import AccountSession
from signaling.api.account_context import AccountContext, clean_id
from signaling.api.account_views import (
    AccountPage,
    Change,
    InvitationView,
    NewOtherAccount,
    NewPassword,
    OtherAccount,
    PageQuery,
    other_account,
)
from signaling.api.typed import Access, route


class AccountAdminEndpoint:
    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._accounts = context.accounts

    @route("GET", "/api/v1/accounts", access=Access.ADMIN, errors=("invalid_name",))
    async def list_accounts(self, query: PageQuery) -> AccountPage:
        """All accounts, in order of their names."""
        rows = await self._accounts.page(query.after, query.limit)
        behind = rows[-1].name if len(rows) == query.limit else None
        return AccountPage(accounts=[other_account(row) for row in rows], next=behind)

    @route(
        "POST", "/api/v1/accounts", access=Access.ADMIN_PROVED, status=201,
        errors=("invalid_name", "invalid_password", "name_taken", "limit_reached", "not_found"),
    )  # fmt: skip
    async def create_account(self, actor: AccountSession, body: NewOtherAccount) -> OtherAccount:
        """Make an account with a first password."""
        self._context.require_passwords()
        row = await self._accounts.create(_who(actor), body.name, body.password, is_admin=body.is_admin)
        return other_account(row)

    @route("PATCH", "/api/v1/accounts/{account_id}", access=Access.ADMIN_PROVED, errors=("not_found", "last_admin"))
    async def change_account(self, actor: AccountSession, account_id: str, body: Change) -> OtherAccount:
        """Make somebody an admin or not, disable an account or not.

        Who is disabled is signed out everywhere and cannot sign in.
        """
        values = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
        return other_account(await self._accounts.change(_who(actor), clean_id(account_id), **values))

    @route(
        "PUT", "/api/v1/accounts/{account_id}/password", access=Access.ADMIN_PROVED,
        errors=("invalid_password", "not_found"),
    )  # fmt: skip
    async def set_password_of_account(self, actor: AccountSession, account_id: str, body: NewPassword) -> None:
        """Set the password of somebody who has forgotten theirs.

        Who it is is signed out everywhere.
        """
        self._context.require_passwords()
        await self._accounts.set_password(_who(actor), clean_id(account_id), body.password)

    @route("DELETE", "/api/v1/accounts/{account_id}", access=Access.ADMIN_PROVED, errors=("not_found", "last_admin"))
    async def end_account(self, actor: AccountSession, account_id: str) -> None:
        """Delete somebody's account."""
        await self._accounts.remove(_who(actor), clean_id(account_id))

    @route("POST", "/api/v1/accounts/invitations", access=Access.ADMIN_PROVED, status=201, errors=("limit_reached",))
    async def invite_account(self, actor: AccountSession) -> InvitationView:
        """Make a code with which somebody can make one account."""
        code, expires_at_ms = await self._accounts.invite(_who(actor))
        return InvitationView(code=code, expires_at_ms=expires_at_ms)


def _who(actor: AccountSession) -> str:
    return f"account:{actor.account_id}"
