"""What is kept of accounts, and what is asked of the database for it.

Times are Unix times in milliseconds. Every method of a store may raise `DatabaseError`. Whatever must not be passed by
two at once (a name, a limit, the last admin) is checked in the transaction that writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    DONE = "done"
    TAKEN = "taken"
    """The name, the passkey or the provider's subject belongs to an account already."""
    FULL = "full"
    """A limit is reached."""
    MISSING = "missing"
    LAST_ADMIN = "last_admin"
    """Nobody would be left who can make accounts."""
    LAST_SIGN_IN = "last_sign_in"
    """The account would have no way to sign in any more."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    account_id: str
    name: str
    name_key: str
    password_hash: str
    """Empty: it has no password."""
    is_admin: bool
    is_disabled: bool
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A browser or app that is signed in."""

    device_id: str
    account_id: str
    secret_hash: str
    """SHA-256 of the session's secret, in hexadecimal digits."""
    name: str
    created_at_ms: int
    seen_at_ms: int
    proved_at_ms: int
    """0: never."""


@dataclass(frozen=True, slots=True)
class EndedDevice:
    device_id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    passkey_id: str
    account_id: str
    credential_id: bytes
    public_key: bytes
    """COSE_Key (RFC 9052)."""
    sign_count: int
    name: str
    created_at_ms: int
    used_at_ms: int


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account with what one signs in with, beside a password."""

    row: AccountRow
    passkey: PasskeyRow | None = None
    link: tuple[str, str] | None = None
    """Issuer and subject of an OpenID provider."""
    invitation: str = ""
    """Hash of the code that is used up by it; empty: none is needed."""


@dataclass(frozen=True, slots=True)
class InvitationRow:
    code_hash: str
    created_by: str
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act of somebody who may more than others."""

    at_ms: int
    actor: str
    """Who did it: account:ID, or `ting` for the command."""
    act: str
    subject: str
    details: Mapping[str, Any]


class AccountTable(Protocol):
    async def add(self, new: NewAccount, limit: int) -> Outcome:
        """All of it or nothing. DONE, TAKEN, FULL; MISSING when the invitation is not good."""
        ...

    async def find(self, account_id: str) -> AccountRow | None: ...

    async def find_by_name(self, name_key: str) -> AccountRow | None: ...

    async def page(self, after: str, limit: int) -> list[AccountRow]:
        """In order of `name_key`, those behind `after`."""
        ...

    async def change(self, account_id: str, **values: Any) -> Outcome:
        """`values` are fields of `AccountRow`. DONE, TAKEN, MISSING, LAST_ADMIN."""
        ...

    async def delete(self, account_id: str) -> Outcome:
        """With all that belongs to it but its devices. DONE, MISSING, LAST_ADMIN."""
        ...

    async def add_invitation(self, row: InvitationRow, limit: int) -> Outcome:
        """DONE, FULL; those that are past do not count, and are deleted."""
        ...


class DeviceTable(Protocol):
    async def add(self, row: DeviceRow, limit: int) -> list[str]:
        """Beyond `limit` of its account those that were not seen for longest end; their ids."""
        ...

    async def find(self, *, secret_hash: str = "", device_id: str = "") -> tuple[DeviceRow, AccountRow] | None:
        """By one of the two. None for one that has ended, and for one of an account that is disabled."""
        ...

    async def of_account(self, account_id: str) -> list[DeviceRow]:
        """Those that have not ended, newest first."""
        ...

    async def touch(self, device_id: str, **values: int) -> None:
        """`values`: seen_at_ms, proved_at_ms."""
        ...

    async def end(self, account_id: str, now_ms: int, *, only: str = "", but: str = "") -> list[str]:
        """All of an account, `only` one, or all `but` one; the ids of those that had not ended before."""
        ...

    async def ended_since(self, at_ms: int) -> list[EndedDevice]: ...

    async def prune(self, *, ended_before_ms: int, seen_before_ms: int, created_before_ms: int) -> None:
        """Forget those that ended before, were not seen since, or are older."""
        ...


class CredentialTable(Protocol):
    async def add_passkey(self, row: PasskeyRow, limit: int) -> Outcome:
        """DONE, TAKEN, FULL, MISSING (the account)."""
        ...

    async def find_passkey(self, credential_id: bytes) -> PasskeyRow | None: ...

    async def list_passkeys(self, account_id: str) -> list[PasskeyRow]: ...

    async def use_passkey(self, passkey_id: str, sign_count: int, used_at_ms: int) -> None: ...

    async def delete_passkey(self, account_id: str, passkey_id: str) -> Outcome:
        """DONE, MISSING, LAST_SIGN_IN."""
        ...

    async def link(self, account_id: str, issuer: str, subject: str) -> Outcome:
        """DONE, TAKEN, MISSING (the account)."""
        ...

    async def unlink(self, account_id: str, issuer: str) -> Outcome:
        """All subjects of this issuer. DONE, MISSING, LAST_SIGN_IN."""
        ...

    async def find_linked(self, issuer: str, subject: str) -> str | None:
        """The account's id."""
        ...

    async def linked_issuers(self, account_id: str) -> list[str]: ...


class AuditTable(Protocol):
    async def add(self, entry: AuditEntry) -> None: ...

    async def page(self, before_id: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """Newest first, those older than `before_id` (0: all)."""
        ...


@dataclass(frozen=True, slots=True)
class AccountStore:
    accounts: AccountTable
    devices: DeviceTable
    credentials: CredentialTable
    audit: AuditTable
