"""All routes of accounts."""

from __future__ import annotations

from signaling.accounts.service import Accounts
from signaling.addresses import ClientAddresses
from signaling.api.account_admin import AccountAdminEndpoint
from signaling.api.account_context import AccountContext
from signaling.api.accounts import AccountEndpoint
from signaling.api.portability import AccountArchiveEndpoint
from signaling.api.sessions import Sessions
from signaling.api.sign_in import SignInEndpoint
from signaling.limits import AddressLimiter
from signaling.portability.owners import OwnerArchives


def account_endpoints(
    accounts: Accounts | None,
    sessions: Sessions,
    addresses: ClientAddresses,
    limiter: AddressLimiter,
    archives: OwnerArchives,
    stall_timeout_s: float,
) -> list[object]:
    """None where there are no accounts. `limiter` is for tries to sign in, to register and to prove who one is,
    `stall_timeout_s` for each piece of an archive."""
    if accounts is None:
        return []
    context = AccountContext(accounts, sessions, addresses, limiter)
    return [
        SignInEndpoint(context),
        AccountEndpoint(context),
        AccountAdminEndpoint(context),
        AccountArchiveEndpoint(archives, accounts, stall_timeout_s),
    ]
