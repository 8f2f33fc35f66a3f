"""All routes of accounts."""

from __future__ import annotations

from signaling.accounts.service import Accounts
from signaling.addresses import ClientAddresses
from signaling.api.account_admin import AccountAdminEndpoint
from signaling.api.account_context import AccountContext
from signaling.api.accounts import AccountEndpoint
from signaling.api.sessions import Sessions
from signaling.api.sign_in import SignInEndpoint
from signaling.limits import AddressLimiter


def account_endpoints(
    accounts: Accounts | None, sessions: Sessions, addresses: ClientAddresses, limiter: AddressLimiter
) -> list[object]:
    """None where there are no accounts. `limiter` is for tries to sign in, to register and to prove who one is."""
    if accounts is None:
        return []
    context = AccountContext(accounts, sessions, addresses, limiter)
    return [SignInEndpoint(context), AccountEndpoint(context), AccountAdminEndpoint(context)]
