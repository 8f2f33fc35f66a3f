"""What a sign-in leaves here while it waits for a passkey or for the provider: kept once, for a while, in memory."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from signaling.accounts.settings import AccountSettings
from signaling.errors import ApiError

_T = TypeVar("_T")
TICKET_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_T]):
    value: _T
    until_s: float


class Tickets(Generic[_T]):
    """Of more than `max_pending_sign_ins` the oldest are forgotten."""

    def __init__(self, settings: AccountSettings, clock: Callable[[], float]) -> None:
        self._limit = settings.max_pending_sign_ins
        self._ttl_s = settings.sign_in_timeout_s
        self._clock = clock
        self._kept: OrderedDict[str, _Kept[_T]] = OrderedDict()

    def keep(self, value: _T) -> str:
        """What gets it back, unguessable."""
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        self._kept[ticket] = _Kept(value, self._clock() + self._ttl_s)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return ticket

    def take(self, ticket: str) -> _T:
        """Once. Raises `ApiError` sign_in_expired."""
        kept = self._kept.pop(ticket, None)
        if kept is None or kept.until_s < self._clock():
            raise ApiError("sign_in_expired", "This sign-in has taken too long, or was finished already.")
        return kept.value
