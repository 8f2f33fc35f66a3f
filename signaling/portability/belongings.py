"""What belongs to one account, as parts of an archive: its profile, and of each room what it said and sent, what was
said to it in private, and what is kept of it.

It is for reading: what others said is not in it, so that no room can be made from it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from signaling.accounts.service import Accounts
from signaling.portability.archive import Part
from signaling.portability.export import Exporter
from signaling.rooms.keys import member_id_of_account

PROFILE = "account.json"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    created_at_ms: int
    seen_at_ms: int


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    created_at_ms: int
    used_at_ms: int


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    format: str = "ting-account"
    version: int = 1
    account_id: str
    member_id: str
    """Of what it wrote, in every room."""
    name: str
    created_at_ms: int
    is_admin: bool
    devices: list[Device]
    """Where it is signed in."""
    passkeys: list[Passkey]


async def belongings(exporter: Exporter, profile: Profile) -> AsyncGenerator[Part]:
    """Raises `DatabaseError` and `StoreError`."""
    text = msgspec.json.encode(profile)
    yield Part(PROFILE, len(text), _once(text))
    async for part in exporter.own_parts(profile.member_id):
        yield part


async def profile_of(accounts: Accounts, account_id: str) -> Profile:
    """Raises `ApiError` not_found, `DatabaseError`."""
    account = await accounts.get(account_id)
    return Profile(
        account_id=account_id,
        member_id=member_id_of_account(account_id),
        name=account.name,
        created_at_ms=account.created_at_ms,
        is_admin=account.is_admin,
        devices=[
            Device(name=device.name, created_at_ms=device.created_at_ms, seen_at_ms=device.seen_at_ms)
            for device in await accounts.devices.of_account(account_id)
        ],
        passkeys=[
            Passkey(name=passkey.name, created_at_ms=passkey.created_at_ms, used_at_ms=passkey.used_at_ms)
            for passkey in await accounts.passkeys.of_account(account_id)
        ],
    )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
